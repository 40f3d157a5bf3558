"""Reads a file that somebody else may have put there: a regular one, and no more than so much.

A pipe named ``hosts.yaml`` would be waited for without end, a device never ends, and a link can
lead to either. What was opened is what is looked at, so nothing can be put in its place between.
What a run remembers is read so, too: a pipe in place of its journal would stop the lab for good.
"""

import os
import stat
from pathlib import Path

from homelab_lib.errors import Unreadable

_LARGEST_OF_OURS_BYTES = 2**30


def read_bytes(
    file: Path, *, max_bytes: int, follow_links: bool = True, private: bool = False
) -> bytes:
    """The whole content of a regular file.

    Parameters
    ----------
    file
        Where it is.
    max_bytes
        How large it may be [bytes]; a larger one is not read at all.
    follow_links
        Whether the file itself may be a symbolic link.
    private
        Whether it has to be ours, and closed to everybody else.

    Raises
    ------
    Unreadable
        It is no such file; the message quotes nothing of what is in it.
    """
    # O_NONBLOCK: a pipe without a writer would keep us waiting in open() itself.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    try:
        descriptor = os.open(file, flags if follow_links else flags | os.O_NOFOLLOW)
    except OSError as error:
        if not follow_links and file.is_symlink():
            raise Unreadable(
                f"{file} is a symbolic link", where=str(file), fix="name the file itself"
            ) from None
        raise Unreadable(f"can't be read: {error.strerror}", where=str(file)) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _other(status.st_mode, file)
        if private:
            _closed_to_others(file, status)
        with open(descriptor, "rb", closefd=False) as stream:
            content = stream.read(max_bytes + 1)
    except OSError as error:
        raise Unreadable(f"can't be read: {error.strerror}", where=str(file)) from None
    finally:
        os.close(descriptor)
    if len(content) > max_bytes:
        raise Unreadable(f"larger than {max_bytes} bytes; it was not read", where=str(file))
    return content


def read_ours(file: Path) -> bytes:
    """What a run has written and reads again (journal, history, plans, pins), up to 1 GiB of it.

    Raises
    ------
    Unreadable
        As of `read_bytes`.
    """
    return read_bytes(file, max_bytes=_LARGEST_OF_OURS_BYTES)


def assert_regular(handle: int, file: Path) -> None:
    """Refuse what was opened to be written, where it is no regular file.

    Raises
    ------
    Unreadable
        It is a pipe, a device or the like.
    """
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        raise _other(mode, file)


def _other(mode: int, file: Path) -> Unreadable:
    return Unreadable(
        f"{_kind(mode)}, no regular file",
        where=str(file),
        fix="see who put it there, and move it away",
    )


def _closed_to_others(file: Path, status: os.stat_result) -> None:
    """Whoever owns a file can open it, whatever its mode says now."""
    if status.st_uid not in (os.geteuid(), 0):
        raise Unreadable(
            f"{file} belongs to another user", where=str(file), fix=f"chown $USER {file}"
        )
    if status.st_mode & 0o077:
        raise Unreadable(f"{file} can be read by others", where=str(file), fix=f"chmod 600 {file}")


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")
