"""Values of PHP: what they are as texts, numbers, truths; its functions on them."""

import json
import math
import re
from collections.abc import Callable
from typing import Any

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.script_objects import Xml

_PRETTY, _SLASHES, _UNICODE = 128, 64, 256
CONSTANTS: dict[str, Any] = {
    "PHP_EOL": "\n",
    "JSON_PRETTY_PRINT": _PRETTY,
    "JSON_UNESCAPED_SLASHES": _SLASHES,
    "JSON_UNESCAPED_UNICODE": _UNICODE,
    "JSON_THROW_ON_ERROR": 4194304,
    "STDIN": "php://stdin",
    "STDOUT": "php://stdout",
    "STDERR": "php://stderr",
    "true": True,
    "false": False,
    "null": None,
}


def text(value: Any) -> str:
    """``(string)``."""
    if isinstance(value, Xml):
        return value.text
    if isinstance(value, dict):
        return "Array"
    return php.text_of(value)


def truth(value: Any) -> bool:
    """``(bool)``."""
    if isinstance(value, Xml | dict | int | float | bool) or value is None:
        return bool(value)
    return not (isinstance(value, str) and php.is_empty(value))


def number(value: Any) -> int | float:
    """What it counts for."""
    if isinstance(value, bool | int | float):
        return value
    found = re.match(r"\s*[+-]?(\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?", text(value))
    if found is None:
        return 0
    return int(found[0]) if found[0].strip().lstrip("+-").isdigit() else float(found[0])


def key(value: Any) -> int | str:
    """A key of an array: texts of whole numbers are numbers."""
    if isinstance(value, bool | int | float):
        return int(value)
    shown = text(value)
    return int(shown) if php.is_index(shown) else shown


def same(one: Any, other: Any) -> bool:
    """``==``."""
    if isinstance(one, Xml) or isinstance(other, Xml):
        return text(one) == text(other)
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        if isinstance(one, str) and other is None:
            return one == ""
        if isinstance(other, str) and one is None:
            return other == ""
        return truth(one) == truth(other)
    if isinstance(one, str) and isinstance(other, str):
        if php.is_numeric(one) and php.is_numeric(other):
            return number(one) == number(other)
        return one == other
    if isinstance(one, int | float) and isinstance(other, str):
        return one == number(other) if php.is_numeric(other) else text(one) == other
    if isinstance(other, int | float) and isinstance(one, str):
        return same(other, one)
    return bool(one == other)


def listed(values: Any) -> dict[int | str, Any]:
    """A list as PHP's one kind of array."""
    return dict(enumerate(values))


def from_json(value: Any) -> Any:
    """What was read as JSON, as PHP has it."""
    if isinstance(value, dict):
        return {key(name): from_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return listed(map(from_json, value))
    return value


def to_json(value: Any, flags: int = 0) -> str:
    """``json_encode()``."""

    def plain(each: Any) -> Any:
        if isinstance(each, Xml):
            return each.text or {}
        if isinstance(each, dict):
            if list(each) == list(range(len(each))):
                return [plain(one) for one in each.values()]
            return {str(name): plain(one) for name, one in each.items()}
        return each

    shown = json.dumps(
        plain(value),
        ensure_ascii=not flags & _UNICODE,
        indent=4 if flags & _PRETTY else None,
        separators=None if flags & _PRETTY else (",", ":"),
    )
    return shown if flags & _SLASHES else shown.replace("/", "\\/")


def formatted(form: str, *values: Any) -> str:
    """``sprintf()``, for texts and numbers."""
    rest = iter(values)

    def one(found: re.Match[str]) -> str:
        flags, kind = found[1], found[2]
        if kind == "%":
            return "%"
        value = next(rest, "")
        if kind == "s":
            return f"%{flags}s" % text(value)
        return f"%{flags}{'d' if kind == 'u' else kind}" % number(value)

    return re.sub(r"%([-+0-9. ]*)([sdufxXc%])", one, form)


def _sprintf(form: Any, *values: Any) -> str:
    return formatted(text(form), *values)


def _explode(separator: Any, value: Any, limit: Any = None) -> Any:
    most = int(limit) - 1 if limit else -1
    return listed(text(value).split(text(separator), most))


def _implode(glue: Any, values: Any = None) -> str:
    between, array = ("", glue) if isinstance(glue, dict) else (text(glue), values)
    return between.join(text(each) for each in array.values())


def _json_decode(value: Any, *more: Any) -> Any:
    try:
        return from_json(json.loads(text(value)))
    except ValueError:
        return None


def _merged(*arrays: Any) -> Any:
    found: dict[int | str, Any] = {}
    for array in arrays:
        for name, value in array.items():
            found[len(found) if isinstance(name, int) else name] = value
    return found


def _in_array(value: Any, array: Any, strict: Any = False) -> bool:
    if strict:
        return any(type(each) is type(value) and each == value for each in array.values())
    return any(same(each, value) for each in array.values())


def _preg_match(pattern: Any, value: Any) -> int:
    shown = text(pattern)
    body, _, letters = shown[1:].rpartition(shown[:1])
    flags = re.IGNORECASE if "i" in letters else 0
    return int(re.search(body, text(value), flags) is not None)


def _substr(value: Any, start: Any, length: Any = None) -> str:
    whole, begin = text(value), int(start)
    cut = whole[begin:]
    return cut if length is None else cut[: int(length)]


def _position(value: Any, part: Any) -> Any:
    place = text(value).find(text(part))
    return False if place < 0 else place


def _count(value: Any) -> int:
    if isinstance(value, Xml):
        return len(list(value.all()))
    return len(value)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "array_filter": lambda array: {k: v for k, v in array.items() if truth(v)},
    "array_key_exists": lambda name, array: key(name) in array,
    "array_keys": lambda array: listed(array),
    "array_merge": _merged,
    "array_unique": lambda array: {k: v for v, k in {v: k for k, v in array.items()}.items()},
    "array_values": lambda array: listed(array.values()),
    "count": _count,
    "explode": _explode,
    "floor": lambda value: float(math.floor(number(value))),
    "implode": _implode,
    "in_array": _in_array,
    "intval": lambda value: int(number(value)),
    "is_array": lambda value: isinstance(value, dict),
    "is_int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "is_null": lambda value: value is None,
    "is_numeric": lambda value: not isinstance(value, str) or php.is_numeric(value),
    "is_string": lambda value: isinstance(value, str),
    "join": _implode,
    "json_decode": _json_decode,
    "json_encode": lambda value, flags=0, *more: to_json(value, int(flags)),
    "ltrim": lambda value, of=" \n\t": text(value).lstrip(text(of)),
    "preg_match": _preg_match,
    "rtrim": lambda value, of=" \n\t": text(value).rstrip(text(of)),
    "sprintf": _sprintf,
    "str_contains": lambda value, part: text(part) in text(value),
    "str_ends_with": lambda value, part: text(value).endswith(text(part)),
    "str_replace": lambda old, new, value: text(value).replace(text(old), text(new)),
    "str_starts_with": lambda value, part: text(value).startswith(text(part)),
    "strlen": lambda value: len(text(value).encode()),
    "strpos": _position,
    "strtolower": lambda value: text(value).lower(),
    "strtoupper": lambda value: text(value).upper(),
    "strval": text,
    "substr": _substr,
    "trim": lambda value, of=" \n\t\r": text(value).strip(text(of)),
}
"""Functions that only look at what they are given."""
