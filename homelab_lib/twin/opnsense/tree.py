"""A model of the appliance filled with what its configuration holds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense.fields.base import Field, Leaf
from homelab_lib.twin.opnsense.model import Message, Model, Parts, Section
from homelab_lib.twin.opnsense.nodes import Box, Rows


@dataclass
class Tree:
    """A model as one request sees it.

    Parameters
    ----------
    model
        Which.
    config
        The configuration that it is read from and written to.
    box
        The firewall.
    new_uuid
        Draws names of new rows.
    """

    model: Model
    config: ET.Element
    box: Any
    new_uuid: Callable[[], str]
    others: "Callable[[str], Tree]"
    cache: dict[Any, Any] = field(default_factory=dict)
    root: Box = field(init=False)
    loaded: bool = field(default=False, init=False)
    _counts: dict[str, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = Box(self, None, "", "")
        self.fill(self.root, self.model.parts, _mounted(self.config, self.model))
        for rows in self._tables(self.root):
            for name, values in (rows.table.fixed(self) if rows.table.fixed else {}).items():
                rows.add_fixed(name, values)
        for leaf in self.root.leaves():
            leaf.field.after_loading(leaf)
        for rows in self._tables(self.root):
            if rows.table.after_loading:
                rows.table.after_loading(rows)
        self.loaded = True
        if self.model.fetch:
            self.model.fetch(self)

    def _tables(self, box: Box) -> Iterator[Rows]:
        for part in box.parts.values():
            if isinstance(part, Rows):
                yield part
            elif isinstance(part, Box):
                yield from self._tables(part)

    def fill(self, box: Box, parts: Parts, element: ET.Element | None) -> None:
        """Make the parts of a box, with what is kept of them."""
        for tag, part in parts.items():
            ref = f"{box.ref}.{tag}" if box.ref else tag
            kept = None if element is None else element.findall(tag)
            if isinstance(part, Field):
                if part.since > self.box.release:
                    continue
                leaf = Leaf(part, self, box, tag, ref, part.default)
                box.parts[tag] = leaf
                if kept:  # lists are several elements in what earlier releases wrote
                    several = getattr(part, "multiple", False)
                    texts = [each.text or "" for each in kept]
                    leaf.set(",".join(texts) if several else texts[0])
            elif isinstance(part, Section):
                inner = Box(self, box, tag, ref)
                box.parts[tag] = inner
                self.fill(inner, part.parts, kept[0] if kept else None)
            else:
                rows = Rows(self, box, tag, ref, part)
                box.parts[tag] = rows
                for each in kept or ():
                    if len(each):
                        rows.load(each.get("uuid") or self.new_uuid(), each)

    def at(self, path: str) -> Any:
        """A part by its name in the whole document; None where there is no such."""
        place: Any = self.root
        for step in path.split("."):
            place = place.get(step) if isinstance(place, Box | Rows) else None
        return place

    def aliases(self) -> Rows:
        """The firewall's aliases."""
        found = self.others("Firewall.Alias").at("aliases.alias")
        assert isinstance(found, Rows)
        return found

    def remembered(self, key: Any, make: Callable[[], Any]) -> Any:
        """What is made once for a document."""
        if key not in self.cache:
            self.cache[key] = make()
        return self.cache[key]

    def counted(self, key: str, count: Callable[[], dict[str, int]]) -> dict[str, int]:
        """How often values come, counted once for each look at the whole."""
        if key not in self._counts:
            self._counts[key] = count()
        return self._counts[key]

    def messages(self, *, full: bool = False) -> list[Message]:
        """What is wrong.

        Parameters
        ----------
        full
            Whether what has not changed is looked at as well.
        """
        self._counts.clear()
        found = [
            Message(key, text)
            for leaf in self.root.leaves()
            if full or leaf.changed
            for key, text in leaf.field.problems(leaf)
        ]
        if self.model.checks:
            found += self.model.checks(self, full)
        return found

    def store(self) -> None:
        """Write it into the configuration, in the place of what is there of it."""
        if self.model.keep:
            self.model.keep(self)
        else:
            self.put()

    def put(self) -> None:
        """Write it where the model is mounted."""
        if self.model.mount.endswith("+"):
            self._put_rows()
            return
        place = self.config
        for step in self.model.mount.strip("/").split("/"):
            place = self.child(place, step)
        place.clear()
        place.set("version", self.model.version)
        if self.model.title:
            place.set("description", self.model.title)
        _write(place, self.root)

    @staticmethod
    def child(place: ET.Element, tag: str) -> ET.Element:
        """An element in another, made where it is not there."""
        found = place.find(tag)
        return ET.SubElement(place, tag) if found is None else found

    def _put_rows(self) -> None:
        *steps, tag = self.model.mount.strip("/+").split("/")
        place = self.config
        for step in steps:
            place = self.child(place, step)
        made = ET.Element("rows")
        _write(made, self.root)
        new = list(made)
        for old in place.findall(tag):
            index = list(place).index(old)
            place.remove(old)
            if new:
                place.insert(index, new.pop(0))
        place.extend(new)


def _mounted(config: ET.Element, model: Model) -> ET.Element | None:
    if not model.mount:
        return None
    if model.mount.endswith("+"):
        rows = ET.Element("rows")
        rows.extend(config.findall(model.mount.strip("/+")))
        return rows
    return config.find(model.mount.strip("/"))


def _write(element: ET.Element, box: Box) -> None:
    for tag, part in box.parts.items():
        if isinstance(part, Leaf):
            if not part.field.volatile:
                ET.SubElement(element, tag).text = _kept(part.value)
        elif isinstance(part, Box):
            _write(ET.SubElement(element, tag), part)
        else:
            for row in part.rows():
                if not row.fixed:
                    _write(ET.SubElement(element, tag, uuid=row.uuid), row)


def _kept(value: str) -> str | None:
    """What XML can hold of a value: a C library writes it, and stops where there is a nought."""
    if value.isprintable():
        return value or None
    return "".join(c for c in value.partition("\0")[0] if c in "\t\n\r" or c >= " ") or None
