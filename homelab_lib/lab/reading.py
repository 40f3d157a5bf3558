"""A document held against a pydantic class, with everything that is wrong found in one go.

Pydantic refuses the whole document for one wrong value; the cross-references of the rest would
wait for the next try. So what is wrong is taken out, and the rest is read, to be checked further.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from homelab_lib.lab.checks.fault import Fault
from homelab_lib.lab.document import Node, Problem, Steps
from homelab_lib.lab.problems import Explain

MANY = 200
"""Mistakes that are explained; who has more of them has one cause, and reads no further."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Reading(Generic[Model]):
    """What could be read.

    Parameters
    ----------
    value
        The document without what is wrong in it; None where nothing is left.
    root
        The same as nodes.
    problems
        What was wrong.
    lost
        Paths that were taken out.
    """

    value: Model | None
    root: Node
    problems: list[Problem]
    lost: frozenset[Steps]

    def contradictions(self, faults: Iterable[Fault]) -> list[Problem]:
        """Faults with their places; those that only follow from what was taken out are dropped."""
        names = {str(step) for path in self.lost for step in path[-1:]}
        return [
            self._problem(fault)
            for fault in faults
            if names.isdisjoint((fault.about, *fault.about.split(".")))
            and not any(path[: len(fault.path)] == fault.path for path in self.lost)
        ]

    def _problem(self, fault: Fault) -> Problem:
        node, path = self.root.follow(fault.path)
        what = fault.what
        if fault.first:
            first = ".".join(map(str, self.root.label(fault.first)))
            what += f"; the first is {first} at {self.root.follow(fault.first)[0].where}"
        return Problem(node.where, self.root.label(path), what)


def read_as(
    model: type[Model], root: Node, *, context: Any = None, broken: frozenset[str] = frozenset()
) -> Reading[Model]:
    """Hold a document against a class.

    Parameters
    ----------
    model
        The class.
    root
        The document.
    context
        Validation context.
    broken
        Parts that stand in the catalog and can't be used; that a lab refers to one is no mistake
        of the lab's.
    """
    problems: list[Problem] = []
    lost: set[Steps] = set()
    while True:
        try:
            value = model.model_validate(root.plain(), context=context)
            return Reading(value, root, problems, frozenset(lost))
        except ValidationError as error:
            errors = error.errors(include_url=False)
        explain = Explain(model, root)
        if len(errors) > MANY:
            problems += explain([e for e in errors[:MANY] if not _of_broken(e, broken)])
            last = root.follow(errors[MANY - 1]["loc"])[0]
            more = len(errors) - MANY
            problems.append(Problem(last.where, (), f"and {more} more after this", count=more))
            return Reading(None, root, problems, frozenset(lost))
        corrected, found = _as_meant(root, errors, explain)
        problems += found
        if corrected is not root:
            root = corrected
            continue
        if not lost:
            problems += explain([e for e in errors if not _of_broken(e, broken)])
        wrong = {_wrong(root, error) for error in errors}
        if () in wrong:
            return Reading(None, root, problems, frozenset(lost))
        lost |= wrong | {
            (*path, name)
            for path in wrong
            if isinstance(below := root.follow(path)[0].value, dict)
            for name in below
        }
        for path in sorted(wrong, key=_order, reverse=True):  # a list's last items first
            root = root.without(path)


def _as_meant(
    root: Node, errors: list[ErrorDetails], explain: Explain
) -> tuple[Node, list[Problem]]:
    """The document with misspelt keys put right, so that what stands under them is read, too."""
    problems: list[Problem] = []
    for error in errors:
        if error["type"] != "extra_forbidden":
            continue
        path, meant = explain.meant(error)
        if meant is not None and meant not in root.follow(path[:-1])[0].value:
            problems += explain([error])
            root = root.renamed(path, meant)
    return root, problems


def _of_broken(error: ErrorDetails, broken: frozenset[str]) -> bool:
    return error["type"] == "unknown_part" and error["input"] in broken


def _wrong(root: Node, error: ErrorDetails) -> Steps:
    """What must be taken out: the wrong value, or what lacks a value."""
    loc = error["loc"]
    return root.follow(loc[:-1] if error["type"] == "missing" else loc)[1]


def _order(path: Steps) -> list[tuple[bool, Any]]:
    return [(isinstance(step, str), step) for step in path]
