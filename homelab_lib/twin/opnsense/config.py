"""The one place where an OPNsense keeps what it is set to: `/conf/config.xml`, and its backups.

Each save leaves a backup that holds the state *after* it. The files are the state: what copies
one over the other from a shell has restored it.
"""

import copy
import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from xml.etree import ElementTree as ET

from homelab_lib.twin.machine.files import FileSystem

PLACE = "/conf/config.xml"
BACKUPS = "/conf/backup"
_KEPT = 100
_STEP_S = 0.0137  # between two saves that no time passed between


@dataclass(frozen=True)
class Backup:
    """One backup as `core/backup/backups` lists it."""

    id: str
    time: str
    description: str
    username: str
    size_bytes: int

    def row(self) -> dict[str, str | int]:
        """As it is answered."""
        moment = dt.datetime.fromtimestamp(int(float(self.time or 0)), dt.UTC)
        return {
            "time": self.time,
            "time_iso": moment.isoformat(),
            "description": self.description,
            "username": self.username,
            "filesize": self.size_bytes,
            "id": self.id,
        }


class Config:
    """The configuration of one firewall.

    Parameters
    ----------
    files
        Where it lies.
    now_s
        Tells the time [s since 1970].
    last_s
        When it was saved last [s since 1970].
    """

    def __init__(self, files: FileSystem, now_s: Callable[[], float], last_s: float = 0.0) -> None:
        self._files = files
        self._now_s = now_s
        self._last_s = last_s
        self._read: tuple[str, ET.Element] = "", ET.Element("opnsense")  # what was parsed last
        files.mkdir("/conf", parents=True)
        files.make_folder(BACKUPS, mode=0o750)

    def load(self) -> ET.Element:
        """What it is set to; a copy, in which one may write before it is saved. See `read`."""
        return copy.deepcopy(self.read())

    def read(self) -> ET.Element:
        """What it is set to, for reading only: all who read the same file have the same one.

        Raises
        ------
        ValueError
            The file is no XML any more.
        """
        text = self._files.text(PLACE)
        if text != self._read[0]:
            try:
                self._read = text, whole(ET.fromstring(text))
            except ET.ParseError as error:
                raise ValueError(f"{PLACE}: {error}") from None
        return self._read[1]

    def put(self, root: ET.Element) -> None:
        """Write it and make no backup, as an installer does."""
        self._files.put(PLACE, written(root), mode=0o640, mtime_s=self._now_s())

    def save(self, root: ET.Element, *, by: str, description: str, key: str = "") -> str:
        """Write it and leave a backup.

        Parameters
        ----------
        root
            The whole configuration.
        by
            Who did it: ``root@127.0.0.1``.
        description
            What was done.
        key
            The key of the API that it was done with; a session of the pages has none.

        Returns
        -------
        str
            The revision as the appliance tells it, with two decimals.
        """
        moment = max(self._now_s(), self._last_s + _STEP_S)
        self._last_s = moment
        revision = root.find("revision")
        if revision is None:
            revision = ET.SubElement(root, "revision")
        revision.clear()
        told = f"{moment:.2f}"
        tags = {"username": by, "user_apitoken": key, "description": description, "time": told}
        for tag, text in tags.items():
            if tag != "user_apitoken" or key:
                ET.SubElement(revision, tag).text = text
        self.put(root)
        # The name has up to four decimals, the revision two: one seldom leads to the other.
        name = f"{moment:.4f}".rstrip("0").rstrip(".")
        self._files.put(f"{BACKUPS}/config-{name}.xml", self._files.text(PLACE), mode=0o640)
        if len(self._files.listdir(BACKUPS)) > _KEPT:
            for old in self.backups()[_KEPT:]:
                self._files.remove(f"{BACKUPS}/{old.id}")
        return told

    def backups(self) -> list[Backup]:
        """Those there are, the newest first."""
        found = []
        for name in self._files.listdir(BACKUPS):
            if not re.fullmatch(r"config-.*\.xml", name):
                continue
            text = self._files.text(f"{BACKUPS}/{name}")
            if (revision := _revision(text)) is not None:
                time, description, by = revision
                found.append(Backup(name, time, description, by, len(text.encode())))
        return sorted(found, key=lambda backup: (backup.time, backup.id), reverse=True)

    def backup(self, name: str) -> str | None:
        """The text of a backup; None where there is none of that name."""
        if name not in self._files.listdir(BACKUPS):
            return None
        return self._files.text(f"{BACKUPS}/{name}")

    def delete_backup(self, name: str) -> bool:
        """Delete one; whether there was one."""
        if name not in self._files.listdir(BACKUPS):
            return False
        self._files.remove(f"{BACKUPS}/{name}")
        return True


@lru_cache(maxsize=2 * _KEPT)
def _revision(text: str) -> tuple[str, str, str] | None:
    """When a backup was made, what was done and who did it; None where it says nothing of it."""
    try:
        revision = ET.fromstring(text).find("revision")
    except ET.ParseError:
        return None
    if revision is None:
        return None
    time, description, by = (
        revision.findtext(tag, "") for tag in ("time", "description", "username")
    )
    return time, description, by


def whole(root: ET.Element) -> ET.Element:
    """The same; texts that the parser left in pieces are joined, or each copy copies the pieces."""
    for each in root.iter():
        _ = each.text, each.tail
    return root


def written(root: ET.Element) -> str:
    """The file's text, each element on a line of its own, as `ElementTree.indent` has it."""
    parts = ['<?xml version="1.0"?>\n']
    _write(parts.append, root, "\n")
    parts.append(f"{_escaped(root.tail or '')}\n")
    return "".join(parts)


def _write(put: Callable[[str], None], element: ET.Element, line: str) -> None:
    """One element; a line of it begins with `line`. ElementTree's own writer asks for namespaces,
    which this file has none of, and wants a copy to indent: a save took four times as long."""
    tag, text = element.tag, element.text
    put(f"<{tag}")
    for name, value in element.items():
        put(f' {name}="{_attribute(value)}"')
    inner = f"{line}  "
    if len(element):
        put(">" + (inner if not text or not text.strip() else _escaped(text)))
        for number, child in enumerate(element, 1):
            _write(put, child, inner)
            tail = child.tail
            after = line if number == len(element) else inner
            put(after if not tail or not tail.strip() else _escaped(tail))
        put(f"</{tag}>")
    elif text:
        put(f">{_escaped(text)}</{tag}>")
    else:
        put(" />")


def _escaped(text: str) -> str:
    if "&" in text:
        text = text.replace("&", "&amp;")
    return text.replace("<", "&lt;").replace(">", "&gt;")


def _attribute(text: str) -> str:
    return _escaped(text).translate(_IN_QUOTES)


_IN_QUOTES = str.maketrans({'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#09;"})
