"""The documents that `kubectl` is given: YAML as its own reader has it, or JSON.

Kubernetes does not read YAML as PyYAML does: `=` and a date are text, `1:30` is no number, `y` is
true, `0o17` is 15, a key that comes twice has its last value. A document is turned into JSON, and
that is what counts.

Source: sigs.k8s.io/yaml and its go-yaml v2 (`resolve.go`); k8s.io/apimachinery `util/yaml`
(`YAMLOrJSONDecoder`); k8s.io/cli-runtime `resource`. Held against a real kubectl by a test.
"""

import base64
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from homelab_lib import yaml_safe
from homelab_lib.twin.kubernetes.objects import ApiError, Object

MAX_DEPTH = 200
_MAX_VALUES = 1_000_000
_SEPARATOR = re.compile(r"^---(.*)$", re.MULTILINE)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGERS = (
    (re.compile(r"[-+]?0[xX]([0-9a-fA-F]+)"), 16),
    (re.compile(r"[-+]?0[bB]([01]+)"), 2),
    (re.compile(r"[-+]?0[oO]?([0-7]+)"), 8),
    (re.compile(r"[-+]?(0|[1-9][0-9]*)"), 10),
)
_YES, _NO = "y Y yes Yes YES true True TRUE on On ON", "n N no No NO false False FALSE off Off OFF"
_INFINITE = ".inf .Inf .INF"
_WORDS: dict[str, Any] = (
    dict.fromkeys(("", "~", "null", "Null", "NULL"))
    | dict.fromkeys(_YES.split(), True)
    | dict.fromkeys(_NO.split(), False)
    | dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan)
    | {f"{sign}{word}": math.inf for word in _INFINITE.split() for sign in ("", "+")}
    | {f"-{word}": -math.inf for word in _INFINITE.split()}
)
_CORE = "tag:yaml.org,2002:"


def plain(text: str) -> Any:
    """What an unquoted scalar means."""
    if text in _WORDS:
        return _WORDS[text]
    if text[:1] not in "+-.0123456789":
        return text
    digits = text if text[0] == "." else text.replace("_", "")
    for form, base in _INTEGERS:
        if found := form.fullmatch(digits):
            value = int(found[1], base) * (-1 if digits[0] == "-" else 1)
            return value if -(2**63) <= value < 2**63 else float(value)
    if _FLOAT.fullmatch(digits) and math.isfinite(number := float(digits)):
        return int(number) if number.is_integer() and abs(number) < 2**63 else number
    return text


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Plain scalars as they are read here, and mappings whose keys are text."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            return f"{_CORE}merge" if value == "<<" else f"{_CORE}plain"
        return str(super().resolve(kind, value, implicit))

    def mapping(self, node: Any) -> dict[str, Any]:
        self.flatten_mapping(node)
        return {
            _key(self.construct_object(name)): self.construct_object(value, deep=True)
            for name, value in node.value
        }

    def sequence(self, node: Any) -> list[Any]:
        if not isinstance(node, yaml.SequenceNode):
            raise yaml.constructor.ConstructorError(problem=f"cannot unmarshal {node.id}")
        return [self.construct_object(each, deep=True) for each in node.value]

    def anything(self, suffix: str, node: Any) -> Any:
        """A tag that nobody knows is not heeded."""
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node)
        return self.sequence(node) if isinstance(node, yaml.SequenceNode) else node.value


def _key(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, list | dict):
        shown = "<nil>" if value is None else "[]interface {}"
        raise yaml.constructor.ConstructorError(problem=f"unsupported map key of type: {shown}")
    return str(value)


def _tagged(convert: Any) -> Any:
    def construct(loader: Any, node: Any) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            return loader.anything("", node)
        return convert(node.value)

    return construct


def _text_of(encoded: str) -> str:
    return base64.b64decode(encoded).decode(errors="replace")


for _name in ("plain", "int", "float", "bool", "null"):
    _Loader.add_constructor(f"{_CORE}{_name}", _tagged(plain))
for _name in ("str", "timestamp", "value", "merge"):
    _Loader.add_constructor(f"{_CORE}{_name}", _tagged(str))
_Loader.add_constructor(f"{_CORE}binary", _tagged(_text_of))
for _name in ("map", "set"):
    _Loader.add_constructor(f"{_CORE}{_name}", _Loader.mapping)
for _name in ("seq", "omap", "pairs"):
    _Loader.add_constructor(f"{_CORE}{_name}", _Loader.sequence)
_Loader.add_multi_constructor("!", _Loader.anything)


def read(text: str, source: str = "STDIN", *, json: bool = True) -> list[Object]:
    """The objects in a text, those of lists one by one.

    Parameters
    ----------
    text
        One or more documents, of YAML or JSON.
    source
        What kubectl calls it.
    json
        Whether what begins as JSON is read as that, as kubectl does; Kustomize reads all as YAML.

    Raises
    ------
    ApiError
        In kubectl's words.
    """
    found: list[Object] = []
    for document in _documents(text.removeprefix("\ufeff"), source, json):
        found += _objects(document, source)
    return found


def _documents(text: str, source: str, json_too: bool) -> Iterator[Any]:
    if json_too and text.lstrip().startswith("{"):
        try:
            yield from _json(text)
            return
        except (ValueError, RecursionError) as error:
            if "\n---" not in text and ":" in text and text.lstrip()[1:2] == '"':
                raise ApiError("", f"error: error parsing {source}: {error}") from None
    for part in _parts(text, source):
        document = value(part, source)
        if document is not None:
            yield document


def _json(text: str) -> list[Any]:
    """Documents one behind the other, or parted as YAML's are."""
    decoder = json.JSONDecoder(parse_int=plain, parse_float=plain, parse_constant=_no_json)
    found, at = [], 0
    while rest := text[at:].lstrip():
        if rest.startswith("---"):
            at = text.find("\n", at) + 1 or len(text)
            continue
        at = len(text) - len(rest)
        document, at = decoder.raw_decode(text, at)
        found.append(document)
    return found


def _no_json(word: str) -> Any:
    raise ValueError(f"invalid character {word[0]!r} looking for beginning of value")


def _parts(text: str, source: str) -> list[str]:
    """The documents of a text: a line that begins with three dashes parts them."""
    parts, start = [], 0
    for found in _SEPARATOR.finditer(text):
        behind = found[1].strip()
        if behind and not behind.startswith("#") and found.start():
            why = f"invalid Yaml document separator: {behind}"
            raise ApiError("", f"error: error parsing {source}: {why}")
        parts.append(text[start : found.start()])
        start = found.start() if behind and not behind.startswith("#") else found.end()
    return [*parts, text[start:]]


def value(text: str, source: str) -> Any:
    """What one document of YAML says, as JSON has it.

    Raises
    ------
    ApiError
        It is no YAML, or has no form in JSON.
    """
    try:
        plain_text = yaml_safe.decoded(text)
        for _ in yaml_safe.events(plain_text, MAX_DEPTH, _MAX_VALUES):
            pass
        found = json.dumps(yaml.load(plain_text, _Loader), allow_nan=False)  # a safe loader's child
    except yaml_safe.BadYaml as error:
        why = f"yaml: {error}"
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        why = str(getattr(error, "problem", "") or error)
        why = why.replace("Out of range float values are not JSON compliant", "unsupported value")
    else:
        return json.loads(found)
    raise ApiError("", f"error: error parsing {source}: error converting YAML to JSON: {why}")


def _objects(document: Any, source: str) -> list[Object]:
    if not isinstance(document, dict):
        raise _undecodable(source, f"json: cannot unmarshal {_said(document)} into Go value")
    kind = document.get("kind")
    if not kind or not isinstance(kind, str):
        raise _undecodable(source, f"Object 'Kind' is missing in '{json.dumps(document)}'")
    if kind.endswith("List") and "items" in document:
        items = document["items"] or []
        if not isinstance(items, list):
            raise _undecodable(source, f"json: cannot unmarshal {_said(items)} into items")
        return [each for item in items for each in _objects(item, source)]
    metadata = document.get("metadata")
    if not isinstance(metadata, dict | None):
        raise _undecodable(
            source,
            f"json: cannot unmarshal {_said(metadata)} into Go struct field "
            "metadataOnlyObject.metadata of type v1.ObjectMeta",
        )
    for name in ("name", "namespace"):
        said = (metadata or {}).get(name)
        if not isinstance(said, str | None):
            raise _undecodable(
                source,
                f"json: cannot unmarshal {_said(said)} into Go struct field "
                f"ObjectMeta.metadata.{name} of type string",
            )
    if not isinstance(document.get("apiVersion", ""), str):
        raise _undecodable(source, f"Object 'apiVersion' is missing in '{json.dumps(document)}'")
    return [document]


def _undecodable(source: str, why: str) -> ApiError:
    return ApiError("", f'error: unable to decode "{source}": {why}')


def _said(value: Any) -> str:
    kinds = ((bool, "bool"), (int | float, "number"), (str, "string"), (list, "array"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "object")
