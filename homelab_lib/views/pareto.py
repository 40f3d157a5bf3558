"""A sweep, seen: what each design costs and what it brings, the best of them, and the others' why.

Rows are those of a sweep: plain mappings, so that this room needs to know nothing of how they
were come by.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from homelab_lib.models.durability import CONVENTION
from homelab_lib.units import format_bps, format_ibytes
from homelab_lib.views.style import (
    BUSY,
    GOOD,
    GRID,
    INK,
    PAPER,
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
    from matplotlib.axes import Axes

Row = Mapping[str, Any]
Rows = Sequence[Row]

_PANELS = (
    ("usable_bytes", "usable [TiB]", 2**40, False),
    ("loss_probability", f"losing data in the mission time, repair: {CONVENTION} (log)", 1.0, True),
    ("storage_path_bps", "storage path [Gb/s]", 1e9, False),
    ("tokens_per_s", "tokens per second of the largest model", 1.0, False),
)
_COLOURS = (QUIET, BUSY, GOOD, WARN, SOFT)
_MARKS = ("o", "s", "D", "^", "v")


def pareto(
    rows: Rows, front: Sequence[int], *, yours: Row | None = None, by: str = "serving"
) -> Drawing:
    """What designs cost against what they bring: pale those that are beaten, full the front, with
    the numbers that `front_table` gives them.

    Parameters
    ----------
    rows
        Designs that were not ruled out.
    front
        The numbers of those in `rows` that nothing beats.
    yours
        The lab's own design: a star, hollow where it is ruled out.
    by
        The column that colours and marks tell apart.
    """
    from matplotlib.figure import Figure

    kinds = list(dict.fromkeys(row[by] for row in rows))
    with house_style():
        figure = Figure(figsize=(9.4, 8.2))
        panels = figure.subplots(2, 2)
        for axes, (column, label, scale, log) in zip(panels.flat, _PANELS, strict=True):
            _panel(axes, rows, front, kinds, (column, scale, by))
            _star(axes, yours, column, scale)
            axes.margins(0.07)
            axes.set_title(label)
            if log and all(row[column] > 0 for row in rows):
                axes.set_yscale("log")
                powers_of_ten(axes.yaxis)
            else:
                axes.set_ylim(bottom=0)
            axes.grid(color=GRID, lw=0.7)
            axes.set_axisbelow(True)
        for axes in panels[-1]:
            axes.set_xlabel("what the parts that vary cost [US dollars]")
        if kinds:
            handles, labels = panels.flat[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
        figure.draw_without_rendering()  # from here on it is known where each point lies
        for axes, (column, _, scale, _) in zip(panels.flat, _PANELS, strict=True):
            _numbers(axes, _numbered(rows, front, yours), column, scale)
        return Drawing(svg(figure), f"{len(front)} designs of {len(rows)} that nothing beats")


def _panel(
    axes: "Axes",
    rows: Rows,
    front: Sequence[int],
    kinds: list[str],
    what: tuple[str, float, str],
) -> None:
    column, scale, by = what
    best = set(front)
    for place, kind in enumerate(kinds):
        colour, mark = _COLOURS[place % len(_COLOURS)], _MARKS[place % len(_MARKS)]
        for chosen in (False, True):
            points = [
                (row["cost_usd"], row[column] / scale)
                for number, row in enumerate(rows)
                if row[by] == kind and (number in best) == chosen
            ]
            points = sorted(set(points))
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                mark,
                color=colour,
                markersize=7 if chosen else 4,
                markeredgecolor=INK if chosen else "none",
                markeredgewidth=0.7,
                alpha=1.0 if chosen else 0.35,
                zorder=3 if chosen else 2,
                label=kind if chosen else None,
            )


def _star(axes: "Axes", yours: Row | None, column: str, scale: float) -> None:
    if yours is None or yours[column] is None:
        return
    out = bool(yours["ruled_out"])
    axes.plot(
        [yours["cost_usd"]], [yours[column] / scale], "*", color=PAPER if out else WARN,
        markersize=12, markeredgecolor=WARN if out else INK, markeredgewidth=1.2, zorder=4,
        label="yours, which is ruled out" if out else "yours",
    )  # fmt: skip


def _numbers(axes: "Axes", numbered: Sequence[Rows], column: str, scale: float) -> None:
    """The numbers of the table above the points; those that fall together stand in one pile."""
    piles: list[tuple[float, float, list[str]]] = []
    for number, same in enumerate(numbered, start=1):
        x, y = axes.transData.transform((same[0]["cost_usd"], same[0][column] / scale))
        for place, (left, low, pile) in enumerate(piles):
            if abs(x - left) < 6 and abs(y - low) < 24:
                piles[place] = (left, max(low, y), [*pile, str(number)])
                break
        else:
            piles.append((x, y, [str(number)]))
    for x, y, pile in piles:
        across, up = axes.transData.inverted().transform((x, y))
        axes.annotate("\n".join(pile), (across, up),
                      xytext=(0, 6), textcoords="offset points", ha="center", va="bottom",
                      fontsize=6.5, linespacing=1.0, zorder=5)  # fmt: skip


def row_of(rows: Rows, number: int | None) -> Row | None:
    """The design of a number in the sweep; None where there is none."""
    return next((row for row in rows if row["variant"] == number), None)


_AXES = {"supplies_w": "power supplies [W]", "servings": "models served at a time"}


def told(axes: Mapping[str, Sequence[object]]) -> str:
    """What may differ, as a list in Markdown.

    Parameters
    ----------
    axes
        For each thing that may differ the choices that there are.
    """
    lines = []
    for name, choices in axes.items():
        lines.append(f"- **{_AXES.get(name, name)}**: {len(choices)}")
        lines += [f"    - {choice}" for choice in choices]
    return "\n".join(lines)


def own_design(rows: Rows, own: int | None, front: Sequence[int] = ()) -> str:
    """How the lab's own design fares, in a sentence.

    Parameters
    ----------
    rows
        All designs of a sweep.
    own
        The number of the lab's own; None where the sweep can't express it.
    front
        The numbers, among those that were not ruled out, of the designs that nothing beats.
    """
    found = row_of(rows, own)
    if own is None or found is None:
        return "Your own design is of another kind than these (unequal vdevs), and stands apart."
    named = f"Your own design ({found['pool']}; {found['link']}; {found['cards']})"
    if found["ruled_out"]:
        return f"{named} is ruled out: {'; '.join(found['ruled_out'])}."
    standing = [row for row in rows if not row["ruled_out"]]
    unbeaten = any(standing[number]["variant"] == own for number in front)
    return f"{named} is {'one that nothing beats' if unbeaten else 'beaten by another'}."


def paths(rows: Rows) -> "pd.DataFrame":
    """What the way to the storage carries for each link and pool, and what holds it down.

    Parameters
    ----------
    rows
        Designs that were not ruled out.
    """
    import pandas as pd

    if not rows:
        return pd.DataFrame({"": ["no design of these could be built, so no path is left"]})
    path = pd.DataFrame(rows)
    path["path [Gb/s]"] = (path["storage_path_bps"] / 1e9).round(2)
    return path.groupby(["link", "pool", "limited_by"], sort=True)["path [Gb/s]"].first().to_frame()


def front_table(rows: Rows, front: Sequence[int], own: int | None = None) -> "pd.DataFrame":
    """The designs that nothing beats, cheapest first; equal values are one line, and the lab's own
    design stands among them, marked, even where others beat it.

    Where several designs come to the same, the first is named, and how many more there are.
    """
    import pandas as pd

    found = [
        {
            "no.": number,
            "yours": "★ yours" if own is not None and row["variant"] == own else "",
            "serves": row["serving"],
            "pool": row["pool"],
            "link": row["link"],
            "cards": row["cards"],
            "also": f"{len(same) - 1} more" if len(same) > 1 else "",
            "cost [$]": f"{row['cost_usd']:,.0f}",
            "power [W]": f"{row['power_w']:.0f}",
            "usable": format_ibytes(row["usable_bytes"]),
            "loss": f"{row['loss_probability']:.1e}",
            "path": f"{format_bps(row['storage_path_bps'])}, by {row['limited_by']}",
            "tokens/s": f"{row['tokens_per_s']:.1f}" if row["tokens_per_s"] else "–",
        }
        for number, same in enumerate(_numbered(rows, front, row_of(rows, own)), start=1)
        for row in same[:1]
    ]
    if not found:
        return pd.DataFrame({"": ["none of these designs could be built; the reasons are below"]})
    table = pd.DataFrame(found).set_index("no.")
    return table.drop(columns=[name for name in ("yours", "also") if not any(table[name])])


def _numbered(rows: Rows, front: Sequence[int], yours: Row | None) -> list[list[Row]]:
    """The front in the table's order, with your own if it could be built; equal values together,
    your own the first of them."""
    values = ("serving", "cost_usd", "power_w", "usable_bytes", "loss_probability",
              "storage_path_bps", "tokens_per_s")  # fmt: skip
    shown = [rows[number] for number in front]
    shown += [row for row in rows if row is yours and row not in shown]
    alike: dict[tuple[Any, ...], list[Row]] = {}
    for row in sorted(shown, key=lambda each: each is not yours):
        alike.setdefault(tuple(row[name] for name in values), []).append(row)
    return sorted(alike.values(), key=lambda each: (each[0]["serving"], _cost(each)))


def _cost(same: list[Row]) -> tuple[float, int]:
    return same[0]["cost_usd"], same[0]["variant"]


def ruled_out(rows: Rows, *, most: int = 15) -> "pd.DataFrame":
    """Why designs were ruled out: each reason, how many it struck, and how many it alone did.

    Parameters
    ----------
    rows
        All designs of a sweep.
    most
        Reasons that are shown; the rest is one line.
    """
    import pandas as pd

    struck = Counter(why for row in rows for why in row["ruled_out"])
    alone = Counter(row["ruled_out"][0] for row in rows if len(row["ruled_out"]) == 1)
    ordered = sorted(struck, key=lambda why: (-struck[why], why))
    table = [
        {"reason": why, "designs": struck[why], "by this alone": alone[why]}
        for why in ordered[:most]
    ]
    if rest := ordered[most:]:
        table.append(
            {
                "reason": f"{len(rest)} other reasons",
                "designs": sum(struck[why] for why in rest),
                "by this alone": sum(alone[why] for why in rest),
            }
        )
    if not table:
        return pd.DataFrame({"reason": ["nothing was ruled out"], "designs": [0]})
    return pd.DataFrame(table).set_index("reason")
