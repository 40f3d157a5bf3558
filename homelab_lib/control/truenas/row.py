"""One resource for all that TrueNAS keeps as rows: shares, tasks, jobs, users.

What a family's rows look like, in which release, is a table (`families`); here is what is done
with every one of them. Only what we want of a row is ever sent: what the NAS itself puts into it
(``locked``, ``state``, and in 26 ``dataset``, ``relative_path``, ``tier``) never goes back.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.answers import SCALAR, Shape, whole
from homelab_lib.control import mark
from homelab_lib.control.truenas.midclt import Release, call, changing
from homelab_lib.control.truenas.telling import telling
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.secret import Secret
from homelab_lib.transport.command import Command

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


@dataclass(frozen=True)
class Row:
    """A row that is as we want it.

    Parameters
    ----------
    host, lab, release
        Where it is, the lab it belongs to, and the NAS's release.
    family
        What kind of row it is.
    key, wanted
        What tells it from others, and what should stand in it.
    only_new
        What is said besides when it is made, and can't be compared later.
    secrets
        Secrets that go with it whenever it is sent, by where they belong in it.
    """

    host: str
    lab: str
    release: Release
    family: Family
    key: Values
    wanted: Values
    only_new: Values = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"{self.family.noun} {' '.join(map(str, self.key.values()))}"

    def observe(self, host: Host) -> list[dict[str, Any]]:
        """Every row that has the key, ours or not."""
        filters = [
            [name, "=", value]
            for name, value in self.family.says(self.release, self.key).items()
        ]  # fmt: skip
        names = {*self.wanted, self.family.mark} - {""}
        found = []
        shape = self.family.shape(self.release)
        method, secret = f"{self.family.namespace}.query", self.family.secret
        for row in call(host, method, filters, shape=shape, secret_output=secret):
            heard = self.family.hears(self.release, row)
            found.append({"id": row["id"]} | {name: heard[name] for name in sorted(names)})
        return found

    def diff(self, observed: list[dict[str, Any]]) -> Diff:
        family = self.family
        if unknown := family.unknown(self.release, self.wanted):
            release = ".".join(f"{part:02}" for part in self.release)
            return Diff(conflict=f"TrueNAS {release} can't do {', '.join(unknown)} of {self.name}")
        ours = [row for row in observed if self._is_ours(row)]
        if not ours and any(not self._differing(row) for row in observed):
            return Diff()
        if not observed:
            return Diff((self._create(),))
        if not ours:
            return Diff(conflict=self._taken(observed))
        if len(ours) > 1:
            numbers = ", ".join(str(row["id"]) for row in ours)
            return Diff(
                conflict=f"{self.name} is there twice with our mark (ids {numbers}); keep one"
            )
        differing = self._differing(ours[0])
        return Diff((self._update(ours[0], differing),)) if differing else Diff()

    def _is_ours(self, row: Values) -> bool:
        if self.family.unmarked:
            return False
        return not self.family.mark or mark.marks(row[self.family.mark], self.lab)

    def _differing(self, row: Values) -> dict[str, Any]:
        """What is wanted and not so."""
        return {
            name: value
            for name, value in self.wanted.items()
            if not self.family.fields[name].holds(value, row[name])
        }

    def _create(self) -> Change:
        marked = {self.family.mark: mark.text(self.lab)} if self.family.mark else {}
        said = marked | dict(self.key) | dict(self.wanted) | dict(self.only_new)
        call_ = self._call("create", self.family.says(self.release, said))
        return Change(f"make {self.name}", call_)

    def _call(self, verb: str, *arguments: Any) -> Command:
        method = f"{self.family.namespace}.{verb}"
        if self.secrets:
            return telling(method, *arguments, secrets=self.secrets)
        return changing(method, *arguments)

    def _update(self, row: Values, differing: dict[str, Any]) -> Change:
        family = self.family
        if family.together & differing.keys():
            differing |= {name: self.wanted[name] for name in family.together & self.wanted.keys()}
        before = {name: row[name] for name in differing}
        if family.whole:
            differing = {**self.key, **self.wanted}
        document = family.says(self.release, differing) | dict(family.on_update)
        old = json.dumps(family.says(self.release, before))
        told = [f"{name} {json.dumps(value, sort_keys=True)}" for name, value in before.items()]
        return Change(
            f"change {', '.join(before)} of {self.name}",
            self._call("update", row["id"], document),
            replaces=", ".join(told),
            undo=f"midclt call {family.namespace}.update {row['id']} '{old}'",
        )

    def _taken(self, rows: list[dict[str, Any]]) -> str:
        told = []
        for row in rows:
            have = ", ".join(f"{name} {json.dumps(row[name])}" for name in self._differing(row))
            if self.family.unmarked:
                return (
                    f"{self.name} is there already with {have}, and it has no comment by which we "
                    "could tell that we made it; change it by hand, or describe it as it is"
                )
            told.append(f"{row[self.family.mark]!r} with {have}")
        return (
            f"{self.name} is there already, and we did not make it: {'; '.join(told)}. If lab "
            f"{self.lab} may change it, write “{mark.text(self.lab)}” into its "
            f"{self.family.mark}; else take it out of the lab, or remove it by hand"
        )
