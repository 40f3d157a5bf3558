"""The lab's wires, drawn: routers above, switches below them, hosts, and the VMs on the hosts."""

from collections import Counter
from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from homelab_lib.audit import facts_network as facts
from homelab_lib.lab import Lab
from homelab_lib.lab.called import short
from homelab_lib.lab.host import Host
from homelab_lib.lab.network import Cable
from homelab_lib.printable import printable
from homelab_lib.units import format_bps, format_bytes
from homelab_lib.views.style import (
    BUSY,
    GOOD,
    INK,
    PALE,
    PAPER,
    QUIET,
    SOFT,
    WARN,
    Drawing,
    house_style,
    svg,
)
from homelab_lib.wiring.cables import cable_speed
from homelab_lib.wiring.switching import port_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Place = tuple[float, float]

_FILL = {"opnsense": PALE[WARN], "proxmox": PALE[GOOD], "truenas": PALE[GOOD],
         "switch": PALE[QUIET], "vm": PALE[SOFT]}  # fmt: skip
_EDGE = {"opnsense": WARN, "proxmox": BUSY, "truenas": GOOD, "switch": QUIET, "vm": SOFT}
_WIDTH, _LINE = 1.9, 0.135
_NO_LINK = "no link"
_LETTERS = 32
"""How many letters of the small print a host's box is wide."""


def topology(lab: Lab) -> Drawing:
    """Hosts with their cards and disks, switches, VMs, and cables: what each comes up at, the
    networks that it carries, and what holds a promised connection below its promise.

    Parameters
    ----------
    lab
        The lab to draw.
    """
    from matplotlib.figure import Figure

    text = {name: _text(lab, name) for name in (*lab.hosts, *lab.switches, *lab.vms,
                                                *lab.containers)}  # fmt: skip
    places = _places(lab, text)
    wide = max(x for x, _ in places.values()) - min(x for x, _ in places.values())
    high = max(y for _, y in places.values()) - min(y for _, y in places.values())
    held, carried = _held(lab), _carried(lab)
    with house_style():
        figure = Figure(figsize=(max(wide * 0.82 + 2.4, 5.0), high + 1.2))
        axes = figure.subplots()
        axes.set_axis_off()
        axes.set_title(printable(lab.title))
        for cable in lab.cables:
            said = f"{_speed(lab, cable)}\n{carried.get(cable.name, '')}".rstrip()
            _cable(axes, places, cable, said, held.get(cable.name, ""), text)
        for name, (x, y) in places.items():
            guest = lab.vms.get(name) or lab.containers.get(name)
            if guest is not None:
                above = places[guest.host]
                bend = (y + above[1]) / 2
                axes.plot(
                    [x, x, above[0], above[0]],
                    [y, bend, bend, above[1]],
                    color=SOFT,
                    lw=0.9,
                    zorder=0,
                )
        for name, place in places.items():
            _box(axes, lab, name, place, text[name])
        networks = [f"VLAN {n}: {v.name}, {', '.join(v.subnets)}" for n, v in lab.vlans.items()]
        axes.annotate(printable("\n".join(networks)), (0, 0), xycoords="axes fraction", va="top",
                      fontsize=6.5, color=QUIET)  # fmt: skip
        axes.margins(0.02)
        axes.autoscale_view()
        return Drawing(svg(figure), f"topology of {lab.name}")


def _height(lines: list[str]) -> float:
    return 0.36 + _LINE * len(lines)


def _text(lab: Lab, name: str) -> list[str]:
    """The small print of a box."""
    if name in lab.hosts:
        host = lab.hosts[name]
        address = [host.ssh.address] if host.ssh else []
        lines = [host.title, *address, *_inside(host)]
    elif name in lab.switches:
        lines = [lab.switches[name].title]
    else:
        guest = lab.vms.get(name) or lab.containers[name]
        vlan = f", VLAN {guest.vlan}" if guest.vlan else ""
        lines = [f"{guest.vcpu} × CPU, {guest.memory_bytes / 2**30:.0f} GiB",
                 f"{guest.ip or 'DHCP'}{vlan}"]  # fmt: skip
    return [part for line in lines for part in wrap(printable(line), _LETTERS)]


def _inside(host: Host) -> Iterator[str]:
    """A host's cards and disks, those of a kind in one line."""
    kinds = Counter(short(card.title) for card in host.gpus.values())
    kinds += Counter(
        f"{disk.part.media} {format_bytes(disk.capacity_bytes, digits=1)}"
        for disk in host.disks.values()
    )
    for kind, count in kinds.items():
        yield f"{count} × {kind}" if count > 1 else kind


def _speed(lab: Lab, cable: Cable) -> str:
    """What a cable comes up at, once both ends have agreed."""
    speed = cable_speed(lab, cable).speed_bps
    return f"{format_bps(speed)}, {cable.medium}" if speed else f"{_NO_LINK}, {cable.medium}"


def _carried(lab: Lab) -> dict[str, str]:
    """The networks that each cable carries, as the switch's port has them."""
    found = {}
    for switch in lab.switches.values():
        for row in port_table(lab, switch):
            own = [f"VLAN {row.untagged}"] if row.untagged else []
            tagged = ", ".join(map(str, row.tagged))
            found[row.cable] = "; ".join([*own, *([f"tagged {tagged}"] if tagged else [])])
    return found


def _held(lab: Lab) -> dict[str, str]:
    """By the name of a cable, what is said of it that holds a promise down."""
    found: dict[str, str] = {}
    for promise in facts.promises(lab):
        neck = promise.found.bottleneck
        if neck is None or promise.found.bandwidth_bps >= promise.claimed_bps:
            continue
        ends = set(neck) if isinstance(neck, tuple) else {neck}
        said = f"▼ {format_bps(promise.found.bandwidth_bps)}: {promise.held_by}"
        found |= {cable.name: said for cable in lab.cables if ends & {cable.a, cable.b}}
    return found


def _places(lab: Lab, text: dict[str, list[str]]) -> dict[str, Place]:
    """Where each box goes. Hosts with a cable between them stand side by side."""
    routers = [name for name, host in lab.hosts.items() if host.os.kind in ("opnsense", "pfsense")]
    row = _in_order([name for name in lab.hosts if name not in routers], lab)
    places: dict[str, Place] = {}
    tall = max((_height(text[name]) for name in row), default=0.6)
    level = _height([""] * 2) / 2 + 0.55 + tall / 2
    x = 0.0
    for name in row:
        guests = [guest.name for guest in lab.guests(name)]
        width = max(len(guests), 1) * (_WIDTH * 0.86 + 0.12) + 0.5
        places[name] = (x + width / 2, level)
        for place, guest in enumerate(guests):
            step = _WIDTH * 0.86 + 0.12
            places[guest] = (x + width / 2 + (place - (len(guests) - 1) / 2) * step, 0.0)
        x += max(width, _WIDTH + 0.4)
    level += tall / 2 + 0.75
    for names in (list(lab.switches), routers):
        tall = max((_height(text[name]) for name in names), default=0.0)
        for place, name in enumerate(names):
            places[name] = (x * (place + 1) / (len(names) + 1), level + tall / 2)
        level += tall + 0.75
    return places


def _in_order(names: list[str], lab: Lab) -> list[str]:
    pairs = [(c.a.partition(".")[0], c.b.partition(".")[0]) for c in lab.cables]
    ordered: list[str] = []
    for name in names:
        if name in ordered:
            continue
        ordered.append(name)
        for a, b in pairs:
            other = b if a == name else a if b == name else None
            if other in names and other not in ordered:
                ordered.append(str(other))
    return ordered


def _cable(
    axes: "Axes",
    places: dict[str, Place],
    cable: Cable,
    said: str,
    held: str,
    text: dict[str, list[str]],
) -> None:
    ends = sorted((end.partition(".")[0] for end in (cable.a, cable.b)), key=lambda n: places[n][1])
    (x1, y1), (x2, y2) = (places[end] for end in ends)
    bad = bool(held) or said.startswith(_NO_LINK)
    said = f"{said}\n{held}" if held else said
    style: dict[str, Any] = {"color": WARN if bad else BUSY, "lw": 2.4 if bad else 1.6,
                             "ls": "--" if bad else "-", "zorder": 0}  # fmt: skip
    note: dict[str, Any] = {"fontsize": 6.5, "color": WARN if bad else INK, "zorder": 3,
                            "bbox": {"fc": PAPER, "lw": 0, "pad": 0.6}}  # fmt: skip
    if abs(y1 - y2) < 0.1:  # side by side
        axes.plot([x1, x2], [y1, y2], **style)
        wide = "\n".join(part for line in said.splitlines() for part in wrap(line, 22))
        axes.annotate(wide, ((x1 + x2) / 2, y1 + 0.06), ha="center", va="bottom", **note)
        return
    bend = y2 - _height(text[ends[1]]) / 2 - 0.2
    axes.plot([x1, x1, x2, x2], [y1, bend, bend, y2], **style)
    at = (x1 + 0.06, (y1 + _height(text[ends[0]]) / 2 + bend) / 2)
    axes.annotate(said, at, ha="left", va="center", **note)


def _box(axes: "Axes", lab: Lab, name: str, place: Place, lines: list[str]) -> None:
    from matplotlib.patches import FancyBboxPatch

    host = lab.hosts.get(name)
    kind = host.os.kind if host else "switch" if name in lab.switches else "vm"
    x, y = place
    width, height = _WIDTH * (0.86 if kind == "vm" else 1), _height(lines)
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2), width, height,
            boxstyle="round,pad=0.02,rounding_size=0.08",
            fc=_FILL.get(kind, PAPER), ec=_EDGE.get(kind, QUIET), lw=1.2, zorder=1,
        )
    )  # fmt: skip
    top = y + height / 2
    axes.annotate(name, (x, top - 0.08), ha="center", va="top", weight="bold", zorder=2)
    axes.annotate("\n".join(lines), (x, top - 0.29), ha="center", va="top", fontsize=6.5, zorder=2)
