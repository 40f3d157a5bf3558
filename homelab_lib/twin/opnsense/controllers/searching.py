"""Rows of a model that have what is looked for: sorted, and a page of them."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from homelab_lib.twin.opnsense.controllers.answers import Answer
from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.nodes import Box, Rows
from homelab_lib.twin.opnsense.order import natural
from homelab_lib.twin.opnsense.visit import Visit

_ANY_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)


def search_rows(
    visit: Visit,
    model: str,
    path: str,
    fields: Iterable[str] = (),
    sort: str = "",
    fits: Callable[[Box], bool] | None = None,
) -> Answer:
    """Rows that have what is looked for, a page of them."""
    rows: Rows = visit.tree(model).at(path)
    found = rows.rows()
    wanted = list(fields) or [leaf.ref[len(found[0].ref) + 1 :] for leaf in _first(found)]
    tokens = [token for token in visit.text("searchPhrase").split(" ") if token]
    if any(_ANY_UUID.search(token) for token in tokens):
        wanted.append("uuid")
    found = _sorted(visit, found, sort)
    shown = [row.row() for row in found if fits is None or fits(row)]
    shown = [row for row in shown if all(_has(row, wanted, token.lower()) for token in tokens)]
    size, page = visit.number("rowCount", -1), visit.number("current", 1)
    chosen = shown if size == -1 else shown[max(size * (page - 1), 0) :][: max(size, 0)]
    return {"rows": chosen, "rowCount": len(chosen), "total": len(shown), "current": page}


def _first(rows: list[Box]) -> Iterable[Any]:
    return rows[0].leaves() if rows else ()


def _has(row: Mapping[str, Any], fields: Iterable[str], token: str) -> bool:
    return any(token in str(row.get(f"%{f}", row.get(f, ""))).lower() for f in fields)


def _sorted(visit: Visit, rows: list[Box], sort: str) -> list[Box]:
    """By all the columns that are named; the first says in which direction, names break ties."""
    order = visit.posted("sort") or {}
    columns = list(order) or [sort]
    if columns == [""]:
        return rows

    def key(row: Box) -> Any:
        leaves = [leaf for leaf in map(row.get, columns) if isinstance(leaf, Leaf)]
        return natural("".join(f"{leaf.field.described(leaf)}," for leaf in leaves) + row.uuid)

    return sorted(rows, key=key, reverse=order.get(columns[0]) == "desc")
