"""VMs that get cards of their node.

A VM that runs takes what is new in its configuration when it was off, and not when its system
restarts. All of its memory is pinned then, for the card may read and write any of it.

Sources: `PVE::QemuServer::PCI` and `PVE::API2::Qemu` (qemu-server 9.2); Administration Guide,
"PCI(e) Passthrough".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib.answers import SCALAR, Shape
from homelab_lib.control import mark
from homelab_lib.control.proxmox import options as opts
from homelab_lib.control.proxmox.api import CONFIG, GUESTS, STATUS, api
from homelab_lib.control.proxmox.nics import kernel_numbers, running_kernel
from homelab_lib.control.proxmox.pci import driven_cards
from homelab_lib.control.proxmox.starting import off_and_on
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

_PENDING: Shape = [{"key": str, "value?": SCALAR, "pending?": SCALAR, "delete?": SCALAR}]
_HOLDS = "amdgpu"
_GRACELESS = ((7, 0, 0, 0), (7, 0, 14, 3))
"""Kernels in which amdgpu does not survive that a card is taken from it: Proxmox's 7.0 before
7.0.14-3 (pve-kernel, its changelog)."""


def took_and_lost(kernel: str) -> bool:
    """Whether a kernel falls over when a card is taken from amdgpu."""
    first, fixed = _GRACELESS
    return first <= kernel_numbers(kernel)[:4] < fixed


@dataclass(frozen=True)
class PassedThrough:
    """A VM that runs with cards of its node.

    Parameters
    ----------
    host, node, vmid, vm_name, lab
        Where it is, how it is called, and the lab that it belongs to.
    cards
        Its options: ``("hostpci0", "mapping=gpu-rx-7900-xt,pcie=1")``.
    ids
        Maker and device of the cards: ``1002:744c``.
    """

    host: str
    node: str
    vmid: int
    vm_name: str
    lab: str
    cards: tuple[tuple[str, str], ...]
    ids: tuple[str, ...]
    timeout_s: float = 900.0

    @property
    def name(self) -> str:
        return f"cards of VM {self.vmid} ({self.vm_name})"

    @property
    def _path(self) -> str:
        return f"/nodes/{self.node}/qemu/{self.vmid}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        """Its configuration, what of it waits for the VM to be off, and whether it runs."""
        rows = api(host, "/cluster/resources", "--type", "vm", shape=GUESTS)
        row = next((row for row in rows if row.get("vmid") == self.vmid), None)
        if row is None or row.get("type", "qemu") != "qemu" or row.get("node") != self.node:
            return None
        config = api(host, f"{self._path}/config", shape=CONFIG)
        kept = ("name", "tags", "bios", "machine", "onboot", "lock")
        wanted = dict(self.cards)
        pending = api(host, f"{self._path}/pending", shape=_PENDING)
        return {
            "config": {key: str(config[key]) for key in kept if key in config},
            "cards": {k: str(v) for k, v in config.items() if re.fullmatch(r"hostpci\d+", k)},
            "waits": sorted(
                row["key"] for row in pending if row["key"] in wanted and "pending" in row
            ),
            "status": api(host, f"{self._path}/status/current", shape=STATUS)["status"],
            "grabbed": self._grabbed(host),
        }

    def _grabbed(self, host: Host) -> str:
        """The kernel, where it would fall over as the card is taken from its driver."""
        kernel = running_kernel(host)
        if not took_and_lost(kernel):
            return ""
        held = any(each.id in self.ids and each.driver == _HOLDS for each in driven_cards(host))
        return kernel if held else ""

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        conflict = self._conflict(observed)
        if observed is None or conflict:
            return Diff(conflict=conflict)
        if observed["config"].get("lock"):
            return Diff(waiting=f"VM {self.vmid} is locked: {observed['config']['lock']}")
        changes = []
        missing = [(key, value) for key, value in self.cards if key not in observed["cards"]]
        if missing:
            changes.append(self._giving(missing, observed))
        if missing or observed["waits"] or observed["status"] != "running":
            changes.append(self._starting())
        return Diff(tuple(changes))

    def _conflict(self, observed: dict[str, Any] | None) -> str:
        where = f"VM {self.vmid} ({self.vm_name})"
        if observed is None:
            return f"{where} is to get cards, and is not there on node {self.node}: make it first"
        config = observed["config"]
        if config.get("name") != self.vm_name or mark.tag(self.lab) not in opts.tags(
            config.get("tags", "")
        ):
            return (
                f"VMID {self.vmid} has {config.get('name', 'a VM')!r}, which is not of lab "
                f"{self.lab}: it gets no card; if it is to be ours, give it the tag "
                f"{mark.tag(self.lab)} in Proxmox"
            )
        wrong = [
            f"its {key} is {config.get(key, default)}, and has to be {wanted}"
            for key, default, wanted in (("bios", "seabios", "ovmf"), ("machine", "pc", "q35"))
            if opts.differs(key, config.get(key), wanted)
        ]
        if wrong:
            return (
                f"{where} can't take a card as it is: {'; '.join(wrong)}. What is installed in it "
                "starts under the old ones only, so they are not changed: keep what you need of "
                f"it, then  qm stop {self.vmid}; qm set {self.vmid} --protection 0; "
                f"qm destroy {self.vmid}  and run the runbook that makes it again"
            )
        wanted_cards = dict(self.cards)
        other = [
            f"{key} is {value}"
            for key, value in observed["cards"].items()
            if _keys(value) != _keys(wanted_cards.get(key, value))
            or (key not in wanted_cards and _mapping(value) in map(_mapping, wanted_cards.values()))
        ]
        if other:
            return f"{where} has other devices passed through: {'; '.join(other)}; take them out"
        if observed["grabbed"]:
            return (
                f"kernel {observed['grabbed']} falls over when {where} takes its card from "
                f"{_HOLDS}: install 7.0.14-3 or newer (apt dist-upgrade) and restart {self.host}"
            )
        return ""

    def _giving(self, cards: Sequence[tuple[str, str]], observed: Mapping[str, Any]) -> Change:
        words = [word for key, value in cards for word in (f"--{key}", value)]
        # Until its card came back from a second start it must not take the node down at each boot.
        words += ["--onboot", "0"]
        undo = f"qm set {self.vmid} --delete {','.join(key for key, _ in cards)}"
        what = f"give {self.vm_name} {len(cards)} device{'s' * (len(cards) > 1)} of its node"
        was = observed["config"].get("onboot", "0")
        undo += f"; qm set {self.vmid} --onboot 1" if was == "1" else ""
        return Change(
            f"{what}, and not start it with the node before that was tried twice",
            change("qm", "set", str(self.vmid), *words, sudo=True),
            replaces="it starts with the node" if was == "1" else "",
            undo=undo,
        )

    def _starting(self) -> Change:
        return Change(
            f"start {self.vm_name} with what it was given; if it runs, shut it down first",
            off_and_on(self.vmid),
            undo=f"qm shutdown {self.vmid}",
            detached=True,
            starts=self.vm_name,
        )


def _keys(value: str) -> dict[str, str]:
    return dict((part if "=" in part else f"host={part}").split("=", 1)
                for part in value.split(","))  # fmt: skip


def _mapping(value: str) -> str:
    return _keys(value).get("mapping", "")
