"""When what was done: a bar for each step, a thinner one for each change within it.

It is drawn by hand, since every run has one, and what draws the house's other figures takes longer
to load than a run takes.
"""

from collections.abc import Iterator
from functools import partial
from html import escape
from math import floor, isfinite, log10
from typing import Any

from homelab_lib.printable import printable
from homelab_lib.units import format_seconds
from homelab_lib.views.cards import MARKS
from homelab_lib.views.style import (
    BAD,
    BUSY,
    GOOD,
    GRID,
    INK,
    QUIET,
    SOFT,
    WARN,
    Drawing,
)

_COLOURS = {
    "already": GOOD,
    "changed": BUSY,
    "planned": SOFT,
    "drift": WARN,
    "skipped": QUIET,
    "waiting": WARN,
    "failed": BAD,
    "not reached": QUIET,
}
_WIDTH, _TOP, _ROW, _BOTTOM = 720, 30, 24, 42
_LETTER = 6.0  # of the small print, about
_ROOM = 70  # for the last bar's time
_NOTHING_S = 0.3  # of a run that took no time, so that there is an axis
_THIN = 2.0  # what takes no time is seen, too
_TICKS = 6


_shown = partial(printable, one_line=True)


def bars(summary: dict[str, Any]) -> str:
    """The same as `timeline` in HTML, as wide as the page: a line a step, a bar where it ran.

    Parameters
    ----------
    summary
        A run's ``summary.json``.
    """
    steps = summary["steps"]
    whole_s = max((step["end_s"] for step in steps), default=0.0) or 1.0
    rows = []
    for step in steps:
        mark, colour, _ = MARKS[step["status"]]
        start, took_s = step["start_s"], max(step["end_s"] - step["start_s"], 0.0)
        pieces = [(start, took_s, "step")]
        for resource in step["resources"]:
            for sent in resource["sent"]:
                pieces.append((sent["start_s"], sent["end_s"] - sent["start_s"], "sent"))
        drawn = "".join(
            f"<i class={kind} style='left:{100 * at / whole_s:.2f}%;"
            f"width:{100 * max(length, 0.0) / whole_s:.2f}%'></i>"
            for at, length, kind in pieces
        )
        rows.append(
            f"<div class=run style='--colour:{colour}'><b>{mark} {escape(_shown(step['step']))}</b>"
            f"<span class=track>{drawn}</span><span>{format_seconds(took_s)}</span></div>"
        )
    clock = "of the twin's time" if summary["evidence"] == "rehearsed" else "measured"
    told = f"{format_seconds(whole_s)} {clock}; dark where something was sent, pale where it waited"
    return f"<div class=runs>{''.join(rows)}</div><p class=quiet>{told}</p>"


def timeline(summary: dict[str, Any]) -> Drawing:
    """The run on a line of time.

    Parameters
    ----------
    summary
        A run's ``summary.json``. Times are on the target's clock, which for a twin is simulated.

    Raises
    ------
    ValueError
        A time in it is none.
    """
    steps = summary["steps"]
    names = [f"{MARKS[step['status']][0]} {_shown(step['step'])}" for step in steps]
    left = 16 + _LETTER * max(map(len, names), default=0)
    times = [float(step[end]) for step in steps for end in ("start_s", "end_s")]
    last_s = max([_NOTHING_S, *times])
    if not all(map(isfinite, times)):
        raise ValueError("a time that is none")
    scale = (_WIDTH - left - _ROOM) / last_s
    floor_y = _TOP + _ROW * len(steps) + 4
    height = floor_y + _BOTTOM
    title = f"{summary['runbook']} on {summary['lab']} ({summary['evidence']})"
    clock = "simulated seconds" if summary["evidence"] == "rehearsed" else "seconds"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" font-family="DejaVu Sans, sans-serif" '
        f'font-size="10" fill="{INK}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(8, 18, _shown(title), 'font-size="12" font-weight="bold"'),
    ]
    for tick in _ticks(last_s):
        x = left + tick * scale
        parts.append(_box(x, _TOP - 4, 1, floor_y - _TOP + 4, GRID))
        parts.append(_text(x, floor_y + 14, f"{tick:g}", 'text-anchor="middle"'))
    for row, (name, step) in enumerate(zip(names, steps, strict=True)):
        y = _TOP + _ROW * row
        parts.append(_text(left - 6, y + 14, name, 'text-anchor="end"'))
        parts += _bars(step, left, scale, y)
    parts.append(_text(left, floor_y + 32, f"{clock} since the run began"))
    return Drawing("\n".join([*parts, "</svg>", ""]), "timeline")


def _bars(step: dict[str, Any], left: float, scale: float, y: float) -> Iterator[str]:
    """A step's bar with how long it took, and on it those of its changes."""
    start, end = step["start_s"], max(step["end_s"], step["start_s"])
    colour = _COLOURS[step["status"]]
    wide = max((end - start) * scale, _THIN)
    yield _box(left + start * scale, y + 3, wide, 14, colour, 'opacity="0.3"')
    for resource in step["resources"]:
        for sent in resource["sent"]:
            wide = max((sent["end_s"] - sent["start_s"]) * scale, _THIN)
            shade = colour if sent["outcome"] == "done" else BAD
            yield _box(left + sent["start_s"] * scale, y + 6, wide, 8, shade)
    yield _text(left + end * scale + 5, y + 14, format_seconds(end - start))


def _ticks(last_s: float) -> Iterator[float]:
    """Round numbers of seconds up to the last: 0, 20, 40 …"""
    rough = last_s / _TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
    yield from (step * number for number in range(int(last_s / step) + 1))


def _box(x: float, y: float, wide: float, high: float, colour: str, more: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}"'
    return f'<rect {place} fill="{colour}" {more}/>'


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(text)}</text>'
