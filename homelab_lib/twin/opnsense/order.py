"""The order in which PHP puts texts for people: without case, numbers by their value."""

import re
from collections.abc import Callable
from functools import cmp_to_key, lru_cache
from typing import Any

_DIGITS = re.compile(r"[0-9]*")
_BLANKS = re.compile(r"[ \t\n\r\v\f]*")
_LEADING_ZEROS = re.compile(r"0+(?=[0-9])")


@lru_cache(maxsize=4096)  # the same rows are put in order again and again
def compared(one: str, other: str) -> int:
    """``strnatcasecmp()``: -1, 0 or 1."""
    if not one or not other:
        return (one > other) - (one < other)
    one, other = (_LEADING_ZEROS.sub("", each, count=1) if each[0] == "0" else each
                  for each in (one, other))  # fmt: skip
    mine = its = 0
    while True:
        mine, its = _BLANKS.match(one, mine).end(), _BLANKS.match(other, its).end()  # type: ignore[union-attr]
        number, against = _digits(one, mine), _digits(other, its)
        if number and against:
            fraction = "0" in (number[0], against[0])
            result = _fractions(number, against) if fraction else _numbers(number, against)
            if result:
                return result
            same = min(len(number), len(against))
            mine, its = mine + same, its + same
            if mine == len(one) or its == len(other):
                return (its == len(other)) - (mine == len(one))
        letter, its_letter = one[mine : mine + 1].upper(), other[its : its + 1].upper()
        if letter != its_letter:
            return 1 if letter > its_letter else -1
        mine, its = mine + 1, its + 1
        if mine >= len(one) or its >= len(other):
            return (its >= len(other)) - (mine >= len(one))


def _digits(text: str, place: int) -> str:
    found = _DIGITS.match(text, place)
    return found[0] if found else ""


def _numbers(one: str, other: str) -> int:
    """The longer one is larger."""
    mine, its = (len(one), one), (len(other), other)
    return (mine > its) - (mine < its)


def _fractions(one: str, other: str) -> int:
    """Digit by digit, as behind a point."""
    return (one > other) - (one < other)


natural: Callable[[str], Any] = cmp_to_key(compared)
"""A key for sorting, as of ``natcasesort()``."""
