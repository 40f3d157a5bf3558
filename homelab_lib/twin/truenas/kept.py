"""Families of rows that the middleware only keeps, as tables: what a row may hold, and what it
must. Query, create, update and delete of each are the same for all.

Source: TrueNAS middleware 24.10 to 26, `CRUDService` and the API models of each.
"""

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from homelab_lib.twin.truenas.errors import ValidationErrors
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import Field, Fields, method

Row = dict[str, Any]


@dataclass(frozen=True)
class Family:
    """One family.

    Parameters
    ----------
    namespace
        Of its methods: ``cronjob``.
    title, schema
        How errors call one of its rows, and its arguments.
    fields
        What a row holds.
    check
        Why a row can't be: (the NAS, the row) → (field, why); None where it can.
    merged
        Fields that hold an object of which an update may give a part, with what is not given.
    """

    namespace: str
    title: str
    schema: str
    fields: Mapping[str, Field]
    check: Callable[[TrueNas, Row], tuple[str, str] | None] = lambda nas, row: None
    merged: Mapping[str, Row] | None = None

    def register(self) -> None:
        """Let `midclt` find its methods."""
        create, update = f"{self.schema}_create", f"{self.schema}_update"
        method(f"{self.namespace}.query")(self._query)
        method(f"{self.namespace}.create", data=Fields(create, self.fields))(self._create)
        method(f"{self.namespace}.update", data=Fields(update, self.fields, update=True))(
            self._update
        )
        method(f"{self.namespace}.delete")(self._delete)

    def _query(self, nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
        return query(nas.tables[self.namespace].rows(), filters, options)

    def _create(self, nas: TrueNas, data: Row) -> Row:
        row = data | {key: rest | data[key] for key, rest in (self.merged or {}).items()}
        self._judge(nas, row, "create")
        return self._one(nas, nas.tables[self.namespace].insert(row))

    def _update(self, nas: TrueNas, id_: int, data: Row) -> Row:
        row = self._one(nas, id_)
        new = row | data | {k: row[k] | data.get(k, {}) for k in self.merged or {}}
        self._judge(nas, new, "update")
        nas.tables[self.namespace].insert(new)
        return new

    def _delete(self, nas: TrueNas, id_: int) -> bool:
        self._one(nas, id_)
        nas.tables[self.namespace].delete(id_)
        return True

    def _judge(self, nas: TrueNas, row: Row, verb: str) -> None:
        if why := self.check(nas, row):
            raise ValidationErrors.one(f"{self.schema}_{verb}.{why[0]}", why[1])

    def _one(self, nas: TrueNas, number: int) -> Row:
        row = nas.tables[self.namespace].get(number)
        if row is None:
            raise ValidationErrors.one("", f"{self.title} {number} does not exist", errno.ENOENT)
        return row


def _known_user(nas: TrueNas, row: Row) -> tuple[str, str] | None:
    known = row["user"] in nas.user_names()
    return None if known else ("user", "Specified user does not exist")


CRON = {"minute": "00", "hour": "*", "dom": "*", "month": "*", "dow": "*"}

FAMILIES = (
    Family(
        "cronjob",
        "CronJob",
        "cron_job",
        {
            "command": Field((str,)),
            "user": Field((str,)),
            "description": Field((str,), ""),
            "schedule": Field((dict,), {}),
            "stdout": Field((bool,), True),
            "stderr": Field((bool,), False),
            "enabled": Field((bool,), True),
        },
        check=_known_user,
        merged={"schedule": CRON},
    ),
)

for _family in FAMILIES:
    _family.register()
