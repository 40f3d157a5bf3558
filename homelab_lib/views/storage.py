"""A pool in tables and pictures: where its bytes go, how long it is exposed, how it is lost."""

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from homelab_lib.audit.facts_losses import YEARS, losses
from homelab_lib.audit.facts_storage import PoolFacts, main_pool, other_layouts
from homelab_lib.models.durability import CONVENTION, ure_probability, ure_rate_for
from homelab_lib.units import format_bytes, format_ibytes, format_seconds
from homelab_lib.views.missing import of_what_is_there
from homelab_lib.views.style import (
    BAD,
    BUSY,
    GOOD,
    GRID,
    HATCH,
    INK,
    QUIET,
    SOFT,
    WARN,
    Drawing,
    house_style,
    powers_of_ten,
    svg,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "agreement",
    "by_failure_rate",
    "capacity",
    "grid",
    "layouts",
    "loss_curve",
    "main_pool",
    "odds",
    "rebuild",
    "unreadable",
    "uplink",
    "waterfall",
]

_RECKONED = f"{YEARS:.0f} years, repair: {CONVENTION}"
_UNRATED = "The catalog does not say how fast this pool's disks are, or how they fail."
_LINES = ((BAD, "s", "--"), (WARN, "^", ":"), (BUSY, "D", "-."), (SOFT, "v", "--"), (INK, "P", ":"))


def odds(probability: float) -> str:
    """A probability as people say it: ``1 in 8``, ``1 in 17 million``."""
    if probability <= 0:
        return "never"
    chances = 1 / probability
    for scale, word in ((1e9, " billion"), (1e6, " million")):
        if chances >= scale:
            return f"1 in {chances / scale:.3g}{word}"
    rounded = float(f"{chances:.3g}")
    return f"1 in {rounded:,.0f}" if rounded >= 100 else f"1 in {rounded:.3g}"


def _note(text: str) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame({"": [text]})


@of_what_is_there
def capacity(pool: PoolFacts) -> "pd.DataFrame":
    """Every step from the labels to the files, to the byte; the steps add up to the labels."""
    import pandas as pd

    steps = pool.steps()
    raw = sum(steps.values())
    rows = {f"{pool.disks} × {format_bytes(pool.disk_bytes)}": raw}
    rows |= {name: -size for name, size in steps.items() if name != "usable" and size}
    rows["= usable"] = steps["usable"]
    rows["= comfortable (80 %)"] = pool.capacity().comfortable_bytes
    return pd.DataFrame(
        {
            "bytes": [f"{size:,}" for size in rows.values()],
            "decimal": [format_bytes(size) for size in rows.values()],
            "binary": [format_ibytes(size) for size in rows.values()],
            "of the labels": [f"{abs(size) / raw:.2%}" for size in rows.values()],
        },
        index=list(rows),
    )


@of_what_is_there
def waterfall(pool: PoolFacts) -> Drawing:
    """From what the labels promise down to what can be stored, one step a row."""
    from matplotlib.figure import Figure

    steps = {name: size for name, size in pool.steps().items() if size}
    raw, usable = sum(steps.values()), steps.pop("usable")
    rows = [("on the labels", 0, raw, QUIET)]
    left = raw
    for name, size in steps.items():
        left -= size
        rows.append((f"− {name}", left, size, BUSY if name.startswith(("par", "the")) else WARN))
    easy = pool.capacity().comfortable_bytes
    rows += [("usable", 0, usable, GOOD), ("comfortable, 80 % of it", 0, easy, GOOD)]
    with house_style():
        figure = Figure(figsize=(8.2, 0.42 * len(rows) + 0.9))
        axes = figure.subplots()
        for row, (_, start, size, color) in enumerate(rows):
            pale = 0.55 if row == len(rows) - 1 else 1.0
            axes.barh(row, size / 1e12, left=start / 1e12, color=color, height=0.62, alpha=pale,
                      ec="white", lw=0, hatch=HATCH[color])  # fmt: skip
            end = (start + size) / 1e12 + raw / 1e12 * 0.012
            text = f"{format_bytes(size)} = {format_ibytes(size)}"
            axes.annotate(text, (end, row), va="center", fontsize=8)
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.set_xlim(0, raw / 1e12 * 1.3)
        axes.set_xlabel("TB (10¹² bytes)")
        axes.spines["left"].set_visible(False)
        axes.set_title(f"{pool.name} on {pool.host}: {pool.title}")
        return Drawing(svg(figure), f"capacity of {pool.name}")


@of_what_is_there
def unreadable(pool: PoolFacts, quoted: float = 1 / 8) -> "pd.DataFrame":
    """The chance of at least one unreadable sector, by what is read and by quoted rate.

    Parameters
    ----------
    pool
        The pool.
    quoted
        A chance somebody quotes; the last column says the rate at which it is true.
    """
    import pandas as pd

    disk, readers = pool.disk_bytes, pool.readers()
    reads = {"one disk, full": float(disk)}
    for fill in (0.5, 0.8, 1.0):
        what = "the survivor" if readers == 1 else f"all {readers} survivors"
        reads[f"{what}, {fill:.0%} full"] = readers * disk * fill
    rates = (1e-14, 1e-15, 1e-16)
    rows = [
        {"what is read": what, "bytes": format_bytes(size)}
        | {f"at {rate:.0e} per bit": f"{ure_probability(size, rate):.1%}" for rate in rates}
        | {f"{odds(quoted)} takes a rate of": f"{ure_rate_for(quoted, size):.2e}"}
        for what, size in reads.items()
    ]
    return pd.DataFrame(rows).set_index("what is read")


@of_what_is_there
def rebuild(pool: PoolFacts) -> "pd.DataFrame":
    """How long a resilver takes, by fill and by how busy the disks are; the wait is not in it."""
    import pandas as pd

    if not pool.rated:
        return _note(_UNRATED)
    rows = []
    for fill in (0.5, 0.8, 1.0):
        row: dict[str, object] = {"fill": f"{fill:.0%}"}
        for what, efficiency in (("idle", 0.8), ("typical", 0.6), ("busy", 0.33)):
            row[what] = format_seconds(pool.rebuild(fill, efficiency))
        alone = pool.rebuild(fill, 1.0, shared=False)
        row["disks flat out"] = format_seconds(alone)
        slower = pool.rebuild(fill, 1.0) - alone
        row["the shared link adds"] = format_seconds(slower) if slower > 1 else "nothing"
        rows.append(row)
    return pd.DataFrame(rows).set_index("fill")


@of_what_is_there
def uplink(pool: PoolFacts) -> str:
    """What the link that the disks share leaves to each of them, in a sentence."""
    if not pool.uplink or not pool.rated:
        return "The disks of this pool share no link that the catalog has a figure for."
    outer = float(pool.outer_bps or 0)
    share = {count: pool.uplink_bps / count for count in (pool.readers(), pool.disks)}
    said = [
        f"{format_bytes(each, digits=0)}/s each for {count} reader{'s'[: count > 1]} "
        f"({'enough' if each >= outer else 'a brake'})"
        for count, each in share.items()
    ]
    return (
        f"{pool.uplink}: {format_bytes(pool.uplink_bps, digits=0)}/s sure; "
        f"{', '.join(said)}; a disk's outer tracks do {format_bytes(outer, digits=0)}/s."
    )


@of_what_is_there
def layouts(pool: PoolFacts, *, fill: float = 0.8, wait_hours: float = 72.0) -> "pd.DataFrame":
    """The same disks in other layouts: room against the chance of loss within ten years.

    Parameters
    ----------
    pool
        The pool whose disks they are.
    fill
        Share of each disk that is allocated.
    wait_hours
        Until a spare is in [h]; the rebuild comes on top.
    """
    import pandas as pd

    if not pool.rated:
        return _note(_UNRATED)
    rows = []
    for other in other_layouts(pool):
        hours = wait_hours + other.rebuild(fill) / 3600
        sector = other.loss(hours, YEARS, p_unreadable=other.unreadable(fill))
        rows.append(
            {
                "layout": other.title + (" (planned)" if other.title == pool.title else ""),
                "usable": format_bytes(other.capacity().usable_bytes),
                "disks that may fail": other.parity,
                "the pool is lost": odds(other.loss(hours, YEARS)),
                "or at least a file": odds(sector),
            }
        )
    return pd.DataFrame(rows).set_index("layout").rename_axis(f"layout ({_RECKONED})")


@of_what_is_there
def grid(
    pool: PoolFacts,
    *,
    most: int = 8,
    usd_per_tb: float = 18.0,
    fill: float = 0.8,
    wait_hours: float = 72.0,
) -> "pd.DataFrame":
    """Disks by layout, as capacity calculators have it: room, chance of loss in ten years, cost.

    Parameters
    ----------
    pool
        The pool whose kind of disk is taken.
    most
        The largest number of disks.
    usd_per_tb
        What a new disk costs for each TB on its label [$/TB]; a guess, as prices are.
    fill, wait_hours
        As `layouts` has them.
    """
    import pandas as pd

    if not pool.rated:
        return _note(_UNRATED)
    shapes = {
        "mirrors of 2": lambda disks: ("mirror", 2, disks // 2) if disks % 2 == 0 else None,
        "raidz1": lambda disks: ("raidz1", disks, 1) if disks >= 3 else None,
        "raidz2": lambda disks: ("raidz2", disks, 1) if disks >= 4 else None,
        "raidz3": lambda disks: ("raidz3", disks, 1) if disks >= 5 else None,
    }
    rows = []
    for disks in range(2, most + 1):
        cost = disks * pool.disk_bytes / 1e12 * usd_per_tb
        row: dict[str, object] = {"disks": disks, "cost [$]": f"{cost:,.0f}"}
        for name, shape in shapes.items():
            shaped = shape(disks)
            usable, lost = "–", "–"
            if shaped is not None:
                other = pool.laid_out(*shaped)
                usable = f"{other.capacity().usable_bytes / 2**40:.1f}"
                lost = odds(other.loss(wait_hours + other.rebuild(fill) / 3600, YEARS))
            row |= {f"{name} [TiB]": usable, f"{name} is lost": lost}
        rows.append(row)
    return pd.DataFrame(rows).set_index("disks").rename_axis(f"disks ({_RECKONED})")


@of_what_is_there
def by_failure_rate(pool: PoolFacts, rates: tuple[float, ...]) -> "pd.DataFrame":
    """`layouts` with other annual failure rates beside the catalog's: how the pool is lost."""
    import pandas as pd

    if not pool.rated:
        return _note(_UNRATED)
    asked = sorted({*rates, float(pool.afr or 0)})
    lost = {f"{afr:.2%}": layouts(replace(pool, afr=afr))["the pool is lost"] for afr in asked}
    return pd.DataFrame(lost)


@of_what_is_there
def agreement(pool: PoolFacts) -> "pd.DataFrame":
    """The points of `losses` as numbers: the chain beside the simulation's interval."""
    import pandas as pd

    rows = [
        {
            "layout": each.layout,
            "without full redundancy": format_seconds(hours * 3600),
            "chain": f"{chain:.3e}",
            "simulation, 95 %": f"{low:.3e} … {high:.3e}",
            "chain inside": "yes" if low <= chain <= high else "no",
        }
        for each in losses(pool)
        for hours, chain, low, high in zip(
            each.played_hours, each.chain, each.low, each.high, strict=True
        )
    ]
    return pd.DataFrame(rows).set_index("layout") if rows else _note(_UNRATED)


@of_what_is_there
def loss_curve(pool: PoolFacts) -> Drawing:
    """The chance of losing the pool within ten years over the hours without full redundancy."""
    from matplotlib.figure import Figure

    found = losses(pool)
    with house_style():
        figure = Figure(figsize=(8.2, 4.4) if found else (8.2, 0.8))
        axes = figure.subplots()
        if not found:
            axes.set_axis_off()
            axes.annotate(_UNRATED, (0, 0.5), xycoords="axes fraction")
            return Drawing(svg(figure), f"chance of losing {pool.name}: not known")
        ends = _apart([np.log10(each.markov[-1]) for each in found])
        for each, other, end in zip(found, _LINES, ends, strict=False):
            color, mark, line = (GOOD, "o", "-") if each.planned else other
            width = 2.6 if each.planned else 1.5
            axes.plot(each.hours, each.markov, color=color, lw=width, ls=line)
            spread = [
                np.subtract(each.played, each.low),
                np.subtract(each.high, each.played),
            ]
            axes.errorbar(
                each.played_hours, each.played, yerr=spread, fmt=mark, ms=4, capsize=3, color=color
            )
            name = each.layout + (" (planned)" if each.planned else "")
            axes.annotate(
                name,
                (760, 10**end),
                color=color,
                va="center",
                fontsize=8.5,
                annotation_clip=False,
            )
        axes.set(xscale="log", yscale="log", xlim=(7, 720))
        powers_of_ten(axes.yaxis)
        marks = {8: "8 h", 24: "1 day", 72: "3 days", 168: "1 week", 336: "2 weeks", 720: "30 days"}
        axes.set_xticks(list(marks), list(marks.values()))
        axes.minorticks_off()
        axes.grid(color=GRID)
        axes.set_xlabel("from a disk's failure to full redundancy: wait for a spare, then rebuild")
        axes.set_ylabel(f"pool lost ({_RECKONED})")
        axes.set_title("Lines: Markov chain. Points: simulation, with its 95 % interval.")
        return Drawing(svg(figure), f"chance of losing {pool.name}")


def _apart(places: list[float], least: float = 0.32) -> list[float]:
    """The same heights, moved so that labels there do not touch."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    for before, this in pairwise(order):
        moved[this] = max(moved[this], moved[before] + least)
    return moved
