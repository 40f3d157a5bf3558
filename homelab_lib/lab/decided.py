"""Corrections to the document before it is read as a lab.

They are made on nodes, not on values, so that a mistake in a correction is reported at the line
of the correction.
"""

from collections.abc import Iterator
from dataclasses import replace

from homelab_lib.lab.document import Node, Problem, Steps
from homelab_lib.lab.near import near


def decided(root: Node) -> tuple[Node, list[Problem]]:
    """The document with the changes of its decisions, and what is wrong with these."""
    problems: list[Problem] = []
    made: dict[tuple[str, ...], str] = {}
    for path, target, value in _changes(root):
        if target in made:
            what = f"{'.'.join(target)} is changed by another decision already, at {made[target]}"
            problems.append(Problem(value.where, root.label(path), what))
            continue
        made[target] = value.where
        try:
            root = put(root, target, value)
        except LookupError as error:
            problems.append(Problem(value.where, root.label(path), str(error)))
    return root, problems


def _changes(root: Node) -> Iterator[tuple[Steps, tuple[str, ...], Node]]:
    """Each change that has the right shape; the schema reports the others."""
    decisions = root.child("decisions")
    for index, decision in enumerate(_items(decisions)):
        for place, change in enumerate(_items(decision.child("changes"))):
            target, value = change.child("path"), change.child("value")
            if target is None or not isinstance(target.value, str) or not target.value:
                continue
            path = ("decisions", index, "changes", place, "path")
            value = value or Node(None, change.where)
            yield path, tuple(target.value.split(".")), value


def _items(node: Node | None) -> list[Node]:
    return node.value if node is not None and isinstance(node.value, list) else []


def put(node: Node, steps: tuple[str, ...], value: Node) -> Node:
    """A copy of `node` in which `value` stands where `steps` lead; a null takes the entry away.

    Raises
    ------
    LookupError
        A step leads nowhere. The last one may be new.
    """
    step, rest = _step(node, steps)
    key = _key(node, step)
    below = None if key is None else node.child(key)
    if rest:
        if below is None:
            raise LookupError(f"nothing is called {step!r} there{near(step, _names(node))}")
        below = put(below, rest, value)
    elif value.value is None:
        if below is None:
            raise LookupError(f"{step!r} can't be taken away{near(step, _names(node))}")
        below = None
    else:
        below = value
    if isinstance(node.value, dict):
        entries = dict(node.value)
        key = step if key is None else key
        if below is None:
            del entries[key]
        else:
            entries[key] = below
        return Node(entries, node.where)
    if isinstance(node.value, list):
        items = list(node.value)
        at = slice(key, key + 1) if isinstance(key, int) else slice(len(items), None)
        items[at] = [] if below is None else [below]
        return replace(node, value=items)
    raise LookupError(f"there is no {step!r} in a plain value")


def _step(node: Node, steps: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The first key, and what is left: a dataset's name may have dots in it, too."""
    for count in range(1, len(steps) + 1):
        joined = ".".join(steps[:count])
        if _key(node, joined) is not None:
            return joined, steps[count:]
    return steps[0], steps[1:]


def _key(node: Node, step: str) -> str | int | None:
    """The key or the index that a step of a path means."""
    if isinstance(node.value, dict):
        return next((key for key in node.value if str(key) == step), None)
    if isinstance(node.value, list):
        names = _names(node)
        if step in names:
            return names.index(step)
        if step.isdecimal() and int(step) < len(names):
            return int(step)
    return None


def _names(node: Node) -> list[str]:
    """Keys of a mapping, or the names of a list's items."""
    if isinstance(node.value, dict):
        return [str(key) for key in node.value]
    if not isinstance(node.value, list):
        return []
    named = (item.child("name") or item.child("id") for item in node.value)
    return [str(name.value) if name is not None else "" for name in named]
