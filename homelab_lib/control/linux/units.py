"""Services of systemd."""

from dataclasses import dataclass
from typing import ClassVar

from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import NOTHING_TO_UNDO, Change, Diff, Host
from homelab_lib.transport.command import change


@dataclass(frozen=True)
class SystemdService:
    """A systemd service that runs, and starts with the machine."""

    looks_at: ClassVar[str] = "runs"
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
            changes.append(with_the_machine(self.unit))
        if observed["ActiveState"] != "active":
            words = ("systemctl", "start", self.unit)
            undo = f"systemctl stop {self.unit}"
            changes.append(Change(f"start {self.unit}", change(*words, sudo=True), undo=undo))
        return Diff(tuple(changes))


def with_the_machine(unit: str, called: str = "") -> Change:
    """Have a unit start with the machine.

    Parameters
    ----------
    unit, called
        As systemd calls it, and as people do; empty: by the same name.
    """
    return Change(
        f"start {called or unit} with the machine",
        change("systemctl", "enable", unit, sudo=True),
        undo=f"systemctl disable {unit}",
    )


def units_read_anew() -> Change:
    """Have systemd go by the unit files as they are now."""
    return Change(
        "have systemd read its unit files anew",
        change("systemctl", "daemon-reload", sudo=True),
        undo=f"{NOTHING_TO_UNDO}: it goes by what stands in them",
    )


def look_at_unit(host: Host, unit: str) -> dict[str, str]:
    """Whether a unit is there, runs, and is enabled, in systemd's words.

    Raises
    ------
    StepFailed
        Systemd does not say: that is not "not there".
    """
    return unit_properties(host, f"{unit}.service", "LoadState", "ActiveState", "UnitFileState")


def unit_properties(host: Host, unit: str, *properties: str) -> dict[str, str]:
    """What systemd has of a unit under these names; the first is one that every unit has.

    Raises
    ------
    StepFailed
        It does not say.
    """
    words = [word for name in properties for word in ("-p", name)]
    shown = host.read("systemctl", "show", unit, *words).stdout
    pairs = dict(line.partition("=")[::2] for line in shown.splitlines())
    if properties[0] not in pairs:
        raise StepFailed(
            f"{host.name} can't tell how {unit} is: {host.cut(shown, 200)!r}",
            where=f"{host.name}: {unit}",
            fix=f"try `systemctl show {unit}` there by hand",
        )
    return {name: pairs.get(name, "") for name in properties}
