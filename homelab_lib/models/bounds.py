"""What a parameter of a model may be; anything else is refused by its name, with its range.

A model that is fed a NaN, a negative rate or a share of 60 gives a number all the same, and nobody
sees that it means nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=type)

_LARGEST = 2**63 - 1
"""Sizes and counts go into 64-bit integers where a sweep has many of them."""


@dataclass(frozen=True)
class Span:
    """A range of numbers.

    Parameters
    ----------
    says
        The range in words: what comes after "it".
    low, high
        Its ends.
    above, below
        Whether the lower and the upper end themselves are left out.
    whole
        Whether only whole numbers will do.
    """

    says: str
    low: float = 0.0
    high: float = _LARGEST
    above: bool = False
    below: bool = False
    whole: bool = False

    def check(self, name: str, value: Any) -> None:
        """Refuse a number, or an array in which one is outside.

        Raises
        ------
        ValueError
            With the parameter, the value and the range.
        """
        if isinstance(value, float | int):
            inside = self._holds(value)
        elif isinstance(value, tuple) and all(isinstance(each, float | int) for each in value):
            inside = all(map(self._holds, value))  # arrays are slow for a few
        else:
            inside = self._all_hold(value)
        if not inside:
            raise ValueError(f"{name} is {value}; it {self.says}")

    def _holds(self, value: float) -> bool:
        inside = self.low < value if self.above else self.low <= value
        inside = inside and (value < self.high if self.below else value <= self.high)
        return inside and (not self.whole or (math.isfinite(value) and value == int(value)))

    def _all_hold(self, values: Any) -> bool:
        try:
            found = np.asarray(values)
            inside = found > self.low if self.above else found >= self.low
            inside &= found < self.high if self.below else found <= self.high
            return bool(np.all(inside & (found == np.floor(found)) if self.whole else inside))
        except TypeError:  # what is no number at all
            return False


POSITIVE = Span("has to be above 0", above=True)
NOT_NEGATIVE = Span("can't be negative, and has to be finite")
LIMIT = Span("has to be above 0; infinite for none", high=math.inf, above=True)
SHARE = Span("goes from above 0 to 1", high=1.0, above=True)
PROBABILITY = Span("goes from 0 to 1", high=1.0)
BELOW_ONE = Span("goes from 0 up to but not 1", high=1.0, below=True)
COUNT = Span("has to be a whole number, at least 1", low=1.0, whole=True)
WIDTH = Span("has to be a whole number from 1 to 255", low=1.0, high=255.0, whole=True)
ASHIFT = Span("has to be a whole number from 9 to 16", low=9.0, high=16.0, whole=True)
WHOLE = Span("has to be a whole number, not negative", whole=True)
PORT = Span("has to be a whole number from 0 to 65535", high=65535.0, whole=True)
FINITE = Span("has to be finite", low=-_LARGEST)


def takes(**spans: Span) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Has a function refuse what its parameters may not be; None, where it is taken, is no number.

    Parameters
    ----------
    **spans
        The range of each parameter that has one.
    """

    def of(function: Callable[P, T]) -> Callable[P, T]:
        names = list(signature(function).parameters)
        by_place = [(names.index(name), name, span) for name, span in spans.items()]

        @wraps(function)
        def asks(*given: P.args, **named: P.kwargs) -> T:
            for place, name, span in by_place:
                value = given[place] if place < len(given) else named.get(name)
                if value is not None:
                    span.check(name, value)
            return function(*given, **named)

        return asks

    return of


def holds(**spans: Span) -> Callable[[C], C]:
    """As `takes`, for the fields of a dataclass; written between it and ``@dataclass``."""

    def of(cls: C) -> C:
        more = getattr(cls, "__post_init__", None)

        def asks(self: Any) -> None:
            for name, span in spans.items():
                if (value := getattr(self, name)) is not None:
                    span.check(name, value)
            if more is not None:
                more(self)

        setattr(cls, "__post_init__", asks)  # noqa: B010 - mypy knows no such method of a type
        return cls

    return of
