"""One resource for all that OPNsense keeps as rows: VLANs, ranges, names, aliases, rules.

What a family's rows look like is a table (`families`); here is what is done with every one of
them. A row that we make gets an id of ours, which follows from the lab and from what the row is:
``set`` with an id that is not there makes it. So a row whose reply was lost can't be made twice,
and whoever refers to it knows its id beforehand.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.answers import Shape
from homelab_lib.control import mark
from homelab_lib.control.opnsense.api import Api, told
from homelab_lib.control.opnsense.values import nested, parts, plain
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.secret import Secret

Values = Mapping[str, str]

ROWS: Shape = {"rows": [{"uuid?": str}]}


@dataclass(frozen=True)
class Field:
    """One field of a family's rows.

    Parameters
    ----------
    default
        What the firewall takes it for where it is not given.
    joined_by
        What joins the parts of a list; empty where it is none. The order means nothing.
    until
        What the search appends to the value begins with this.
    shown
        It is known by the name that is shown beside it, and not by its value, which is an id.
    any_case
        Small letters and capitals are the same.
    once
        Said when the row is made; afterwards it is not ours.
    """

    default: str = ""
    joined_by: str = ""
    until: str = ""
    shown: bool = False
    any_case: bool = False
    once: bool = False

    def heard(self, row: Mapping[str, Any], name: str) -> str:
        """What a row of a search says of it."""
        value = row.get(f"%{name}", row.get(name)) if self.shown else row.get(name)
        text = self.default if value is None else plain(value)
        return self.settled(text.partition(self.until)[0] if self.until else text)

    def settled(self, text: str) -> str:
        """`text` in a form that can be compared."""
        text = text.lower() if self.any_case else text
        return self.joined_by.join(parts(text, self.joined_by)) if self.joined_by else text


@dataclass(frozen=True)
class Family:
    """A kind of row.

    Parameters
    ----------
    noun
        What one is called.
    search, put
        Paths below ``/api/``: rows are found at one, and set at the other by their id.
    root
        What a row is called in the body.
    key
        The fields by which one is told from others.
    fields
        All fields that we speak of, the key's among them.
    mark
        The field that carries our mark; empty where there is none: then ours is the one with the
        id that we give it.
    add
        Where rows are made, for a family that makes none by ``set``.
    drop
        Where rows are removed, for a family of which some may be.
    anybodys
        A row is one thing, whoever made it: it is set as wanted.
    """

    noun: str
    search: str
    put: str
    root: str
    key: tuple[str, ...]
    fields: Mapping[str, Field]
    mark: str
    add: str = ""
    drop: str = ""
    anybodys: bool = False

    def hears(self, row: Mapping[str, Any]) -> dict[str, str]:
        """A row in our words."""
        return {name: each.heard(row, name) for name, each in self.fields.items()}

    def is_row(self, row: Mapping[str, Any]) -> bool:
        """Whether it is one of the model's: a search may show others beside them."""
        return _is_uuid(row.get("uuid")) and not row.get("isAlias") and not row.get("legacy")


def _is_uuid(text: Any) -> bool:
    try:
        return isinstance(text, str) and bool(uuid.UUID(text))
    except ValueError:
        return False


def described(title: str, lab: str) -> str:
    """A description that carries our mark."""
    return f"{title}; {mark.text(lab)}"


def own_id(lab: str, noun: str, *key: str) -> str:
    """The id of a row of ours: of version 4, for the API makes no row by any other."""
    digest = hashlib.sha256("\0".join((lab, noun, *key)).encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


@dataclass(frozen=True)
class Row:
    """A row that is as we want it.

    Parameters
    ----------
    api, lab
        The firewall, and the lab it belongs to.
    family
        What kind of row it is.
    key, wanted
        What tells it from others, and what should stand in it.
    title
        What it is called, for people.
    ids
        For fields that are known by a name and sent as an id: the ids by name.
    """

    api: Api
    lab: str
    family: Family
    key: Values
    wanted: Values
    title: str
    ids: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 5.0

    @property
    def host(self) -> str:
        return self.api.host

    @property
    def name(self) -> str:
        return f"{self.family.noun} {self.title}"

    @property
    def uuid(self) -> str:
        """The id that it gets, if we make it."""
        return own_id(self.lab, self.family.noun, *self.key.values())

    def observe(self, host: Host) -> list[dict[str, Any]]:
        """Every row that has the key, ours or not."""
        return self._mine(rows(self.api, host, self.family))

    @staticmethod
    def observe_together(host: Host, resources: "Sequence[Row]") -> list[list[dict[str, Any]]]:
        """All of them, by one search of each family."""
        found: dict[str, list[dict[str, Any]]] = {}
        for each in resources:
            if each.family.search not in found:
                found[each.family.search] = rows(each.api, host, each.family)
        return [each._mine(found[each.family.search]) for each in resources]

    def _mine(self, found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        fields = self.family.fields
        wanted = {name: fields[name].settled(value) for name, value in self.key.items()}
        names = sorted({*self.key, *self.wanted, self.family.mark} - {""})
        return [
            {"uuid": row["uuid"]} | {name: row[name] for name in names}
            for row in found
            if all(row[name] == value for name, value in wanted.items())
            or row["uuid"] == self.uuid  # made by us, and somebody has given it another key
        ]

    def diff(self, observed: list[dict[str, Any]]) -> Diff:
        ours = [row for row in observed if self._is_ours(row)]
        if not ours and any(not self._differing(row) for row in observed):
            return Diff()
        if not observed:
            return Diff((self._create(),))
        if not ours:
            return Diff(conflict=self._taken(observed))
        if len(ours) > 1:
            ids = ", ".join(str(row["uuid"]) for row in ours)
            return Diff(conflict=f"{self.name} is there twice with our mark ({ids}); keep one")
        differing = self._differing(ours[0])
        return Diff((self._update(ours[0], differing),)) if differing else Diff()

    def _is_ours(self, row: Mapping[str, Any]) -> bool:
        """By our mark; of a family that has no room for one, by the id that we gave it. A row that
        is one thing whoever made it (a signature's number) is everybody's."""
        if self.family.mark:
            return mark.marks(row[self.family.mark], self.lab)
        return self.family.anybodys or row["uuid"] == self.uuid

    def _differing(self, row: Mapping[str, Any]) -> dict[str, str]:
        """What is wanted and not so."""
        fields = self.family.fields
        return {
            name: value
            for name, value in {**self.key, **self.wanted}.items()
            if not fields[name].once and row[name] != fields[name].settled(value)
        }

    def _create(self) -> Change:
        mark_ = self.family.mark
        marked = {mark_: described(self.title, self.lab)} if mark_ else {}
        body = {self.family.root: self._document(marked | dict(self.key) | dict(self.wanted))}
        path = self.family.add or f"{self.family.put}/{self.uuid}"
        drop = self.family.put.replace("/set", "/del")
        undo = f"POST /api/{drop}/{self.uuid}"
        if self.family.add:
            undo = f"POST /api/{drop}/UUID; its id is known after apply, by {self.family.search}"
        return Change(f"make {self.name}", self.api.post(path, body), follow=told, undo=undo)

    def _update(self, row: Mapping[str, Any], differing: Mapping[str, str]) -> Change:
        body = {self.family.root: self._document(differing)}
        before = ", ".join(f"{name} {json.dumps(row[name])}" for name in differing)
        old = json.dumps({self.family.root: nested({name: row[name] for name in differing})})
        return Change(
            f"change {', '.join(differing)} of {self.name}",
            self.api.post(f"{self.family.put}/{row['uuid']}", body),
            follow=told,
            replaces=before,
            undo=f"POST /api/{self.family.put}/{row['uuid']} {old}",
        )

    def _document(self, values: Mapping[str, str]) -> dict[str, Any]:
        return nested({name: self._sent(name, value) for name, value in values.items()})

    def _sent(self, name: str, value: str) -> str | Secret:
        """A value as it goes out. An id that somebody else's row has is known to that firewall
        alone: a plan binds the name that it stands for."""
        rule = self.family.fields[name]
        if not rule.shown or not value:
            return value
        names = parts(value, rule.joined_by or "\n")
        ids = (rule.joined_by or "").join(self.ids[each] for each in names)
        return Secret(f"the id of {', '.join(names)}", lambda: ids)

    def _taken(self, found: Sequence[Mapping[str, Any]]) -> str:
        if not self.family.mark:
            return (
                f"{self.name} is there already, and we did not make it: give ours another name in "
                "the lab, or remove that one by hand"
            )
        told_ = []
        for row in found:
            have = ", ".join(f"{name} {json.dumps(row[name])}" for name in self._differing(row))
            told_.append(f"{row[self.family.mark]!r} with {have}")
        return (
            f"{self.name} is there already, and we did not make it: {'; '.join(told_)}. If lab "
            f"{self.lab} may change it, write “{mark.text(self.lab)}” into its "
            f"{self.family.mark}; else take it out of the lab, or remove it by hand"
        )


def rows(api: Api, host: Host, family: Family) -> list[dict[str, Any]]:
    """All rows of a family in our words, each with its ``uuid``."""
    found = api.ask(host, family.search, ROWS, rowCount="-1")["rows"]
    return [{"uuid": row["uuid"]} | family.hears(row) for row in found if family.is_row(row)]
