"""A driver that is built beside the kernel, for each kernel of a node, where no kernel has it.

It breaks with kernels to come, so a newer kernel goes first (`nics`). Sources: dkms(8);
awesometic/realtek-r8126-dkms; with Secure Boot on the kernel refuses what nobody has signed ("Key
was rejected by service"), and enrolling a key needs somebody at the console.
"""

import re
from dataclasses import dataclass
from typing import Any

from homelab_lib.answers import Shape
from homelab_lib.control.proxmox.api import api
from homelab_lib.control.proxmox.nics import driver, installed_kernels, running_kernel
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

_BOOT: Shape = {"boot-info?": {"secureboot?": (int, bool)}}
_STATUS = re.compile(r"(?m)^([\w-]+)[/,]\s*[^,]+,\s*([^,]+),\s*\S+: installed")
_IN_TREE = {"r8126": "r8169", "r8125": "r8169", "r8168": "r8169"}
"""Of each module, the kernel's own whose cards it takes over."""
_NO_PROGRAM = 127


@dataclass(frozen=True)
class DkmsModule:
    """A module that is built for every kernel that is installed.

    Parameters
    ----------
    host, node
        The machine, and its node name.
    module, package
        Its name, and the path of the package on the machine.
    way_in
        The cards by which one comes to the machine: their driver is left alone.
    """

    host: str
    node: str
    module: str
    package: str
    way_in: tuple[str, ...] = ()
    timeout_s: float = 1800.0

    @property
    def name(self) -> str:
        return f"module {self.module} by DKMS"

    def observe(self, host: Host) -> dict[str, Any]:
        """For which kernels it is built, which there are, which have headers, what may hinder."""
        shown = host.read("dkms", "status", ok=(0, 1, _NO_PROGRAM), sudo=True).stdout
        packages = host.read("dpkg-query", "-W", "-f", r"${Package}\n", ok=(0, 1)).stdout.split()
        status = api(host, f"/nodes/{self.node}/status", shape=_BOOT)
        runs = running_kernel(host)
        return {
            "built": sorted(k.strip() for name, k in _STATUS.findall(shown) if self._is(name)),
            "kernels": sorted({runs, *installed_kernels(packages)}),
            "headers": sorted(p for p in packages if p.startswith("proxmox-headers-")),
            "secure": bool(status.get("boot-info", {}).get("secureboot")),
            "way_in": {card: driver(host, card) for card in self.way_in},
        }

    def _is(self, name: str) -> bool:
        """Whether a package is the module's: ``realtek-r8126``."""
        return self.module in name.split("-")

    def diff(self, observed: dict[str, Any]) -> Diff:
        kernels = observed["kernels"]
        if set(kernels) <= set(observed["built"]):
            return Diff()
        if observed["secure"]:
            return Diff(
                conflict=f"Secure Boot is on at {self.host}, and nobody has signed {self.module}: "
                "switch it off in the firmware, or enrol a key by hand (mokutil --import, then at "
                "the console)"
            )
        taken = _IN_TREE.get(self.module, self.module)
        hit = [card for card, driver in observed["way_in"].items() if driver == taken]
        if hit:
            return Diff(
                conflict=f"{hit[0]}, by which one comes to {self.host}, is driven by {taken}, "
                f"whose cards {self.module} takes over: come by another card first"
            )
        quiet = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y")
        wanted = [f"proxmox-headers-{kernel}" for kernel in kernels]
        missing = [name for name in wanted if name not in observed["headers"]]
        changes = []
        if missing:
            words = (*quiet, "dkms", *missing)
            call = change(*words, sudo=True, timeout_s=self.timeout_s)
            what = "install the headers of every kernel, before anything is built"
            undo = f"apt-get remove {' '.join(words[len(quiet) :])}"
            changes.append(Change(what, call, detached=True, undo=undo))
        call = change(*quiet, self.package, sudo=True, timeout_s=self.timeout_s)
        undo = f"apt-get purge {self.module}-dkms"
        what = f"build {self.module} for {', '.join(kernels)}"
        return Diff((*changes, Change(what, call, undo=undo, detached=True)))
