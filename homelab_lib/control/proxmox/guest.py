"""A VM from the inside, through its guest agent: the way that needs no host key yet."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from homelab_lib.control.proxmox.api import api
from homelab_lib.runbook.resource import Diff, Host

_LOOKS, _PAUSE_S = 12, 5.0


def guest_addresses(host: Host, vmid: int, mac: str = "") -> list[str] | None:
    """IPv4 addresses that a VM's guest agent tells; None while it does not answer.

    Parameters
    ----------
    host, vmid
        The node, and the VM.
    mac
        Only those of the network card with this hardware address; empty: of all interfaces.
    """
    words = ("qm", "guest", "cmd", str(vmid), "network-get-interfaces")
    result = host.read(*words, ok=None, sudo=True)
    if result.exit_status:
        return None
    found = json.loads(result.stdout) if result.stdout.strip() else []
    rows = found.get("result", []) if isinstance(found, Mapping) else found
    return [
        address["ip-address"]
        for interface in rows
        if not mac or str(interface.get("hardware-address", "")).lower() == mac.lower()
        for address in interface.get("ip-addresses") or ()
        if address.get("ip-address-type") == "ipv4"
    ]


def leased_addresses(host: Host, node: str, vmid: int) -> list[str] | None:
    """IPv4 addresses of a VM's first network card; None while its agent does not answer.

    A VM may have others: of containers in it, of a tunnel. The card is told by the hardware
    address that Proxmox gave it.
    """
    config = api(host, f"/nodes/{node}/qemu/{vmid}/config", "--current", "1")
    card = re.search(r"(?i)=((?:[0-9a-f]{2}:){5}[0-9a-f]{2})", str(config.get("net0", "")))
    if card is None:
        return []
    found = guest_addresses(host, vmid, card[1])
    return found and [each for each in found if not each.startswith("169.254.")]


def guest_file(host: Host, vmid: int, path: str, sleep: Callable[[float], None]) -> str:
    """A file in a VM; empty where there is none.

    Parameters
    ----------
    host, vmid, path
        The node, the VM, and the file in it.
    sleep
        Waits [s]: an agent that is slow answers with a number to ask again with.
    """
    answer: dict[str, Any] = host.json(
        "qm", "guest", "exec", str(vmid), "--", "cat", path, sudo=True
    )
    for _ in range(_LOOKS):
        if answer.get("exited") or "exitcode" in answer:
            break
        sleep(_PAUSE_S)
        status = ("qm", "guest", "exec-status", str(vmid), str(answer["pid"]))
        answer = {"pid": answer["pid"]} | host.json(*status, sudo=True)
    return str(answer.get("out-data", "")) if answer.get("exitcode") == 0 else ""


@dataclass(frozen=True)
class GuestReady:
    """A VM whose guest agent answers, at the address that the lab gives it."""

    host: str
    vmid: int
    vm_name: str
    address: str
    timeout_s: float = 900.0

    @property
    def name(self) -> str:
        return f"guest of VM {self.vmid} ({self.vm_name})"

    def observe(self, host: Host) -> list[str] | None:
        return guest_addresses(host, self.vmid)

    def diff(self, observed: list[str] | None) -> Diff:
        if observed is None:
            return Diff(waiting=f"{self.vm_name}'s guest agent does not answer yet")
        if self.address not in observed:
            return Diff(
                waiting=f"{self.vm_name} has {observed or 'no address'}, not {self.address}"
            )
        return Diff()


@dataclass(frozen=True)
class GuestLeased:
    """A VM whose guest agent answers, and tells the address that DHCP gave it."""

    host: str
    node: str
    vmid: int
    vm_name: str
    timeout_s: float = 900.0

    @property
    def name(self) -> str:
        return f"guest of VM {self.vmid} ({self.vm_name})"

    def observe(self, host: Host) -> list[str] | None:
        return leased_addresses(host, self.node, self.vmid)

    def diff(self, observed: list[str] | None) -> Diff:
        if observed is None:
            return Diff(waiting=f"{self.vm_name}'s guest agent does not answer yet")
        if not observed:
            return Diff(waiting=f"DHCP has given {self.vm_name} no address yet")
        return Diff()
