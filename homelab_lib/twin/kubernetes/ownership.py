"""Who manages which field of an object: what server-side apply won't change for another.

Source: sigs.k8s.io/structured-merge-diff `merge/update.go`, `merge/conflict.go`, `fieldpath`;
apiserver `fieldmanager/internal/conflict.go`; kubectl `pkg/cmd/apply`. A real API server runs
beside it in tests/kube.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from homelab_lib.twin.kubernetes.fitting import Schema
from homelab_lib.twin.kubernetes.objects import ApiError, Object
from homelab_lib.twin.kubernetes.schema import Shape

Path = tuple[str, ...]
"""Steps as messages have them: ``.spec``, ``.containers``, ``[name="web"]``, ``.image``."""

UPDATES = frozenset({"kubectl-client-side-apply", "kubectl-create", "kubectl-label"})
"""Managers that don't apply: they are shown with the version that they spoke."""
_BY_DEFAULT = {"protocol": "TCP"}
"""Of keys, what an entry has that doesn't say it (api/core/v1, ``+default``); the schemas that are
at hand leave it out."""
_KEY = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^,\]]+)')
_NOBODYS = frozenset({(".apiVersion",), (".kind",), (".metadata", ".name"),
                      (".metadata", ".namespace")})  # fmt: skip
_HELP = """
Please review the fields above--they currently have other managers. Here
are the ways you can resolve this warning:
* If you intend to manage all of these fields, please re-run the apply
  command with the `--force-conflicts` flag.
* If you do not intend to manage all of the fields, please edit your
  manifest to remove references to the fields that should keep their
  current managers.
* You may co-own fields by updating your manifest to match the existing
  value; in this case, you'll become the manager if the other manager(s)
  stop managing the field (remove it from their configuration).
See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts"""


def fields(shape: Shape, document: Object) -> dict[Path, Any]:
    """Every field that somebody says a value for, with that."""
    found = _fields(shape, shape.schema, document, ())
    return {path: value for path, value in found if path not in _NOBODYS}


def _fields(shape: Shape, schema: Schema, value: Any, at: Path) -> Iterator[tuple[Path, Any]]:
    parts = list(_parts(shape, schema, value))
    if not parts:
        yield at, value
    for step, inner, each in parts:
        yield from _fields(shape, inner, each, (*at, step))


def _parts(shape: Shape, schema: Schema, value: Any) -> Iterator[tuple[str, Schema, Any]]:
    """What a value is made of, where that may have several managers."""
    schema = _meant(shape, schema)
    if isinstance(value, dict) and schema.get("x-kubernetes-map-type") != "atomic":
        known = schema.get("properties") or {}
        others = schema.get("additionalProperties")
        inner = others if isinstance(others, Mapping) else {}
        for key, each in value.items():
            yield f".{key}", known.get(key, inner), each
    elif isinstance(value, list) and schema.get("x-kubernetes-list-type") == "set":
        for each in value:
            yield f"[={json.dumps(each)}]", {}, each
    elif isinstance(value, list) and schema.get("x-kubernetes-list-type") == "map":
        inner = _meant(shape, schema["items"])
        for each in value:
            yield _key(schema["x-kubernetes-list-map-keys"], inner, each), inner, each


def _meant(shape: Shape, schema: Schema) -> Schema:
    """A schema itself, and what is said of it where it is used."""
    while "$ref" in schema:
        more = {key: each for key, each in schema.items() if key != "$ref"}
        schema = {**shape.definitions[schema["$ref"].rpartition("/")[2]], **more}
    return schema


def _key(names: list[str], schema: Schema, entry: Object) -> str:
    """How an entry of a list is told from the others."""
    known = schema.get("properties") or {}
    said = {
        name: entry.get(name, (known.get(name) or {}).get("default", _BY_DEFAULT.get(name)))
        for name in sorted(names)
    }
    pairs = (f"{name}={json.dumps(value)}" for name, value in said.items() if value is not None)
    return f"[{','.join(pairs)}]"


def written(shape: Shape, document: Object) -> Object:
    """What somebody says, as ``managedFields`` have it: every place of it, and no value."""
    return _written(shape, shape.schema, document, ())


def _written(shape: Shape, schema: Schema, value: Any, at: Path) -> Object:
    found: Object = {}
    for step, inner, each in _parts(shape, schema, value):
        below = (*at, step)
        if not _covered(shape, inner, each, below, set(_NOBODYS)):
            itself: Object = {".": {}} if step.startswith("[") and not step.startswith("[=") else {}
            found[_as_written(step)] = itself | _written(shape, inner, each, below)
    return found


def _as_written(step: str) -> str:
    """A step as ``managedFields`` have it: ``f:spec``, ``k:{"name":"web"}``, ``v:"a"``."""
    if step.startswith("."):
        return f"f:{step[1:]}"
    if step.startswith("[="):
        return f"v:{step[2:-1]}"
    keys = {name: json.loads(value) for name, value in _KEY.findall(step)}
    return f"k:{json.dumps(keys, separators=(',', ':'))}"


def read(shape: Shape, places: Object, document: Object) -> Object:
    """What somebody says of an object, by the places that ``managedFields`` give it; the reverse
    of `written`."""
    said: Object = _read(shape, shape.schema, places, document)
    return said


def _read(shape: Shape, schema: Schema, places: Object, value: Any) -> Any:
    parts = list(_parts(shape, schema, value))
    if not parts:
        return value
    kept = [
        (step, places[known], inner, each)
        for step, inner, each in parts
        if (known := _as_written(step)) in places
    ]
    if isinstance(value, dict):
        return {s[1:]: _read(shape, inner, below, each) for s, below, inner, each in kept}
    return [
        _keys_of(step, each) | _read(shape, inner, below, each) if step[1] != "=" else each
        for step, below, inner, each in kept
    ]


def _keys_of(step: str, entry: Object) -> Object:
    """By what an entry is told from the others, which whoever changes it need not say."""
    return {name: entry[name] for name, _ in _KEY.findall(step) if name in entry}


def said_by(shape: Shape, documents: Iterable[Object]) -> set[Path]:
    """Every field that any of several documents says something of."""
    return {path for document in documents for path in fields(shape, document)}


def without(shape: Shape, document: Object, gone: set[Path]) -> Object:
    """What somebody says, without some fields of it."""
    left: Object = _without(shape, shape.schema, document, (), gone)
    return left


def _without(shape: Shape, schema: Schema, value: Any, at: Path, gone: set[Path]) -> Any:
    parts = list(_parts(shape, schema, value))
    kept = [
        (step, _without(shape, inner, each, (*at, step), gone))
        for step, inner, each in parts
        if not _covered(shape, inner, each, (*at, step), gone)
    ]
    if not parts:
        return value
    return {step[1:]: each for step, each in kept} if isinstance(value, dict) else [
        each for _, each in kept
    ]  # fmt: skip


def _covered(shape: Shape, schema: Schema, value: Any, at: Path, gone: set[Path]) -> bool:
    """Whether nothing of a value is left."""
    return all(path in gone for path, _ in _fields(shape, schema, value, at))


def conflicts(
    shape: Shape, old: Object, document: Object, others: Mapping[str, Object]
) -> dict[str, list[Path]]:
    """The fields that a document would change and that others manage, by manager.

    Parameters
    ----------
    shape
        Of the object.
    old, document
        The object as it is, and what somebody now says of it.
    others
        What each other manager says of it.
    """
    there, wanted = fields(shape, old), fields(shape, document)
    changed = {path for path, value in wanted.items() if path in there and there[path] != value}
    found = {who: changed & fields(shape, said).keys() for who, said in others.items()}
    return {who: sorted(paths, key=_order) for who, paths in sorted(found.items()) if paths}


def _order(path: Path) -> tuple[tuple[bool, str], ...]:
    """What stands at a place before what stands below it."""
    last = len(path) - 1
    return tuple((at < last, step) for at, step in enumerate(path))


def conflict(
    found: Mapping[str, list[Path]], version: str, updates: Collection[str] = UPDATES
) -> ApiError:
    """What kubectl says of conflicts.

    Parameters
    ----------
    found
        The fields in question, by manager.
    updates
        Those that don't apply.
    version
        The version of the API that was spoken.
    """
    count = sum(map(len, found.values()))
    named = {who: f'"{who}" using {version}' if who in updates else f'"{who}"' for who in found}
    if count == 1:
        ((who, (path,)),) = found.items()
        text = f"1 conflict: conflict with {named[who]}: {''.join(path)}"
    else:
        lines = [
            line
            for who, paths in found.items()
            for line in (f"conflicts with {named[who]}:", *(f"- {''.join(p)}" for p in paths))
        ]
        text = f"{count} conflicts: " + "\n".join(lines)
    return ApiError("", f"error: Apply failed with {text}{_HELP}")
