"""Whether a value fits a schema, and where it does not: JSON Schema as far as Kubernetes uses it.

Source: JSON Schema 2020-12, validation vocabulary; kubernetes.io/docs, structural schemas. Held
against another validator by a test.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Schema = Mapping[str, Any]

_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int | float) and not isinstance(v, bool) and v == int(v),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
    "null": lambda v: v is None,
}
_WANTED = {
    "string": "string",
    "integer": "numeric (int or float)",
    "number": "numeric (int or float)",
    "boolean": "boolean",
    "array": "list",
    "object": "map",
}


@dataclass(frozen=True)
class Misfit:
    """A place where a value is not as its schema has it.

    Parameters
    ----------
    kind
        ``type``: a field that isn't there, or of another type. ``value``: one that may not be.
        ``required``: one that is missing.
    path
        The place: ``.spec.ports[0].port``.
    says
        What is wrong with it.
    """

    kind: Literal["type", "value", "required"]
    path: str
    says: str


def misfits(
    schema: Schema, value: Any, definitions: Mapping[str, Schema], path: str = ""
) -> Iterator[Misfit]:
    """Every place where a value does not fit.

    Parameters
    ----------
    schema
        What it should be.
    value
        What it is.
    definitions
        What the schema's references name, by the last part of them.
    path
        Where the value stands.
    """
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    wanted = schema.get("type")
    kinds = [wanted] if isinstance(wanted, str) else wanted
    if kinds and not any(_TYPES[kind](value) for kind in kinds):
        yield Misfit("type", path, f"expected {_WANTED[kinds[0]]}, got {_shown(value)}")
        return
    yield from _choices(schema, value, definitions, path)
    if isinstance(value, dict):
        yield from _fields(schema, value, definitions, path)
    elif isinstance(value, list):
        for at, each in enumerate(value if "items" in schema else ()):
            yield from misfits(schema["items"], each, definitions, f"{path}[{at}]")
        yield from _bounds(schema, len(value), ("minItems", "maxItems"), value, path)
    elif isinstance(value, str):
        yield from _bounds(schema, len(value), ("minLength", "maxLength"), value, path)
        if "pattern" in schema and not re.search(schema["pattern"], value):
            says = f"should match '{schema['pattern']}'"
            yield Misfit("value", path, f"Invalid value: {json.dumps(value)}: {says}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _bounds(schema, value, ("minimum", "maximum"), value, path)


def _fields(
    schema: Schema, value: dict[str, Any], definitions: Mapping[str, Schema], path: str
) -> Iterator[Misfit]:
    fields = schema.get("properties") or {}
    others = schema.get("additionalProperties", True)
    for key, each in value.items():
        if key in fields:
            yield from misfits(fields[key], each, definitions, f"{path}.{key}")
        elif others is False:
            yield Misfit("type", f"{path}.{key}", "field not declared in schema")
        elif isinstance(others, Mapping):
            yield from misfits(others, each, definitions, f"{path}.{key}")
    for key in schema.get("required") or ():
        if key not in value:
            yield Misfit("required", f"{path}.{key}", "Required value")
    yield from _bounds(schema, len(value), ("minProperties", "maxProperties"), value, path)


def _choices(
    schema: Schema, value: Any, definitions: Mapping[str, Schema], path: str
) -> Iterator[Misfit]:
    if "enum" in schema and not any(_same(value, each) for each in schema["enum"]):
        words = ", ".join(json.dumps(each) for each in schema["enum"])
        says = f"Unsupported value: {json.dumps(value)}: supported values: {words}"
        yield Misfit("value", path, says)
    for each in schema.get("allOf") or ():
        yield from misfits(each, value, definitions, path)
    for word in ("oneOf", "anyOf"):
        if word not in schema:
            continue
        fitting = sum(not any(misfits(one, value, definitions, path)) for one in schema[word])
        if not fitting or (word == "oneOf" and fitting > 1):
            of_types = all("type" in one for one in schema[word])
            says = f"got {_shown(value)}" if of_types else f"Invalid value: {json.dumps(value)}"
            kind: Literal["type", "value"] = "type" if of_types else "value"
            yield Misfit(kind, path, f"expected one of several types, {says}" if of_types else says)
    if "not" in schema and not any(misfits(schema["not"], value, definitions, path)):
        yield Misfit("value", path, f"Invalid value: {json.dumps(value)}: it may not be that")


def _bounds(
    schema: Schema, amount: float, words: tuple[str, str], value: Any, path: str
) -> Iterator[Misfit]:
    """A number between two bounds, or a length; one that is exclusive may not be reached."""
    low, high = (schema.get(word) for word in words)
    least, most = (schema.get(f"exclusive{word[0].upper()}{word[1:]}") is True for word in words)
    if low is not None and (amount < low or (least and amount == low)):
        yield Misfit("value", path, f"Invalid value: {json.dumps(value)}: at least {low}")
    if high is not None and (amount > high or (most and amount == high)):
        yield Misfit("value", path, f"Invalid value: {json.dumps(value)}: at most {high}")


def _same(a: Any, b: Any) -> bool:
    """Equal, and both or neither a truth value: to JSON `true` is not 1."""
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def _shown(value: Any) -> str:
    return f"&value.valueUnstructured{{Value:{json.dumps(value)}}}"
