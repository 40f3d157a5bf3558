"""Which record each approval has: so that a run that died is continued where it stopped.

An index in the lab's state folder names the records. One that was deleted is forgotten, and that
errs on the safe side: what nobody remembers sending was done by somebody else.
"""

import json
from pathlib import Path

from homelab_lib import durable
from homelab_lib.errors import HomelabError


class History:
    """The runs that set out to change one lab's hosts.

    Parameters
    ----------
    folder
        The lab's state folder.
    """

    def __init__(self, folder: Path) -> None:
        self._index = folder / "runs.jsonl"

    def add(self, record: Path, approve: str) -> None:
        """Remember a run before it sends anything.

        Raises
        ------
        HomelabError
            The index can't be written; nothing is to be sent then.
        """
        line = json.dumps({"record": str(record), "approve": approve}).encode() + b"\n"
        try:
            raw = self._index.read_bytes() if self._index.exists() else b""
            if raw and not raw.endswith(b"\n"):  # a crash tore the last line: end it
                line = b"\n" + line
            durable.append(self._index, line)
        except OSError as error:
            raise HomelabError(
                f"this run can't be remembered: {error.strerror}; nothing was sent",
                where=str(self._index),
                fix="make room on that disk, then run the same command again",
            ) from None

    def record_of(self, approve: str) -> Path | None:
        """Where the latest run under an approval keeps its record; None where it is gone."""
        if not approve or not self._index.exists():
            return None
        found = None
        for line in self._index.read_bytes().splitlines():
            entry = _entry(line)
            if entry is not None and entry[0] == approve:
                found = entry[1]
        return found if found is not None and (found / "journal.jsonl").exists() else None


def _entry(line: bytes) -> tuple[str, Path] | None:
    """Approval and record; None for a line that a crash tore."""
    try:
        run = json.loads(line)
        return str(run["approve"]), Path(run["record"])
    except (ValueError, KeyError, TypeError):
        return None
