"""Patterns of the shell against texts, byte by byte as dash takes them.

Source: POSIX.1-2024, Shell Command Language, 2.14.
"""

import fnmatch


def fits(value: str, pattern: str) -> bool:
    """Whether a pattern fits, byte by byte as dash takes it."""
    return fnmatch.fnmatchcase(by_bytes(value), by_bytes(pattern))


def by_bytes(text: str) -> str:
    """A text with a character for each of its bytes."""
    return text.encode(errors="surrogateescape").decode("latin-1")


def without(value: str, pattern: str, how: str) -> str:
    """``${value%pattern}`` and its kin: what fits is taken off an end, as little or as much."""
    value = by_bytes(value)
    rest = _without(value, by_bytes(pattern), how)
    return rest.encode("latin-1").decode(errors="surrogateescape")


def _without(value: str, pattern: str, how: str) -> str:
    lengths = range(len(value) + 1) if len(how) == 1 else range(len(value), -1, -1)
    for length in lengths:
        part = value[len(value) - length :] if how[0] == "%" else value[:length]
        if fnmatch.fnmatchcase(part, pattern):
            return value[: len(value) - length] if how[0] == "%" else value[length:]
    return value
