"""restic repositories: what is in them, wherever they are, and who gets at them.

Sources: restic's doc/design.rst (repository, locks), doc/070_encryption.rst, 075_scripting.rst.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from homelab_lib.twin.machine.entry import Entry

STALE_S = 1800.0


@dataclass
class Snapshot:
    """A copy of some folders.

    Parameters
    ----------
    id
        All of its id.
    time_s
        When it was begun [s since 1970].
    host, paths, tags
        Whose it is, of what, and what it is marked with.
    files
        What was in them, by path.
    count
        How many files that were, of one whose contents were not told; None where nobody knows.
    """

    id: str
    time_s: float
    host: str
    paths: tuple[str, ...]
    tags: tuple[str, ...]
    files: dict[str, Entry] = field(default_factory=dict)
    count: int | None = None

    @property
    def summary(self) -> dict[str, Any]:
        """What is said of how much is in it, as since 0.17."""
        plain = sum(entry.kind == "file" for entry in self.files.values())
        known = self.count if self.count is not None else plain
        return {"summary": {"total_files_processed": known}}

    @property
    def row(self) -> dict[str, Any]:
        """As ``snapshots --json`` has it."""
        return {
            "time": stamp(self.time_s),
            "tree": hashlib.sha256(self.id.encode()).hexdigest(),
            "paths": list(self.paths),
            "hostname": self.host,
            "username": "root",
            **({"tags": list(self.tags)} if self.tags else {}),
            "id": self.id,
            "short_id": self.id[:8],
        }


@dataclass
class Lock:
    """Somebody's lock: renewed every five minutes by whoever is at work."""

    id: str
    time_s: float
    host: str
    pid: int
    exclusive: bool = False

    @property
    def row(self) -> dict[str, Any]:
        """As ``cat lock`` has it."""
        return {
            "time": stamp(self.time_s),
            "exclusive": self.exclusive,
            "hostname": self.host,
            "username": "root",
            "pid": self.pid,
        }


@dataclass
class Repository:
    """A repository.

    Parameters
    ----------
    id
        Its id.
    password
        What opens it; None: not what anybody here knows.
    begun
        Whether it is all there: one that was cut off while it was made has a key and no more.
    damaged
        Whether the key that is taken for it is that of an attempt to make it that was cut off.
    snapshots, locks
        What is in it.
    rotten
        Files whose data are not any more what they were, by path.
    """

    id: str
    password: str | None
    begun: bool = True
    damaged: bool = False
    snapshots: list[Snapshot] = field(default_factory=list)
    locks: list[Lock] = field(default_factory=list)
    rotten: set[str] = field(default_factory=set)

    def state(self) -> dict[str, Any]:
        """What has to be equal in two that came about alike."""
        return {
            "begun": self.begun,
            "snapshots": [s.row for s in self.snapshots],
            "locks": [lock.row for lock in self.locks],
        }


class Places:
    """All of a world's repositories, by where they are; and what the places answer instead."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.buckets: dict[str, dict[str, bytes]] = {}  # what clouds hold that are no restic's
        self.refuses: dict[str, str] = {}  # by a place's beginning: a withdrawn key, say
        self.asked: set[str] = set()  # of which a real host has told

    def why_not(self, place: str) -> str:
        """What a place says to whoever comes; empty where it lets in."""
        found = (why for begin, why in self.refuses.items() if place.startswith(begin))
        return next(found, "")

    def state(self) -> Mapping[str, Any]:
        """What has to be equal in two worlds that were built alike."""
        held = {place: found.state() for place, found in sorted(self.repositories.items())}
        return held | {place: sorted(files) for place, files in sorted(self.buckets.items())}


def stamp(time_s: float) -> str:
    """A moment as Go prints it, with nanoseconds."""
    moment = datetime.fromtimestamp(time_s, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}417Z"


def seconds(text: str) -> float:
    """The same read back."""
    head, _, rest = text.partition(".")
    moment = datetime.fromisoformat(head.removesuffix("Z")).replace(tzinfo=UTC)
    digits = "".join(c for c in rest if c.isdigit())[:6]
    return moment.timestamp() + (int(digits.ljust(6, "0")) / 1e6 if digits else 0.0)
