"""A person who writes YAML is not told of tuples, inputs and validators."""

from collections.abc import Iterator
from typing import Any

import pytest

from homelab_lib.lab.catalog import Catalog
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.wording import known

# What each kind of pydantic's core schema may find wrong; "+ge" where it has such a bound.
# Source: pydantic-core, `src/errors/types.rs` and `src/validators/`.
RAISES = {
    "str": {"string_type"},
    "int": {"int_type", "int_parsing", "int_parsing_size", "int_from_float"},
    "float": {"float_type", "float_parsing", "finite_number"},
    "bool": {"bool_type", "bool_parsing"},
    "literal": {"literal_error"},
    "none": {"none_required"},
    "tuple": {"tuple_type"},
    "list": {"list_type"},
    "dict": {"dict_type"},
    "model-fields": {"model_type", "missing", "extra_forbidden", "invalid_key"},
    "model": {"model_type"},
    "is-instance": {"is_instance_of"},
    "tagged-union": {"union_tag_invalid", "union_tag_not_found", "model_type"},
    "function-after": {"value_error", "assertion_error"},
    "function-before": {"value_error", "assertion_error"},
    "function-wrap": {"value_error", "assertion_error"},
    "function-plain": {"value_error", "assertion_error"},
    **{kind: set() for kind in (
        "any", "default", "definition-ref", "definitions", "json-or-python", "model-field",
        "no-info", "nullable", "union", "with-info",
    )},
}  # fmt: skip
BOUNDS = {
    "ge": "greater_than_equal", "gt": "greater_than", "le": "less_than_equal", "lt": "less_than",
    "pattern": "string_pattern_mismatch",
}  # fmt: skip
TOLD_ELSEWHERE = {"literal_error", "missing", "extra_forbidden"}


def schemas(schema: Any, seen: set[int]) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict) and id(schema) not in seen:
        seen.add(id(schema))
        if isinstance(schema.get("type"), str):
            yield schema
        for below in schema.values():
            yield from schemas(below, seen)
    elif isinstance(schema, list | tuple):
        for below in schema:
            yield from schemas(below, seen)


def bounds(schema: dict[str, Any]) -> set[str]:
    what = "string_" if schema["type"] == "str" else ""
    found = {BOUNDS[key] for key in BOUNDS if key in schema}
    found |= {f"{what}too_short"} if "min_length" in schema else set()
    return found | ({f"{what}too_long"} if "max_length" in schema else set())


@pytest.mark.parametrize("model", [Lab, Catalog])
def test_each_error_that_the_classes_can_raise_has_words_of_ours(model):
    raised: set[str] = set()
    for schema in schemas(model.__pydantic_core_schema__, set()):
        raised |= RAISES[schema["type"]] | bounds(schema)
    assert {kind for kind in raised - TOLD_ELSEWHERE if not known(kind)} == set()
