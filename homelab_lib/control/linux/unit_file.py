"""A service of systemd whose unit file is ours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from homelab_lib.control.linux.looking import read_file
from homelab_lib.control.linux.units import unit_properties, units_read_anew, with_the_machine
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

FOLDER = "/etc/systemd/system"
_LINES = "100"


def unit_text(
    title: str,
    command: str,
    unit: str,
    files: Sequence[str],
    more: Sequence[str] = (),
    restart: str = "on-failure",
) -> str:
    """A unit file of a service that keeps running.

    Each time that it starts it notes what its files were, for its owner alone.

    Parameters
    ----------
    title, command
        What it is, and what it runs.
    unit, files
        Its name, and the paths of what it reads when it starts.
    more
        Further lines about the service: its environment, whose rights it has.
    restart
        When systemd starts it anew: ``always`` for one that ends with 0 where it fails.
    """
    root = "+" if more else ""  # the note is root's, whoever runs the service
    noted = f"umask 077; sha256sum -- {' '.join(files)} > {_note(unit)}"
    return (
        f"[Unit]\nDescription={title}\nAfter=network-online.target\nWants=network-online.target\n\n"
        f"[Service]\nExecStart={command}\nExecStartPost={root}/bin/sh -c '{noted}'\n"
        + "".join(f"{line}\n" for line in more)
        + f"Restart={restart}\nRestartSec=5s\n\n[Install]\nWantedBy=multi-user.target\n"
    )


def dropin(unit: str) -> str:
    """Where that is which is laid over a package's unit file. Systemd notices a new one, and not a
    file that takes the place of the package's."""
    return f"{FOLDER}/{unit}.service.d/homelab.conf"


def dropin_text(command: str, unit: str) -> str:
    """What has a package's service run another command, and note what it was then laid over.

    Parameters
    ----------
    command, unit
        What it runs, and its name.
    """
    noted = f"umask 077; sha256sum -- {dropin(unit)} > {_note(unit)}"
    return f"[Service]\nExecStart=\nExecStart={command}\nExecStartPost=+/bin/sh -c '{noted}'\n"


def _note(unit: str) -> str:
    return f"/run/homelab-{unit}.started"


@dataclass(frozen=True)
class OwnService:
    """A service by a unit file of ours, that has read its files as they are now.

    Parameters
    ----------
    host, unit
        Which.
    files
        What it reads when it starts; as for `unit_text`.
    why
        Finds in its log why it does not stay: shown while systemd starts it again and again.
    """

    looks_at: ClassVar[str] = "runs"
    host: str
    unit: str
    files: tuple[str, ...]
    why: Callable[[str], str] = field(default=lambda log: "", compare=False)
    timeout_s: float = 90.0

    @property
    def name(self) -> str:
        return f"service {self.unit}"

    def observe(self, host: Host) -> dict[str, Any]:
        """What systemd has of it, and whether its files were others when it started."""
        wanted = ("LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload")
        facts: dict[str, Any] = dict(unit_properties(host, f"{self.unit}.service", *wanted))
        noted = read_file(host, _note(self.unit))
        now = host.read("sha256sum", "--", *self.files, ok=(0, 1), sudo=True).stdout
        if facts["ActiveState"] == "activating":
            words = ("journalctl", "-u", self.unit, "-o", "cat", "-n", _LINES, "--no-pager")
            facts["why"] = self.why(host.read(*words, sudo=True).stdout)
        facts["outdated"] = facts["ActiveState"] == "active" and noted != now
        return facts

    def diff(self, observed: dict[str, Any]) -> Diff:
        changes = []
        unread = observed["LoadState"] == "not-found" or observed["NeedDaemonReload"] == "yes"
        if unread:
            changes.append(units_read_anew())
        if observed["UnitFileState"] != "enabled":
            changes.append(with_the_machine(self.unit))
        if observed["ActiveState"] == "activating" and not changes:
            why = observed.get("why", "")
            return Diff(waiting=f"{self.unit} is starting" + (f"; its log: {why}" if why else ""))
        if observed["ActiveState"] != "active" or unread or observed["outdated"]:
            call = change("systemctl", "restart", self.unit, sudo=True)
            undo = f"systemctl stop {self.unit}"
            if observed["ActiveState"] == "active":
                undo = f"its files of before, and systemctl restart {self.unit}"
            summary = f"start {self.unit} with its files as they are"
            changes.append(Change(summary, call, undo=undo))
        return Diff(tuple(changes))
