"""How much of each host is given away: a bar for its memory, and one for its threads."""

from homelab_lib.lab import Lab
from homelab_lib.units import format_ibytes
from homelab_lib.views.style import BUSY, GRID, HATCH, INK, WARN, Drawing, house_style, svg


def usage(lab: Lab) -> Drawing:
    """What VMs, containers and reservations take of the hosts that they are on.

    What is promised twice stands out of the frame, hatched.

    Parameters
    ----------
    lab
        The lab.
    """
    from matplotlib.figure import Figure

    guests = [
        (guest.host, guest.memory_bytes, guest.vcpu)
        for kind in (lab.vms, lab.containers, lab.reservations)
        for guest in kind.values()
    ]
    bars: list[tuple[str, float, str]] = []
    for name in dict.fromkeys(host for host, _, _ in guests):
        host = lab.hosts[name]
        if host.memory_bytes:
            taken = sum(memory for on, memory, _ in guests if on == name)
            told = f"{format_ibytes(taken)} of {format_ibytes(host.memory_bytes)}"
            bars.append((f"{name}: memory", taken / host.memory_bytes, told))
        if host.threads:
            threads = sum(vcpu for on, _, vcpu in guests if on == name)
            told = f"{threads} virtual processors on {host.threads} threads"
            bars.append((f"{name}: processors", threads / host.threads, told))
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
