"""The run's memory: one JSON object a line, on the disk before anything is sent.

Each line carries the digest of the line before it, so that a record can be checked later. A run
that died left at most one intent without a result; that change is *unknown* until somebody looks.
"""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from homelab_lib.errors import HomelabError
from homelab_lib.secret import Mask

_FIRST = "0" * 64


def digest(line: bytes) -> str:
    """What the line after it carries as ``prev``."""
    return hashlib.sha256(line).hexdigest()


class Journal:
    """Appends events to a file; `file` None keeps them in memory only (a rehearsal).

    Parameters
    ----------
    file
        Where the lines go. An existing journal is continued; a line that a crash tore is cut
        off, and that is journalled too.
    mask
        Applied to every string before it is written.
    wall
        Gives the time of day as ISO text.
    """

    def __init__(self, file: Path | None, *, mask: Mask, wall: Callable[[], str]) -> None:
        self.events: list[dict[str, Any]] = []
        self.head = _FIRST
        self._mask = mask
        self._wall = wall
        self._lock = threading.Lock()  # hosts are worked on in parallel
        self._file = file
        if file is not None and (torn := self._resume(file)):
            self.append("torn", bytes=torn)

    def _resume(self, file: Path) -> int:
        """Take up what an earlier run wrote; returns how many torn bytes were cut off."""
        if not file.exists():
            return 0
        raw = file.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        for line in whole.splitlines():
            self.events.append(json.loads(line))
            self.head = digest(line)
        if len(whole) < len(raw):
            os.truncate(file, len(whole))
        return len(raw) - len(whole)

    def append(self, kind: str, **fields: Any) -> int:
        """Write one event and return its number, once it is on the disk."""
        with self._lock:
            return self._append(kind, fields)

    def _append(self, kind: str, fields: dict[str, Any]) -> int:
        event = {"seq": len(self.events), "prev": self.head, "at": self._wall(), "kind": kind}
        event |= _masked(fields, self._mask)
        line = json.dumps(event, ensure_ascii=False, sort_keys=True).encode()
        if self._file is not None:
            try:
                with self._file.open("ab") as stream:
                    stream.write(line + b"\n")
                    stream.flush()
                    os.fsync(stream.fileno())
            except OSError as error:
                raise HomelabError(
                    f"the journal can't be written: {error.strerror}; nothing more is sent",
                    where=str(self._file),
                    fix="make room on that disk, then run the same command again",
                ) from None
        self.events.append(event)
        self.head = digest(line)
        return event["seq"]


def _masked(value: Any, mask: Mask) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: _masked(item, mask) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item, mask) for item in value]
    return value


def read(file: Path) -> list[dict[str, Any]]:
    """The events of a finished or torn journal; a torn last line is left out."""
    raw = file.read_bytes()
    return [json.loads(line) for line in raw[: raw.rfind(b"\n") + 1].splitlines()]


def broken_links(file: Path) -> Iterator[int]:
    """The numbers of the lines that don't follow from the one before: edited, lost or added."""
    head = _FIRST
    for number, line in enumerate(file.read_bytes().splitlines()):
        try:
            event = json.loads(line)
        except ValueError:
            yield number
            continue
        if event.get("prev") != head or event.get("seq") != number:
            yield number
        head = digest(line)


def intents(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each change that was sent, or was about to be, with its ``outcome``.

    The outcome is ``done``, ``failed`` or ``unknown``; an intent without a result is unknown.
    """
    outcomes = {e["intent"]: e["outcome"] for e in events if e["kind"] == "result"}
    return [
        event | {"outcome": outcomes.get(event["seq"], "unknown")}
        for event in events
        if event["kind"] == "intent"
    ]
