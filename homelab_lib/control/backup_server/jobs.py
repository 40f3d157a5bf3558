"""What a server does with a datastore again and again: it forgets old backups, and looks through
the others.

Sources: proxmox-backup 3.2.4, src/api2/config/{prune,verify}.rs; 4's API schema.
"""

from dataclasses import dataclass
from typing import Any, Literal

from homelab_lib import answers
from homelab_lib.answers import SCALAR, Shape
from homelab_lib.control import mark
from homelab_lib.control.backup_server.manager import before, changing, listed
from homelab_lib.runbook.resource import Change, Diff, Host

_ROWS: Shape = [{"id": str}]
_KEEP = "keep-"
_DEFAULTS = {"disable": "false", "ignore-verified": "true"}
"""What is left out of a list, because it is so by default."""


@dataclass(frozen=True)
class Job:
    """A job of a datastore; it is called as that is.

    Parameters
    ----------
    host, kind, datastore
        The server, what it does (``prune``, ``verify``), and with which datastore.
    schedule
        When, as a calendar event.
    settings
        What else it is told, such as ``keep-daily: 7``, sorted by name.
    lab
        The lab whose it is.
    """

    host: str
    kind: Literal["prune", "verify"]
    datastore: str
    schedule: str
    settings: tuple[tuple[str, str], ...]
    lab: str
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"{self.kind} job {self.datastore}"

    @property
    def _wanted(self) -> dict[str, str]:
        found = {"store": self.datastore, "schedule": self.schedule, **dict(self.settings)}
        return found | ({"disable": "false"} if self.kind == "prune" else {})

    def observe(self, host: Host) -> dict[str, str] | None:
        rows = listed(host, f"{self.kind}-job", "list", shape=_ROWS)
        row = next((each for each in rows if each["id"] == self.datastore), None)
        if row is None:
            return None
        keys = {*self._wanted, "comment", *(key for key in row if key.startswith(_KEEP))}
        kept = {key: row[key] for key in sorted(keys) if key in row}
        line = f"proxmox-backup-manager {self.kind}-job list"
        answers.expected(kept, {str: SCALAR}, host=host.name, line=line)
        return _DEFAULTS | {key: _text(value) for key, value in kept.items()}

    def diff(self, observed: dict[str, str] | None) -> Diff:
        if observed is None:
            call = self._writing("create", self._wanted, "--comment", mark.text(self.lab))
            undo = f"proxmox-backup-manager {self.kind}-job remove {self.datastore}"
            told = ", ".join(f"{key} {value}" for key, value in self.settings)
            summary = f"{self.kind} {self.datastore} at {self.schedule}: {told}"
            return Diff((Change(summary, call, undo=undo),))
        wanted = self._wanted
        other = {k: observed.get(k, "") for k, v in wanted.items() if observed.get(k) != v}
        gone = [key for key in observed if key.startswith(_KEEP) and key not in wanted]
        if not other and not gone:
            return Diff()
        if not mark.marks(observed.get("comment"), self.lab):
            return Diff(
                conflict=f"there is a {self.name} already, which we did not make for lab "
                f"{self.lab}: remove it, or, if it is to be ours, write {mark.text(self.lab)!r} "
                "into its comment"
            )
        was = other | {key: observed[key] for key in gone}
        replaces = "; ".join(f"{key} {value or 'none'}" for key, value in sorted(was.items()))
        deleted = [word for key in gone for word in ("--delete", key)]
        call = self._writing("update", {key: wanted[key] for key in other}, *deleted)
        summary = f"have {self.name} as described: {', '.join(sorted(was))}"
        undo = before(f"{self.kind}-job", self.datastore, was)
        return Diff((Change(summary, call, replaces=replaces, undo=undo),))

    def _writing(self, verb: str, settings: dict[str, str], *more: str) -> Any:
        words = [word for key, value in settings.items() for word in (f"--{key}", value)]
        return changing(f"{self.kind}-job", verb, self.datastore, *words, *more)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
