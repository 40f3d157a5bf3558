"""Services of systemd."""

from dataclasses import dataclass

from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change


@dataclass(frozen=True)
class Service:
    """A systemd service that runs, and starts with the machine."""

    host: str
    unit: str
    timeout_s: float = 120.0

    @property
    def name(self) -> str:
        return f"service {self.unit}"

    def observe(self, host: Host) -> dict[str, str]:
        return look_at_unit(host, self.unit)

    def diff(self, observed: dict[str, str]) -> Diff:
        if observed["LoadState"] == "not-found":
            return Diff(conflict=f"there is no service {self.unit}; which package has it?")
        if observed["ActiveState"] == "activating":
            return Diff(waiting=f"{self.unit} is starting")
        changes = []
        if observed["UnitFileState"] != "enabled":
            words = ("systemctl", "enable", self.unit)
            changes.append(Change(f"start {self.unit} with the machine", change(*words, sudo=True)))
        if observed["ActiveState"] != "active":
            words = ("systemctl", "start", self.unit)
            changes.append(Change(f"start {self.unit}", change(*words, sudo=True)))
        return Diff(tuple(changes))


def look_at_unit(host: Host, unit: str) -> dict[str, str]:
    """Whether a unit is there, runs, and is enabled, in systemd's words."""
    properties = ("LoadState", "ActiveState", "UnitFileState")
    words = [word for name in properties for word in ("-p", name)]
    shown = host.read("systemctl", "show", f"{unit}.service", *words)
    pairs = dict(line.partition("=")[::2] for line in shown.stdout.splitlines())
    return {name: pairs.get(name, "") for name in properties}
