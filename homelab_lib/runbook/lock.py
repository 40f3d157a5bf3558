"""One run at a time on a lab: two that change the same hosts would both be wrong."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homelab_lib import durable
from homelab_lib.errors import HomelabError, Locked
from homelab_lib.regular_file import assert_regular


@contextmanager
def held(folder: Path, *, alone: bool, what: str) -> Iterator[None]:
    """Hold a lab's lock.

    The kernel drops it when the process ends, however it ends, so no stale lock is left behind.

    Parameters
    ----------
    folder
        The lab's state folder.
    alone
        True to change hosts; False to look, which others may do at the same time.
    what
        What this run is, for the one that finds the lock taken.

    Raises
    ------
    Locked
        Another run is at work.
    HomelabError
        The lock can't be made, or what lies beside it (pinned host keys, plans) could be anybody's.
    """
    try:
        durable.private_folder(folder)
        others_write = folder.stat().st_mode & 0o022
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        handle = os.open(folder / "lock", flags, 0o600)
    except OSError as error:
        raise _not_made(folder, error) from None
    try:
        assert_regular(handle, folder / "lock")
        if others_write:
            raise HomelabError(
                "others can write here, and could put plans and host keys of theirs there",
                where=str(folder),
                fix=f"see that nothing there is theirs, then: chmod go-w {folder}",
            )
        try:
            fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(
                f"another run is at work on this lab: {_holder(handle)}",
                where=str(folder / "lock"),
                fix="wait until it has ended, or stop it",
            ) from None
        if alone:
            try:
                os.ftruncate(handle, 0)
                os.pwrite(handle, json.dumps({"pid": os.getpid(), "run": what}).encode(), 0)
            except OSError as error:
                raise _not_made(folder, error) from None
        yield
    finally:
        os.close(handle)


def _not_made(folder: Path, error: OSError) -> HomelabError:
    return HomelabError(
        f"the lab's lock can't be made: {error.strerror}",
        where=str(folder),
        fix="make that folder writable and room on its disk, or name another in HOMELAB_STATE",
    )


def _holder(handle: int) -> str:
    """Who holds the lock, as the kernel says; what the file says may be of a run long ended."""
    try:
        told = json.loads(os.pread(handle, 1000, 0))
        pid, run = int(told["pid"]), str(told["run"])
    except (ValueError, KeyError, TypeError):
        pid, run = 0, ""
    holders = _flocks(os.fstat(handle).st_ino)
    if pid in holders:
        return f"{run}, process {pid}"
    if pid and holders is _UNTOLD and _alive(pid):
        return f"{run}, process {pid}, unless that is another program by now"
    if holders:
        return f"one that only looks, process {', '.join(map(str, sorted(holders)))}"
    return "one that only looks, or one on another machine"


_UNTOLD: set[int] = set()  # where the kernel does not tell


def _flocks(inode: int) -> set[int]:
    """The processes that hold a lock on a file, where Linux tells (proc_locks(5))."""
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return _UNTOLD
    rows = [line.split() for line in lines if "->" not in line]
    return {int(row[4]) for row in rows if row[5].rpartition(":")[2] == str(inode)}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
