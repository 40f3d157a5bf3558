"""Files that outlive whatever happens: replaced whole or not at all, appended to and on the disk.

What a run has to remember (journal, plans, history, pinned keys) is for its owner alone, whatever
the umask says; a person's own file keeps the mode that it has.
"""

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path

PRIVATE = 0o600


def private_folder(folder: Path) -> Path:
    """Make a folder, and what is missing above it, for its owner alone; give it back.

    Raises
    ------
    OSError
        It can't be made.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
    return folder


def replace(path: Path, text: str | bytes, *, mode: int | None = None) -> None:
    """Write `text` to a temporary file beside `path`, and put that in its place once it is on disk.

    A link stays a link: what it leads to is replaced. What is no regular file (a pipe,
    ``/dev/null``) can't be replaced and is written to.

    Parameters
    ----------
    path
        The file. Its folder has to be there.
    text
        All of its content.
    mode
        Its permissions. None: those that it has; a new file gets what the person's umask says.

    Raises
    ------
    OSError
        It can't be written. What was there before is still there, untouched.
    """
    raw = text.encode() if isinstance(text, str) else text
    path = path.resolve()
    there = path.exists()
    if there and not path.is_file():
        _write_into(path, raw)
        return
    if there and not os.access(path, os.W_OK):  # to replace it, only the folder has to be writable
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    beside = path.with_name(f".homelab-{secrets.token_hex(6)}.tmp")
    try:
        # Not tempfile: the mode of a new file is what the person's umask says.
        with open(beside, "xb", opener=None if mode is None else _private_opener) as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(beside, mode)
        elif there:
            os.chmod(beside, path.stat().st_mode & 0o7777)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _write_into(path: Path, raw: bytes) -> None:
    """Write to what can't be replaced."""
    with open(_to_write(path), "wb") as stream:
        stream.write(raw)


def _to_write(path: Path, flags: int = 0) -> int:
    """A file opened to be written; one that would be waited for without end is an error."""
    flags |= os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        handle = os.open(path, flags, PRIVATE)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "it is a pipe that nobody reads", str(path)) from None
        raise
    os.set_blocking(handle, True)
    return handle


def _private_opener(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE)


def append(path: Path, raw: bytes) -> None:
    """Add `raw` to the end of a private file, all of it and on the disk, or nothing of it.

    Parameters
    ----------
    path
        The file; made where it is missing.
    raw
        What to add.

    Raises
    ------
    OSError
        It can't be written; the file is as it was.
    """
    new = not path.exists()
    handle = _to_write(path, os.O_APPEND | os.O_CREAT)
    try:
        size = os.fstat(handle).st_size
        try:
            written = 0
            while written < len(raw):
                written += os.write(handle, raw[written:])
            os.fsync(handle)
        except BaseException:
            # Half a line would be joined to the next one. That it can't be cut off either is
            # dealt with by whoever reads the file.
            with suppress(OSError):
                os.ftruncate(handle, size)
            raise
    finally:
        os.close(handle)
    if new:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the name itself on the disk; some file systems can't, and need not."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
