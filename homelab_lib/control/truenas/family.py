"""What a family of rows looks like, and how each release says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.answers import SCALAR, Shape, whole
from homelab_lib.control.truenas.midclt import Release

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Before:
    """How a field was said in older releases.

    Parameters
    ----------
    until
        The first release that says it as now.
    name
        What it was called.
    words
        Values that were other words then, by today's.
    """

    until: Release
    name: str
    words: Values = field(default_factory=dict)


@dataclass(frozen=True)
class Field:
    """One field of a family's rows.

    Parameters
    ----------
    default
        What the NAS takes it for where it is not given. Of a mapping, each key's.
    unordered
        A list whose order means nothing.
    since
        The first release that knows it.
    before
        How older releases said it.
    unheard
        Keys of a mapping that the NAS is told, and need not tell back.
    of
        A list of mappings, of which this key alone counts, in any order.
    """

    default: Any = None
    unordered: bool = False
    since: Release = (0, 0)
    before: Before | None = None
    unheard: frozenset[str] = frozenset()
    of: str = ""

    def settled(self, value: Any) -> Any:
        """`value` in a form that can be compared."""
        if self.of:
            return sorted(each[self.of] if isinstance(each, Mapping) else each for each in value)
        if isinstance(self.default, Mapping):
            return {**self.default, **(value or {})}
        return sorted(value or ()) if self.unordered else value

    @property
    def shape(self) -> Shape:
        """What may stand in it."""
        if self.of:
            return [{self.of: SCALAR}]
        if isinstance(self.default, Mapping):
            return {str: object}
        if self.unordered:
            return [str]
        return SCALAR if self.default is None else type(self.default)

    def holds(self, wanted: Any, found: Any) -> bool:
        """Whether `found`, settled, is what is wanted; of a mapping whatever we do not name is
        the NAS's own."""
        wanted = self.settled(wanted)
        if not isinstance(wanted, Mapping):
            return bool(wanted == found)
        return all(
            found.get(key) == value for key, value in wanted.items() if key not in self.unheard
        )

    def old(self, release: Release) -> Before | None:
        """How the release says it, where that is not as now."""
        return self.before if self.before is not None and release < self.before.until else None


@dataclass(frozen=True)
class Family:
    """A kind of row.

    Parameters
    ----------
    namespace
        Where its methods are: ``sharing.nfs``.
    noun
        What one is called.
    key
        The fields by which one is told from others.
    fields
        All fields that we speak of, the key's among them.
    mark
        The field that carries our mark; empty where the key has it in it.
    together
        Fields that are only taken together.
    on_update
        What has to be said besides whenever one is changed.
    unmarked
        Nothing of it can carry a mark. One that is there counts if it is as wanted, and is never
        changed.
    secret
        There are secrets in what the NAS tells of its rows.
    whole
        A change has to tell the whole row anew.
    """

    namespace: str
    noun: str
    key: tuple[str, ...]
    fields: Mapping[str, Field]
    mark: str = ""
    together: frozenset[str] = frozenset()
    on_update: Values = field(default_factory=dict)
    unmarked: bool = False
    secret: bool = False
    whole: bool = False

    def says(self, release: Release, values: Values) -> dict[str, Any]:
        """`values` as the release calls them; what it does not know is left out."""
        said = {}
        for name, value in values.items():
            rule = self.fields[name]
            old = rule.old(release)
            if release >= rule.since:
                said[old.name if old else name] = old.words.get(value, value) if old else value
        return said

    def hears(self, release: Release, row: Values) -> dict[str, Any]:
        """A row of the release, in our words."""
        heard = {}
        for name, rule in self.fields.items():
            old = rule.old(release)
            known = old is not None or release >= rule.since
            value = row.get(old.name if old else name, rule.default) if known else rule.default
            back = {theirs: ours for ours, theirs in old.words.items()} if old else {}
            heard[name] = rule.settled(back.get(value, value) if back else value)
        return heard

    def shape(self, release: Release) -> Shape:
        """Rows of the release, as far as they are heard."""
        row: dict[str, Shape] = {"id": whole}
        for name, rule in self.fields.items():
            old = rule.old(release)
            row[f"{old.name if old else name}?"] = rule.shape
        return [row]

    def unknown(self, release: Release, values: Values) -> list[str]:
        """What the release can't be told, and would have to be."""
        fields = self.fields
        return [
            name
            for name, value in values.items()
            if release < fields[name].since
            and not fields[name].holds(value, fields[name].settled(fields[name].default))
        ]
