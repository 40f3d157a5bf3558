"""restic: a repository that is ours, and what it says of its copies.

Every look goes without a lock (``--no-lock``) and without a cache on disk, so that it leaves both
ends as they were. Whatever is secret lies in files for root alone.

Sources: restic 0.18's documentation (075_scripting, 077_troubleshooting), cmd/restic/global.go and
internal/backend for what earlier ones say: before 0.17 every failure has exit status 1, and "Is
there a repository at the following location?" comes with any of them.
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import Shape, whole
from homelab_lib.control.clock import clock_s, newest_of
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import NOTHING_TO_UNDO, Change, Diff, Host
from homelab_lib.transport.command import Result, change
from homelab_lib.transport.options import Allowed, Words
from homelab_lib.transport.reads import declare
from homelab_lib.units import format_seconds

FOLDER = "/etc/homelab/restic"
_NO_REPOSITORY, _LOCKED, _WRONG_KEY = 10, 11, 12
_NOT_THERE = ("the specified key does not exist", "no such file or directory",
              "file does not exist", "> does not exist")  # fmt: skip
"""By S3, a folder, SFTP and a rest-server (restic's internal/backend; there ``<lock/1a2b>``)."""
_NO_BUCKET = "The specified bucket does not exist"
_HAS_KEYS = "repository already contains keys"
_LOOKS_FOR_KEYS = (0, 17)  # from this release on `init` leaves alone what has keys already
_DAMAGED = re.compile(r"config or key (\w{8})\w* is damaged")
_STALE_S = 1800.0  # whoever is at work renews its lock every five minutes
_LOOKS = ("--no-lock", "--no-cache")
_TIMEOUT_S = 180.0

_CONFIG: Shape = {"id": str, "version": int}
_SNAPSHOTS: Shape = [
    {
        "time": str,
        "short_id": str,
        "hostname": str,
        "paths": [str],
        "tags?": [str],
        "summary?": {"total_files_processed?": whole},
    }
]
_LOCK: Shape = {"time": str, "exclusive": bool, "hostname": str, "pid": int}


def _looks(words: Words) -> bool:
    given = {name for name, _ in words.options}
    return words.operands == ["version"] or set(_LOOKS) <= given


declare(
    "restic",
    Allowed(
        "cat config,cat lock,snapshots,list locks,version",
        "--no-lock --no-cache --json",
        "--repository-file --password-file --latest --tag",
        also=_looks,
    ),
)


@dataclass(frozen=True)
class Access:
    """How a machine gets at a repository.

    Parameters
    ----------
    repository
        Its name in the lab: its files are called by it.
    """

    repository: str

    @property
    def place(self) -> str:
        """The file with where it is."""
        return f"{FOLDER}/{self.repository}.repository"

    @property
    def password(self) -> str:
        """The file with the key to it."""
        return f"{FOLDER}/{self.repository}.password"

    @property
    def credentials(self) -> str:
        """The file with what it takes to log in at an S3."""
        return f"{FOLDER}/{self.repository}.credentials"

    @property
    def environment(self) -> str:
        """What restic finds in its environment."""
        return f"AWS_SHARED_CREDENTIALS_FILE={self.credentials}"

    @property
    def options(self) -> tuple[str, ...]:
        """What restic is told of it."""
        return ("--repository-file", self.place, "--password-file", self.password)

    def words(self, *rest: str) -> tuple[str, ...]:
        """A call of restic."""
        return ("env", self.environment, "restic", *self.options, *rest)

    def looks(self, *rest: str) -> tuple[str, ...]:
        """One that only looks."""
        return self.words(*rest, *_LOOKS)


def tags(lab: str, backup: str) -> str:
    """What marks a copy as ours, and as one of this backup."""
    return f"homelab:{lab},backup:{backup}"


@dataclass(frozen=True)
class Copy:
    """A snapshot in a repository.

    Parameters
    ----------
    made_s
        When it was begun [s since 1970].
    id
        Its short id.
    paths
        What is in it.
    files
        How many files that are; None where restic does not say, as before 0.17.
    emptied
        Whether there is none in it, and some are in one of those before it.
    """

    made_s: float
    id: str
    paths: tuple[str, ...]
    files: int | None
    emptied: bool = False


def newest(host: Host, access: Access, tag: str, now_s: float) -> Copy | None:
    """The newest snapshot that has all of these tags; None for none.

    Parameters
    ----------
    host, access, tag
        From where, which repository, and the tags.
    now_s
        What time it is there [s since 1970].

    Raises
    ------
    StepFailed
        The repository could not be looked at: that is not "none".
    """
    copies = [
        Copy(
            _seconds(row["time"]), row["short_id"], tuple(row["paths"]),
            row.get("summary", {}).get("total_files_processed"),
        )
        for row in _snapshots(host, access, "--tag", tag)
    ]  # fmt: skip
    found = newest_of(copies, lambda copy: copy.made_s, now_s)
    if found is None or found.files != 0:
        return found
    return replace(found, emptied=any(copy.files for copy in copies))


def _snapshots(host: Host, access: Access, *more: str) -> list[dict[str, Any]]:
    words = access.looks("snapshots", "--json", *more)
    shown = host.read(*words, ok=None, sudo=True, timeout_s=_TIMEOUT_S)
    if shown.exit_status:
        raise _failed(host, shown)
    said = answers.understood(shown.stdout, host=host.name, line=" ".join(words))
    found: list[dict[str, Any]] = answers.expected(
        said or [], _SNAPSHOTS, host=host.name, line=" ".join(words)
    )
    return found


def _seconds(text: str) -> float:
    """A time with nanoseconds, as Go prints one."""
    head, dot, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    moment = datetime.fromisoformat(head + rest[len(digits) :] if dot else text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()


def _failed(host: Host, shown: Result) -> StepFailed:
    said = shown.stderr.strip().splitlines() or ["it says nothing"]
    told = host.cut(said[0], 300)
    if _NO_BUCKET in said[0]:
        return StepFailed(
            f"the bucket is not there: {told}",
            where=host.name,
            fix="make it with the provider, for this login alone, and have it keep only the last "
            "version of a file: what S3 deletes is only hidden there",
        )
    if key := _DAMAGED.search(said[0]):
        return StepFailed(
            f"restic can't open its repository from {host.name}: {told}",
            where=host.name,
            fix="where a `restic init` was cut off and given once more, as restic before 0.17 lets "
            f"one, two keys lie below keys/ at its place, and {key[1]}… is the one that opens "
            "nothing: see that it is the older one, and delete that file alone; then run the same "
            "command again",
        )
    return StepFailed(
        f"restic can't look at its repository from {host.name}: {told}",
        where=host.name,
        fix="see that the place answers, and that its login has not expired or been withdrawn; "
        "what can't be looked at is not taken for nothing",
    )


@dataclass(frozen=True)
class Repository:
    """A repository that is there, that our key opens, and in which nobody else keeps copies.

    Parameters
    ----------
    host
        The machine from which it is made.
    access
        How that gets at it.
    lab
        The lab whose it is.
    shared
        Whether somebody else's copies may be in it: it was there before.
    """

    host: str
    access: Access
    lab: str
    shared: bool = False
    timeout_s: float = 300.0

    @property
    def name(self) -> str:
        return f"repository {self.access.repository}"

    def observe(self, host: Host) -> dict[str, Any]:
        """Whether it is there, whether our key opens it, whose copies and whose locks are in it."""
        words = self.access.looks("cat", "config")
        shown = host.read(*words, ok=None, sudo=True, timeout_s=_TIMEOUT_S)
        facts: dict[str, Any] = {"is": _is(host, shown)}
        if facts["is"] == "none" and host.begun(self.name):
            facts["begun_with"] = _release(host)
        if facts["is"] != "there":
            return facts
        line = " ".join(words)
        facts["id"] = answers.understood(shown.stdout, _CONFIG, host=host.name, line=line)["id"]
        rows = _snapshots(host, self.access, "--latest", "1")  # of each host and paths
        mark = f"homelab:{self.lab}"
        facts["ours"] = any(mark in row.get("tags", ()) for row in rows)
        others = {row["hostname"] for row in rows if mark not in row.get("tags", ())}
        facts["others"] = sorted(others)
        facts["stale"] = [each.says for each in locks(host, self.access) if each.stale]
        return facts

    def diff(self, observed: dict[str, Any]) -> Diff:
        what = self.access.repository
        if observed["is"] == "none":
            clear = (
                "an `init` of ours that was cut off has left its key, and no copy was ever made "
                f"there: delete what lies below keys/ at the place that {self.access.place} names"
            )
            begun_with = observed.get("begun_with", [])
            if begun_with and tuple(begun_with) < _LOOKS_FOR_KEYS:
                # It would make a second key beside the first, and then often take the wrong one.
                return Diff(
                    waiting=f"`restic init` was begun, and restic {'.'.join(map(str, begun_with))} "
                    f"must not be given it again: if nothing comes of it, {clear}, if anything "
                    "does, and make a new plan (mode=plan)"
                )
            call = change(*self.access.words("init"), sudo=True, timeout_s=self.timeout_s)
            undo = "delete it where it lies, and with it every copy that was made since"
            again = f"{clear}; then run the same command again. Or name another place"
            refusals = ((_HAS_KEYS, again),)
            summary = f"make the repository {what}"
            return Diff((Change(summary, call, undo=undo, refusals=refusals),))
        if observed["is"] == "of another key":
            return Diff(
                conflict=f"there is a repository where {what} is to be, and our key does not open "
                "it: it is somebody else's, or its key was another one; name another place, or "
                "give its key"
            )
        if observed["others"] and not observed["ours"] and not self.shared:
            return Diff(
                conflict=f"{what} holds copies of {', '.join(observed['others'])} and none of this "
                "lab's: it is somebody else's. Name another place, or say exists: true of it to "
                "keep ours beside theirs"
            )
        if observed["stale"]:
            # Without --remove-all it leaves alone whatever lock somebody is renewing.
            call = change(*self.access.words("unlock"), sudo=True, timeout_s=self.timeout_s)
            said = "; ".join(observed["stale"])
            undo = f"{NOTHING_TO_UNDO}: whoever held them is gone"
            summary = f"take away locks that nobody holds: {said}"
            return Diff((Change(summary, call, undo=undo),))
        return Diff()


def _release(host: Host) -> list[int]:
    """The release of restic there: ``[0, 16]``.

    Source: restic's internal/repository, which looks for keys before it makes some since 0.17.0.
    """
    shown = host.read("restic", "version", sudo=True)
    found = re.match(r"restic (\d+)\.(\d+)", shown.stdout)
    if found is None:
        raise StepFailed(
            f"restic does not say which release it is: {host.cut(shown.stdout, 100)!r}",
            where=host.name,
            fix="see there what `restic version` prints",
        )
    return [int(found[1]), int(found[2])]


def _is(host: Host, shown: Result) -> str:
    """What `restic cat config` says of a place: ``there``, ``none``, ``of another key``."""
    said = shown.stderr.lower()
    if shown.exit_status == 0:
        return "there"
    if shown.exit_status == _WRONG_KEY or "wrong password or no key found" in said:
        return "of another key"
    first = next((line for line in said.splitlines() if "unable to open config" in line), "")
    if shown.exit_status == _NO_REPOSITORY or (
        shown.exit_status == 1 and any(each in first for each in _NOT_THERE)
    ):
        return "none"
    raise _failed(host, shown)


@dataclass(frozen=True)
class Lock:
    """Somebody's lock on a repository.

    Parameters
    ----------
    holder
        Host and process.
    exclusive
        Whether nobody else may write meanwhile.
    age_s
        Since when it was not renewed [s].
    """

    holder: str
    exclusive: bool
    age_s: float

    @property
    def stale(self) -> bool:
        """Whether nobody holds it any more, as restic itself judges."""
        return self.age_s > _STALE_S

    @property
    def says(self) -> str:
        """One line for people."""
        kind = "exclusive, " if self.exclusive else ""
        return f"{self.holder} ({kind}not renewed for {format_seconds(self.age_s)})"


def locks(host: Host, access: Access) -> list[Lock]:
    """The locks on a repository.

    Raises
    ------
    StepFailed
        It could not be looked at.
    """
    shown = host.read(*access.looks("list", "locks"), ok=None, sudo=True, timeout_s=_TIMEOUT_S)
    if shown.exit_status:
        raise _failed(host, shown)
    ids = shown.stdout.split()
    if not ids:
        return []
    now_s = clock_s(host)
    found = []
    for each in ids:
        words = access.looks("cat", "lock", each)
        shown = host.read(*words, ok=None, sudo=True, timeout_s=_TIMEOUT_S)
        if shown.exit_status:
            if any(gone in shown.stderr.lower() for gone in _NOT_THERE):
                continue  # it was taken away meanwhile
            raise _failed(host, shown)
        row = answers.understood(shown.stdout, _LOCK, host=host.name, line=" ".join(words))
        age_s = now_s - _seconds(row["time"])
        found.append(Lock(f"{row['hostname']}, process {row['pid']}", row["exclusive"], age_s))
    return found
