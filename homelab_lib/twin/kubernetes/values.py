"""Values as the API server takes them: names, labels, ports, quantities, one of a few words.

Source: apimachinery `util/validation/validation.go`, `api/resource/quantity.go`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_WORD = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?"
)
_SCALES = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3} | {
    letter: 1000.0 ** (power + 2) for power, letter in enumerate("MGTPE")
}
_BINARY = {f"{letter}i": 1024.0 ** (power + 1) for power, letter in enumerate("KMGTPE")}


def quantity(value: object) -> float:
    """``500m`` is 0.5, ``1Gi`` is 1073741824, ``1e3`` is 1000.

    Raises
    ------
    ValueError
        It is no quantity.
    """
    found = _QUANTITY.fullmatch(str(value))
    if found is None:
        raise ValueError(f"unable to parse quantity {value!r}")
    number, suffix = float(found[1]), found[2] or ""
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return number * 10.0 ** int(suffix[1:])
    return number * (_BINARY.get(suffix) or _SCALES[suffix])


def quantity_problem(value: object, path: str, *, positive: bool = False) -> Iterator[str]:
    """What is wrong with a quantity."""
    try:
        amount = quantity(value)
    except (ValueError, OverflowError):
        yield (
            f'{path}: Invalid value: "{value}": quantities must match the regular expression '
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
        return
    if amount < 0 or (positive and amount == 0):
        word = "greater than zero" if positive else "greater than or equal to 0"
        yield f'{path}: Invalid value: "{value}": must be {word}'


def labels_problems(labels: Mapping[str, str] | None, path: str) -> Iterator[str]:
    """What is wrong with labels, or with what selects by them."""
    for name, value in (labels or {}).items():
        prefix, slash, word = name.rpartition("/")
        named = len(word) <= 63 and _WORD.fullmatch(word)
        if not named or (slash and not SUBDOMAIN.fullmatch(prefix)):
            yield f'{path}: Invalid value: "{name}": name part must consist of alphanumerics'
        if value and (len(value) > 63 or not _WORD.fullmatch(value)):
            yield f'{path}: Invalid value: "{value}": a valid label must be an empty string or …'


def of_these(value: Any, path: str, *words: str) -> Iterator[str]:
    """That a value, where there is one, is one of a few words."""
    if value is not None and value not in words:
        allowed = ", ".join(f'"{word}"' for word in words)
        yield f'{path}: Unsupported value: "{value}": supported values: {allowed}'


def port(value: Any, path: str) -> Iterator[str]:
    """That a number is one of a port."""
    if not isinstance(value, int) or not 1 <= value <= 65535:
        yield f"{path}: Invalid value: {value}: must be between 1 and 65535, inclusive"
