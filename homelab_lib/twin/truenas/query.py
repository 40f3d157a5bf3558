"""What ``query-filters`` and ``query-options`` of the TrueNAS middleware mean.

Source: TrueNAS 25.10 API documentation, "Query Methods"; behaviour of `filter_list`. Left out:
case-insensitive operators (a leading ``C``) and comparisons of timestamps.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from homelab_lib.twin.truenas.errors import ValidationErrors

Row = dict[str, Any]
_MISSING = object()


def _op_in(value: Any, wanted: Any) -> bool:
    return value in wanted


_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "~": lambda value, pattern: re.match(pattern, value or ""),
    "in": _op_in,
    "nin": lambda value, wanted: value is not None and value not in wanted,
    "rin": lambda value, wanted: value is not None and wanted in value,
    "rnin": lambda value, wanted: value is not None and wanted not in value,
    "^": lambda value, start: value is not None and value.startswith(start),
    "!^": lambda value, start: value is not None and not value.startswith(start),
    "$": lambda value, end: value is not None and value.endswith(end),
    "!$": lambda value, end: value is not None and not value.endswith(end),
}


def _find(entry: Any, path: str) -> Any:
    """The value at ``a.b.0.c``; ``*`` stands for every member of a list."""
    for place, key in enumerate(keys := path.split(".")):
        if isinstance(entry, dict):
            entry = entry.get(key, _MISSING)
        elif isinstance(entry, list) and key == "*":
            rest = ".".join(keys[place + 1 :])
            return _Any([_find(member, rest) if rest else member for member in entry])
        elif isinstance(entry, list) and key.isdigit():
            entry = entry[int(key)] if int(key) < len(entry) else None
        elif isinstance(entry, list):
            raise ValueError(f"{key}: must be array index or wildcard character")
        if entry is _MISSING:
            return _MISSING
    return entry


class _Any(list[Any]):
    """Values of which one has to satisfy the condition."""


def _holds(row: Row, condition: Sequence[Any]) -> bool:
    if len(condition) == 2:
        return any(
            all(_holds(row, part) for part in branch)
            if isinstance(branch[0], list)
            else _holds(row, branch)
            for branch in condition[1]
        )
    name, op, wanted = condition
    value = _find(row, name)
    if isinstance(value, _Any):
        return any(bool(_OPERATORS[op](one, wanted)) for one in value)
    return value is not _MISSING and bool(_OPERATORS[op](value, wanted))


def _check(filters: Any) -> None:
    if not isinstance(filters, list):
        raise ValueError("Input should be a valid list")
    for condition in filters:
        if not isinstance(condition, list) or len(condition) not in (2, 3):
            raise ValueError(f"Invalid filter {condition}")
        if len(condition) == 2:
            if condition[0] != "OR":
                raise ValueError(f"Invalid operation: {condition[0]}")
            for branch in condition[1]:
                _check(branch if isinstance(branch[0], list) else [branch])
        elif condition[1] not in _OPERATORS:
            raise ValueError(f"Invalid operation: {condition[1]}")


def _ordered(rows: list[Row], order_by: Sequence[str]) -> list[Row]:
    for key in reversed(order_by):
        nulls_last = key.startswith("nulls_last:")
        name = key.removeprefix("nulls_first:").removeprefix("nulls_last:")
        reverse, name = name.startswith("-"), name.removeprefix("-")
        none = [row for row in rows if _find(row, name) is None]
        some = [row for row in rows if _find(row, name) is not None]
        some.sort(key=partial(_find, path=name), reverse=reverse)
        rows = some + none if nulls_last else none + some
    return rows


def _selected(row: Row, select: Sequence[str | list[str]]) -> Row:
    chosen: Row = {}
    for selector in select:
        path, name = (selector, None) if isinstance(selector, str) else selector
        value = _find(row, path)
        if value is _MISSING:
            continue
        place, keys = chosen, [name] if name else path.split(".")
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        place[keys[-1]] = value
    return chosen


def query(rows: list[Row], filters: Any = None, options: Any = None) -> Any:
    """Rows that fit, in the shape that the options ask for.

    Parameters
    ----------
    rows
        What there is.
    filters
        ``[["pool.name", "=", "tank"], …]``; all must hold. ``["OR", [a, b]]`` is a choice.
    options
        ``get`` (the first row alone), ``count``, ``select``, ``order_by``, ``limit``, ``offset``.

    Raises
    ------
    ValidationErrors
        A filter or an option that can't be read.
    MatchNotFound
        ``get``, and nothing fits.
    """
    options = {} if options is None else options
    if not isinstance(options, dict):
        raise ValidationErrors.one("options", "Input should be a valid dictionary")
    try:
        return _answer(rows, filters, options)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, re.error) as error:
        raise ValidationErrors.one("filters", str(error)) from None


def _answer(rows: list[Row], filters: Any, options: dict[str, Any]) -> Any:
    _check(filters or [])
    if options.get("get") and (options.get("limit", 0) > 1 or options.get("offset")):
        raise ValueError("Invalid options combination. `get` implies a single result.")
    found = [row for row in rows if all(_holds(row, one) for one in filters or [])]
    if options.get("count"):
        return len(found)
    found = _ordered(found, options.get("order_by", []))
    found = found[options.get("offset", 0) :]
    if limit := options.get("limit"):
        found = found[:limit]
    if select := options.get("select"):
        found = [_selected(row, select) for row in found]
    if not options.get("get"):
        return found
    if not found:
        raise MatchNotFound
    return found[0]


class MatchNotFound(Exception):
    """``get`` found nothing: the middleware lets the bare exception through."""
