"""Where a command writes what a person asked it for."""

from pathlib import Path

from homelab_lib import durable
from homelab_lib.errors import HomelabError


def put(file: Path, text: str) -> None:
    """Write a file whole or not at all, its folder too where there is none, and say where.

    Raises
    ------
    HomelabError
        It can't be written; what was there before still is.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        durable.replace(file, text)
    except OSError as error:
        raise HomelabError(f"it can't be written: {error.strerror}", where=str(file)) from None
    print(file)
