"""YAML as we read it: plain values after YAML 1.2's core schema, and where each one stands.

PyYAML follows YAML 1.1, where `no` is false, `12:34` is 754 and `010` is eight. A homelab has
countries, MAC addresses and versions; here they stay what they look like. PyYAML's parser gives
us events; its composer is not used, for it knows no limit of depth and forgives a key given twice.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

_Parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_NODES = 500_000  # an alias of an alias of an alias … would fill the memory
MAX_DEPTH = 50

Steps = tuple[str | int, ...]
"""Keys and indices that lead to a place in the document."""

_WORDS = {"": None, "~": None} | {
    form: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for form in (word, word.capitalize(), word.upper())
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,400}")
_OTHER_BASE = re.compile(r"0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def scalar(text: str) -> Any:
    """The value of a plain scalar by YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


@dataclass(frozen=True)
class Problem:
    """Something wrong with the description: where it stands, and what it is."""

    where: str
    path: Steps
    what: str

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
    size
        Number of nodes in it, itself included, aliases counted as often as they occur.
    """

    value: Any
    where: str
    text: str = ""
    size: int = 1

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
        node, steps = self, []
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


def mapping(entries: dict[Any, Node], where: str) -> Node:
    """A node with these entries."""
    return Node(entries, where, size=1 + sum(node.size for node in entries.values()))


def read(file: Path) -> tuple[Node | None, list[Problem]]:
    """The document in a file; None when it is empty or can't be read at all."""
    problems: list[Problem] = []
    try:
        with file.open("rb") as stream:
            return _Builder(_Parser(stream), str(file), problems).document(), problems
    except OSError as error:
        what = f"can't be read: {error.strerror}"
        where = str(file)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = "this isn't YAML: " + " ".join(filter(None, (error.context, error.problem)))
        where = f"{file}:{mark.line + 1}" if mark else str(file)
    except (yaml.YAMLError, ValueError) as error:  # characters that YAML has no room for
        what = f"this isn't YAML: {' '.join(str(error).split())}"
        where = str(file)
    return None, [*problems, Problem(where, (), what)]


class _Builder:
    """Turns the parser's events into nodes."""

    def __init__(self, parser: Any, file: str, problems: list[Problem]) -> None:
        self._parser = parser
        self._file = file
        self._problems = problems
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node | None:
        self._parser.get_event()  # the stream's start
        if self._parser.check_event(yaml.StreamEndEvent):
            return None
        self._parser.get_event()  # the document's start
        root = self._node(self._parser.get_event(), None, ())
        self._parser.get_event()
        if not self._parser.check_event(yaml.StreamEndEvent):
            self._report(self._parser.get_event(), (), "a second document; write one per file")
        return root

    def _report(self, event: Any, path: Steps, what: str) -> None:
        self._problems.append(Problem(self._where(event), path, what))

    def _where(self, event: Any) -> str:
        return f"{self._file}:{event.start_mark.line + 1}"

    def _node(self, event: Any, key: Any, path: Steps) -> Node:
        where = self._where(key or event)
        if isinstance(event, yaml.AliasEvent):
            return replace(self._alias(event), where=where)
        if len(path) > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            node = Node(self._scalar(event, path), where, event.value)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, where, path)
        else:
            node = self._mapping(event, where, path)
        if node.size > MAX_NODES:
            raise yaml.MarkedYAMLError(
                problem=f"more than {MAX_NODES} values", problem_mark=event.start_mark
            )
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            raise yaml.MarkedYAMLError(
                problem=f"alias *{event.anchor} without an anchor before it",
                problem_mark=event.start_mark,
            )
        return self._anchors[event.anchor]

    def _scalar(self, event: Any, path: Steps) -> Any:
        self._refuse_tag(event, path)
        plain = event.implicit[0] and event.tag is None
        return scalar(event.value) if plain else event.value

    def _refuse_tag(self, event: Any, path: Steps) -> None:
        """`!!str` has a use, on a number; other tags ask for what a description has no need of."""
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            self._report(event, path, f"tag {event.tag!r} has no meaning here; leave it out")

    def _sequence(self, event: Any, where: str, path: Steps) -> Node:
        self._refuse_tag(event, path)
        items: list[Node] = []
        while not self._parser.check_event(yaml.SequenceEndEvent):
            items.append(self._node(self._parser.get_event(), None, (*path, len(items))))
        self._parser.get_event()
        return Node(items, where, size=1 + sum(item.size for item in items))

    def _mapping(self, event: Any, where: str, path: Steps) -> Node:
        self._refuse_tag(event, path)
        entries: dict[Any, Node] = {}
        while not self._parser.check_event(yaml.MappingEndEvent):
            key_event = self._parser.get_event()
            if not isinstance(key_event, yaml.ScalarEvent):
                raise yaml.MarkedYAMLError(
                    problem="a key must be plain text", problem_mark=key_event.start_mark
                )
            key = self._scalar(key_event, path)
            if not isinstance(key, int) or isinstance(key, bool):
                key = key_event.value  # 'true' as a name is as good as any
            value = self._node(self._parser.get_event(), key_event, (*path, key))
            if key in entries:
                first = entries[key].where
                self._report(key_event, (*path, key), f"given twice; the first is at {first}")
            else:
                entries[key] = value
        self._parser.get_event()
        return mapping(entries, where)


def merged(files: Sequence[Path], *, depth: int) -> tuple[Node | None, list[Problem]]:
    """One document from many files, joined at their topmost `depth` levels of keys.

    None where a file can't be read: what others say of its contents would seem wrong.
    """
    root = mapping({}, str(files[0]) if files else "")
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
    return mapping(entries, first.where)
