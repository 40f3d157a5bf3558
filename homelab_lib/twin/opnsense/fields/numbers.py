"""Fields of numbers, and the switch."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.fields.base import Field, Leaf

_LARGEST = 2**63 - 1
_WRITTEN = re.compile(r"-?[0-9,]+(\.[0-9]+)?|-?[0-9.]+(,[0-9]+)?")


@dataclass(frozen=True, kw_only=True)
class Boolean(Field):
    """0 or 1."""

    default: str = "0"
    says_by_itself: ClassVar[str] = "Value should be a boolean (0,1)."

    def check(self, leaf: Leaf) -> Iterator[str]:
        if leaf.value not in ("0", "1"):
            yield self.says()


@dataclass(frozen=True)
class Integer(Field):
    """A whole number."""

    low: int = -_LARGEST - 1
    high: int = _LARGEST
    says_by_itself: ClassVar[str] = "Invalid integer value."

    def check(self, leaf: Leaf) -> Iterator[str]:
        if not within(leaf.value, self.low, self.high):
            yield self.says()
        if php.integer(leaf.value) is None:
            yield self.says()


@dataclass(frozen=True)
class Numeric(Field):
    """A number."""

    low: float = -99999999999999.0
    high: float = 99999999999999.0
    says_by_itself: ClassVar[str] = "Invalid numeric value."

    def check(self, leaf: Leaf) -> Iterator[str]:
        if not within(leaf.value, self.low, self.high):
            yield self.says()
        if not _WRITTEN.fullmatch(leaf.value):
            yield self.says()


@dataclass(frozen=True)
class AutoNumber(Integer):
    """The lowest number that no other row has."""

    low: int = 1
    high: int = _LARGEST - 1

    def fresh(self, leaf: Leaf) -> str:
        taken = {row[leaf.tag].value for row in leaf.parent.parent.rows()} - {""}
        number = self.low
        while str(number) in taken:
            number += 1
        return str(number)


@dataclass(frozen=True)
class Sequence(AutoNumber):
    """A hundred more than the highest of the other rows."""

    def fresh(self, leaf: Leaf) -> str:
        numbers = [row[leaf.tag].int() for row in leaf.parent.parent.rows()]
        return str(max([0, *numbers]) + 100)


def within(value: str, low: float, high: float) -> bool:
    """Whether it is a number between two others."""
    return php.is_numeric(value) and low <= php.leading_float(value) <= high
