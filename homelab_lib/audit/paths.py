"""Dotted paths through a lab: fields, keys, names or indexes of a list."""

from collections.abc import Mapping, Sequence
from typing import Any


def below(value: Any, step: str) -> Any:
    """What stands under a name in a record, a mapping or a list; None where nothing does.

    Parameters
    ----------
    value
        The record, mapping or list.
    step
        The field, the key, the entry's name, or its index.
    """
    if isinstance(value, Mapping):
        return next((each for key, each in value.items() if str(key) == step), None)
    if isinstance(value, Sequence) and not isinstance(value, str):
        named = (each for each in value if getattr(each, "name", None) == step)
        if step.isdecimal():
            return value[int(step)] if int(step) < len(value) else None
        return next(named, None)
    return getattr(value, step, None)
