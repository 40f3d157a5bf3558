"""Network cards of a node: which of them its kernel drives, and what they tell of themselves.

Sources: r8169 has the RTL8126 since Linux 6.9 (commit 3907f1ffc0ec), its revision B since 6.12
(69cb89981c7a); atlantic has the AQC113 since 5.8; dkms(8), ethtool(8), mokutil(1);
`PVE::API2::Hardware::PCI` (pve-manager 9.2).
"""

from typing import Any

from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.kernel import modprobe as load
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.proxmox.api import Given, Methods
from homelab_lib.twin.proxmox.card import Card, version_of
from homelab_lib.twin.proxmox.formats import BOOLEAN
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.pci import rows
from homelab_lib.twin.proxmox.schema import Format, Property

calls = Methods()
nics = Commands()

_DKMS = {"r8126": "0x8126", "r8125": "0x8125"}
"""Modules that DKMS builds, and the chip that each drives."""


def probe(node: ProxmoxNode) -> None:
    """What the kernel finds when it boots or when a module is loaded: a card without a driver has
    no interface.

    Parameters
    ----------
    node
        Whose cards.
    """
    for card in node.cards:
        fits = not card.since or version_of(node.kernel) >= version_of(card.since)
        own = (name for name, kernels in node.dkms.items() if node.kernel in kernels)
        built = next((name for name in own if _DKMS.get(name) == card.device), "")
        card.driver = built or (card.module if fits else "")
        link = next((each for each in node.interfaces if each.name == card.name), None)
        if card.driver and link is None:
            node.interfaces.append(
                Interface(card.name, card.mac, "", node.name, card.port, parent=card.address,
                          up=False)
            )  # fmt: skip
        if not card.driver and link is not None:
            node.interfaces.remove(link)
        if card.driver:
            node.modules.add(card.driver)


@calls(
    "GET",
    "/nodes/{node}/hardware/pci",
    {"pci-class-blacklist": Property(format=Format("string-list")), "verbose": BOOLEAN},
)
def _devices(node: ProxmoxNode, given: Given) -> Any:
    hidden = tuple(
        f"0x{each}" for each in given.get("pci-class-blacklist", "05;06;0b").split(";") if each
    )
    return [row for row in rows(node) if not hidden or not row["class"].startswith(hidden)]


@nics("ethtool")
def ethtool(node: ProxmoxNode, call: Call) -> Reply:
    """A card's driver, or its link."""
    names, given = operands(call)
    card = next((each for each in node.cards if each.name in names and each.driver), None)
    if card is None:
        what = "netlink error: No such device\n" if "-i" not in given else ""
        return Reply(71 if "-i" in given else 75, stderr=what or "Cannot get driver information: "
                     "No such device\n")  # fmt: skip
    if "-i" in given:
        facts = f"driver: {card.driver}\nversion: {node.kernel}\nfirmware-version: \n"
        return Reply(0, f"{facts}expansion-rom-version: \nbus-info: {card.address}\n")
    speed = node.world.link_bps(node.name, card.port)
    link = next(each for each in node.interfaces if each.name == card.name)
    on = bool(speed) and link.up
    rate = f"{speed // 10**6}Mb/s" if on else "Unknown!"
    lines = (
        *(f"Speed: {rate}", f"Duplex: {'Full' if on else 'Unknown! (255)'}"),
        *("Auto-negotiation: on", f"Port: {_jack(node, card)}", "PHYAD: 0"),
        *("Transceiver: internal", f"Link detected: {'yes' if on else 'no'}"),
    )
    return Reply(0, f"Settings for {card.name}:\n" + "".join(f"\t{line}\n" for line in lines))


def _jack(node: ProxmoxNode, card: Card) -> str:
    port = node.world.lab.hosts[node.name].ports.get(card.port)
    return "Twisted Pair" if port is None or port.part.connector == "RJ45" else "FIBRE"


@nics("dkms")
def dkms(node: ProxmoxNode, call: Call) -> Reply:
    """Modules that are built for each kernel."""
    if "dkms" not in node.packages:
        return Reply(127, stderr="sh: 1: dkms: not found\n")
    if call.argv[1:2] != ("status",):
        return Reply(127, stderr="twin: its dkms knows status alone\n")
    return Reply(0, "".join(
        f"{name}/10.017.00, {kernel}, x86_64: installed\n"
        for name, kernels in sorted(node.dkms.items()) for kernel in sorted(kernels)
    ))  # fmt: skip


@nics("modprobe")
def modprobe(node: ProxmoxNode, call: Call) -> Reply:
    """Load a module; of one that is built apart, if it was for this kernel, and may be loaded."""
    names = operands(call)[0]
    own = [name for name in names if name in _DKMS]
    if not own or "-r" in call.argv:
        return load(node, call)
    if any(node.kernel not in node.dkms.get(name, ()) for name in own):
        text = f"modprobe: FATAL: Module {own[0]} not found in directory /lib/modules/"
        return Reply(1, stderr=f"{text}{node.kernel}\n")
    if node.secure_boot:
        text = f"could not insert '{own[0]}': Key was rejected by service"
        return Reply(1, stderr=f"modprobe: ERROR: {text}\n")
    node.modules |= set(own)
    probe(node)
    node.reach.changed()
    return Reply()


@nics("mokutil")
def mokutil(machine: Machine, call: Call) -> Reply:
    """Whether the firmware starts only what is signed."""
    if call.argv[1:] != ("--sb-state",):
        return Reply(127, stderr="twin: its mokutil knows --sb-state alone\n")
    on = getattr(machine, "secure_boot", False)
    return Reply(0, f"SecureBoot {'enabled' if on else 'disabled'}\n")
