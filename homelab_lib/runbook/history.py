"""What earlier runs did to this lab's real hosts, as their journals tell.

An index in the lab's state folder names the records. A record that was deleted is forgotten, and
that errs on the safe side: what nobody remembers sending was done by somebody else.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from homelab_lib.runbook.journal import intents, read
from homelab_lib.runbook.plan import PlannedChange


class History:
    """The runs that changed, or set out to change, one lab's hosts.

    Parameters
    ----------
    folder
        The lab's state folder.
    """

    def __init__(self, folder: Path) -> None:
        self._index = folder / "runs.jsonl"

    def _runs(self) -> list[dict[str, str]]:
        """Oldest first; only those whose record still is there."""
        if not self._index.exists():
            return []
        lines = self._index.read_text().splitlines()
        runs = [json.loads(line) for line in lines if line.endswith("}")]
        return [run for run in runs if (Path(run["record"]) / "journal.jsonl").exists()]

    def add(self, record: Path, approve: str) -> None:
        """Remember a run before it sends anything."""
        with self._index.open("a") as stream:
            stream.write(json.dumps({"record": str(record), "approve": approve}) + "\n")

    def record_of(self, approve: str) -> Path | None:
        """Where the latest run under an approval keeps its record."""
        found = [Path(run["record"]) for run in self._runs() if run["approve"] == approve]
        return found[-1] if found else None

    def intents(self, *, but: Path | None) -> list[dict[str, Any]]:
        """Every change that was sent, with its outcome, except those of the record `but`."""
        return _intents(Path(run["record"]) for run in self._runs() if Path(run["record"]) != but)

    def sent_under(self, approve: str) -> set[tuple[str, ...]]:
        """The identities of what runs under an approval sent, done or unknown."""
        records = (Path(run["record"]) for run in self._runs() if run["approve"] == approve)
        found = _intents(records)
        return {PlannedChange.from_intent(i).identity for i in found if i["outcome"] != "failed"}

    def hosts_of(self, approve: str) -> list[str]:
        """The hosts to which runs under an approval sent something."""
        records = (Path(run["record"]) for run in self._runs() if run["approve"] == approve)
        return sorted({intent["host"] for intent in _intents(records)})


def _intents(records: Iterable[Path]) -> list[dict[str, Any]]:
    unique = dict.fromkeys(records)
    return [i for record in unique for i in intents(read(record / "journal.jsonl"))]
