"""JSON Schemas as lines that can be compared: what stands where, however it is written."""

import json
from collections.abc import Iterator
from typing import Any

_BOUNDS = ("minLength", "maxLength", "pattern", "format", "minimum", "maximum")
_BOUNDS += ("exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems", "uniqueItems")


def shape(schema: dict[str, Any], defs: dict[str, Any]) -> dict[str, str]:
    """Each place in what a schema takes, and what may stand there.

    Names, descriptions and the order of alternatives say nothing. Nor does the default of an
    object: it is that of its fields.
    """
    return dict(_lines(schema, defs, ""))


def differences(ours: dict[str, str], theirs: dict[str, str]) -> list[str]:
    """Where two shapes differ, one line each."""
    return [
        f"{place or 'all'}: {ours.get(place, 'is not there')}, and not "
        f"{theirs.get(place, 'there at all')}"
        for place in sorted(ours.keys() | theirs.keys())
        if ours.get(place) != theirs.get(place)
        and not _masked(ours.get(place, ""), theirs.get(place, ""))
    ]


def _masked(ours: str, theirs: str) -> bool:
    """Whether they say no more of a default than that there is one: of what is secret, stars
    stand for one, and nothing for one that is false."""
    none = ("optional", "optional false", "optional null")
    return (theirs == 'optional "**********"' and ours.startswith("optional ")) or (
        theirs == 'optional ""' and ours in none
    )


def _lines(schema: dict[str, Any], defs: dict[str, Any], place: str) -> Iterator[tuple[str, str]]:
    words: set[str] = set()
    branches = list(_branches(schema, defs))
    several = sum(branch.get("type") == "object" for branch in branches) > 1
    for branch in branches:
        if branch.get("type") == "object":
            words.add("object" if branch.get("additionalProperties") is False else "any object")
            yield from _fields(branch, defs, place + (_kind(branch) if several else ""))
        elif branch.get("type") == "array":
            words.add("array" + _bounds(branch))
            yield from _lines(branch.get("items", {}), defs, f"{place}[]")
        elif "enum" in branch or "const" in branch:
            words |= {json.dumps(value) for value in branch.get("enum", [branch.get("const")])}
        else:
            words.add(branch.get("type", "anything") + _bounds(branch))
    yield place, " | ".join(sorted(words))


def _kind(schema: dict[str, Any]) -> str:
    """By what an object is told from the others that may stand in its place."""
    fields = schema.get("properties", {})
    told = [fields[name] for name in ("type", "purpose") if name in fields]
    kinds = {kind for each in told for kind in each.get("enum", [each.get("const")])}
    return f"<{', '.join(sorted(kinds))}>"


def _fields(schema: dict[str, Any], defs: dict[str, Any], place: str) -> Iterator[tuple[str, str]]:
    for name, field in schema.get("properties", {}).items():
        default = field.get("default")
        known = "" if default is None or isinstance(default, dict) else f" {json.dumps(default)}"
        needed = name in schema.get("required", ())
        yield f"{place}.{name}?", "required" if needed else f"optional{known}"
        yield from _lines(field, defs, f"{place}.{name}")


def _branches(schema: dict[str, Any], defs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "$ref" in schema:
        yield from _branches(defs[schema["$ref"].rpartition("/")[2]], defs)
    elif alternatives := schema.get("anyOf") or schema.get("oneOf"):
        for each in alternatives:
            yield from _branches(each, defs)
    elif schema.get("type") == "null":
        yield {"const": None}
    else:
        yield schema


def _bounds(schema: dict[str, Any]) -> str:
    return "".join(f" {name} {schema[name]}" for name in _BOUNDS if schema.get(name) is not None)
