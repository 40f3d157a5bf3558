"""What a host has answered, held against the shape that is read from it.

A shape says what is used of an answer and leaves all else alone:

- a type, such as `str`; `float` takes whole numbers, too, and a truth value is no number;
- ``(str, None)``: one of several;
- ``[shape]``: a list of these;
- ``{"name": shape, "size?": shape}``: a mapping that has these keys; what is marked with ``?`` may
  be missing or null, and is missing then;
- ``{str: shape}``: a mapping of any keys;
- a function that gives the value, or raises ValueError.

An answer of another shape is refused in one line, with the place in it and what was expected there:
that a release or a proxy says something else is nobody's mistake to be shown a traceback.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from homelab_lib.errors import NotUnderstood

Shape = Any
SCALAR = (str, int, float, bool)

_DEEPEST = 64  # of what appliances say; Python's own limit ends in an error of its own
_LARGEST = 2**64  # ZFS numbers pools up to there
_SHOWN_CHARACTERS = 120
_NAMES: Mapping[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    None: "null",
    dict: "a mapping",
    list: "a list",
}


class Unfit(ValueError):
    """Says where an answer is not as expected."""


def understood(
    text: str,
    shape: Shape = object,
    *,
    host: str,
    line: str,
    cut: Callable[[str, int], str] = lambda text, characters: text[:characters],
) -> Any:
    """An answer in JSON.

    Parameters
    ----------
    text
        What was printed.
    shape
        What is read from it.
    host, line
        Who said it, and to which command.
    cut
        Gives the beginning of a text as it may be shown.

    Raises
    ------
    NotUnderstood
        It is no JSON, or of another shape.
    """
    try:
        value = parse(text)
    except Unfit as error:
        raise not_understood(host, line, f"{error}: {cut(text, _SHOWN_CHARACTERS)!r}") from None
    return expected(value, shape, host=host, line=line)


def expected(value: Any, shape: Shape, *, host: str, line: str) -> Any:
    """A value that has the shape; see `understood`."""
    try:
        return fitted(value, shape)
    except Unfit as error:
        raise not_understood(host, line, str(error)) from None


def not_understood(host: str, line: str, why: str) -> NotUnderstood:
    """The error for an answer of another shape."""
    return NotUnderstood(
        f"{host} answers otherwise than expected: {why}",
        where=f"{host}: {line}",
        fix="run that command there by hand: its version may be one that we do not know, or "
        "something else answers in its place",
    )


def parse(text: str) -> Any:
    """JSON as an appliance may write it.

    Raises
    ------
    Unfit
        It is none, or holds what no answer does: numbers without end, a hundred levels.
    """
    try:
        value = json.loads(text, parse_constant=_number, parse_float=_number, parse_int=_whole)
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()  # half a character can't be written
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, Unfit) else "JSON"
        raise Unfit(f"expected {why}" if why == "JSON" else why) from None
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(_DEEPEST):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return value
    raise Unfit(f"more than {_DEEPEST} levels")


def _inside(value: Any) -> list[Any]:
    """The mappings and lists in a mapping or a list."""
    each_of = value.values() if isinstance(value, dict) else value
    return [each for each in each_of if isinstance(each, dict | list)]


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Unfit(f"a number without end: {text[:20]}")
    return number


def _whole(text: str) -> int:
    if len(text) > len(str(_LARGEST)) or abs(int(text)) > _LARGEST:
        raise Unfit(f"a number too large: {text[:20]}…")
    return int(text)


def fitted(value: Any, shape: Shape, place: str = "") -> Any:
    """A value as its shape has it: without what is null where that means "not there".

    Raises
    ------
    Unfit
        It has another shape.
    """
    if isinstance(shape, list):
        rows = _of(value, list, shape, place)
        return [fitted(row, shape[0], f"{place}[{at}]") for at, row in enumerate(rows)]
    if isinstance(shape, dict):
        return _mapping(_of(value, dict, shape, place), shape, place)
    if isinstance(shape, tuple):
        return _one_of(value, shape, place)
    if shape is None or isinstance(shape, type):
        return value if shape is object else _of(value, shape, shape, place)
    return _given_by(shape, value, place)


def _of(value: Any, kind: Any, shape: Shape, place: str) -> Any:
    good = (
        value is None
        if kind is None
        else isinstance(value, int | float if kind is float else kind)
        and isinstance(value, bool) == (kind is bool)
    )
    if not good:
        raise _unfit(value, shape, place)
    return value


def _mapping(value: dict[str, Any], shape: Mapping[Any, Shape], place: str) -> dict[str, Any]:
    if str in shape:
        return {key: fitted(each, shape[str], _below(place, key)) for key, each in value.items()}
    found = dict(value)
    for name, inner in shape.items():
        key = name.removesuffix("?")
        if key != name and found.get(key) is None:
            found.pop(key, None)
        elif key not in found:
            raise Unfit(f"{_below(place, key)} is missing; expected is {_told(inner)}")
        else:
            found[key] = fitted(found[key], inner, _below(place, key))
    return found


def _one_of(value: Any, shapes: tuple[Shape, ...], place: str) -> Any:
    for shape in shapes:
        try:
            return fitted(value, shape, place)
        except Unfit as error:
            if isinstance(value, dict | list) and isinstance(shape, type(value)):
                raise error from None  # it is that one, and its fault lies deeper
    raise _unfit(value, shapes, place)


def _given_by(shape: Callable[[Any], Any], value: Any, place: str) -> Any:
    try:
        return shape(value)
    except (TypeError, ValueError) as error:
        raise Unfit(f"{place or 'it'} is {_shown(value)}: {error}") from None


def _below(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _unfit(value: Any, shape: Shape, place: str) -> Unfit:
    return Unfit(f"{place or 'it'} is {_shown(value)}; expected is {_told(shape)}")


def _shown(value: Any) -> str:
    """The whole of a short value, of others the kind: a secret that is cut is found by no mask."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= _SHOWN_CHARACTERS else f"a text of {len(text)} characters"


def _told(shape: Shape) -> str:
    """A shape in words."""
    if isinstance(shape, tuple):
        return " or ".join(map(_told, shape))
    if isinstance(shape, list):
        return f"a list, each of it {_told(shape[0])}"
    if isinstance(shape, dict):
        keys = [key for key in shape if isinstance(key, str) and not key.endswith("?")]
        return f"a mapping with {', '.join(keys)}" if keys else "a mapping"
    if isinstance(shape, type) or shape is None:
        return _NAMES.get(shape, "anything")
    return (shape.__doc__ or shape.__name__).partition("\n")[0].rstrip(".")


def whole(value: Any) -> int:
    """A whole number, which some releases write as text."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("expected is a whole number")
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) < 20):
        raise ValueError("expected is a whole number")
    return int(value)
