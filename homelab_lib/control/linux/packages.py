"""Packages of a distribution."""

from dataclasses import dataclass

from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import NOTHING_TO_UNDO, Change, Diff, Host
from homelab_lib.transport.command import change

_LOCK_S = 600  # unattended-upgrades takes minutes on a machine that was just made


@dataclass(frozen=True)
class Packages:
    """Packages of the distribution that are installed, in whichever version it has.

    Parameters
    ----------
    host, names
        Where, and which.
    anew
        Whether the package sources are read anew first: those of a source that was just added.
    """

    host: str
    names: tuple[str, ...]
    timeout_s: float = 900.0
    anew: bool = False

    @property
    def name(self) -> str:
        return f"packages {' '.join(self.names)}"

    def observe(self, host: Host) -> dict[str, str]:
        """What dpkg has of each.

        Raises
        ------
        StepFailed
            It does not say of one, not even that it knows none of that name.
        """
        form = r"${Package} ${db:Status-Status}\n"
        shown = host.read("dpkg-query", "-W", "-f", form, "--", *self.names, ok=(0, 1))
        pairs = dict(line.split(" ", 1) for line in shown.stdout.splitlines() if " " in line)
        for name in self.names:
            unknown = f"no packages found matching {name}\n"
            if name not in pairs and unknown not in f"{shown.stderr}\n":
                said = host.cut(shown.stderr.strip() or shown.stdout.strip(), 300, end=True)
                raise StepFailed(
                    f"{host.name} can't tell whether {name} is installed: {said or 'no answer'}",
                    where=host.name,
                    fix=f"try `dpkg-query -W {name}` there by hand",
                )
        return {name: pairs.get(name, "not-installed") for name in self.names}

    def diff(self, observed: dict[str, str]) -> Diff:
        missing = [name for name in self.names if observed[name] != "installed"]
        if not missing:
            return Diff()
        # needrestart would ask at a terminal, or restart what other work stands on; and whoever
        # holds the lock of the packages is waited for.
        quiet = ("env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1")
        apt = (*quiet, "apt-get", "-o", f"DPkg::Lock::Timeout={_LOCK_S}")
        read = change(*apt, "update", sudo=True, timeout_s=self.timeout_s)
        fresh = f"{NOTHING_TO_UNDO}: apt knows what there is"
        what = "read the package sources anew"
        changes = [Change(what, read, detached=True, undo=fresh)] * self.anew
        command = change(*apt, "install", "-y", *missing, sudo=True, timeout_s=self.timeout_s)
        undo = f"apt-get remove {' '.join(missing)}"
        changes.append(Change(f"install {', '.join(missing)}", command, detached=True, undo=undo))
        return Diff(tuple(changes))
