"""Rows of ours that the lab does not have any more."""

from dataclasses import dataclass

from homelab_lib.control import mark
from homelab_lib.control.opnsense.api import Api, told
from homelab_lib.control.opnsense.row import Family, rows
from homelab_lib.runbook.resource import Change, Diff, Host


@dataclass(frozen=True)
class Strays:
    """No row of a family is left that carries a word of ours beside the lab's mark, and that the
    lab does not have.

    Parameters
    ----------
    api, lab, family
        Where, for which lab, and of which kind.
    word
        What tells these rows from others of ours, as a part of the field that carries the mark.
    known
        What stands in that field of those that the lab has.
    """

    api: Api
    lab: str
    family: Family
    word: str
    known: frozenset[str]
    timeout_s: float = 5.0

    @property
    def host(self) -> str:
        return self.api.host

    @property
    def name(self) -> str:
        return f"{self.family.noun}s that the lab has not"

    def observe(self, host: Host) -> list[dict[str, str]]:
        field = self.family.mark
        return [
            {"uuid": row["uuid"], "says": row[field]}
            for row in rows(self.api, host, self.family)
            if self._is_ours(row[field]) and row[field] not in self.known
        ]

    def _is_ours(self, text: str) -> bool:
        words = [part.strip() for part in text.split(";")]
        return self.word in words and mark.marks(text, self.lab)

    def diff(self, observed: list[dict[str, str]]) -> Diff:
        return Diff(tuple(self._removal(row["uuid"], row["says"]) for row in observed))

    def _removal(self, uuid: str, says: str) -> Change:
        thing = f"{self.family.noun} {says.partition(';')[0]}"
        call = self.api.post(f"{self.family.drop}/{uuid}")
        undo = "write it into the lab again, or “Restore a backup” on the console"
        return Change(f"remove {thing}", call, destroys=(thing,), follow=told, undo=undo)
