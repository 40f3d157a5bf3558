"""The lab's wires, drawn: routers above, switches below them, hosts, and the VMs on the hosts."""

from typing import TYPE_CHECKING, Any

from homelab_lib.lab import Lab
from homelab_lib.lab.graph import graph_of
from homelab_lib.printable import printable
from homelab_lib.units import format_bps
from homelab_lib.views.style import BUSY, GOOD, INK, QUIET, SOFT, WARN, Drawing, house_style, svg

if TYPE_CHECKING:
    import networkx
    from matplotlib.axes import Axes

Place = tuple[float, float]

_FILL = {"opnsense": "#fff3e0", "proxmox": "#e3f2fd", "truenas": "#e8f5e9", "switch": "#eceff1",
         "vm": "#f3e5f5"}  # fmt: skip
_EDGE = {"opnsense": WARN, "proxmox": BUSY, "truenas": GOOD, "switch": QUIET, "vm": SOFT}
_WIDTH, _HEIGHT = 1.9, 0.62


def topology(lab: Lab) -> Drawing:
    """Hosts, switches, cables with their speeds, VMs and containers.

    Parameters
    ----------
    lab
        The lab to draw.
    """
    from matplotlib.figure import Figure

    graph = graph_of(lab)
    places = _places(lab)
    wide = max(x for x, _ in places.values()) - min(x for x, _ in places.values())
    with house_style():
        figure = Figure(figsize=(max(wide * 0.82 + 2.4, 5.0), 5.2))
        axes = figure.subplots()
        axes.set_axis_off()
        axes.set_title(printable(lab.title))
        for cable in lab.cables:
            _cable(axes, graph, places, cable.a, cable.b, cable.medium)
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
            _box(axes, lab, name, place)
        axes.margins(0.02)
        axes.autoscale_view()
        return Drawing(svg(figure), f"topology of {lab.name}")


def _places(lab: Lab) -> dict[str, Place]:
    """Where each box goes. Hosts with a cable between them stand side by side."""
    routers = [name for name, host in lab.hosts.items() if host.os.kind in ("opnsense", "pfsense")]
    row = _in_order([name for name in lab.hosts if name not in routers], lab)
    places: dict[str, Place] = {}
    x = 0.0
    for name in row:
        guests = [guest.name for guest in lab.guests(name)]
        width = max(len(guests), 1) * (_WIDTH * 0.86 + 0.12) + 0.5
        places[name] = (x + width / 2, 1.4)
        for place, guest in enumerate(guests):
            step = _WIDTH * 0.86 + 0.12
            places[guest] = (x + width / 2 + (place - (len(guests) - 1) / 2) * step, 0.0)
        x += max(width, _WIDTH + 0.4)
    for level, names in ((2.9, list(lab.switches)), (4.2, routers)):
        for place, name in enumerate(names):
            places[name] = (x * (place + 1) / (len(names) + 1), level)
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
    graph: "networkx.Graph",
    places: dict[str, Place],
    a: str,
    b: str,
    medium: str,
) -> None:
    (x1, y1), (x2, y2) = (places[end.partition(".")[0]] for end in (a, b))
    speed = graph.edges[a, b]["speed_bps"]
    label = f"{format_bps(speed) if speed else 'no speed in common'}\n{medium}"
    fast = bool(speed) and speed >= 10e9
    style: dict[str, Any] = {
        "color": BUSY if fast else QUIET,
        "lw": 2.6 if fast else 1.4,
        "zorder": 0,
    }
    if abs(y1 - y2) < 0.1:  # side by side
        axes.plot([x1, x2], [y1, y2], **style)
        at = ((x1 + x2) / 2, y1 + 0.06)
        axes.annotate(label, at, ha="center", va="bottom", fontsize=7, color=INK)
        return
    lower, upper = ((x1, y1), (x2, y2)) if y1 < y2 else ((x2, y2), (x1, y1))
    bend = upper[1] - _HEIGHT / 2 - 0.28
    axes.plot([lower[0], lower[0], upper[0], upper[0]], [lower[1], bend, bend, upper[1]], **style)
    at = (lower[0] + 0.06, (lower[1] + _HEIGHT / 2 + bend) / 2)
    axes.annotate(label, at, ha="left", va="center", fontsize=7, color=INK)


def _box(axes: "Axes", lab: Lab, name: str, place: Place) -> None:
    from matplotlib.patches import FancyBboxPatch

    if name in lab.hosts:
        host = lab.hosts[name]
        kind: str = host.os.kind
        lines = [host.title, host.ssh.address if host.ssh else ""]
    elif name in lab.switches:
        kind, lines = "switch", [lab.switches[name].title, ""]
    else:
        vm = lab.vms.get(name) or lab.containers[name]
        kind = "vm"
        lines = [
            f"{vm.vcpu} × CPU, {vm.memory_bytes / 2**30:.0f} GiB",
            vm.ip or "DHCP",
        ]
    x, y = place
    width = _WIDTH * (0.86 if kind == "vm" else 1)
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - _HEIGHT / 2), width, _HEIGHT,
            boxstyle="round,pad=0.02,rounding_size=0.08",
            fc=_FILL.get(kind, "#fafafa"), ec=_EDGE.get(kind, QUIET), lw=1.2, zorder=1,
        )
    )  # fmt: skip
    axes.annotate(name, (x, y + 0.15), ha="center", va="center", weight="bold", zorder=2)
    text = printable("\n".join(filter(None, lines)))
    axes.annotate(text, (x, y - 0.12), ha="center", va="center", fontsize=6.5, zorder=2)
