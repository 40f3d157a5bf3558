"""Budgets, drawn: watts against the supply, memory against what is promised, money with ranges."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from homelab_lib.audit.facts_budgets import CostFacts, MemoryFacts, PowerFacts, ups_facts, wall_w
from homelab_lib.lab import Lab
from homelab_lib.models import cost, power
from homelab_lib.units import format_seconds
from homelab_lib.views.missing import Missing
from homelab_lib.views.style import (
    BUSY,
    GOOD,
    HATCH,
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

if TYPE_CHECKING:
    import pandas as pd

_GIB = 2**30
NO_HYPERVISOR = Missing("This lab has no hypervisor.")
NO_POWER = Missing("What these machines draw is not known: name their boards and processors.")
NOTHING_DRAWS = Missing("What hangs on a UPS, and what that draws, is not described.")
NOTHING_TO_BUY = Missing("Nothing is to be bought.")
_KINDS = {"board and processor": QUIET, "disks": BUSY, "graphics": GOOD, "the rest": SOFT}


def _kind(draw: power.Draw) -> str:
    """Which colour: cards are the parts whose draw leaps."""
    if draw.name in _KINDS:
        return draw.name
    return "graphics" if draw.peak_w > draw.load_w else "the rest"


def _supply(facts: PowerFacts) -> str:
    """Whose supply it is: a host's, or the one of a card that has its own."""
    host, _, device = facts.supply.partition(".")
    return f"{facts.draws[0].name} ({host})" if device else host


def power_bars(facts: Sequence[PowerFacts]) -> Drawing | Missing:
    """What each supply bears at full load, part by part, against its rating."""
    from matplotlib.figure import Figure

    if not facts:
        return NO_POWER
    with house_style():
        figure = Figure(figsize=(9.4, 0.62 * len(facts) + 1.9))
        axes = figure.subplots()
        most = max((each.needs.peak_w for each in facts), default=0.0)
        for row, each in enumerate(facts):
            start = 0.0
            for draw in each.draws:
                axes.barh(row, draw.load_w, left=start, color=_KINDS[_kind(draw)], height=0.55,
                          ec="white", hatch=HATCH[_KINDS[_kind(draw)]])  # fmt: skip
                if draw.load_w > most / 135 * len(draw.name):  # there is room for it
                    middle = (start + draw.load_w / 2, row)
                    axes.annotate(draw.name, middle, ha="center", va="center", color="white",
                                  fontsize=6.5)  # fmt: skip
                start += draw.load_w
            axes.plot([start, each.needs.peak_w], [row, row], color=QUIET, lw=2, zorder=0)
            axes.plot(each.needs.peak_w, row, "|", color=INK, ms=9)
            axes.plot([each.least_w] * 2, [row - 0.38, row + 0.38], color=WARN, lw=2.2)
            for rated in each.rated_w or ((each.asked_w,) if each.asked_w else ()):
                axes.plot([rated] * 2, [row - 0.38, row + 0.38], color=GOOD, lw=1.8, ls="--")
        axes.plot([], [], color=QUIET, marker="|", mec=INK, ms=9, label="up to the peak")
        axes.plot([], [], color=WARN, lw=2.2, label="the least supply")
        axes.plot([], [], color=GOOD, lw=1.8, ls="--", label="the supply that is named")
        axes.set_yticks(range(len(facts)), [_supply(each) for each in facts])
        axes.invert_yaxis()
        axes.set_xlabel("W at the supply's output")
        axes.set_title("What each supply bears at full load, part by part")
        axes.set_xlim(left=0)
        for kind, colour in _KINDS.items():
            axes.barh(0, 0, color=colour, label=kind, hatch=HATCH[colour], ec="white")
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
        return Drawing(svg(figure), "power budget per supply")


def memory_bars(facts: Sequence[MemoryFacts]) -> Drawing:
    """What is promised of each hypervisor's memory, against what is installed."""
    from matplotlib.figure import Figure

    with house_style():
        figure = Figure(figsize=(9.4, 1.8 * len(facts) + 0.9))
        axes = figure.subplots()
        for row, each in enumerate(facts):
            start = 0.0
            for place, (title, size) in enumerate(each.shares):
                gib = size / _GIB
                colour = (GOOD, BUSY)[place % 2]  # the labels say what is what
                axes.barh(row, gib, left=start, color=colour, height=0.42, ec="white")
                label = f"{title}\n{gib:.1f}"
                above = place % 2 == 0
                axes.annotate(
                    label,
                    (start + gib / 2 * (place > 0), row + (-0.25 if above else 0.25)),
                    ha="left" if place == 0 else "center",
                    va="bottom" if above else "top",
                    fontsize=6.5,
                )
                start += gib
            installed = each.installed_bytes / _GIB
            below = len(each.shares) % 2 == 1  # away from the last label
            if start > installed:
                axes.barh(row, start - installed, left=installed, color=PALE[WARN], height=0.42,
                          ec=WARN, hatch=HATCH[WARN])  # fmt: skip
            axes.plot([installed] * 2, [row - 0.24, row + 0.24], color=WARN, lw=2.2)
            at = (installed, row + (0.26 if below else -0.26))
            axes.annotate(f"installed: {installed:.0f}", at, color=WARN, weight="bold", fontsize=8,
                          va="top" if below else "bottom", ha="left")  # fmt: skip
        axes.set_yticks(range(len(facts)), [each.host for each in facts])
        axes.set_ylim(len(facts) - 0.4, -0.75)
        axes.set_xlim(left=0)
        axes.set_xlabel("GiB")
        axes.set_title("Memory: what is promised, in order; hatched what is not there")
        return Drawing(svg(figure), "memory of the hypervisor")


def cost_bars(facts: CostFacts) -> Drawing:
    """Each purchase from its lower to its upper price; optional ones pale."""
    from matplotlib.figure import Figure

    items = sorted(facts.items, key=lambda item: -item.price.high_usd)
    with house_style():
        figure = Figure(figsize=(9.4, 0.36 * len(items) + 1.2))
        axes = figure.subplots()
        for row, item in enumerate(items):
            low, high = item.price.low_usd, item.price.high_usd
            colour = QUIET if item.optional else BUSY
            axes.barh(row, low, color=colour, height=0.55)
            axes.barh(row, high - low, left=low, color=colour, alpha=0.35, height=0.55)
            text = f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"
            axes.annotate(text, (high, row), xytext=(4, 0), textcoords="offset points",
                          va="center", fontsize=8)  # fmt: skip
        axes.set_yticks(
            range(len(items)), [i.title + (" (optional)" if i.optional else "") for i in items]
        )
        axes.invert_yaxis()
        axes.set_xlabel("US dollars")
        axes.set_title("The shopping list, from the lower price to the upper")
        return Drawing(svg(figure), "shopping list with ranges")


def power_table(facts: Sequence[PowerFacts]) -> "pd.DataFrame | Missing":
    """Idle, load and peak of each supply, and whether it bears them [W]."""
    import pandas as pd

    if not facts:
        return NO_POWER
    return pd.DataFrame(
        {
            "supply": _supply(each),
            "idle [W]": round(each.needs.idle_w, 1),
            "load [W]": round(each.needs.load_w),
            "peak [W]": round(each.needs.peak_w),
            "least supply [W]": round(each.least_w),
            "named [W]": " or ".join(map(str, each.rated_w)) or "–",
            "verdict": each.verdict,
            "guessed": "; ".join(dict.fromkeys(each.guessed)) or "–",
        }
        for each in facts
    ).set_index("supply")


def memory_table(facts: Sequence[MemoryFacts]) -> "pd.DataFrame | Missing":
    """What each hypervisor has, what it has promised, and what is left [GiB]."""
    import pandas as pd

    if not facts:
        return NO_HYPERVISOR
    return pd.DataFrame(
        {
            "hypervisor": each.host,
            "seen by it [GiB]": round(each.room.memory_bytes / _GIB, 1),
            "guests, with QEMU's share [GiB]": round(each.room.guests_bytes / _GIB, 1),
            "pinned for cards [GiB]": round(each.room.pinned_bytes / _GIB, 1),
            "host and ZFS cache [GiB]": round(each.room.host_bytes / _GIB, 1),
            "left [GiB]": round(each.room.left_bytes / _GIB, 1),
            "virtual CPUs a thread": round(each.room.vcpu_ratio, 2),
        }
        for each in facts
    ).set_index("hypervisor")


def ups_table(lab: Lab, facts: Sequence[PowerFacts]) -> "pd.DataFrame | Missing":
    """How long each UPS carries what hangs on it; where there is none, an ordinary one with all."""
    import pandas as pd

    known = [
        (lab.upses[each.name].title, lab.upses[each.name].part, each.idle_w, each.load_w)
        for each in ups_facts(lab)
    ]
    if not lab.upses:
        part = lab.catalog.upses["ups-1500va"]
        known = [(f"{part.title} (the lab has none)", part, *wall_w(facts))]
    if not known or not facts:
        return NOTHING_DRAWS
    rows = []
    for title, part, idle_w, load_w in known:
        for state, drawn in (("idle", idle_w), ("load", load_w)):
            lasts = "switches off: above its rating"
            if drawn <= part.rated_w and part.energy_wh:
                lasts = format_seconds(
                    power.ups_runtime_s(drawn, rated_w=part.rated_w, energy_wh=part.energy_wh)
                )
            rows.append(
                {
                    "UPS": title,
                    "rated [W]": round(part.rated_w),
                    "battery [Wh]": round(part.energy_wh or 0),
                    "the machines": state,
                    "at the wall [W]": round(drawn),
                    "it lasts": lasts,
                }
            )
    return pd.DataFrame(rows).set_index("UPS")


def circuit(facts: Sequence[PowerFacts], *, breaker_a: float, voltage_v: float) -> str:
    """What a household circuit has left with all machines on it, as a sentence in Markdown."""

    idle_w, load_w = (
        power.circuit_headroom_w(drawn, breaker_a=breaker_a, voltage_v=voltage_v)
        for drawn in wall_w(facts)
    )
    told = f"A circuit of {breaker_a:g} A and {voltage_v:g} V has **{idle_w:.0f} W** left when all "
    told += "machines idle"
    if load_w < 0:
        return f"{told}; at full load it lacks **{-load_w:.0f} W**, and the machines want two."
    return f"{told}, and **{load_w:.0f} W** at full load."


def money_table(money: CostFacts) -> "pd.DataFrame":
    """The sums of the shopping list, and what the design says of them [US dollars]."""
    import pandas as pd

    net = cost.net(money.needed, money.earned)
    sums = {
        "needed": money.needed,
        "with the optional": money.everything,
        "needed, less the sales": net,
        "the design says": money.claimed,
    }
    return pd.DataFrame(
        {"sum": name, "from [$]": round(each.low), "to [$]": round(each.high)}
        for name, each in sums.items()
        if each is not None
    ).set_index("sum")


def claimed(money: CostFacts) -> str:
    """Whether the design's sum is that of its list."""
    if money.claimed is None:
        return "The design names no sum."
    covers = cost.covers(money.claimed, money.everything)
    return f"The design's sum is {'' if covers else '**not** '}what all of it comes to."


def energy_table(
    facts: Sequence[PowerFacts], *, price_per_kwh: float, duty: float, efficiency: float = 0.9
) -> "pd.DataFrame":
    """What a year costs: at the wall, busy for the share `duty` of the time."""
    import pandas as pd

    rows = []
    for each in facts:
        mean = each.needs.idle_w + duty * (each.needs.load_w - each.needs.idle_w)
        rows.append((_supply(each), power.wall_w(mean, efficiency=efficiency)))
    rows.append(("all of them", sum(watts for _, watts in rows)))
    return pd.DataFrame(
        {
            "supply": name,
            "mean at the wall [W]": round(watts),
            "kWh a year": round(power.yearly_kwh(watts)),
            "a year": f"${power.yearly_cost(watts, price_per_kwh):.0f}",
        }
        for name, watts in rows
    ).set_index("supply")


def inspection_curve(
    points: Sequence[tuple[int, float]],
    ceilings: Mapping[str, float],
    promised: Sequence[tuple[float, str]],
) -> Drawing:
    """What the firewall's threads inspect by the number of rules, and what the ports let pass.

    Parameters
    ----------
    points
        Rules, and what all threads inspect [bit/s].
    ceilings
        Ports on the way, with their speed [bit/s].
    promised
        Internet speeds of the design [bit/s], and its words.
    """
    from matplotlib.figure import Figure

    with house_style():
        figure = Figure(figsize=(9.4, 4.2))
        axes = figure.subplots()
        most = max(rules for rules, _ in points)
        axes.plot([r for r, _ in points], [b / 1e9 for _, b in points], color=BUSY, lw=2.2,
                  label="what all threads inspect")  # fmt: skip
        for name, speed in ceilings.items():
            axes.axhline(speed / 1e9, color=WARN, lw=1.6, ls="--")
            axes.annotate(f"port {name}: {speed / 1e9:g} Gb/s", (most, speed / 1e9), color=WARN,
                          ha="right", va="bottom", fontsize=8)  # fmt: skip
        for speed, says in promised:
            axes.axhline(speed / 1e9, color=SOFT, lw=0.9, ls=":", zorder=0)
            axes.annotate(f"{speed / 1e9:g} Gb/s: “{says}”", (0, speed / 1e9), color=SOFT,
                          xytext=(5, 3), textcoords="offset points", va="bottom", fontsize=8,
                          bbox={"fc": PAPER, "lw": 0, "pad": 0.6}, zorder=3)  # fmt: skip
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, most)
        axes.set_xlabel("enabled rules")
        axes.set_ylabel("Gb/s")
        axes.set_title("How much passes an inspecting firewall")
        axes.legend(frameon=False, loc="upper right")
        return Drawing(svg(figure), "inspection bound by rules")
