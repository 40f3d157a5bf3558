"""Which of our readers reads what a real machine printed: each room registers its own.

A module ``outputs_ROOM.py`` beside this one registers a function for a pattern of commands with
`reads`. It is given a row of ``real-outputs.jsonl`` whose command fits, feeds its output through
what of ours reads such a command, and asserts the facts.
"""

import importlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Output = Mapping[str, str]
"""``command``, ``product``, ``release``, ``output`` and where they are from."""


@dataclass(frozen=True)
class Reader:
    """A reader of ours.

    Parameters
    ----------
    room
        Whose it is.
    pattern
        Of the commands that it reads, from their first character.
    feed
        Gives it a row, and asserts what it makes of it.
    """

    room: str
    pattern: "re.Pattern[str]"
    feed: Callable[[Output], None]

    def fits(self, row: Output) -> bool:
        return bool(self.pattern.match(row["command"]))


READERS: list[Reader] = []


def reads(pattern: str) -> Callable[[Callable[[Output], None]], Callable[[Output], None]]:
    """Register a function for the commands that begin with a pattern."""

    def register(feed: Callable[[Output], None]) -> Callable[[Output], None]:
        room = feed.__module__.rpartition("outputs_")[2]
        READERS.append(Reader(room, re.compile(pattern), feed))
        return feed

    return register


def load() -> list[Reader]:
    """All readers of all rooms."""
    for file in sorted(Path(__file__).parent.glob("outputs_*.py")):
        importlib.import_module(f"contract.{file.stem}")
    return READERS


def unread(rows: list[Any]) -> Counter[str]:
    """How many rows of each product no reader of ours reads."""
    return Counter(row["product"] for row in rows if not any(r.fits(row) for r in load()))


# --------------------------------------------------------------------- shapes


def shape(value: Any) -> Any:
    """What is known of a value but for the value: the type, of a list that of its members."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return "number" if type(value) in (int, float) else type(value).__name__


def unlike(ours: Any, real: list[Any], place: str = "") -> list[str]:
    """Where a value of ours is of another shape than all real ones of its kind.

    A key that all real ones have must be there; one that none has must not; the type of each must
    be one that a real one has.
    """
    if isinstance(ours, dict) and all(isinstance(each, dict) for each in real):
        found = []
        if not real:
            return found
        always = set.intersection(*(set(each) for each in real))
        known = set.union(*(set(each) for each in real))
        found += [f"{place}.{key} is missing" for key in sorted(always - ours.keys())]
        found += [f"{place}.{key} is not known" for key in sorted(ours.keys() - known)]
        for key in ours.keys() & known:
            those = [each[key] for each in real if key in each]
            found += unlike(ours[key], those, f"{place}.{key}")
        return found
    if isinstance(ours, list) and all(isinstance(each, list) for each in real):
        members = [member for each in real for member in each]
        return [] if not members else [s for each in ours for s in unlike(each, members, place)]
    kinds = {
        shape(each) if not isinstance(each, (dict, list)) else type(each).__name__ for each in real
    }
    kind = type(ours).__name__ if isinstance(ours, (dict, list)) else shape(ours)
    return [] if kind in kinds else [f"{place} is {kind}, and really {'/'.join(sorted(kinds))}"]
