"""Dotted paths through a lab: fields, keys, names or indexes of a list."""

from collections.abc import Iterator, Mapping, Sequence
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


def walk(value: Any, path: str) -> Iterator[tuple[Any, str, Any]]:
    """What stands at each step of a dotted path; a step may be a name with dots.

    Parameters
    ----------
    value
        Where it begins.
    path
        Fields, keys, names or indexes of a list, joined by dots.

    Yields
    ------
    tuple
        What the step is taken in, the step, and what stands there.

    Raises
    ------
    LookupError
        Nothing stands at a step: its first word.
    """
    steps = path.split(".")
    while steps:
        joined = (".".join(steps[: count + 1]) for count in range(len(steps)))
        there = ((step, below(value, step)) for step in joined)
        step, found = next((each for each in there if each[1] is not None), ("", None))
        if found is None:
            raise LookupError(steps[0])
        yield value, step, found
        value, steps = found, steps[step.count(".") + 1 :]
