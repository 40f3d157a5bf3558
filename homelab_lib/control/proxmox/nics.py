"""The network cards of a node: driven by its kernel, or not, and then what helps.

Sources: r8169 has the RTL8126 since Linux 6.9 (commit 3907f1ffc0ec), its revision B since 6.12
(69cb89981c7a); `pve8to9` warns of modules that DKMS builds: a kernel update can break them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.control.proxmox.api import api
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

_PCI: Shape = [{"id": str, "class": str, "device_name?": str, "vendor_name?": str}]
_LINKS: Shape = [{"ifname?": str, "address?": str, "parentdev?": str, "master?": str}]
_NETWORK_CLASS = "0x02"
_NO_DEVICE = (71, 75, 92)
_KERNEL = re.compile(r"(?:proxmox|pve)-kernel-((?:\d{1,5}\.){2}\d{1,5}-\d{1,5}-pve)(?:-signed)?")
_RUNS = re.compile(r"\d{1,5}\.\d{1,5}[\w.+~-]{0,60}", re.ASCII)


def kernel_numbers(kernel: str) -> tuple[int, ...]:
    """``6.8.12-20-pve`` as numbers that can be compared."""
    return tuple(int(number) for number in re.findall(r"\d+", kernel))


def running_kernel(host: Host) -> str:
    """The kernel that runs: ``6.17.4-2-pve``.

    Raises
    ------
    NotUnderstood
        What it says is none.
    """
    said = host.read("uname", "-r").stdout.strip()
    if _RUNS.fullmatch(said) is None:
        raise answers.not_understood(host.name, "uname -r", "expected is a kernel's version")
    return said


def installed_kernels(packages: Iterable[str]) -> list[str]:
    """The kernels among the names of installed packages."""
    found = (_KERNEL.fullmatch(name) for name in packages)
    return sorted({match[1] for match in found if match is not None}, key=kernel_numbers)


def older(kernel: str, since: str | None) -> bool:
    """Whether a kernel is from before a driver came into it: ``6.8.12-20-pve`` and ``6.9``."""
    return since is not None and kernel_numbers(kernel)[:2] < kernel_numbers(since)[:2]


def driver(host: Host, interface: str) -> str:
    """What drives an interface; empty for nothing."""
    shown = host.read("ethtool", "-i", interface, ok=(0, *_NO_DEVICE), sudo=True)
    found = re.search(r"(?m)^driver: (\S+)", shown.stdout)
    return "" if shown.exit_status or found is None else found[1]


def links(host: Host) -> list[dict[str, Any]]:
    """The kernel's links, with the place on the bus of those that are cards."""
    words = ("ip", "-j", "-d", "link", "show")
    found: list[dict[str, Any]] = answers.expected(
        host.json(*words), _LINKS, host=host.name, line=" ".join(words)
    )
    return found


def undriven(host: Host, node: str) -> list[str]:
    """Network cards on the bus that no driver has: what each is called, and where it sits."""
    rows = api(host, f"/nodes/{node}/hardware/pci", shape=_PCI)
    taken = {row.get("parentdev") for row in links(host)}
    return [
        f"{row.get('device_name', 'a network card')} at {row['id']}"
        for row in rows
        if row["class"].startswith(_NETWORK_CLASS) and row["id"] not in taken
    ]


def why_not(
    interface: str,
    mac: str | None,
    since: str | None,
    kernel: str,
    there: Sequence[Mapping[str, Any]],
    bare: Sequence[str],
) -> str:
    """Why a node does not have an interface that the lab names, and what helps.

    Parameters
    ----------
    interface, mac
        As the lab has them.
    since
        The first kernel whose driver knows the card; None where nobody says.
    kernel
        The one that runs.
    there
        The links that the kernel has.
    bare
        Cards that no driver has.
    """  # fmt: skip
    other = next((row["ifname"] for row in there if mac and row.get("address") == mac), "")
    if other:
        return f"the card with {mac} is called {other} there: write  interface: {other}"
    if not bare:
        return "no card is without a driver: it is called otherwise there, or sits in no slot"
    which = ", ".join(bare)
    if older(kernel, since):
        return f"{which} has no driver: kernel {kernel} is older than {since}, which brings it"
    return (
        f"{which} has no driver, and kernel {kernel} has one for it: look at what it says when it "
        "starts (journalctl -k -b): its firmware, its cable, or a revision that a later kernel "
        "knows (RTL8126 revision B: 6.12)"
    )


@dataclass(frozen=True)
class RunningKernel:
    """A node that runs a kernel of some age at the most; it is restarted into one that is there.

    Parameters
    ----------
    host, node
        The machine, and its node name.
    at_least
        The first kernel that will do: ``6.9``.
    """

    looks_at: ClassVar[str] = "runs"
    host: str
    node: str
    at_least: str
    timeout_s: float = 900.0

    @property
    def name(self) -> str:
        return f"kernel {self.at_least} or newer"

    def observe(self, host: Host) -> dict[str, Any]:
        shown = host.read("dpkg-query", "-W", "-f", r"${Package}\n", ok=(0, 1)).stdout
        guests = api(host, f"/nodes/{self.node}/qemu", shape=[{"vmid": int, "status": str}])
        return {
            "runs": running_kernel(host),
            "there": installed_kernels(shown.split()),
            "guests": sorted(row["vmid"] for row in guests if row["status"] == "running"),
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        if not older(observed["runs"], self.at_least):
            return Diff()
        fits = [each for each in observed["there"] if not older(each, self.at_least)]
        if not fits:
            return Diff(conflict=f"no kernel {self.at_least} or newer is installed on {self.host}")
        if observed["guests"]:
            told = ", ".join(map(str, observed["guests"]))
            return Diff(conflict=f"{self.host} is to be restarted, and VMs run on it: {told}")
        newest = max(fits, key=kernel_numbers)
        return Diff(
            (
                Change(
                    f"restart {self.host} into kernel {newest}",
                    change("systemctl", "reboot", sudo=True),
                    replaces=f"kernel {observed['runs']}",
                    undo="choose the old one in the boot menu, at the console",
                    starts=self.host,
                ),
            )
        )
