"""What the middleware only keeps: families of rows, and settings that there is one of. Query,
create, update and delete are the same for all; what a row may hold is a table in `arguments`.

Source: TrueNAS middleware 25.04 to 26, `CRUDService`, `ConfigService` and the API models of each.
"""

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.twin.truenas.arguments.base import Arguments
from homelab_lib.twin.truenas.errors import ValidationErrors
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import Release, left_out, method

Row = dict[str, Any]
Check = Callable[[TrueNas, Row, str, list[Row]], None]
ALWAYS: Release = (9999,)
Models = Mapping[Release, type[Arguments]]
"""What is taken, by the first release that takes it so."""


def _nothing(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    """Whatever has the right form is kept."""


def in_turn(models: Models) -> list[tuple[Release, Release | None, type[Arguments]]]:
    """Each form with the first release that has it, and the first that has it no more."""
    firsts = sorted(models)
    ends = [*firsts[1:], None]
    return [(since, until, models[since]) for since, until in zip(firsts, ends, strict=True)]


@dataclass(frozen=True)
class Family:
    """A family of rows.

    Parameters
    ----------
    namespace, title, schema
        Of its methods (``cronjob``), how errors call one of its rows, and their arguments in them.
    creates, updates
        What is taken, by release.
    check
        Raises where a row can't be: (the NAS, the row, its place in errors, all others).
    shown
        What the middleware tells besides, and does not take back.
    table
        Where the rows are kept; the namespace unless it is named.
    argument, number
        Names of the arguments: ``data`` (``group_create``, where the place of errors is meant) and
        the row's number.
    once
        Fields that are no part of the row: they are about this one change.
    delete
        Further arguments of its deletion: what they may be.
    answer
        What create and update answer with, of the row as it is shown.
    deleted
        What a deletion answers with, of the row's number.
    until
        The first release that has the family no more.
    asked
        The fields that a real NAS is asked for, where there are secrets among the others.
    """

    namespace: str
    title: str
    schema: str
    creates: Models
    updates: Models
    check: Check = _nothing
    shown: Callable[[TrueNas, Row], Row] = lambda nas, row: {}
    table: str = ""
    argument: str = "data"
    number: str = "id"
    once: tuple[str, ...] = ()
    delete: Mapping[str, Any] = field(default_factory=dict)
    answer: Callable[[Row], Any] = lambda row: row
    deleted: Callable[[int], Any] = lambda number: True
    until: Release | None = None
    asked: tuple[str, ...] = ()

    def register(self) -> None:
        """Let `midclt` find its methods; a twin is seeded with its rows."""
        FAMILIES[self.namespace] = self
        method(f"{self.namespace}.query", until=self.until)(self.query)
        takes: Row = {self.number: int} | dict(self.delete)
        method(f"{self.namespace}.delete", takes, until=self.until)(self._delete)
        for verb, models, body in (
            ("create", self.creates, self._create),
            ("update", self.updates, self._update),
        ):
            name = self.argument or f"{self.schema}_{verb}"
            number: Row = {self.number: int} if verb == "update" else {}
            for since, until, model in in_turn(models):
                takes = {**number, name: model}
                gone = until or self.until
                method(f"{self.namespace}.{verb}", takes, since=since, until=gone)(body)

    @property
    def kept_in(self) -> str:
        """The name of its table."""
        return self.table or self.namespace

    def rows(self, nas: TrueNas) -> list[Row]:
        """All rows, as they are kept."""
        return nas.tables[self.kept_in].rows()

    def query(self, nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
        """Rows, as they are shown."""
        rows = [row | self.shown(nas, row) for row in self.rows(nas)]
        return query(rows, filters, options)

    def _create(self, nas: TrueNas, data: Row) -> Any:
        self.check(nas, data, f"{self.schema}_create", self.rows(nas))
        return self._kept(nas, data)

    def _update(self, nas: TrueNas, number: int, data: Row) -> Any:
        new = self._one(nas, number) | {k: v for k, v in data.items() if k not in self.once}
        others = [row for row in self.rows(nas) if row["id"] != number]
        self.check(nas, new, f"{self.schema}_update", others)
        return self._kept(nas, new)

    def _kept(self, nas: TrueNas, row: Row) -> Any:
        number = nas.tables[self.kept_in].insert(row)
        return self.answer(self.query(nas, [["id", "=", number]], {"get": True}))

    def _delete(self, nas: TrueNas, number: int, *rest: Any) -> Any:
        self._one(nas, number)
        nas.tables[self.kept_in].delete(number)
        return self.deleted(number)

    def _one(self, nas: TrueNas, number: int) -> Row:
        row = nas.tables[self.kept_in].get(number)
        if row is None:
            raise ValidationErrors.one("", f"{self.title} {number} does not exist", errno.ENOENT)
        return row


FAMILIES: dict[str, Family] = {}
"""All that are registered, by namespace."""


@dataclass(frozen=True)
class Settings:
    """Settings that there is one of.

    Parameters
    ----------
    namespace
        Of its methods: ``nfs``.
    updates
        What is taken, by release.
    fresh
        What a new system has, by release.
    argument
        How errors call the argument, by the first release that calls it so.
    left_out_until
        The first release in which the argument has to be given.
    check
        Raises where they can't be: (the NAS, all settings, their place in errors, what is given).
    secret
        Fields that are taken and never told.
    """

    namespace: str
    updates: Models
    fresh: Mapping[Release, Row]
    argument: Mapping[Release, str]
    left_out_until: Release = ()
    check: Callable[[TrueNas, Row, str, Row], None] = lambda nas, row, place, given: None
    secret: tuple[str, ...] = ()

    def register(self) -> None:
        """Let `midclt` find its methods."""
        method(f"{self.namespace}.config")(self.config)
        for since, until, model in in_turn(self.updates):
            name = self.argument[max(first for first in self.argument if first <= since)]
            takes = {name: left_out(model) if since < self.left_out_until else model}
            method(f"{self.namespace}.update", takes, since=since, until=until)(self._update)

    def config(self, nas: TrueNas) -> Row:
        """The settings."""
        fresh = self.fresh[max(first for first in self.fresh if first <= nas.release)]
        return {"id": 1} | fresh | nas.config.get(self.namespace, {})

    def _update(self, nas: TrueNas, data: Row) -> Row:
        new = self.config(nas) | {k: v for k, v in data.items() if k not in self.secret}
        self.check(nas, new, f"{self.namespace}_update", data)
        nas.config[self.namespace] = new
        return dict(new)
