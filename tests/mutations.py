"""Answers of another shape than the ones that a command gives: what a proxy, an older release, a
broken disk or somebody with bad intentions may answer in its place."""

import json
from collections.abc import Iterator
from typing import Any

OTHERS = (None, True, 7, -1, 1.5, "x", "", [], {}, [None], [[]], [{}], {"x": None}, "9" * 400)
"""What may stand where something else is expected."""

NO_JSON = (
    "",
    "\n",
    "null",
    "7",
    '"x"',
    "NaN",
    "Infinity",
    "1e999",
    "9" * 5000,
    "<html><body>502 Bad Gateway</body></html>",
    "[" * 100_000,
    "[" * 200 + "]" * 200,
    '{"a":' * 500 + "1" + "}" * 500,
    "\0\x1b[2J",
    "\ufffd\ufffd{",
    '"\\ud800"',
    "Traceback (most recent call last):\n  File x\nKeyError: 1\n",
)
"""Whole answers in the place of one."""


def texts(text: str) -> Iterator[str]:
    """Other answers than `text`, in which nothing of JSON is known."""
    yield from NO_JSON
    yield text[: len(text) // 2]
    yield text[:-2]
    yield f"Welcome to the host\n{text}"
    yield text + text
    yield text.replace("|", " ").replace("=", " ").replace(":", " ")
    yield "\ufffd".join(text.split(" "))


def documents(text: str) -> Iterator[str]:
    """Other answers than `text`, which is JSON: each part of it missing, or another thing."""
    value = json.loads(text)
    for place in _places(value):
        for other in OTHERS:
            yield json.dumps(_put(value, place, other))
        if place and isinstance(place[-1], str):
            yield json.dumps(_without(value, place))
    if isinstance(value, dict):
        yield json.dumps(value)[:-1] + "".join(f', "{key}": 7' for key in value) + "}"


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    inner = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inner = list(enumerate(value))[:2]
    for key, each in inner:
        yield from _places(each, (*place, key))


def _put(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    if not place:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = _put(copy[place[0]], place[1:], other)
    return copy


def _without(value: Any, place: tuple[Any, ...]) -> Any:
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(place) == 1:
        del copy[place[0]]
    else:
        copy[place[0]] = _without(copy[place[0]], place[1:])
    return copy
