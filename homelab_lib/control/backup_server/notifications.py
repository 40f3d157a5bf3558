"""Who hears of jobs that failed: where a server sends what it has to say, and what goes there.

A *matcher* picks notifications by their severity, and sends them to *endpoints*. Ours is mail that
the machine's own mailer sends: whatever else there is (Gotify, webhooks, a mail server with a
login) takes its secret as a word of a command line. What stands there from the installer, mail to
``root@pam``, is left as it is. A datastore has its jobs heard of in this way only if it says so;
before 4 the default is another.

Sources: the manual of Proxmox Backup Server 4, "Notifications"; proxmox-backup 4,
src/bin/proxmox_backup_manager/notifications; its API schema.
"""

from dataclasses import dataclass
from typing import Any, Literal

from homelab_lib.answers import Shape
from homelab_lib.control import mark
from homelab_lib.control.backup_server.manager import changing, listed
from homelab_lib.runbook.resource import Change, Diff, Host

MAIL, MATCHER = "homelab-mail", "homelab-trouble"
"""What ours are called: a server has each name but once, whatever kind of thing has it."""
TROUBLE = "warning,error,unknown"
"""The severities that somebody has to hear of; the others are of what went well."""
_ROWS: Shape = [
    {
        "name": str,
        "comment?": str,
        "disable?": bool,
        "mailto?": [str],
        "mailto-user?": [str],
        "match-severity?": [str],
        "match-field?": [str],
        "match-calendar?": [str],
        "invert-match?": bool,
        "target?": [str],
    }
]
_NARROWS = ("match-field", "match-calendar", "invert-match")
"""By which a matcher lets fewer through than its severities say."""


@dataclass(frozen=True)
class Notifying:
    """An endpoint that sends mail, or a matcher, of ours.

    Parameters
    ----------
    host, kind
        The server, and which of both.
    settings
        What each of its lists holds: ``mailto``; ``match-severity`` and ``target``.
    lab
        The lab whose it is.
    """

    host: str
    kind: Literal["endpoint sendmail", "matcher"]
    settings: tuple[tuple[str, str], ...]
    lab: str
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"notification {self.kind} {self.called}"

    @property
    def called(self) -> str:
        """What it is called on the server."""
        return MATCHER if self.kind == "matcher" else MAIL

    @property
    def _words(self) -> tuple[str, ...]:
        return ("notification", *self.kind.split())

    def observe(self, host: Host) -> dict[str, Any] | None:
        rows: list[dict[str, Any]] = listed(host, *self._words, "list", shape=_ROWS)
        row = next((each for each in rows if each["name"] == self.called), None)
        if row is None:
            return None
        found = {key: ";".join(row.get(key, ())) for key, _ in self.settings}
        narrowed = [key for key in _NARROWS if row.get(key)]
        return found | {
            "off": row.get("disable", False),
            "narrowed": narrowed,
            "comment": row.get("comment", ""),
        }

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        told = ", ".join(f"{key} {value}" for key, value in self.settings)
        words = [word for key, value in self.settings for word in (f"--{key}", value)]
        if observed is None:
            words += ["--comment", mark.text(self.lab)]
            call = changing(*self._words, "create", self.called, *words)
            undo = f"proxmox-backup-manager {' '.join(self._words)} delete {self.called}"
            return Diff((Change(f"make {self.name}: {told}", call, undo=undo),))
        other = {key: observed[key] for key, value in self.settings if observed[key] != value}
        gone = [*(["disable"] if observed["off"] else []), *observed["narrowed"]]
        if not other and not gone:
            return Diff()
        if not mark.marks(observed["comment"], self.lab):
            return Diff(
                conflict=f"there is a {self.name} already, which we did not make for lab "
                f"{self.lab}: remove it, or, if it is to be ours, write {mark.text(self.lab)!r} "
                "into its comment"
            )
        was = "; ".join([*(f"{k} {v or 'none'}" for k, v in sorted(other.items())), *gone])
        deleted = [word for key in gone for word in ("--delete", key)]
        call = changing(*self._words, "update", self.called, *words, *deleted)
        summary = f"have {self.name} as described: {told}"
        undo = f"give it back in Configuration, Notifications: {was}"
        return Diff((Change(summary, call, replaces=was, undo=undo),))
