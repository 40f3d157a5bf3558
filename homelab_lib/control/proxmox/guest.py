"""A VM from the inside, through its guest agent: the way that needs no host key yet."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.control.proxmox.api import CONFIG, api
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Diff, Host
from homelab_lib.transport.command import read

_ANSWER_S = 60.0

_ADDRESS: Shape = {"ip-address?": str, "ip-address-type?": str}
_CARDS: Shape = [{"hardware-address?": str, "ip-addresses?": [_ADDRESS]}]
_DONE: Shape = {
    "pid?": int,
    "exited?": (bool, int),
    "exitcode?": int,
    "signal?": int,
    "out-data?": str,
    "err-data?": str,
}
# What Proxmox says of an agent that is not there, not yet there, or busy; and of a VM that is off.
_NO_AGENT = re.compile(r"guest agent|guest-network-get-interfaces|is not running|got timeout")
_ABSENT = "No such file or directory"


def guest_addresses(host: Host, vmid: int, mac: str = "") -> list[str] | None:
    """Addresses that a VM's guest agent tells, but those of a link; None while it does not answer.

    Parameters
    ----------
    host, vmid
        The node, and the VM.
    mac
        Only those of the network card with this hardware address; empty: of all interfaces.
    """
    words = ("qm", "guest", "cmd", str(vmid), "network-get-interfaces")
    result = host.read(*words, ok=None, sudo=True)
    if result.exit_status and _NO_AGENT.search(result.stderr + result.stdout):
        return None
    if result.exit_status:
        said = (result.stderr or result.stdout).strip()
        raise StepFailed(
            f"{host.name} can't tell which addresses VM {vmid} has: "
            f"{host.cut(said, 300, end=True) or 'it printed nothing'}",
            where=f"{host.name}: {read(*words).line}",
            fix="mend what it complains of, then run the same command line again",
        )
    shape = (_CARDS, {"result": _CARDS})
    said = result.stdout.strip() or "[]"
    found = answers.understood(said, shape, host=host.name, line=read(*words).line)
    return [
        address.get("ip-address", "")
        for interface in (found["result"] if isinstance(found, dict) else found)
        if not mac or interface.get("hardware-address", "").lower() == mac.lower()
        for address in interface.get("ip-addresses", ())
        if not address.get("ip-address", "::1").startswith(("::1", "fe80:"))
    ]


def leased_addresses(host: Host, node: str, vmid: int) -> list[str] | None:
    """IPv4 addresses of a VM's first network card; None while its agent does not answer.

    A VM may have others: of containers in it, of a tunnel. The card is told by the hardware
    address that Proxmox gave it.
    """
    config = api(host, f"/nodes/{node}/qemu/{vmid}/config", "--current", "1", shape=CONFIG)
    card = re.search(r"(?i)=((?:[0-9a-f]{2}:){5}[0-9a-f]{2})", str(config.get("net0", "")))
    if card is None:
        return []
    found = guest_addresses(host, vmid, card[1])
    return found and [e for e in found if ":" not in e and not e.startswith("169.254.")]


def guest_file(host: Host, vmid: int, path: str, looks: Callable[[float], Iterable[object]]) -> str:
    """A file in a VM; empty where the VM says that there is none.

    Parameters
    ----------
    host, vmid, path
        The node, the VM, and the file in it.
    looks
        Gives looks for so many seconds: an agent that is slow answers with a number to ask again
        with.

    Raises
    ------
    StepFailed
        It can't be read, or the agent does not come to an end.
    """
    answer = _executed(host, "exec", str(vmid), "--", "cat", path)
    if not (answer.get("exited") or "exitcode" in answer):
        number = str(answer.get("pid", 0))
        for _ in looks(_ANSWER_S):
            answer = _executed(host, "exec-status", str(vmid), number)
            if answer.get("exited") or "exitcode" in answer:
                break
    return _text(host, vmid, path, answer)


def guest_output(host: Host, vmid: int, *words: str) -> str:
    """What a program prints in a VM that ends at once.

    Raises
    ------
    StepFailed
        It did not end, or ended badly.
    HomelabError
        The guest agent does not answer.
    """
    answer = _executed(host, "exec", str(vmid), "--", *words)
    if answer.get("exitcode") == 0:
        return str(answer.get("out-data", ""))
    said = host.cut(answer.get("err-data", "").strip(), 300, end=True) or "it printed nothing"
    raise StepFailed(
        f"{host.name}: {' '.join(words)} in VM {vmid} did not end well: {said}",
        where=host.name,
        fix=f"try `qm guest exec {vmid} -- {' '.join(words)}` there by hand",
    )


def _executed(host: Host, *words: str) -> dict[str, Any]:
    """What the agent says of a program in the VM."""
    words = ("qm", "guest", *words)
    said = host.json(*words, sudo=True)
    done: dict[str, Any] = answers.expected(said, _DONE, host=host.name, line=read(*words).line)
    return done


def _text(host: Host, vmid: int, path: str, answer: dict[str, Any]) -> str:
    """What `cat` printed in the VM. Only its own word says that there is no such file."""
    if answer.get("exitcode") == 0:
        return str(answer.get("out-data", ""))
    said = answer.get("err-data", "").strip()
    if answer.get("exitcode") == 1 and said.endswith(_ABSENT):
        return ""
    ended = f"it ended with {answer['exitcode']}" if "exitcode" in answer else "it did not end"
    raise StepFailed(
        f"{host.name}: {path} in VM {vmid} can't be read: {host.cut(said, 300, end=True) or ended}",
        where=host.name,
        fix=f"try `qm guest exec {vmid} -- cat {path}` there by hand",
    )


@dataclass(frozen=True)
class GuestReady:
    """A VM whose guest agent answers, at the address that the lab gives it."""

    looks_at: ClassVar[str] = "runs"
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
