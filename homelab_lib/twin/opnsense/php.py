"""How PHP sees values: what counts as empty, what a number is, what JSON it writes and reads.

The appliance's answers come of this: a list that is empty and an object that is empty are the
same to it, and so is an object whose keys are 0, 1, 2 in order.
"""

import json
import math
import re
from typing import Any
from urllib.parse import parse_qsl

_NUMERIC = re.compile(r"[ \t\n\r\v\f]*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?[ \t\n\r\v\f]*")
_INTEGER = re.compile(r"\s*([+-]?(?:0|[1-9][0-9]*))\s*", re.ASCII)
_DEEPEST = 512
_INDEX = re.compile(r"0|[1-9][0-9]*")


def is_empty(text: str) -> bool:
    """``empty()``: nothing, or a nought alone."""
    return text in ("", "0")


def is_numeric(text: str) -> bool:
    """``is_numeric()``."""
    return _NUMERIC.fullmatch(text) is not None


def integer(text: str) -> int | None:
    """What ``FILTER_VALIDATE_INT`` takes a text for; None where it refuses it."""
    found = _INTEGER.fullmatch(text.strip(" \t\n\r\v\0"))
    if found is None:
        return None
    value = int(found[1])
    return value if -(2**63) <= value < 2**63 else None


def cast_int(value: Any) -> int:
    """``(int)`` of a value after all but digits and signs is taken out of it."""
    found = re.match(r"[+-]?\d+", re.sub(r"[^0-9+-]", "", text_of(value)))
    return int(found[0]) if found else 0


def text_of(value: Any) -> str:
    """``(string)`` of what JSON can hold, but for lists and objects."""
    match value:
        case None | False:
            return ""
        case True:
            return "1"
        case float():
            return _float(value)
    return str(value)


def _float(value: float) -> str:
    if not math.isfinite(value):
        return f"{value:f}".upper()
    mantissa, e, exponent = f"{value:.14G}".partition("E")
    if not e:
        return mantissa
    return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}E{int(exponent):+d}"


def encoded(value: Any) -> str:
    """``json_encode()``."""
    return json.dumps(_as_php(value), ensure_ascii=False)


def _as_php(value: Any) -> Any:
    if isinstance(value, dict):
        if [str(key) for key in value] == [str(number) for number in range(len(value))]:
            return [_as_php(each) for each in value.values()]
        return {str(key): _as_php(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_as_php(each) for each in value]
    return value


def decoded(body: bytes) -> dict[str, Any]:
    """What a body of JSON leaves in ``$_POST``; nothing of what is no list and no object."""
    try:
        value = json.loads(body.decode(), parse_int=_whole, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()  # half a pair of UTF-16 is no character
    except (ValueError, RecursionError):
        return {}
    found = mapping(value)
    return found if found is not None and _is_shallow(found) else {}


def _whole(digits: str) -> int | float:
    value = int(digits) if len(digits) < 30 else float(digits)
    return value if -(2**63) <= value < 2**63 else float(digits)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _is_shallow(value: Any) -> bool:
    """Whether it is as deep as `json_decode` goes, and no deeper."""
    level = [value]
    for _ in range(_DEEPEST):
        lists = [each for each in level if isinstance(each, dict | list)]
        level = [e for each in lists for e in (each.values() if isinstance(each, dict) else each)]
        if not level:
            return True
    return not any(isinstance(each, dict | list) for each in level)


def mapping(value: Any) -> dict[str, Any] | None:
    """A list or object as PHP's one kind of array; None for what is neither."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return {str(number): each for number, each in enumerate(value)}
    return None


def form(body: bytes) -> dict[str, Any]:
    """What a form leaves in ``$_POST``: ``alias[name]=x`` goes into an array."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(body.decode(errors="replace"), keep_blank_values=True):
        head, *inner = name.partition("[")[0], *re.findall(r"\[([^\]]*)\]", name)
        place = found
        steps = [head, *inner]
        for step in steps[:-1]:
            inside = place.get(step)
            if not isinstance(inside, dict):
                inside = place[step] = {}
            place = inside
        place[steps[-1] or str(len(place))] = value
    return found


def is_index(text: str) -> bool:
    """Whether a key counts as a number."""
    return _INDEX.fullmatch(text) is not None


def leading_int(text: str) -> int:
    """``(int)`` of a text: the number that it begins with, else 0."""
    return int(leading_float(text)) if math.isfinite(leading_float(text)) else 0


def leading_float(text: str) -> float:
    """``(float)`` of a text: the number that it begins with, else 0."""
    found = re.match(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", text)
    return float(found[0]) if found else 0.0
