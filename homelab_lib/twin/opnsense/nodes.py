"""The parts of a document: boxes of fields, and rows of a table."""

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.errors import Unexpected
from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.model import Table


class Box:
    """A part of a document that has parts."""

    def __init__(self, tree: Any, parent: "Box | Rows | None", tag: str, ref: str) -> None:
        self.tree, self.parent, self.tag, self.ref = tree, parent, tag, ref
        self.parts: dict[str, Leaf | Box | Rows] = {}
        self.uuid = ""
        self.fixed = False

    def get(self, name: str) -> Any:
        """A part; None where there is no such."""
        return self.parts.get(name)

    def __getitem__(self, name: str) -> Any:
        return self.parts[name]

    def __contains__(self, name: str) -> bool:
        return name in self.parts

    def text(self, name: str) -> str:
        """What a field shows; empty where there is no such field."""
        found = self.parts.get(name)
        return found.text if isinstance(found, Leaf) else ""

    @property
    def changed(self) -> bool:
        return any(part.changed for part in self.parts.values())

    def set(self, data: Mapping[str, Any] | None) -> None:
        """Take over what a document says; what it does not speak of stays.

        Raises
        ------
        Unexpected
            A text where there are parts, or parts where a text is wanted.
        """
        for name, part in self.parts.items():
            given = (data or {}).get(name)
            if given is None:
                continue
            inside = php.mapping(given)
            if isinstance(part, Leaf):
                if inside is not None:
                    raise Unexpected(f"{name}: expected a single value")
                part.set(given)
            elif inside is None:
                raise Unexpected(f"{name}: expected a list")
            else:
                part.set(inside)

    def leaves(self) -> Iterator[Leaf]:
        """All values in it."""
        for part in self.parts.values():
            if isinstance(part, Leaf):
                yield part
            else:
                yield from part.leaves()

    def nodes(self) -> dict[str, Any]:
        """As a `get` answers it."""
        found: dict[str, Any] = {}
        for name, part in self.parts.items():
            if not isinstance(part, Leaf):
                found[name] = part.nodes()
                continue
            found[name] = part.field.data(part)
            described = part.field.described(part)
            newer = self.tree.box.release >= (26, 7)
            if newer and isinstance(found[name], str) and found[name] != described:
                found[f"%{name}"] = described
        return found

    def content(self) -> dict[str, Any]:
        """Plain values, and beside them what a person reads where that is something else."""
        found: dict[str, Any] = {}
        for name, part in self.parts.items():
            if not isinstance(part, Leaf):
                found[name] = part.content()
                continue
            found[name] = part.value
            described = part.field.described(part)
            if described != part.value:
                found[f"%{name}"] = described
        return found

    def row(self) -> dict[str, Any]:
        """As a `search` answers it: all values flat, and beside them what a person reads."""
        found: dict[str, Any] = {"uuid": self.uuid}
        for leaf in self.leaves():
            name = leaf.ref[len(self.ref) + 1 :]
            found[name] = leaf.value
            described = leaf.field.described(leaf)
            if described != leaf.value:
                found[f"%{name}"] = described
        return found


class Rows:
    """The rows of a table."""

    def __init__(self, tree: Any, parent: "Box | None", tag: str, ref: str, table: Table) -> None:
        self.tree, self.parent, self.tag, self.ref, self.table = tree, parent, tag, ref, table
        self._rows: dict[str, Box] = {}

    def rows(self) -> list[Box]:
        """All of them, those that are always there last."""
        return sorted(self._rows.values(), key=lambda row: row.fixed)

    def get(self, uuid: str) -> Box | None:
        return self._rows.get(uuid)

    @property
    def changed(self) -> bool:
        return any(row.changed for row in self._rows.values() if not row.fixed)

    def load(self, uuid: str, element: ET.Element) -> Box:
        """A row that is kept."""
        row = self._rows[uuid] = Box(self.tree, self, self.tag, f"{self.ref}.{uuid}")
        row.uuid = uuid
        self.tree.fill(row, self.table.parts, element)
        return row

    def add(self, uuid: str = "") -> Box:
        """A new row with its defaults."""
        uuid = uuid or self.tree.new_uuid()
        row = Box(self.tree, self, self.tag, f"{self.ref}.{uuid}")
        row.uuid = uuid
        self.tree.fill(row, self.table.parts, None)
        for leaf in row.leaves():
            leaf.value, leaf.is_new = leaf.field.fresh(leaf), True
        self._rows[uuid] = row
        return row

    def add_fixed(self, name: str, values: Mapping[str, str]) -> None:
        """A row that is always there."""
        row = self._rows[name] = Box(self.tree, self, self.tag, f"{self.ref}.{name}")
        row.uuid, row.fixed = name, True
        self.tree.fill(row, self.table.parts, None)
        for leaf in row.leaves():
            leaf.value = values.get(leaf.tag, "")
            leaf.stored = leaf.value

    def delete(self, uuid: str) -> bool:
        """Take one out; whether there was one."""
        row = self._rows.get(uuid)
        if row is None or row.fixed:
            return False
        del self._rows[uuid]
        return True

    def rename(self, row: Box, uuid: str) -> None:
        """Have a row go by another name in the configuration."""
        row.uuid = uuid

    def set(self, data: Mapping[str, Any]) -> None:
        """Take over what a document says of rows by their names; unknown ones are new."""
        known = set(self._rows)
        for name, given in data.items():
            inside = php.mapping(given)
            if name in known:
                if given is None:
                    continue
                if inside is None:
                    raise Unexpected(f"{name}: expected a list")
                self._rows[name].set(inside)
            else:
                self.add().set(inside)

    def leaves(self) -> Iterator[Leaf]:
        for row in self.rows():
            yield from row.leaves()

    def nodes(self) -> dict[str, Any]:
        return {row.ref.rpartition(".")[2]: row.nodes() for row in self.rows()}

    def content(self) -> dict[str, Any]:
        return {row.ref.rpartition(".")[2]: row.content() for row in self.rows()}
