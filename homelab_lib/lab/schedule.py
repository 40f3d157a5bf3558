"""When something is done again and again, as crontab has it."""

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

_FIELDS = (
    ("minute", 0, 59, ""),
    ("hour", 0, 23, ""),
    ("day of the month", 1, 31, ""),
    ("month", 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"),
    ("day of the week", 0, 7, "sun mon tue wed thu fri sat"),
)
_ITEM = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/([1-9]\d*))?")


def _cron(value: str) -> str:
    words = value.split()
    if len(words) != len(_FIELDS):
        raise ValueError(
            "write minute, hour, day of the month, month and day of the week, as in crontab: "
            "'0 3 1 * *' is at 3:00 on the first of each month"
        )
    for word, field in zip(words, _FIELDS, strict=True):
        for item in word.split(","):
            _check(item, *field)
    if words[2] != "*" and words[4] != "*":
        raise ValueError(
            "name a day of the month or a day of the week and write * for the other; cron takes "
            "every day that fits either"
        )
    return value


def _check(item: str, field: str, low: int, high: int, names: str) -> None:
    match = _ITEM.fullmatch(item.lower())
    ends = [end for end in match.groups()[:2] if end is not None] if match else []
    numbers = [names.split().index(end) + low if end in names.split() else end for end in ends]
    if match is None or not all(str(n).isdecimal() and low <= int(n) <= high for n in numbers):
        raise ValueError(f"{item!r} is no {field}: it goes from {low} to {high}")
    if len(numbers) == 2 and int(numbers[0]) > int(numbers[1]):
        raise ValueError(f"{item!r} runs backwards; a {field} goes from {low} to {high}")


Cron = Annotated[
    str,
    AfterValidator(_cron),
    WithJsonSchema({"type": "string", "examples": ["0 3 1 * *"]}),
]
"""Minute, hour, day of the month, month, day of the week: ``0 3 1 * *``."""


def how_often(schedule: str) -> str:
    """A schedule in one word: ``daily``, ``weekly``, ``monthly``; empty where it is another.

    Parameters
    ----------
    schedule
        As crontab has it.
    """
    minute, hour, day, month, weekday = schedule.split()
    if month != "*" or not (minute.isdecimal() and hour.isdecimal()):
        return ""
    if day == weekday == "*":
        return "daily"
    once = day if weekday == "*" else weekday
    if not once.isalnum():
        return ""
    return "monthly" if weekday == "*" else "weekly"
