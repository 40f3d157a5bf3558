"""The cards of a Linux machine, as `lspci` tells of them.

A card with a switch of its own (Intel's Arc, AMD's Radeon since RDNA) shows at its chip a link that
is inside of the card: Arc's says 2.5 GT/s x1 whatever slot it is in. The link to the slot is that
of the card's upstream port, and that is the one told here.

Sources: lspci(8), pciutils 3.9 (ls-caps.c, ls-ecaps.c); outputs of Arc, Radeon and GeForce cards in
issue trackers.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from homelab_lib import answers
from homelab_lib.runbook.resource import Host

_COMMAND = ("lspci", "-Dnnvv")
_HEAD = re.compile(
    r"(?:([0-9a-f]{4,}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) (.*?) \[([0-9a-f]{4})\]: "
    r"(.*)\[([0-9a-f]{4}:[0-9a-f]{4})\]"
)
_LINK = re.compile(r"Speed ([\d.]+)GT/s[^,]*, Width x(\d+)")
_REGION = re.compile(r"Region (\d): Memory at .*\[size=(\d+)([KMGT]?)\]")
_RESIZABLE = re.compile(r"BAR (\d): current size: \d+[KMGT]?B(?:, supported: (.*))?")
_BUS = re.compile(r"Bus: primary=[0-9a-f]{2}, secondary=([0-9a-f]{2})")
_PORT = re.compile(r"Express \(v\d\) (.*?)(?: \(Slot[+-]\))?,")
_CLASSIC_BYTES = 256 * 2**20  # what a graphics card's region has without Resizable BAR
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


@dataclass(frozen=True)
class Link:
    """A PCI Express link.

    Parameters
    ----------
    speed_gtps
        Rate of a lane [GT/s]. A card that has nothing to do may run at less than it could.
    lanes
        Its width.
    """

    speed_gtps: float
    lanes: int

    def __str__(self) -> str:
        return f"x{self.lanes} at {self.speed_gtps:g} GT/s"


@dataclass(frozen=True)
class Card:
    """One PCI function.

    Parameters
    ----------
    slot
        Where it is: ``0000:03:00.0``.
    id
        Maker and device: ``8086:e20b``.
    class_code
        What it is: ``0300`` and ``0380`` for graphics, ``0200`` for a network card.
    title
        What the database of `lspci` calls it.
    driver, modules
        The driver that has it, empty for none; and those that would take it.
    link, could
        The link of its card to the slot, as it is and as the card could have it; None where it
        has none, or `lspci` may not see it.
    bar_bytes
        Sizes of its memory regions by number [bytes].
    resizable_bytes
        The sizes that a region may have, by number, where it can be resized [bytes].
    """

    slot: str
    id: str
    class_code: str
    title: str
    driver: str = ""
    modules: tuple[str, ...] = ()
    link: Link | None = None
    could: Link | None = None
    bar_bytes: Mapping[int, int] = field(default_factory=dict)
    resizable_bytes: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def graphics(self) -> bool:
        """Whether it draws: VGA, 3D or display controller."""
        return self.class_code.startswith("03")

    @property
    def small_bar(self) -> int | None:
        """The region that could be larger and is not, because the firmware or a bridge left it no
        room; None for none."""
        for number, sizes in self.resizable_bytes.items():
            if self.bar_bytes.get(number, 0) <= _CLASSIC_BYTES < max(sizes, default=0):
                return number
        return None


@dataclass(frozen=True)
class _Function:
    card: Card
    port: str  # "Upstream Port", "Downstream Port", "Endpoint", "Root Port …"
    behind: str  # the bus below a bridge, with its domain


def cards(host: Host) -> list[Card]:
    """The cards of a host, without bridges.

    Raises
    ------
    NotUnderstood
        It says something else.
    """
    said = host.read(*_COMMAND, sudo=True).stdout
    if not any(_blocks(said)):  # a bridge at least is in every machine
        raise answers.not_understood(host.name, " ".join(_COMMAND), "it names no device")
    return parse(said)


def parse(text: str) -> list[Card]:
    """The cards in what `lspci -Dnnvv` printed, without bridges."""
    functions = [_function(block) for block in _blocks(text)]
    above = {each.behind: each for each in functions if each.behind}
    return [
        _with_own_link(each, above)
        for each in functions
        if not each.card.class_code.startswith("06")
    ]


def _blocks(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Each function's first line, and all of its lines."""
    head: re.Match[str] | None = None
    lines: list[str] = []
    for line in text.splitlines():
        begins = _HEAD.match(line)
        if begins or (line and not line[0].isspace()):
            if head:
                yield head, "\n".join(lines)
            head, lines = begins, []
        lines.append(line)
    if head:
        yield head, "\n".join(lines)


def _function(block: tuple[re.Match[str], str]) -> _Function:
    head, text = block
    domain = head[1] or "0000"
    status, could = (_link(text, name) for name in ("LnkSta", "LnkCap"))
    card = Card(
        f"{domain}:{head[2]}",
        head[6],
        head[4],
        head[5].strip(),
        driver=_said(text, "Kernel driver in use"),
        modules=tuple(_said(text, "Kernel modules").replace(",", " ").split()),
        link=status,
        could=could,
        bar_bytes={int(n): _bytes(size, unit) for n, size, unit in _REGION.findall(text)},
        resizable_bytes=_resizable(text),
    )
    port, bus = _PORT.search(text), _BUS.search(text)
    return _Function(card, port[1] if port else "", f"{domain}:{bus[1]}" if bus else "")


def _with_own_link(function: _Function, above: Mapping[str, _Function]) -> Card:
    """The card with the link of its own switch's upstream port, where it has such a switch."""
    card, maker, seen = function.card, function.card.id[:4], set[str]()
    each = above.get(card.slot[:-5])
    while each is not None and each.card.slot not in seen and each.card.id[:4] == maker:
        if each.port == "Upstream Port":
            return replace(card, link=each.card.link, could=each.card.could)
        seen.add(each.card.slot)
        each = above.get(each.card.slot[:-5])
    return card


def _link(text: str, name: str) -> Link | None:
    line = _said(text, name)
    found = _LINK.search(line)
    return Link(float(found[1]), int(found[2])) if found and found[2] != "0" else None


def _said(text: str, name: str) -> str:
    found = re.search(rf"^\s+{name}:\s*(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _resizable(text: str) -> dict[int, tuple[int, ...]]:
    """What its own regions may be; those of virtual functions stand below another heading."""
    _, found, rest = text.partition("Physical Resizable BAR")
    own = rest.partition("Capabilities:")[0] if found else ""
    return {
        int(number): tuple(
            _bytes(size[:-1].rstrip("KMGT"), size[:-1].lstrip("0123456789"))
            for size in sizes.split()
        )
        for number, sizes in _RESIZABLE.findall(own)
    }


def _bytes(size: str, unit: str) -> int:
    return int(size) << _UNITS[unit]
