"""One run at a time on a lab: two that change the same hosts would both be wrong."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homelab_lib.errors import HomelabError, Locked


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
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HomelabError(
            f"the lab's lock can't be made: {error.strerror}",
            where=str(folder),
            fix="make that folder writable, or name another one in HOMELAB_STATE",
        ) from None
    try:
        try:
            fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 1000, 0).decode(errors="replace").strip()
            raise Locked(
                f"another run is at work on this lab: {holder or 'it is only looking'}",
                where=str(folder / "lock"),
                fix="wait until it has ended, or stop it",
            ) from None
        if alone:
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps({"pid": os.getpid(), "run": what}).encode(), 0)
        yield
    finally:
        os.close(handle)
