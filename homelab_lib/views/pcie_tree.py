"""The bus of a host, drawn: processor, shared links, slots, and what each device gets of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from homelab_lib.lab import Lab
from homelab_lib.lab.called import short, told_apart
from homelab_lib.models.pcie import TrainedLink
from homelab_lib.views.style import (
    BAD,
    BUSY,
    GOOD,
    GRID,
    HATCH,
    INK,
    QUIET,
    WARN,
    Drawing,
    house_style,
    svg,
)
from homelab_lib.wiring.pcie_link import MPS_BYTES
from homelab_lib.wiring.pcie_tree import Leaf, Shared, leaves, shared_links

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["bandwidths", "leaves", "shared_links", "sharing", "tree"]

_COLOR = {"full": GOOD, "less": WARN, "short": BAD, "none": QUIET}
_WORD = {
    "full": "all it could have",
    "less": "less than it could",
    "short": "less than it needs",
    "none": "no PCI Express of its own",
}
_X_CPU, _X_SHARED, _X_PATH, _X_LEAF = 0.0, 2.3, 4.5, 8.3
_BAR = 2.2


def _link(link: TrainedLink | None) -> str:
    return f"Gen{link.gen} x{link.lanes}" if link else "–"


def _called(lab: Lab, host: str) -> dict[str, str]:
    """What a person calls each device of a host."""
    return told_apart({leaf.name: leaf.title for leaf in leaves(lab, host)})


def bandwidths(lab: Lab) -> "pd.DataFrame":
    """Every device of every host: what its own end could do, what it gets, and why."""
    import pandas as pd

    rows = []
    for host in lab.hosts:
        called = _called(lab, host)
        for leaf in leaves(lab, host):
            if leaf.gets is None and not leaf.note:
                continue
            sure, ceiling = leaf.payload or (0.0, 0.0)
            held = leaf.gets.limited_by if leaf.gets and leaf.verdict != "full" else "–"
            rows.append(
                {
                    "device": called[leaf.name],
                    "in": host,
                    "could have": _link(leaf.could),
                    "gets": _link(leaf.gets),
                    "held down by": f"{held} ({leaf.note})" if leaf.note else held,
                    f"payload [Gb/s], MPS {MPS_BYTES}": f"{sure:.1f} … {ceiling:.1f}"
                    if leaf.gets
                    else "–",
                    "needs [Gb/s]": f"{leaf.needs_gbps:g}" if leaf.needs_gbps else "–",
                    "so it has": _WORD[leaf.verdict],
                }
            )
    if not rows:
        return pd.DataFrame({"": ["Nothing in this lab sits on PCI Express."]})
    return pd.DataFrame(rows).set_index("device")


def sharing(lab: Lab) -> "pd.DataFrame":
    """Every shared link with what hangs on it: alone, and when all go at once."""
    import pandas as pd

    rows = []
    for host in lab.hosts:
        for link in shared_links(lab, host):
            rows += _sharing_rows(link, _called(lab, host))
    if not rows:
        return pd.DataFrame({"": ["No two devices of this lab share a link."]})
    return pd.DataFrame(rows).set_index("link")


def _sharing_rows(link: Shared, called: Mapping[str, str]) -> list[dict[str, object]]:
    return [
        {
            "link": f"{link.host}: {link.title}",
            "carries [Gb/s]": f"{link.carries_gbps:.1f} ({_link(link.link)})"
            if link.link
            else f"{link.carries_gbps:.1f}",
            "asked for": f"{link.oversold:.0%}",
            "device": called.get(name, name),
            "alone [Gb/s]": f"{alone:.2f}",
            "all at once [Gb/s]": f"{link.gets[name]:.2f}",
            "so it keeps": f"{link.gets[name] / alone:.0%}",
        }
        for name, alone in link.takes.items()
        if alone
    ]


def tree(lab: Lab, host: str) -> Drawing:
    """The tree of a host from the processor to the devices, each with a bar of what it gets.

    The bar's frame is what the device's own end could do, the filling what the chain of hops
    left of it.

    Parameters
    ----------
    lab, host
        The lab, and which of its hosts.
    """
    from matplotlib.figure import Figure

    found = _grouped(leaves(lab, host))
    links = {link.name: link for link in shared_links(lab, host)}
    rows = max(len(found), 1)
    with house_style():
        figure = Figure(figsize=(11.0, 0.52 * rows + 0.9))
        axes = figure.subplots()
        axes.set_axis_off()
        axes.set_xlim(-1.0, 15.6)
        axes.set_ylim(-rows + 0.3, 1.0)
        axes.set_title(f"{host}: {lab.hosts[host].processor}")
        if not found:
            axes.annotate("Nothing is known of its bus.", (0, 0))
            return Drawing(svg(figure), f"PCIe of {host}: not known")
        middle = -(rows - 1) / 2
        hubs: dict[str, float] = {}
        for name in links:
            own = [row for row, leaf in enumerate(found) if name in leaf.path]
            if own:
                hubs[name] = -sum(own) / len(own)
        for name, y in hubs.items():
            _wire(axes, (_X_CPU + 0.75, middle), (_X_SHARED - 0.75, y), QUIET, 2.0)
            link = links[name]
            busy = link.oversold > 1
            _box(axes, (_X_SHARED, y), f"{name}\n{_link(link.link)}", WARN if busy else BUSY, 1.5)
            if busy:
                text = f"asked for {link.oversold:.1f} ×"
                at = (_X_SHARED, y - 0.42)
                axes.annotate(text, at, ha="center", va="top", fontsize=7, color=WARN)
        _box(axes, (_X_CPU, middle), "CPU", INK, 1.5)
        for row, leaf in enumerate(found):
            hub = next((name for name in reversed(leaf.path) if name in hubs), None)
            start = (_X_SHARED + 0.75, hubs[hub]) if hub else (_X_CPU + 0.75, middle)
            _leaf(axes, leaf, start, -float(row), "" if hub is None else hub)
        _box_title(axes)
        return Drawing(svg(figure), f"PCIe of {host}")


def _grouped(found: list[Leaf]) -> list[Leaf]:
    """Devices behind the same shared link side by side, those on the processor first."""
    return sorted(found, key=lambda leaf: leaf.shared)


def _wire(
    axes: "Axes", start: tuple[float, float], end: tuple[float, float], color: str, width: float
) -> None:
    bend = start[0] + 0.25
    axes.plot([start[0], bend, bend], [start[1], start[1], end[1]], color=QUIET, lw=1.6, zorder=0)
    axes.plot([bend, end[0]], [end[1], end[1]], color=color, lw=width, zorder=0)


def _box(axes: "Axes", at: tuple[float, float], text: str, color: str, width: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = at
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - 0.36), width, 0.72,
            boxstyle="round,pad=0,rounding_size=0.1", fc="white", ec=color, lw=1.4, zorder=2,
        )
    )  # fmt: skip
    axes.annotate(text, (x, y), ha="center", va="center", fontsize=7, zorder=3)


def _leaf(axes: "Axes", leaf: Leaf, start: tuple[float, float], y: float, hub: str) -> None:
    """One row: the wire, slots and adapters on it, the device, its bar, and the figures."""
    color = _COLOR[leaf.verdict]
    _wire(axes, start, (_X_LEAF - 1.45, y), color, 1.6)
    way = " → ".join(step for step in leaf.path if step not in leaf.shared)
    axes.annotate(way, (start[0] + 0.4, y + 0.07), va="bottom", fontsize=7, zorder=3)
    name = short(leaf.title).partition(",")[0]
    _box(axes, (_X_LEAF, y), f"{leaf.name}\n{name}", color, 2.9)
    if leaf.gets is None or leaf.could is None or leaf.share is None:
        text = f"{leaf.takes_gbps:.1f} Gb/s at most" if leaf.takes_gbps else ""
        axes.annotate(text, (_X_LEAF + 1.6, y), va="center", fontsize=8, color=INK)
        return
    left = _X_LEAF + 1.6
    axes.barh(y, _BAR, left=left, height=0.42, color=GRID, ec=QUIET, lw=0.8)
    axes.barh(y, _BAR * leaf.share, left=left, height=0.42, color=color, ec="white", lw=0,
              hatch=HATCH[color])  # fmt: skip
    text = (
        _link(leaf.gets) if leaf.verdict == "full" else f"{_link(leaf.gets)} of {_link(leaf.could)}"
    )
    needs = f", needs {leaf.needs_gbps:g}" if leaf.verdict == "short" else ""
    band = leaf.payload
    text += f": {band.lower:.1f} … {band.upper:.1f} Gb/s{needs}" if band else ""
    axes.annotate(text, (left + _BAR + 0.12, y), va="center", fontsize=8, color=INK)


def _box_title(axes: "Axes") -> None:
    said = "gets, of what it could have: hatched where that is less, crossed where it needs more"
    axes.annotate(said, (_X_LEAF + 1.6, 0.62), va="center", fontsize=7.5, color=QUIET)
