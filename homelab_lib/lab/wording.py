"""What pydantic finds wrong, in words for the person who wrote the file.

Pydantic speaks to the programmer: of tuples, valid strings, inputs. Each type of error that our
classes can raise has words here; `tests/lab/test_wording.py` goes through the classes for them.
"""

from collections.abc import Callable, Mapping
from typing import Any

Context = Mapping[str, Any]

OURS = frozenset({"value_error", "assertion_error"})
"""Types of errors whose message a validator of ours wrote."""

LISTS = frozenset({"tuple_type", "list_type", "set_type", "frozen_set_type"})
MAPPINGS = frozenset({"dict_type", "model_type", "model_attributes_type", "mapping_type"})
"""What is expected is told with its form, which the schema knows."""


def _at_least(context: Context) -> str:
    least = context["min_length"]
    if least == 1:
        return "expected at least one entry"
    return f"expected {least} entries or more; there are {context['actual_length']}"


_WORDS: dict[str, Callable[[Context], str]] = {
    "string_type": lambda _: "expected text",
    "string_sub_type": lambda _: "expected text",
    "string_unicode": lambda _: "expected text in UTF-8",
    "string_too_short": lambda c: (
        "expected some text"
        if c["min_length"] == 1
        else f"expected {c['min_length']} characters or more"
    ),
    "string_too_long": lambda c: f"expected {c['max_length']} characters at most",
    "string_pattern_mismatch": lambda c: f"expected text of the form {c['pattern']}",
    "int_type": lambda _: "expected a whole number",
    "int_parsing": lambda _: "expected a whole number",
    "int_parsing_size": lambda _: "expected a whole number; this one is too large",
    "int_from_float": lambda _: "expected a whole number",
    "float_type": lambda _: "expected a number",
    "float_parsing": lambda _: "expected a number",
    "finite_number": lambda _: "expected a number that is not infinite",
    "bool_type": lambda _: "expected true or false",
    "bool_parsing": lambda _: "expected true or false",
    "none_required": lambda _: "expected nothing here",
    "greater_than": lambda c: f"expected more than {c['gt']:g}",
    "greater_than_equal": lambda c: f"expected {c['ge']:g} or more",
    "less_than": lambda c: f"expected less than {c['lt']:g}",
    "less_than_equal": lambda c: f"expected {c['le']:g} or less",
    "too_short": _at_least,
    "too_long": lambda c: f"expected {c['max_length']} entries at most",
    "union_tag_not_found": lambda c: f"{c['discriminator']} is missing, which says of what kind",
    "union_tag_invalid": lambda c: (
        f"{c['discriminator']} is {c['tag']!r}; allowed: {c['expected_tags']}"
    ),
    "invalid_key": lambda _: "expected text as a key",
    "is_instance_of": lambda _: "this does not stand in a file",
}


def words(kind: str, context: Context, message: str) -> str:
    """What is wrong, for a person.

    Parameters
    ----------
    kind, context, message
        Of pydantic's error: its type, ``ctx`` and ``msg``. The message is told where one of ours
        wrote it.
    """
    if kind in _WORDS:
        return _WORDS[kind](context)
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")


def known(kind: str) -> bool:
    """Whether an error of this type is told in our own words."""
    return kind in _WORDS or kind in OURS or kind in LISTS or kind in MAPPINGS
