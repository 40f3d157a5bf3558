"""The run's memory: one JSON object a line, on the disk before anything is sent.

Each line carries the digest of the line before it, so that a record can be checked later. A run
that died left at most one batch of intents without results; those changes are *unknown* until a
look at the host has settled them, and then the journal says what came of them.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from homelab_lib import durable
from homelab_lib.errors import HomelabError
from homelab_lib.regular_file import read_ours
from homelab_lib.secret import Mask

_FIRST = "0" * 64
Event = dict[str, Any]


def digest(line: bytes) -> str:
    """What the line after it carries as ``prev``."""
    return hashlib.sha256(line).hexdigest()


class Journal:
    """Appends events to a file; `file` None keeps them in memory only (a rehearsal).

    Parameters
    ----------
    file
        Where the lines go. An existing journal is continued; a last line that a crash tore is cut
        off, and that is journalled too.
    mask
        Applied to every value before it is written.
    wall
        Gives the time of day as ISO text.

    Raises
    ------
    HomelabError
        What is there is no journal, or one that was damaged before its end.
    """

    def __init__(self, file: Path | None, *, mask: Mask, wall: Callable[[], str]) -> None:
        self.events: list[Event] = []
        self.head = _FIRST
        self._sent: dict[int, Sent] = {}  # by number of the intent
        self._changes: dict[str, Sent] = {}  # by identity: the last one
        self._resources: dict[tuple[str, str], Sent] = {}  # by host and resource: the last one
        self._made: set[tuple[str, str]] = set()
        self._all: dict[tuple[str, str], list[Sent]] = {}  # by host and resource: in order
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
        raw = read_ours(file)
        good, events, head = _whole(raw)
        damaged = HomelabError(
            f"the journal is damaged after line {len(events)}, and goes on after that",
            where=str(file),
            fix="`python -m homelab_lib record` says what is wrong with it; begin anew with "
            "mode=plan, and keep this folder as it is",
        )
        if _holds_events(raw[good : raw.rfind(b"\n") + 1]):
            raise damaged
        try:
            for event in events:
                self._take(event)
        except (KeyError, TypeError):
            raise damaged from None
        self.head = head
        if good < len(raw):
            try:
                durable.replace(file, raw[:good], mode=durable.PRIVATE)
            except OSError as error:
                raise _not_written(file, error) from None
        return len(raw) - good

    # ------------------------------------------------------------------- write

    def append(self, kind: str, **fields: Any) -> int:
        """Write one event and return its number, once it is on the disk."""
        return self.append_all([(kind, fields)])[0]

    def append_all(self, entries: Sequence[tuple[str, dict[str, Any]]]) -> list[int]:
        """Write several events at once; when it returns, all of them are on the disk."""
        with self._lock:
            head, lines = self.head, []
            events: list[Event] = []
            for kind, fields in entries:
                event: Event = {
                    "seq": len(self.events) + len(events),
                    "prev": head,
                    "at": self._wall(),
                }
                event |= {"kind": kind, **self._mask.clean(fields)}
                lines.append(json.dumps(event, ensure_ascii=False, sort_keys=True).encode())
                head = digest(lines[-1])
                events.append(event)
            if self._file is not None:
                self._write(self._file, b"".join(line + b"\n" for line in lines))
            for event in events:
                self._take(event)
            self.head = head
            return [event["seq"] for event in events]

    def _write(self, file: Path, raw: bytes) -> None:
        try:
            durable.append(file, raw)
        except OSError as error:
            raise _not_written(file, error) from None

    def _take(self, event: Event) -> None:
        """Keep an event, and what it tells."""
        self.events.append(event)
        if event["kind"] == "intent":
            sent = Sent(event)
            self._sent[event["seq"]] = sent
            self._changes[event["id"]] = sent
            self._resources[sent.resource] = sent
            self._all.setdefault(sent.resource, []).append(sent)
        elif event["kind"] in ("result", "settled"):
            sent = self._sent[event["intent"]]
            sent.outcome = event["outcome"]
            if sent.outcome == "done":
                self._made.add(sent.resource)

    # ------------------------------------------------------------------ recall

    def remembering(self) -> "Journal":
        """A journal in memory that knows what this one knows: for a rehearsal of what is left."""
        other = Journal(None, mask=self._mask, wall=self._wall)
        other._changes = dict(self._changes)
        other._resources = dict(self._resources)
        other._made = set(self._made)
        other._all = {resource: list(sent) for resource, sent in self._all.items()}
        return other

    def outcome(self, identity: str) -> str | None:
        """What came of a change when it was sent last; None if it never was."""
        sent = self._changes.get(identity)
        return sent.outcome if sent else None

    def begun(self, host: str, resource: str) -> bool:
        """Whether the last that was sent for a resource is not known to have been done."""
        last = self._resources.get((host, resource))
        return last is not None and last.outcome != "done"

    def touched(self, host: str, resource: str) -> bool:
        """Whether anything was ever sent for a resource."""
        return (host, resource) in self._resources

    def made(self, host: str, resource: str) -> bool:
        """Whether something that was sent for a resource was done."""
        return (host, resource) in self._made

    def sent(self, host: str, resource: str) -> tuple[str, ...]:
        """The calls that were sent for a resource and may have come about, as lines, in order."""
        every = self._all.get((host, resource), ())
        return tuple(str(sent.intent["call"]) for sent in every if sent.outcome != "failed")

    def unknown(self, host: str, resource: str) -> list[Event]:
        """The intents for a resource that stand here and of which nobody knows what came."""
        there = (host, resource)
        if not self.begun(host, resource):  # what was sent before has been settled
            return []
        return [
            sent.intent
            for sent in self._sent.values()
            if sent.resource == there and sent.outcome == "unknown"
        ]

    def age_s(self, event: Event) -> float:
        """How long ago an event was written [s]; 0 where the time of day can't tell, or was set
        back."""
        try:
            then = datetime.fromisoformat(event["at"])
            return max((datetime.fromisoformat(self._wall()) - then).total_seconds(), 0.0)
        except (KeyError, TypeError, ValueError):
            return 0.0

    def hosts(self) -> list[str]:
        """The hosts to which something was sent."""
        return sorted({host for host, _ in self._resources})


@dataclass
class Sent:
    """An intent, and what came of it as far as is known."""

    intent: Event
    outcome: str = "unknown"

    @property
    def resource(self) -> tuple[str, str]:
        return self.intent["host"], self.intent["resource"]


# ---------------------------------------------------------------------- on the disk


def _not_written(file: Path, error: OSError) -> HomelabError:
    return HomelabError(
        f"the journal can't be written: {error.strerror}; nothing more is sent",
        where=str(file),
        fix="make room on that disk, then run the same command again",
    )


def _event(line: bytes) -> Event | None:
    """A line as an event; None where it is none."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = isinstance(event, dict) and isinstance(event.get("kind"), str)
    return event if known and isinstance(event.get("seq"), int) else None


def _whole(raw: bytes) -> tuple[int, list[Event], str]:
    """How many bytes of a journal are whole lines that follow from each other, those, and the
    digest of the last."""
    good, head = 0, _FIRST
    events: list[Event] = []
    for line in raw[: raw.rfind(b"\n") + 1].splitlines(keepends=True):
        event = _event(line)
        if event is None or event.get("prev") != head or event["seq"] != len(events):
            break
        events.append(event)
        head = digest(line.rstrip(b"\n"))
        good += len(line)
    return good, events, head


def _holds_events(raw: bytes) -> bool:
    return any(_event(line) is not None for line in raw.split(b"\n"))


def read(file: Path) -> list[Event]:
    """The events of a journal, up to the first line that does not follow from those before."""
    return _whole(read_ours(file))[1]


def broken_links(file: Path) -> Iterator[int]:
    """The numbers of the lines that don't follow from the one before: edited, lost or added."""
    head = _FIRST
    for number, line in enumerate(read_ours(file).splitlines()):
        event = _event(line)
        if event is None or event.get("prev") != head or event["seq"] != number:
            yield number
        head = digest(line)


def intents(events: Sequence[Event]) -> list[Event]:
    """Each change that was sent, or was about to be, with its ``outcome``.

    The outcome is ``done``, ``failed`` or ``unknown``; where a later look has settled what became
    of it, that is the outcome. An intent without a result is unknown.
    """
    outcomes = {
        e.get("intent"): e.get("outcome") for e in events if e["kind"] in ("result", "settled")
    }
    return [
        event | {"outcome": outcomes.get(event["seq"], "unknown")}
        for event in events
        if event["kind"] == "intent"
    ]
