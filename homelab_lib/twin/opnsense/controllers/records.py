"""Searching in rows that are no table of a model."""

from typing import Any

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.order import natural
from homelab_lib.twin.opnsense.visit import Visit

_PAGE = 9999


def search_records(visit: Visit, records: list[dict[str, Any]], sort: str = "") -> dict[str, Any]:
    """A page of those that have what is looked for; the body says what that is, not the query."""
    post = visit.post
    size = php.cast_int(post.get("rowCount", _PAGE))
    page = php.cast_int(post.get("current", 1))
    order = php.mapping(post.get("sort")) or {}
    by = next(iter(order), sort)
    if by:
        records = sorted(
            sorted(records, key=_whole),
            key=lambda record: natural(_flat(record.get(by))),
            reverse=order.get(by, "asc") != "asc",
        )
    phrase = post.get("searchPhrase")
    tokens = php.text_of(phrase).split() if not isinstance(phrase, dict | list) else []
    found = [record for record in records if all(_has(record, token) for token in tokens)]
    size = len(records) if size == -1 else size
    chosen = found[max((page - 1) * size, 0) :][: max(size, 0)]
    return {"total": len(found), "rowCount": len(chosen), "current": page, "rows": chosen}


def _whole(record: dict[str, Any]) -> tuple[int, list[str]]:
    """What breaks ties: how much a record has, and then what."""
    return len(record), [_flat(value) for value in record.values()]


def _has(record: dict[str, Any], token: str) -> bool:
    return any(token.lower() in _flat(value).lower() for value in record.values())


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(_flat(each) for each in value.values())
    if isinstance(value, list):
        return " ".join(_flat(each) for each in value)
    return php.text_of(value)
