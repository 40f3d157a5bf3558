"""Writes a file whole or not at all."""

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Write `text` to a temporary file beside `path`, and put that in its place once it is on disk.

    A link stays a link: what it leads to is replaced. What is no regular file (a pipe,
    ``/dev/null``) can't be replaced and is written to. The file keeps its mode.

    Parameters
    ----------
    path
        The file. Its folder has to be there.
    text
        All of its content.

    Raises
    ------
    OSError
        It can't be written. What was there before is still there, untouched.
    """
    path = path.resolve()
    there = path.exists()
    if there and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    if there and not os.access(path, os.W_OK):  # to replace it, only the folder has to be writable
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    beside = path.with_name(f".homelab-{secrets.token_hex(6)}.tmp")
    try:
        # Not tempfile: the mode of a new file is what the person's umask says.
        with open(beside, "x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if there:
            os.chmod(beside, path.stat().st_mode & 0o7777)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # some file systems can't; the file itself is on disk
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
