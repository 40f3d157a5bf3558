"""What a PHP script of the appliance works on: its configuration, and its model of users.

Source: opnsense/core, library/OPNsense/Core/Config.php, models/OPNsense/Auth/User.php with its
ApiKeyField; SimpleXMLElement as PHP 8.2 has it.
"""

import base64
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense.credentials import hashed
from homelab_lib.twin.opnsense.firewall import OpnSense

_KEY_BYTES = 60


class Xml:
    """A SimpleXMLElement: an element, or the place of one that is not there yet.

    Parameters
    ----------
    element
        None where there is none.
    parent, name
        Where it would be.
    selected
        Whether it was asked for by its name: then a loop runs over all of that name, and else over
        what is in it.
    """

    def __init__(
        self,
        element: ET.Element | None,
        parent: "Xml | None" = None,
        name: str = "",
        *,
        selected: bool = False,
    ) -> None:
        self.element, self.parent, self.name, self.selected = element, parent, name, selected

    def get(self, name: str) -> "Xml":
        found = None if self.element is None else self.element.find(name)
        return Xml(found, self, name, selected=True)

    def has(self, name: str) -> bool:
        return self.element is not None and self.element.find(name) is not None

    def set(self, name: str, value: str) -> None:
        """Set a part's text; a part that is not there is made, and so is this."""
        place = self.made()
        found = place.find(name)
        if found is None:
            found = ET.SubElement(place, name)
        self._write(found, value)

    def write(self, value: str) -> None:
        """Set its own text."""
        self._write(self.made(), value)

    @staticmethod
    def _write(element: ET.Element, value: str) -> None:
        for child in list(element):
            element.remove(child)
        element.text = value

    def made(self) -> ET.Element:
        """The element, made where it is not there."""
        if self.element is None:
            assert self.parent is not None
            self.element = ET.SubElement(self.parent.made(), self.name)
        return self.element

    def unset(self, name: str) -> None:
        for child in [] if self.element is None else self.element.findall(name):
            self.element.remove(child)  # type: ignore[union-attr]

    def add(self, name: str, value: str = "") -> "Xml":
        child = ET.SubElement(self.made(), name)
        child.text = value or None
        return Xml(child, self, name)

    def all(self) -> Iterator[tuple[str, "Xml"]]:
        """What a loop runs over."""
        if self.selected and self.parent is not None and self.parent.element is not None:
            for each in self.parent.element.findall(self.name):
                yield each.tag, Xml(each, self.parent, each.tag)
        elif not self.selected:
            yield from self.children()

    def children(self) -> Iterator[tuple[str, "Xml"]]:
        for child in () if self.element is None else list(self.element):
            yield child.tag, Xml(child, self, child.tag)

    def at(self, number: int) -> "Xml":
        """One of those of its name, from 0."""
        found = [each for _, each in self.all()] if self.selected else [self]
        return found[number] if number < len(found) else Xml(None, self.parent, self.name)

    @property
    def text(self) -> str:
        return "" if self.element is None else (self.element.text or "").strip()

    def __bool__(self) -> bool:
        there = self.element
        return there is not None and bool(self.text not in ("", "0") or len(there) or there.attrib)


class ConfigObject:
    """`OPNsense\\Core\\Config`: the one of a script."""

    def __init__(self, firewall: OpnSense, script: str) -> None:
        self._firewall, self._script = firewall, script
        self.root = Xml(firewall.config.load())

    def lock(self) -> "ConfigObject":
        """From now on nobody else writes; it is read anew."""
        self.root = Xml(self._firewall.config.load())
        return self

    def save(self, revision: Any) -> None:
        """Write it; a backup is made."""
        given = revision.get("description") if isinstance(revision, dict) else None
        self._firewall.config.save(
            self.root.made(),
            by="(root)",
            description=str(given) if given else f"{self._script} made changes",
        )


class UserModel:
    """`OPNsense\\Auth\\User`: users, read when it was made, written by `serializeToConfig`."""

    def __init__(self, firewall: OpnSense, config: ConfigObject) -> None:
        self._firewall, self._config = firewall, config
        rows = config.root.made().findall("system/user")
        self.users = [UserRow(firewall, row.findtext("name", ""), row) for row in rows]

    def named(self, name: str) -> "UserRow | None":
        return next((user for user in self.users if user.name == name), None)

    def write(self) -> None:
        for user in self.users:
            for row in self._config.root.made().findall("system/user"):
                if row.findtext("name") == user.name and user.keys.lines:
                    found = row.find("apikeys")
                    place = ET.SubElement(row, "apikeys") if found is None else found
                    Xml(place).write("\n".join(user.keys.lines))


class UserRow:
    """A user."""

    def __init__(self, firewall: OpnSense, name: str, row: ET.Element) -> None:
        self.name, self.row = name, row
        self.keys = ApiKeys(firewall, row.findtext("apikeys") or "")


class ApiKeys:
    """A user's keys: of a secret a hash is kept, and it is told once."""

    def __init__(self, firewall: OpnSense, text: str) -> None:
        self._firewall = firewall
        self.lines = [line for line in text.split("\n") if line.strip()]

    def add(self) -> dict[str, str]:
        made = {name: self._drawn() for name in ("key", "secret")}
        self.lines.append(f"{made['key']}|{hashed(made['secret'])}")
        self._firewall.doorman.takes_first = False
        return made

    def _drawn(self) -> str:
        return base64.b64encode(self._firewall.rng.randbytes(_KEY_BYTES)).decode()

    def all(self) -> list[dict[str, str]]:
        names = [line.partition("|")[0] for line in self.lines]
        return [{"key": n, "id": base64.b64encode(n.encode()).decode()} for n in names]

    def delete(self, key: str) -> bool:
        kept = [line for line in self.lines if not line.startswith(f"{key}|")]
        found = len(kept) < len(self.lines)
        self.lines = kept
        return found
