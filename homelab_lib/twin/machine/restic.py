"""`restic`, as far as copies are made, looked at and brought back by it.

Sources: restic 0.18's documentation and cmd/restic; the real 0.14 ran beside it (tests/real).
"""

import fnmatch
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from homelab_lib.twin.machine.entry import Entry, FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.restic_access import (
    LOCKED,
    fatal,
    is_old,
    key_of,
    local,
    opened,
    place_of,
    places,
    way_there,
)
from homelab_lib.twin.machine.restic_store import STALE_S, Lock, Repository, Snapshot, stamp
from homelab_lib.twin.machine.usage import Misused

restic_programs = Commands()

_TAKING = (
    *("-r", "--repo", "--repository-file", "--password-file", "--tag", "--exclude", "--latest"),
    *("--group-by", "--keep-last", "--keep-hourly", "--keep-daily", "--keep-weekly"),
    *("--keep-monthly", "--keep-yearly", "--read-data-subset", "--include", "--target"),
)
_ALONE = ("--no-lock", "--no-cache", "--json", "-l", "--long", "-q", "--quiet")
_PERIODS = {
    "hourly": "%Y-%m-%d %H",
    "daily": "%Y-%m-%d",
    "weekly": "%G-%V",
    "monthly": "%Y-%m",
    "yearly": "%Y",
}
_BACKUP_BYTES_PER_S = 50e6
_STANDS = "<stands-for-what-is-there/>\n"
Given = dict[str, list[str]]


@restic_programs("restic")
def restic(machine: Machine, call: Call) -> Reply:
    """Its sub-commands that a runbook has a use for."""
    words, given = _taken_apart(machine, call)
    if words == ["version"]:
        version = machine.packages["restic"].partition("-")[0]
        return Reply(0, f"restic {version} compiled with go1.24.4 on linux/amd64\n")
    options = {name: values[-1] for name, values in given.items()}
    verb, *rest = words or [""]
    if verb == "init":
        return _init(machine, call, options)
    works = _VERBS.get(verb)
    if works is None:
        return Reply(1, stderr=f'unknown command "{verb}" for "restic"\n')
    found = opened(machine, call, options)
    if verb in _LOCKING and "--no-lock" not in options:
        _refuse_locked(machine, found, exclusive=verb in _EXCLUSIVE)
    return works(machine, call, found, rest, given)


def _taken_apart(machine: Machine, call: Call) -> tuple[list[str], Given]:
    words, given, rest = list[str](), Given(), iter(call.argv[1:])
    for word in rest:
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if word == "--":
            words += rest
        elif not word.startswith("-"):
            words.append(word)
        elif name in _TAKING:
            given.setdefault(name, []).append(value if equals else next(rest, ""))
        elif name in _ALONE:
            given[name] = [""]
        else:
            raise Misused(Reply(1, stderr=f"unknown flag: {name}\n"))
    return words, given


def _init(machine: Machine, call: Call, options: dict[str, str]) -> Reply:
    place, key = place_of(machine, call, options), key_of(machine, call, options)
    way_there(machine, call, place)
    name, known = local(machine, place), places(machine).repositories
    if name in known and is_old(machine) and not known[name].begun:
        known[name].damaged = True  # a second key beside the first: which is taken is chance
    elif name in known:
        what = "master key and config already initialized" if known[name].begun else (
            "repository already contains keys")  # fmt: skip
        raise fatal(machine, f"create repository at {place} failed: {what}")
    drawn = hashlib.sha256(f"{machine.world.seed}/{name}".encode()).hexdigest()
    known.setdefault(name, Repository(drawn, key, begun=False))  # its key is written first

    def done() -> Reply:
        known[name].begun = True
        return Reply(0, f"created restic repository {drawn[:10]} at {place}\n")

    return Reply(takes_s=4.0, finish=done)


def _refuse_locked(machine: Machine, found: Repository, *, exclusive: bool) -> None:
    """Somebody else is at work in it, or was and left its lock behind."""
    now_s = machine.now_s()
    for lock in found.locks:
        if lock.exclusive or exclusive:
            how = "exclusively by" if lock.exclusive else "by"
            raise fatal(
                machine,
                f"unable to create lock in backend: repository is already locked {how} PID "
                f"{lock.pid} on {lock.host} by root (UID 0, GID 0)\nlock was created at "
                f"{stamp(lock.time_s)} ({now_s - lock.time_s:.0f}s ago)\nstorage ID "
                f"{lock.id[:8]}\nthe `unlock` command can be used to remove stale locks",
                LOCKED,
            )


# Looking -----------------------------------------------------------------------------------------


def _cat(machine: Machine, call: Call, found: Repository, rest: list[str], given: Given) -> Reply:
    if rest == ["config"]:
        said = {"version": 2, "id": found.id, "chunker_polynomial": "2c975cc4ad5dff"}
        return Reply(0, json.dumps(said, indent=2) + "\n")
    locks = [lock for lock in found.locks if rest == ["lock", lock.id]]
    if locks:
        return Reply(0, json.dumps(locks[0].row, indent=2) + "\n")
    place = place_of(machine, call, {name: values[-1] for name, values in given.items()})
    why = "The specified key does not exist." if place.startswith("s3:") else (
        f"open {place}/{rest[0]}s/{rest[-1]}: no such file or directory")  # fmt: skip
    return Reply(1, stderr=f"{why}\n")


def _tagged(found: Repository, given: Given) -> list[Snapshot]:
    """Those that have all tags of one of the options."""
    wanted = [set(each.split(",")) for each in given.get("--tag", [])]
    kept = [s for s in found.snapshots if not wanted or any(w <= set(s.tags) for w in wanted)]
    return sorted(kept, key=lambda s: s.time_s)


def _snapshots(
    machine: Machine, call: Call, found: Repository, rest: list[str], given: Given
) -> Reply:
    rows = _tagged(found, given)
    if "--latest" in given:
        newest = {(s.host, s.paths): s for s in rows}
        rows = sorted(newest.values(), key=lambda s: s.time_s)
    if "--json" in given:
        told = [s.row | _summary(machine, s) for s in rows]
        return Reply(0, json.dumps(told, separators=(",", ":")) + "\n")
    lines = "".join(f"{s.id[:8]}  {stamp(s.time_s)[:19]}  {s.host}\n" for s in rows)
    return Reply(0, f"{lines}{len(rows)} snapshots\n")


def _summary(machine: Machine, snapshot: Snapshot) -> dict[str, Any]:
    """What is said of what is in it; of one that a real host has told of, no more than that did."""
    untold = machine.ask is not None and not snapshot.files and snapshot.count is None
    return {} if untold or is_old(machine) else snapshot.summary


def _list(machine: Machine, call: Call, found: Repository, rest: list[str], given: Given) -> Reply:
    if rest != ["locks"]:
        raise fatal(machine, f"the twin does not know list {' '.join(rest)}")
    return Reply(0, "".join(f"{lock.id}\n" for lock in found.locks))


def _snapshot(machine: Machine, found: Repository, name: str) -> Snapshot:
    for each in sorted(found.snapshots, key=lambda s: s.time_s, reverse=True):
        if name == "latest" or (len(name) >= len("00000000") and each.id.startswith(name)):
            if machine.ask is not None and not each.files:  # told by a real host: no contents
                for path in each.paths:
                    each.files |= _held(machine, path)
            return each
    raise fatal(machine, f'failed to find snapshot: no matching ID found for prefix "{name}"')


def _ls(machine: Machine, call: Call, found: Repository, rest: list[str], given: Given) -> Reply:
    snapshot = _snapshot(machine, found, rest[0])
    lines = [f"snapshot {snapshot.id[:8]} of {list(snapshot.paths)} at {snapshot.time_s}:"]
    if not {"-l", "--long"} & given.keys():
        return Reply(0, "".join(f"{line}\n" for line in (*lines, *sorted(snapshot.files))))
    for path, entry in sorted(snapshot.files.items()):
        kind = {"dir": "d", "link": "L"}.get(entry.kind, "-")
        bits = "".join(c if entry.mode >> (8 - n) & 1 else "-" for n, c in enumerate("rwx" * 3))
        moment = datetime.fromtimestamp(entry.mtime_s, UTC)
        size = 0 if entry.kind == "dir" else entry.size
        lines.append(f"{kind}{bits} {0:5} {0:5} {size:6} {moment:%Y-%m-%d %H:%M:%S} {path}")
    return Reply(0, "".join(f"{line}\n" for line in lines))


def _dump(machine: Machine, call: Call, found: Repository, rest: list[str], given: Given) -> Reply:
    snapshot, path = _snapshot(machine, found, rest[0]), rest[1]
    entry = snapshot.files.get(path)
    if machine.ask is not None and (entry is None or (entry.size and not entry.data)):
        # What a real host has copied is not asked for, but whether it is there.
        there = machine.files.entry(path)
        inside = any(f"{path}/".startswith(f"{p}/") for p in snapshot.paths)
        if inside and there is not None and there.kind == "file":
            return Reply(0, _STANDS)
    if entry is None or entry.kind != "file":
        raise fatal(machine, f'cannot dump file: path "{path}" not found in snapshot')
    if path in found.rotten:
        what = "ciphertext verification failed"
        raise fatal(machine, f"cannot dump file: decrypting blob failed: {what}")
    return Reply(0, entry.data)


def _restore(
    machine: Machine, call: Call, found: Repository, rest: list[str], given: Given
) -> Reply:
    """What lies below one folder, with its times, below another; what can't be decrypted fails."""
    snapshot, target = _snapshot(machine, found, rest[0]), call.path(given["--target"][-1])
    wanted = given.get("--include", ["/"])[-1].rstrip("/")
    if machine.ask is not None:  # what a real host has copied of it is not known
        snapshot.files |= _held(machine, wanted)
    chosen = [p for p in sorted(snapshot.files) if f"{p}/".startswith(f"{wanted}/")]
    bad = [path for path in chosen if path in found.rotten]
    machine.files.mkdir(target, parents=True)
    for path in chosen:
        entry = snapshot.files[path]
        if path in bad:
            continue
        if entry.kind == "dir":
            machine.files.mkdir(f"{target}{path}", parents=True)
        else:
            folder = f"{target}{path}".rpartition("/")[0]
            machine.files.mkdir(folder, parents=True)
            machine.files.put(f"{target}{path}", entry.data, mode=entry.mode, mtime_s=entry.mtime_s)
    size = sum(snapshot.files[path].size for path in chosen)
    told = f"Summary: Restored {len(chosen) - len(bad)} files/dirs in 0:01\n"
    errors = "".join(f"ignoring error for {p}: ciphertext verification failed\n" for p in bad)
    if bad:
        errors += f"Fatal: There were {len(bad)} errors\n"
    return Reply(1 if bad else 0, told, errors, takes_s=3.0 + size / _BACKUP_BYTES_PER_S)


# Changing ----------------------------------------------------------------------------------------


def _backup(
    machine: Machine, call: Call, found: Repository, rest: list[str], given: Given
) -> Reply:
    begun_s = machine.now_s()
    tags = tuple(tag for each in given.get("--tag", []) for tag in each.split(","))
    files, said = dict[str, Entry](), list[str]()
    there = []
    for path in rest:
        if not machine.files.exists(path):
            said.append(f"{path} does not exist, skipping\n")
            continue
        there.append(path)
        _stands_for_all(machine, path)
        for each in _walked(machine, path, given.get("--exclude", [])):
            try:
                entry = machine.files.stat(each, follow=False)
                files[each] = Entry(**vars(entry))
            except FileError as error:
                said.append(f"error: open {each}: {error.says.lower()}\n")
    if not there:
        said.append("Fatal: all source directories/files do not exist\n")
        return Reply(1, stderr="".join(said))
    lock = Lock(_drawn(machine, "lock"), begun_s, machine.name, 1000 + machine.boots)
    found.locks.append(lock)

    def done() -> Reply:
        if lock in found.locks:
            found.locks.remove(lock)
        made = Snapshot(
            _drawn(machine, "snapshot"), begun_s, machine.name, tuple(there), tags, files
        )
        found.snapshots.append(made)
        text = f"snapshot {made.id[:8]} saved\n"
        if said:
            return Reply(3, text, "".join(said) + "Warning: at least one source file could not "
                         "be read\n")  # fmt: skip
        return Reply(0, text)

    size = sum(entry.size for entry in files.values())
    return Reply(takes_s=3.0 + size / _BACKUP_BYTES_PER_S, finish=done)


def _stands_for_all(machine: Machine, path: str) -> None:
    """What lies in a real host's folders is not asked for: one file stands for all of it."""
    if machine.ask is None or not machine.files.is_dir(path):
        return
    known = (machine.files.entry(each, follow=False) for each in machine.files.walk(path))
    if not any(entry is not None and entry.kind == "file" for entry in known):
        machine.files.put(f"{path}/stands-for-what-is-there", "")


def _held(machine: Machine, path: str) -> dict[str, Entry]:
    """What a path holds that can be read."""
    _stands_for_all(machine, path)
    files = {}
    for each in machine.files.walk(path):
        if (entry := machine.files.entry(each, follow=False)) is not None:
            files[each] = Entry(**vars(entry))
    return files


def _walked(machine: Machine, path: str, exclude: list[str]) -> Iterator[str]:
    for each in machine.files.walk(path):
        name = each.rpartition("/")[2]
        if not any(fnmatch.fnmatch(each, e) or fnmatch.fnmatch(name, e) for e in exclude):
            yield each


def _drawn(machine: Machine, what: str) -> str:
    count = machine.kept["restic"] = machine.kept.get("restic", 0) + 1
    text = f"{machine.world.seed}/{machine.name}/{what}/{count}"
    return hashlib.sha256(text.encode()).hexdigest()


def _forget(
    machine: Machine, call: Call, found: Repository, rest: list[str], given: Given
) -> Reply:
    """What a policy keeps of those with the tags; the others go."""
    counts = {name[7:]: int(values[-1]) for name, values in given.items() if "--keep-" in name}
    if not counts:
        raise fatal(machine, "no policy was specified, no snapshots will be removed")
    rows = _tagged(found, given)[::-1]
    kept = rows[: counts.pop("last", 0)]
    for period, count in counts.items():
        newest: dict[str, Snapshot] = {}
        for each in rows:
            key = datetime.fromtimestamp(each.time_s, UTC).strftime(_PERIODS[period])
            newest.setdefault(key, each)
        kept += list(newest.values())[:count]
    gone = [each for each in rows if each not in kept]
    found.snapshots = [each for each in found.snapshots if each not in gone]
    return Reply(0, f"remove {len(gone)} snapshots\n", takes_s=2.0)


def _prune(machine: Machine, call: Call, found: Repository, rest: list[str], given: Given) -> Reply:
    return Reply(0, "done\n", takes_s=10.0)


def _check(machine: Machine, call: Call, found: Repository, rest: list[str], given: Given) -> Reply:
    held = {path for snapshot in found.snapshots for path in snapshot.files}
    if found.rotten & held and "--read-data-subset" in given:
        text = "error: pack contains 1 errors: ciphertext verification failed\n"
        return Reply(1, stderr=f"{text}Fatal: repository contains errors\n", takes_s=20.0)
    return Reply(0, "no errors were found\n", takes_s=20.0)


def _unlock(
    machine: Machine, call: Call, found: Repository, rest: list[str], given: Given
) -> Reply:
    """Takes away what nobody renews any more, and no lock of somebody who is at work."""
    now_s = machine.now_s()
    kept = [lock for lock in found.locks if now_s - lock.time_s <= STALE_S]
    count = len(found.locks) - len(kept)
    found.locks = kept
    return Reply(0, f"successfully removed {count} locks\n" if count else "")


_VERBS: dict[str, Callable[[Machine, Call, Repository, list[str], Given], Reply]] = {
    "backup": _backup,
    "cat": _cat,
    "check": _check,
    "dump": _dump,
    "forget": _forget,
    "list": _list,
    "ls": _ls,
    "prune": _prune,
    "restore": _restore,
    "snapshots": _snapshots,
    "unlock": _unlock,
}
_LOCKING = ("backup", "check", "dump", "forget", "ls", "prune", "restore", "snapshots")
_EXCLUSIVE = ("check", "forget", "prune")
