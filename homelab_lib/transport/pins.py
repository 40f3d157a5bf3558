"""Files of ours that hold a line for each host: its name, and what it is known by."""

import threading
from pathlib import Path

from homelab_lib import durable
from homelab_lib.errors import HomelabError
from homelab_lib.regular_file import read_ours

_writing = threading.Lock()


def pin(file: Path, name: str, known_by: str, what: str) -> None:
    """Write down what somebody is known by, in place of all that the file held for the name.

    Parameters
    ----------
    file
        Made if missing, for its owner alone.
    name, known_by
        The first word of the line, and the rest of it.
    what
        What that is, for people: ``the host key of nas``.

    Raises
    ------
    HomelabError
        It can't be written.
    """
    with _writing:
        try:
            old = read_ours(file).decode().splitlines() if file.exists() else []
            kept = [line for line in old if line.split(maxsplit=1)[:1] != [name]]
            lines = [*kept, f"{name} {known_by}"]
            durable.private_folder(file.parent)
            durable.replace(file, "".join(f"{line}\n" for line in lines), mode=durable.PRIVATE)
        except OSError as error:
            raise HomelabError(
                f"{what} can't be pinned: {error.strerror}",
                where=str(file),
                fix="make room there, then run the same command again",
            ) from None
