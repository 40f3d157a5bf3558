"""What a FreeBSD machine is built of, as far as it can tell: processor, memory, cards, drives; and
whom it has for neighbours.

root's shell on OPNsense is csh: the commands here are plain words, without redirections.

Sources: pciconf(8) of FreeBSD 14 and 15 (the identity of a card is ``vendor=0x8086 device=0x1572``,
and was ``chip=0x15728086`` before 13); sysctl(8); geom(8); arp(8); ifconfig(8), whose
media are those of ifmedia(4): ``2500Base-T``, ``10Gbase-SR``, ``1000baseT``.
"""

import re

from homelab_lib import answers
from homelab_lib.control.linux.hardware import Processor
from homelab_lib.control.linux.pci import Card, Link
from homelab_lib.runbook.resource import Host

_PCICONF = ("pciconf", "-l", "-v", "-c")
_GEOM = ("geom", "disk", "list")
_HEAD = re.compile(
    r"(\w+?)(\d*)@pci(\d+):(\d+):(\d+):(\d+):\s+class=0x(\w{4})\w{2} .*?"
    r"(?:vendor=0x(\w{4}) device=0x(\w{4})|chip=0x(\w{4})(\w{4}))"
)
_DEVICE = re.compile(r"^\s+device\s+= '(.*)'$", re.MULTILINE)
_LINK = re.compile(r"link x(\d+)\(x(\d+)\)(?: speed ([\d.]+)\(([\d.]+)\))?")
_IDENT = re.compile(r"^\s+ident: (\S.*)$", re.MULTILINE)
_NEIGHBOUR = re.compile(r"^\S+ \(([0-9a-fA-F.:]+)\) at ([0-9a-fA-F:]{17}) on ", re.MULTILINE)
_STATUS = re.compile(r"^\s+status: (.*)$", re.MULTILINE)
_MEDIA = re.compile(r"^\s+media: .*?(\d+)(G?)[bB]ase", re.MULTILINE)
_BRIDGE = "0604"


def processor(host: Host) -> Processor:
    """A machine's processor.

    Raises
    ------
    NotUnderstood
        It does not say which.
    """
    words = ("sysctl", "-n", "hw.model", "hw.ncpu")
    lines = host.read(*words).stdout.splitlines()
    if len(lines) != 2 or not lines[1].strip().isdecimal():
        raise answers.not_understood(host.name, " ".join(words), "a model and a number expected")
    return Processor(lines[0].strip(), int(lines[1]))


def memory_bytes(host: Host) -> int:
    """The memory that the kernel has [bytes].

    Raises
    ------
    NotUnderstood
        It does not say.
    """
    words = ("sysctl", "-n", "hw.physmem")
    said = host.read(*words).stdout.strip()
    if not said.isdecimal():
        raise answers.not_understood(host.name, " ".join(words), "a number expected")
    return int(said)


def cards(host: Host) -> list[Card]:
    """The cards of a machine, without bridges.

    Raises
    ------
    NotUnderstood
        It names none.
    """
    found = parse(host.read(*_PCICONF).stdout)
    if not found:
        raise answers.not_understood(host.name, " ".join(_PCICONF), "it names no device")
    return found


def parse(text: str) -> list[Card]:
    """The cards in what `pciconf -lvc` printed, without bridges."""
    found = []
    for block in re.split(r"\n(?=\S)", text):
        head = _HEAD.match(block)
        if head is None or head[7] == _BRIDGE:
            continue
        driver, number, domain, bus, slot, function = head.groups()[:6]
        maker, device = (head[8], head[9]) if head[8] else (head[11], head[10])
        title, link = _DEVICE.search(block), _LINK.search(block)
        found.append(
            Card(
                f"{int(domain):04x}:{int(bus):02x}:{int(slot):02x}.{function}",
                f"{maker}:{device}",
                head[7],
                title[1] if title else "",
                driver="" if driver == "none" else f"{driver}{number}",
                link=_link(link[3], link[1]) if link else None,
                could=_link(link[4], link[2]) if link else None,
            )
        )
    return found


def _link(speed: str | None, lanes: str) -> Link | None:
    """What runs; nothing where a port is down, or the speed is not told."""
    return Link(float(speed), int(lanes)) if speed and int(lanes) else None


def serials(host: Host) -> set[str]:
    """The serial numbers of a machine's drives."""
    return {ident.strip() for ident in _IDENT.findall(host.read(*_GEOM).stdout)}


def neighbours(host: Host) -> dict[str, str]:
    """Hardware addresses of those that a machine talked to lately, by their addresses."""
    shown = host.read("arp", "-a", "-n").stdout
    return {address: mac.lower() for address, mac in _NEIGHBOUR.findall(shown)}


def port_bps(host: Host, interface: str) -> float | None:
    """How fast a port came up [bit/s]; 0 where it is down, None where the machine has none such."""
    shown = host.read("ifconfig", interface, ok=(0, 1))
    if shown.exit_status:
        return None
    status, media = _STATUS.search(shown.stdout), _MEDIA.search(shown.stdout)
    if status is None or status[1] != "active" or media is None:
        return 0.0
    return float(media[1]) * (1e9 if media[2] else 1e6)
