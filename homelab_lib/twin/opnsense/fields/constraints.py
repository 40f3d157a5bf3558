"""Rules over several fields of a row."""

from dataclasses import dataclass

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.fields.base import Leaf


def _others(leaf: Leaf, names: tuple[str, ...]) -> list[Leaf]:
    found = [leaf.parent.get(name) for name in names]
    return [each for each in found if each is not None]


@dataclass(frozen=True)
class Unique:
    """No two rows have the same; `fields` count as part of it."""

    message: str
    fields: tuple[str, ...] = ()
    any_case: bool = False

    def holds(self, leaf: Leaf) -> bool:
        if not leaf.field.required and leaf.is_empty:
            return True
        names = sorted({leaf.tag, *self.fields})
        counts = leaf.tree.counted("|".join(names), lambda: self._counts(leaf, names))
        return counts.get(self._of(leaf.parent, names), 0) <= 1

    def _counts(self, leaf: Leaf, names: list[str]) -> dict[str, int]:
        counts: dict[str, int] = {}
        rows = leaf.parent.parent
        for row in rows.rows() if rows is not None and hasattr(rows, "rows") else ():
            value = self._of(row, names)
            counts[value] = counts.get(value, 0) + 1
        return counts

    def _of(self, row: object, names: list[str]) -> str:
        get = row.get  # type: ignore[attr-defined]
        value = "".join(f"\n\0{leaf.text if (leaf := get(name)) else ''}" for name in names)
        return value.lower() if self.any_case else value


@dataclass(frozen=True)
class Depend:
    """It has a value where one of the others has."""

    message: str
    fields: tuple[str, ...]

    def holds(self, leaf: Leaf) -> bool:
        return not leaf.is_empty or all(o.is_empty for o in _others(leaf, self.fields))


@dataclass(frozen=True)
class SetIf:
    """It has a value where another one is `check`."""

    message: str
    field: str
    check: str

    def holds(self, leaf: Leaf) -> bool:
        other = leaf.parent.get(self.field)
        return not (leaf.is_empty and other is not None and other.value == self.check)


@dataclass(frozen=True)
class Single:
    """At most one of them has a value."""

    message: str
    fields: tuple[str, ...]

    def holds(self, leaf: Leaf) -> bool:
        names = tuple(dict.fromkeys((leaf.tag, *self.fields)))
        return sum(not other.is_empty for other in _others(leaf, names)) <= 1


@dataclass(frozen=True)
class Compared:
    """It stands to another number as `operator` says."""

    message: str
    field: str
    operator: str

    def holds(self, leaf: Leaf) -> bool:
        other = leaf.parent.get(self.field)
        if not leaf.is_set or other is None or not other.is_set:
            return True
        if not php.is_numeric(leaf.value) and not php.is_numeric(other.value):
            return True
        mine, its = php.leading_float(leaf.value), php.leading_float(other.value)
        return {
            "gt": mine > its,
            "gte": mine >= its,
            "lt": mine < its,
            "lte": mine <= its,
            "eq": mine == its,
            "neq": mine != its,
        }[self.operator]
