"""The shape of objects: what an API server of a release accepts, by that release's own schema.

The schemas are those that Kubernetes publishes, as the package kubernetes-validate carries them
for each minor release; nothing of them stands here. What custom resources look like says the
definition that made them.

Source: kubernetes-validate; structured-merge-diff v6 `typed/validate.go` (the words of a refusal);
apiextensions-apiserver `validation` (those about custom resources).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from homelab_lib.twin.kubernetes.fitting import Misfit, Schema, misfits
from homelab_lib.twin.kubernetes.objects import ApiError, Kind, Object, name_of

_META = {"$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
_MINOR = re.compile(r"v(\d+)\.(\d+)\.0-local-strict")


@dataclass(frozen=True)
class Shape:
    """What the objects of a kind look like.

    Parameters
    ----------
    schema
        Of the whole object.
    definitions
        What it refers to.
    """

    schema: Schema
    definitions: Mapping[str, Schema]

    def misfits(self, document: Object) -> list[Misfit]:
        """Where an object is not of this shape."""
        return list(misfits(self.schema, document, self.definitions))


@cache
def _room() -> Path:
    """Where the schemas are. The package is not imported: its validator is not ours."""
    spec = find_spec("kubernetes_validate")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "kubernetes-json-schema"


@cache
def minors() -> tuple[tuple[int, int], ...]:
    """The minor releases whose schemas are known, the oldest first."""
    found = (_MINOR.fullmatch(each.name) for each in _room().iterdir())
    return tuple(sorted((int(each[1]), int(each[2])) for each in found if each))


def minor_of(version: str) -> str:
    """The minor release by whose schema a cluster of a version judges: its own, or the nearest
    before it that is known."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    wanted = (int(found[1]), int(found[2])) if found else (0, 0)
    nearest = max((each for each in minors() if each <= wanted), default=minors()[0])
    return ".".join(map(str, nearest))


def _file(minor: str, name: str) -> Any:
    return json.loads((_room() / f"v{minor}.0-local-strict" / f"{name}.json").read_text("utf-8"))


@cache
def _definitions(minor: str) -> Mapping[str, Schema]:
    found: Mapping[str, Schema] = _file(minor, "_definitions")["$defs"]
    return found


@cache
def core(minor: str, kind: str, api_version: str) -> Shape:
    """The shape of a kind that Kubernetes itself has."""
    group, _, version = api_version.rpartition("/")
    name = "-".join(filter(None, (kind.lower(), group.partition(".")[0], version)))
    return Shape(_file(minor, name), _definitions(minor))


def custom(minor: str, schema: Schema) -> Shape:
    """The shape of a kind that a definition's schema describes."""
    known = _definitions(minor)
    meant = _strict(schema, known)
    texts = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": _META}
    return Shape(meant | {"properties": {**meant.get("properties", {}), **texts}}, known)


def _strict(schema: Schema, known: Mapping[str, Schema]) -> dict[str, Any]:
    """A definition's schema as the API server means it: nothing beyond what it names, no null
    unless it says so, nothing required that has a default, and what is borrowed put in."""
    if "$ref" in schema:
        return _strict(known[schema["$ref"].rpartition("/")[2]], known)
    meant = dict(schema)
    fields = schema.get("properties") or {}
    if fields:
        meant["properties"] = {key: _strict(each, known) for key, each in fields.items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            meant.setdefault("additionalProperties", False)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            meant[key] = _strict(schema[key], known)
    if "required" in schema:
        filled_in = {key for key, each in fields.items() if "default" in each}
        meant["required"] = [key for key in schema["required"] if key not in filled_in]
    kinds = meant.get("type")
    if meant.get("x-kubernetes-int-or-string"):
        kinds = ["integer", "string"]
    if kinds:
        kinds = [each for each in ([kinds] if isinstance(kinds, str) else kinds) if each != "null"]
        meant["type"] = [*kinds, "null"] if schema.get("nullable") else kinds
    try:
        re.compile(meant.get("pattern", ""))
    except re.error:  # Go's expressions are not all Python's
        del meant["pattern"]
    return meant


def refuse_types(shape: Shape, kind: Kind, document: Object) -> None:
    """See that what somebody says of an object fits the schema: no field that it has not, and in
    each the type that it has.

    Raises
    ------
    ApiError
        In the API server's words.
    """
    untyped = [each for each in shape.misfits(document) if each.kind == "type"]
    problems = [f"{each.path}: {each.says}" for each in untyped] or [*_null_elements(document)]
    if problems:
        metadata = document.get("metadata")
        space = metadata.get("namespace") if isinstance(metadata, dict) else None
        what = f"{space or ''}/{name_of(document)}; {kind.group}/{kind.version}, Kind={kind.name}"
        said = problems[0]
        if len(problems) > 1:
            said = "errors:\n" + "\n".join(f"  {each}" for each in problems)
        raise ApiError(
            "",
            f"Error from server: failed to create typed patch object ({what}): {said}",
        )


def refuse_values(shape: Shape, kind: Kind, document: Object, whole: Object) -> None:
    """See that nothing is missing of an object as it becomes, and that what somebody says of it
    are values that may be.

    Raises
    ------
    ApiError
        In the API server's words.
    """
    others = {key: value for key, value in whole.items() if key != "status"}
    wrong = [each for each in shape.misfits(document) if each.kind == "value"]
    wrong += [each for each in shape.misfits(others) if each.kind == "required"]
    if wrong:
        raise invalid(kind, document, (f"{each.path.lstrip('.')}: {each.says}" for each in wrong))


def invalid(kind: Kind, document: Object, problems: Iterable[str]) -> ApiError:
    """What the API server says of an object that has its type, and can't be so."""
    said = list(problems)
    text = said[0] if len(said) == 1 else "".join(f"\n* {each}" for each in said)
    return ApiError("", f'The {kind.name} "{name_of(document)}" is invalid: {text}')


def _null_elements(value: Any, path: str = "") -> Iterator[str]:
    """Nulls in lists: nothing can be merged with them."""
    pairs = value.items() if isinstance(value, dict) else ()
    for key, each in pairs:
        yield from _null_elements(each, f"{path}.{key}")
    for at, each in enumerate(value if isinstance(value, list) else ()):
        if each is None:
            yield f"{path}: element {at}: associative list may not have null element"
        yield from _null_elements(each, f"{path}[{at}]")
