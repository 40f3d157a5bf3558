"""What pydantic found, said to the person who wrote the file."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from homelab_lib.lab.document import Node, Problem, Steps
from homelab_lib.lab.near import closest, near
from homelab_lib.lab.wording import LISTS, MAPPINGS, words


class Explain:
    """Turns pydantic's errors into problems with a place, what was found and what is allowed.

    Parameters
    ----------
    model
        The class that the document was held against.
    root
        The document.
    """

    def __init__(self, model: type[BaseModel], root: Node) -> None:
        self._schema = _schema(model)
        self._root = root

    def __call__(self, errors: list[ErrorDetails]) -> list[Problem]:
        """One problem per mistake: what members of a union say to one value is joined."""
        said: dict[tuple[str, Steps, str | int], list[tuple[str, str]]] = {}
        for error in errors:
            node, path = self._root.follow(error["loc"])
            if error["type"] == "missing":
                field = error["loc"][-1]
                key, what = field, ("", f"{field!r} is missing{self._about((*path, field))}")
            elif error["type"] == "extra_forbidden":
                key, what = "", ("", self._stranger(path))
            else:
                key, what = "", self._refusal(error, node, path)
            said.setdefault((node.where, path, key), []).append(what)
        return [
            Problem(where, self._root.label(path), _joined(whats))
            for (where, path, _), whats in said.items()
        ]

    def meant(self, error: ErrorDetails) -> tuple[Steps, str | None]:
        """Where an unknown key stands, and which one was probably meant."""
        path = self._root.follow(error["loc"])[1]
        return path, closest(path[-1], self._keys(path[:-1]))

    def _stranger(self, path: Steps) -> str:
        allowed = self._keys(path[:-1])
        hint = near(path[-1], allowed)
        if path[-1] == "exists" and "phase" in allowed:
            hint = "; what is there already carries no phase here"
        return f"{path[-1]!r} is no key here{hint}; allowed: {', '.join(allowed)}"

    def _refusal(self, error: ErrorDetails, node: Node, path: Steps) -> tuple[str, str]:
        """What was found, where it may be told, and what is expected."""
        kind, found = error["type"], f"found {_short(error['input'])}; "
        context = error.get("ctx", {})
        if kind in ("unknown_part", "wrong_kind", "not_a_reference"):
            return "", error["msg"]
        if kind == "literal_error":
            hint = near(error["input"], self._choices(path))
            return found, f"allowed: {context['expected']}{hint}"
        if kind == "string_type" and node.text:
            return (
                f"found {node.text}",
                f", which YAML reads as {_kind(node.value)}; put it in quotes",
            )
        if kind in MAPPINGS:  # not quoted: it may be a secret in the wrong place
            return f"found {_kind(error['input'])}; ", self._mapping(path)
        if self._is_secret(path):
            found = ""
        if kind in LISTS:
            return found, f"expected a list{self._entry(path)}{self._about(path)}"
        return found, words(kind, context, error["msg"]) + self._about(path)

    def _mapping(self, path: Steps) -> str:
        """What keys are expected, or that any name may be one."""
        keys = self._keys(path)
        if keys:
            return f"expected keys: {', '.join(keys)}{self._about(path)}"
        for schema in self._at(path):
            for below in self._below(schema, "NAME"):
                return f"expected entries under their names, NAME: {self._form(below)}" + (
                    self._about(path)
                )
        return f"expected keys{self._about(path)}"

    def _entry(self, path: Steps) -> str:
        """How an entry of a list is written."""
        for schema in self._at(path):
            if "items" in schema:
                form = self._form(schema["items"])
                return f", an entry a line: - {form}" if form != "…" else ", such as [one, two]"
        return ""

    def _form(self, schema: dict[str, Any]) -> str:
        """How a value is written, by the keys that it must have."""
        for variant in self._variants(schema):
            if "properties" in variant:
                must = variant.get("required", list(variant["properties"])[:1])
                return "{" + ", ".join(f"{key}: …" for key in must) + "}"
        return "…"

    def _is_secret(self, path: Steps) -> bool:
        """Whether a secret, or something with one in it, is described by what stands here."""
        there = self._at(path)
        fields = [f for schema in there for f in schema.get("properties", {}).values()]
        return any(
            variant.get("format") == "secret-reference"
            for schema in (*there, *fields)
            for variant in self._variants(schema)
        )

    def _about(self, path: Steps) -> str:
        """What the schema says of a field, in brackets."""
        for schema in self._at(path):
            if "description" in schema:
                first = schema["description"].partition("\n\n")[0]
                return f" ({first.rstrip('.')})"
        return ""

    def _keys(self, path: Steps) -> list[str]:
        return sorted({key for schema in self._at(path) for key in schema.get("properties", {})})

    def _choices(self, path: Steps) -> list[Any]:
        return [value for schema in self._at(path) for value in schema.get("enum", ())]

    def _at(self, path: Steps) -> list[dict[str, Any]]:
        """The schemas that a place in the document may have."""
        schemas = [self._schema]
        for step in path:
            schemas = [below for schema in schemas for below in self._below(schema, step)]
        return [schema for each in schemas for schema in self._variants(each)]

    def _below(self, schema: dict[str, Any], step: str | int) -> Iterator[dict[str, Any]]:
        for variant in self._variants(schema):
            if step in variant.get("properties", {}):
                yield variant["properties"][step]
            elif isinstance(step, int) and "items" in variant:
                yield variant["items"]
            elif isinstance(variant.get("additionalProperties"), dict):
                yield variant["additionalProperties"]
            else:
                yield from variant.get("patternProperties", {}).values()

    def _variants(self, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A schema itself, and what it refers to or chooses from."""
        yield schema
        if "$ref" in schema:
            yield from self._variants(self._schema["$defs"][schema["$ref"].rpartition("/")[2]])
        for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            yield from self._variants(choice)


def _joined(whats: list[tuple[str, str]]) -> str:
    """What several members of a union say to one value: what was found is told once."""
    found = dict.fromkeys(found for found, _ in whats)
    if len(found) == 1:
        return next(iter(found)) + " or ".join(dict.fromkeys(expected for _, expected in whats))
    return " or ".join(dict.fromkeys(found + expected for found, expected in whats))


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _short(value: Any) -> str:
    """A value, cut short where it is long."""
    if isinstance(value, dict):
        return f"keys {_short(', '.join(map(str, value)))}" if value else "no keys"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    words = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    return words.get(type(value), "a list")
