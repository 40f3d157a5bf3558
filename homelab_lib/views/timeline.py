"""When what was done: a bar for each step, a thinner one for each change within it."""

from functools import partial
from typing import Any

from homelab_lib.printable import printable
from homelab_lib.units import format_seconds
from homelab_lib.views.style import (
    BAD,
    BUSY,
    GOOD,
    INK,
    QUIET,
    SOFT,
    WARN,
    Drawing,
    house_style,
    svg,
)

_COLOURS = {
    "already": GOOD,
    "changed": BUSY,
    "planned": SOFT,
    "drift": WARN,
    "skipped": QUIET,
    "failed": BAD,
    "not reached": QUIET,
}


_shown = partial(printable, one_line=True)


def timeline(summary: dict[str, Any]) -> Drawing:
    """The run on a line of time.

    Parameters
    ----------
    summary
        A run's ``summary.json``. Times are on the target's clock, which for a twin is simulated.
    """
    from matplotlib.figure import Figure

    steps = summary["steps"]
    with house_style():
        figure = Figure(figsize=(7.5, 0.7 + 0.34 * max(len(steps), 1)))
        axes = figure.subplots()
        for row, step in enumerate(steps):
            start, end = step["start_s"], max(step["end_s"], step["start_s"])
            colour = _COLOURS[step["status"]]
            axes.barh(row, max(end - start, 0.3), left=start, height=0.55, color=colour, alpha=0.3)
            for resource in step["resources"]:
                for sent in resource["sent"]:
                    width = max(sent["end_s"] - sent["start_s"], 0.3)
                    shade = colour if sent["outcome"] == "done" else BAD
                    axes.barh(row, width, left=sent["start_s"], height=0.3, color=shade)
            axes.annotate(
                format_seconds(end - start),
                (end, row),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=INK,
            )
        axes.set_yticks(range(len(steps)), [_shown(step["step"]) for step in steps])
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_xlim(left=0)
        clock = "simulated seconds" if summary["evidence"] == "rehearsed" else "seconds"
        axes.set_xlabel(f"{clock} since the run began")
        title = f"{summary['runbook']} on {summary['lab']} ({summary['evidence']})"
        axes.set_title(_shown(title))
        return Drawing(svg(figure), "timeline")
