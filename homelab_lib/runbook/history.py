"""Which records each approval has: so that a run that died is continued where it stopped, and one
that ended well is left as it is.

An index in the lab's state folder names the records. One that was deleted is forgotten, and that
errs on the safe side: what nobody remembers sending was done by somebody else.
"""

import json
from pathlib import Path

from homelab_lib import durable
from homelab_lib.errors import HomelabError
from homelab_lib.regular_file import read_ours
from homelab_lib.runbook import journal


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
            The index can't be read or written; nothing is to be sent then.
        """
        line = json.dumps({"record": str(record), "approve": approve}).encode() + b"\n"
        try:
            raw = read_ours(self._index) if self._index.exists() else b""
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
        return next(reversed(self._records(approve)), None)

    def carried_out(self, approve: str) -> bool:
        """Whether a run under an approval has ended well, so that nothing of it is to be sent."""
        return any(_ended_well(record) for record in self._records(approve))

    def _records(self, approve: str) -> list[Path]:
        """The records under an approval that are still there, in order."""
        if not approve or not self._index.exists():
            return []
        entries = map(_entry, read_ours(self._index).splitlines())
        found = [entry[1] for entry in entries if entry is not None and entry[0] == approve]
        return [record for record in found if (record / "journal.jsonl").exists()]


def _ended_well(record: Path) -> bool:
    """Whether a record tells of a whole run, sealed: one that is torn is to be gone on with."""
    events = journal.read(record / "journal.jsonl")
    ends = [event["status"] for event in events if event["kind"] == "end"]
    return bool(ends) and ends[-1] == "completed" and events[-1]["kind"] == "sealed"


def _entry(line: bytes) -> tuple[str, Path] | None:
    """Approval and record; None for a line that a crash tore."""
    try:
        run = json.loads(line)
        return str(run["approve"]), Path(run["record"])
    except (ValueError, KeyError, TypeError):
        return None
