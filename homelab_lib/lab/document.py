"""YAML as we read it: plain values after YAML 1.2's core schema, and where each one stands.

PyYAML follows YAML 1.1, where `no` is false, `12:34` is 754 and `010` is eight. A homelab has
countries, MAC addresses and versions; here they stay what they look like. PyYAML's parser gives
us events, counted on the way; its composer is not used, for it forgives a key given twice.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from homelab_lib.errors import Unreadable
from homelab_lib.regular_file import read_bytes
from homelab_lib.units import LARGEST
from homelab_lib.yaml_safe import MAX_BYTES, BadYaml, decoded, events

Steps = tuple[str | int, ...]
"""Keys and indices that lead to a place in the document."""

_WORDS = {"": None, "~": None} | {
    form: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for form in (word, word.capitalize(), word.upper())
}
_NUMBERS_BEGIN = frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}")
_OTHER_BASE = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def scalar(text: str) -> Any:
    """The value of a plain scalar by YAML 1.2's core schema; what can't be a number stays text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBERS_BEGIN:
        return text
    number: int | float | None = None
    if _INTEGER.fullmatch(text):
        number = int(text)
    elif _OTHER_BASE.fullmatch(text):
        number = int(text, 0)
    elif _FLOAT.fullmatch(text):
        number = float(text)
    return text if number is None or abs(number) > LARGEST else number


@dataclass(frozen=True)
class Problem:
    """Something wrong with the description: where it stands, what it is, for how many it stands."""

    where: str
    path: Steps
    what: str
    count: int = 1

    def __str__(self) -> str:
        path = ".".join(map(str, self.path))
        return ": ".join(part for part in (self.where, path, self.what) if part)


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the document.

    Parameters
    ----------
    value
        A scalar, a list of nodes, or a mapping of scalars to nodes.
    where
        ``file:line`` of its key, or of itself in a list.
    text
        A scalar as written.
    """

    value: Any
    where: str
    text: str = ""

    def plain(self) -> Any:
        """The value without its places, for pydantic."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def child(self, step: str | int) -> "Node | None":
        """What stands under a key or an index."""
        if isinstance(self.value, dict):
            return self.value.get(step)
        if isinstance(self.value, list) and isinstance(step, int) and 0 <= step < len(self.value):
            return self.value[step]
        return None

    def follow(self, steps: Steps) -> "tuple[Node, Steps]":
        """The node to which `steps` lead, and the steps that were taken.

        Steps that lead nowhere are left out: pydantic names the members of a union, too.
        """
        node, taken = self, []
        for step in steps:
            below = node.child(step)
            if below is not None:
                node = below
                taken.append(step)
        return node, tuple(taken)

    def label(self, path: Steps) -> Steps:
        """The path with the names of list items in place of their indices."""
        node = self
        steps: list[str | int] = []
        for step in path:
            below = node.child(step)
            if below is None:
                return (*steps, *path[len(steps) :])
            listed = isinstance(node.value, list)
            name = listed and (below.child("name") or below.child("id"))
            steps.append(name.value if name else step)
            node = below
        return tuple(steps)

    def without(self, path: Steps) -> "Node":
        """A copy without what stands at `path`."""
        step, rest = path[0], path[1:]
        value = self.value.copy()
        if rest:
            value[step] = value[step].without(rest)
        else:
            del value[step]
        return replace(self, value=value)

    def with_node(self, path: Steps, node: "Node") -> "Node":
        """A copy in which `node` stands at `path`; the last key may be new."""
        step, rest = path[0], path[1:]
        value = self.value.copy()
        value[step] = value[step].with_node(rest, node) if rest else node
        return replace(self, value=value)

    def renamed(self, path: Steps, name: str) -> "Node":
        """A copy in which the key at the end of `path` is called `name`."""
        step, rest = path[0], path[1:]
        value = self.value.copy()
        if rest:
            value[step] = value[step].renamed(rest, name)
        else:
            value[name] = value.pop(step)
        return replace(self, value=value)


def read(file: Path) -> tuple[Node | None, list[Problem]]:
    """The document in a file; None when it is empty or can't be read at all."""
    problems: list[Problem] = []
    try:
        text = decoded(read_bytes(file, max_bytes=MAX_BYTES))
        return _Builder(events(text), str(file), problems).document(), problems
    except Unreadable as error:
        return None, [Problem(str(file), (), error.what)]
    except BadYaml as fault:
        where = f"{file}:{fault.line}" if fault.line else str(file)
        return None, [*problems, Problem(where, (), fault.what)]


class _Builder:
    """Turns the parser's events into nodes."""

    def __init__(self, events: Iterator[Any], file: str, problems: list[Problem]) -> None:
        self._events = events
        self._file = file
        self._problems = problems
        self._anchors: dict[str | None, Node] = {}

    def document(self) -> Node | None:
        first = next(self._events, None)
        if first is None:
            return None
        root = self._node(first, None, ())
        for _ in self._events:  # a second document is a fault
            pass
        return root

    def _report(self, event: Any, path: Steps, what: str) -> None:
        self._problems.append(Problem(self._where(event), path, what))

    def _where(self, event: Any) -> str:
        return f"{self._file}:{event.start_mark.line + 1}"

    def _node(self, event: Any, key: Any, path: Steps) -> Node:
        where = self._where(key or event)
        kind = type(event)
        if kind is yaml.AliasEvent:
            return replace(self._anchors[event.anchor], where=where)
        if kind is yaml.ScalarEvent:
            node = Node(self._scalar(event, path), where, event.value)
        elif kind is yaml.SequenceStartEvent:
            node = self._sequence(event, where, path)
        else:
            node = self._mapping(event, where, path)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _scalar(self, event: Any, path: Steps) -> Any:
        self._refuse_tag(event, path)
        plain = event.implicit[0] and event.tag is None
        return scalar(event.value) if plain else event.value

    def _refuse_tag(self, event: Any, path: Steps) -> None:
        """`!!str` has a use, on a number; other tags ask for what a description has no need of."""
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            # Not quoted: a password may begin with an exclamation mark.
            what = "a tag (!…) has no meaning here; leave it out, or put the text in quotes"
            self._report(event, path, what)

    def _sequence(self, event: Any, where: str, path: Steps) -> Node:
        self._refuse_tag(event, path)
        items: list[Node] = []
        while type(item := next(self._events)) is not yaml.SequenceEndEvent:
            items.append(self._node(item, None, (*path, len(items))))
        return Node(items, where)

    def _mapping(self, event: Any, where: str, path: Steps) -> Node:
        self._refuse_tag(event, path)
        entries: dict[Any, Node] = {}
        while type(key_event := next(self._events)) is not yaml.MappingEndEvent:
            if type(key_event) is not yaml.ScalarEvent:
                line = key_event.start_mark.line + 1
                raise BadYaml("this isn't YAML: a key must be plain text", line)
            key = self._scalar(key_event, path)
            if not isinstance(key, int) or isinstance(key, bool):
                key = key_event.value  # 'true' as a name is as good as any
            value = self._node(next(self._events), key_event, (*path, key))
            if key in entries:
                first = entries[key].where
                self._report(key_event, (*path, key), f"given twice; the first is at {first}")
            else:
                entries[key] = value
        return Node(entries, where)


def merged(files: Sequence[Path], *, depth: int) -> tuple[Node | None, list[Problem]]:
    """One document from many files, joined at their topmost `depth` levels of keys.

    None where a file can't be read: what others say of its contents would seem wrong.
    """
    root = Node({}, str(files[0]) if files else "")
    problems: list[Problem] = []
    readings = [read(file) for file in files]
    for node, found in readings:
        problems += found
        if node is None:
            continue
        if not isinstance(node.value, dict):
            problems.append(Problem(node.where, (), "expected keys, such as 'hosts:'"))
            continue
        root = _join(root, node, (), depth, problems)
    unread = any(node is None and found for node, found in readings)
    return (None if unread else root), problems


def _join(first: Node, second: Node, path: Steps, depth: int, problems: list[Problem]) -> Node:
    entries = dict(first.value)
    for key, node in second.value.items():
        before = entries.get(key)
        both = before and isinstance(before.value, dict) and isinstance(node.value, dict)
        if before is None:
            entries[key] = node
        elif depth > 1 and both:
            entries[key] = _join(before, node, (*path, key), depth - 1, problems)
        else:
            what = f"given twice; the first is at {before.where}"
            problems.append(Problem(node.where, (*path, key), what))
    return Node(entries, first.where)
