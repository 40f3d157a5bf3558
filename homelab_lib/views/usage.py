"""How much of each host is given away: a bar for its memory, and one for its threads."""

from homelab_lib.lab import Lab
from homelab_lib.units import format_ibytes
from homelab_lib.views.style import BUSY, GRID, HATCH, INK, WARN, Drawing, house_style, svg
from homelab_lib.wiring.memory import promises


def usage(lab: Lab) -> Drawing:
    """What guests, reservations and the host itself take of the hosts that promise something.

    What is promised twice stands out of the frame, hatched.

    Parameters
    ----------
    lab
        The lab.
    """
    from matplotlib.figure import Figure

    bars = _bars(lab)
    with house_style():
        figure = Figure(figsize=(7.5, 0.6 + 0.42 * max(len(bars), 1)))
        axes = figure.subplots()
        for row, (_, share, told) in enumerate(bars):
            axes.barh(row, 1.0, height=0.6, color=GRID, edgecolor=INK, linewidth=0.8)
            axes.barh(row, min(share, 1.0), height=0.6, color=BUSY)
            if share > 1.0:
                axes.barh(row, share - 1.0, left=1.0, height=0.6, color=WARN, hatch=HATCH[WARN],
                          edgecolor="white")  # fmt: skip
            axes.text(max(share, 1.0) + 0.02, row, f"{share:.0%}: {told}", va="center")
        axes.set_yticks(range(len(bars)), [name for name, _, _ in bars])
        axes.set_xlim(0, max([1.0, *(share for _, share, _ in bars)]) + 0.75)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.invert_yaxis()
        axes.set_title("What is given away of each host")
        return Drawing(svg(figure), "what is given away of each host")


def _bars(lab: Lab) -> list[tuple[str, float, str]]:
    """What each is of, its share, and both in words; the sums are those that the audit judges."""
    bars = []
    for name, host in lab.hosts.items():
        given = promises(lab, host) if lab.promised(name) else None
        if given is None:
            continue
        room = given.room
        taken = room.guests_bytes + room.host_bytes
        told = f"{format_ibytes(taken)} of {format_ibytes(room.memory_bytes)}"
        bars.append((f"{name}: memory", taken / room.memory_bytes, told))
        told = f"{room.vcpu} virtual processors on {room.threads} threads"
        bars.append((f"{name}: processors", room.vcpu_ratio, told))
    return bars
