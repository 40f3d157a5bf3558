"""Whether a Linux machine has come up whole: its services, and what is mounted."""

from collections.abc import Iterator

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.runbook.afterwards import declare
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check

_PROPERTIES = (
    *("Id", "Type", "ActiveState", "InactiveExitTimestampMonotonic"),
    *("ConditionResult", "ConditionTimestampMonotonic"),
)
_MOUNTS: Shape = {"filesystems": [{"target": str, "options?": str}]}
_BOOT_S = 120.0


def compare(host: Host) -> Iterator[Check]:
    """The boot is over, no service is enabled and stopped, and what is to be mounted is."""
    words = ("systemctl", "is-system-running", "--wait")
    state = host.read(*words, ok=None, timeout_s=_BOOT_S).stdout.strip()
    yield Check(f"{host.name} has booted", state in ("running", "degraded"), state)
    stopped = _stopped(host)
    says = f"enabled and stopped: {', '.join(stopped)}" if stopped else ""
    yield Check(f"the services of {host.name} run", not stopped, says)
    missing = _not_mounted(host)
    says = f"in /etc/fstab and not mounted: {', '.join(missing)}" if missing else ""
    yield Check(f"what {host.name} mounts is there", not missing, says)


def _stopped(host: Host) -> list[str]:
    """Services that start with the machine and have not, or have failed. One that ran and came to
    its end, that runs when it is called, or whose conditions the machine does not meet is no such.
    """
    words = ("list-unit-files", "--type", "service", "--state", "enabled", "--no-legend", "--plain")
    shown = host.read("systemctl", *words, "--no-pager").stdout
    names = [line.split()[0] for line in shown.splitlines() if line.strip()]
    names = [name for name in names if "@." not in name]
    if not names:
        return []
    asked = [word for name in _PROPERTIES for word in ("-p", name)]
    found = host.read("systemctl", "show", *names, *asked).stdout
    stopped = []
    for block in found.split("\n\n"):
        unit = dict(line.partition("=")[::2] for line in block.splitlines())
        looked = unit.get("ConditionTimestampMonotonic", "0") != "0"
        unmet = looked and unit.get("ConditionResult") == "no"
        called = unit.get("Type") in ("oneshot", "dbus")
        never = unit.get("InactiveExitTimestampMonotonic", "0") == "0"
        idle = unit.get("ActiveState") == "inactive" and never and not called and not unmet
        if idle or unit.get("ActiveState") == "failed":
            stopped.append(unit["Id"])
    return sorted(stopped)


def _not_mounted(host: Host) -> list[str]:
    """What /etc/fstab has mounted at the boot, and is not."""
    wanted = _file_systems(host, "--fstab")
    there = {row["target"] for row in _file_systems(host, "--kernel")}
    return sorted(
        row["target"]
        for row in wanted
        if str(row.get("target", "")).startswith("/")
        and not {"noauto", "nofail"} & set(str(row.get("options", "")).split(","))
        and row["target"] not in there
    )


def _file_systems(host: Host, source: str) -> list[dict[str, str]]:
    words = ("findmnt", source, "--list", "-J", "-o", "TARGET,OPTIONS")
    shown = host.read(*words, ok=(0, 1)).stdout
    if not shown.strip():
        return []
    found = answers.understood(shown, _MOUNTS, host=host.name, line=" ".join(words))
    rows: list[dict[str, str]] = found["filesystems"]
    return rows


declare("systemctl", compare)
