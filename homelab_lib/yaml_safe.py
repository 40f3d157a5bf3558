"""YAML that others wrote, read within bounds and without quoting it.

PyYAML's safe loader makes no objects, and that is all it promises: ten lines of aliases stand for
terabytes, brackets within brackets end the process, and its messages quote the line that they
complain of, which in a kubeconfig may be a private key. Here the parser's events are counted
before anything is built of them, and what is said of a text is where it is wrong, never what.

Source: YAML 1.2.2, 5.1 (character set) and 7.1 (aliases); PyYAML 6, `parser.py`, `composer.py`.
"""

from collections.abc import Iterator
from typing import Any

import yaml

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Loader(_Base):
    """PyYAML's safe loader, which knows what `=` is (a value) and has no way to make one.

    By libyaml where that is there: ten times as fast.
    """


Loader.add_constructor("tag:yaml.org,2002:value", _Base.construct_yaml_str)

MAX_BYTES = 2**22
MAX_DEPTH = 50
MAX_VALUES = 100_000
"""Values in a document, ten times the shipped lab's; an alias counts as often as it is used."""

_NO_ROOM = yaml.reader.Reader.NON_PRINTABLE
"""Characters that YAML has no room for."""


class BadYaml(ValueError):
    """Why a document can't be read, without a word of it.

    Parameters
    ----------
    what
        What is wrong.
    line
        Where it is, counted from 1; 0 where that can't be said.
    """

    def __init__(self, what: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {what}" if line else what)
        self.what = what
        self.line = line


def load(document: str | bytes) -> Any:
    """The one document in a text, as PyYAML's safe loader has it; None where it is empty.

    Parameters
    ----------
    document
        The text, or its bytes in UTF-8.

    Raises
    ------
    BadYaml
        It is no YAML, has more than one document, or goes beyond the bounds.
    """
    return _built(document, yaml.load)


def compose(document: str | bytes) -> yaml.Node | None:
    """The same as nodes, which keep each scalar as it was written.

    Raises
    ------
    BadYaml
        As `load`.
    """
    return _built(document, yaml.compose)


def _built(document: str | bytes, build: Any) -> Any:
    text = decoded(document)
    for _ in events(text):
        pass
    try:
        # Merges (<<) copy what they name, and aliases were counted as copies: so it stays bounded.
        return build(text, Loader)
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        what = "this isn't YAML: a value that can't be made"
        raise BadYaml(what, mark.line + 1 if mark else 0) from None


def decoded(document: str | bytes) -> str:
    """The text of a document.

    Raises
    ------
    BadYaml
        It is too large, isn't UTF-8, or holds characters that YAML has no room for.
    """
    if len(document) > MAX_BYTES:
        raise BadYaml(f"it is larger than {MAX_BYTES} bytes")
    if isinstance(document, bytes):
        if document[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise BadYaml("it is UTF-16; save it as UTF-8", 1)
        try:
            text = document.decode("utf-8")
        except UnicodeDecodeError as error:
            line = document.count(b"\n", 0, error.start) + 1
            raise BadYaml("this isn't YAML: a byte that is no UTF-8", line) from None
    else:
        text = document
    text = text.removeprefix("\ufeff")
    if found := _NO_ROOM.search(text):
        line = text.count("\n", 0, found.start()) + 1
        code = ord(found.group())
        raise BadYaml(f"this isn't YAML: character #x{code:04x} has no place in it", line)
    return text


def events(
    text: str, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES
) -> Iterator[yaml.Event]:
    """The parser's events within the one document of a text, counted as they come.

    Parameters
    ----------
    text
        The document.
    max_depth, max_values
        Bounds that it must keep: collections within each other, and values in all.

    Raises
    ------
    BadYaml
        It is no YAML, or goes beyond the bounds.
    """
    parser = Loader(text)
    try:
        yield from _counted(parser, max_depth, max_values)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # libyaml's own words are fixed; those of the parser in Python quote what they found.
        words = (error.context, error.problem) if _Base is not yaml.SafeLoader else ()
        said = " ".join(filter(None, words)) or "the parser does not get on"
        line = "".join(text.splitlines()[mark.line : mark.line + 1]) if mark else ""
        if mark and "\t" in line[: mark.column + 1]:
            said = "a tab stands there; lines are indented by spaces"
        raise BadYaml(f"this isn't YAML: {said}", mark.line + 1 if mark else 0) from None
    finally:
        parser.dispose()


def _counted(parser: Any, max_depth: int, max_values: int) -> Iterator[yaml.Event]:
    sizes: dict[str | None, int] = {}  # by anchor: nodes in what it stands for
    above: list[tuple[str | None, int]] = []  # of the open collections: anchor, count before
    count = documents = 0
    while True:
        event = parser.get_event()
        kind = type(event)
        if kind is yaml.ScalarEvent:  # most are
            count += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            above.append((event.anchor, count))
            count += 1
            if len(above) > max_depth:
                raise BadYaml("nested too deeply", _line(event))
            sizes.pop(event.anchor, None)  # within itself it stands for nothing
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            anchor, before = above.pop()
            if anchor:
                sizes[anchor] = count - before
        elif kind is yaml.AliasEvent:
            if event.anchor not in sizes:
                raise BadYaml("this isn't YAML: an alias without its anchor", _line(event))
            count += sizes[event.anchor]
        elif kind is yaml.StreamEndEvent:
            return
        else:
            documents += kind is yaml.DocumentStartEvent
            if documents > 1:
                raise BadYaml("a second document; write one per file", _line(event))
            continue
        if count > max_values:
            raise BadYaml(f"more than {max_values} values", _line(event))
        yield event


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1
