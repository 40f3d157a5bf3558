"""The kernel module that drives a graphics card, in the kernel that runs."""

from dataclasses import dataclass
from typing import Any

from homelab_lib.runbook.resource import NOTHING_TO_UNDO, Change, Diff, Host
from homelab_lib.transport.command import change

_BOOT_S = 900.0


@dataclass(frozen=True)
class CardDriver:
    """A driver's module that is loaded.

    A package brings it for the newest kernel that it knows, which need not be the one that runs:
    then the machine is started anew.

    Parameters
    ----------
    host, module
        Where, and which: ``nvidia``, ``amdgpu``.
    """

    host: str
    module: str
    timeout_s: float = _BOOT_S

    @property
    def name(self) -> str:
        return f"driver {self.module}"

    def observe(self, host: Host) -> dict[str, Any]:
        listed = host.read("lsmod").stdout.splitlines()[1:]
        kernel = host.read("uname", "-r").stdout.strip()
        words = ("modinfo", "-k", kernel, "-F", "vermagic", self.module)
        return {
            "loaded": self.module in {line.split()[0] for line in listed if line.strip()},
            "kernel": kernel,
            "fits": host.read(*words, ok=(0, 1)).exit_status == 0,
            # What nobody heard of may never have come, and is looked for and sent again.
            "restarted": any("reboot" in line for line in host.sent(self.name))
            and not host.begun(self.name),
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["loaded"]:
            return Diff()
        if observed["fits"]:
            call = change("modprobe", "--", self.module, sudo=True)
            undo = f"modprobe -r {self.module}"
            return Diff((Change(f"load {self.module}", call, undo=undo),))
        if observed["restarted"]:
            return Diff(
                waiting=f"{self.host} restarts; its kernel {observed['kernel']} has no module "
                f"{self.module}. If it still has none: dpkg -l 'linux-image-*' '*{self.module}*'"
            )
        return Diff(
            (
                Change(
                    f"restart {self.host}: kernel {observed['kernel']} has no module {self.module}",
                    change("systemctl", "reboot", sudo=True),
                    starts=self.host,
                    undo=f"{NOTHING_TO_UNDO}: it starts anew, and nothing is changed by that",
                ),
            )
        )
