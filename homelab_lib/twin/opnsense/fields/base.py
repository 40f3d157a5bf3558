"""What every field of a model has: its rules, its value in one document, and what it says.

A *field* is the rule and is the same for all documents. A *leaf* is its value in one of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from homelab_lib.twin.opnsense import php

REQUIRED = "A value is required."


class Constraint(Protocol):
    """A rule over several fields of a row; hangs at one of them, and speaks in its name."""

    @property
    def message(self) -> str: ...

    def holds(self, leaf: "Leaf") -> bool: ...


@dataclass
class Leaf:
    """A value in a document.

    Parameters
    ----------
    field
        Its rules.
    tree
        The document.
    parent
        The part of the document it is in.
    tag
        Its name there.
    ref
        Its name in the whole document.
    value, stored
        What it is, and what was kept of it; None for nothing.
    is_new
        Whether its row has just been made.
    """

    field: "Field"
    tree: Any
    parent: Any
    tag: str
    ref: str
    value: str = ""
    stored: str | None = None
    is_new: bool = False

    def set(self, value: Any) -> None:
        """Give it a value, as the field takes it."""
        taken = self.field.accept(self, php.text_of(value))
        if taken is None:
            return
        if not self.loaded and self.stored is None:
            self.stored = taken
        self.value = taken

    @property
    def loaded(self) -> bool:
        """Whether it has been read, and what comes now is a change of it."""
        return self.is_new or self.tree.loaded

    @property
    def changed(self) -> bool:
        return self.is_new or self.stored != self.value

    @property
    def text(self) -> str:
        """What it shows of its value."""
        return self.field.text(self)

    @property
    def is_empty(self) -> bool:
        return php.is_empty(self.value)

    @property
    def is_set(self) -> bool:
        return self.value != ""

    @property
    def values(self) -> list[str]:
        """Its entries, of a field that is a list."""
        return self.field.values(self)

    def int(self) -> int:
        """``(int)``."""
        return php.leading_int(self.value)


@dataclass(frozen=True, kw_only=True)
class Field:
    """The rules of a field.

    Parameters
    ----------
    required
        Whether it has to have a value.
    default
        What it is where nobody says.
    message
        What is said of a wrong value; empty for what its kind says.
    constraints
        Rules over several fields by name, or ``field.name`` for another field's.
    case
        ``upper`` or ``lower``: letters are made that.
    volatile
        Shown, and never kept.
    since
        The first series that has it.
    """

    required: bool = False
    default: str = ""
    message: str = ""
    constraints: "Mapping[str, Constraint | str]" = field(default_factory=dict)
    case: Literal["", "upper", "lower"] = ""
    volatile: bool = False
    since: tuple[int, int] = (0, 0)
    says_by_itself: ClassVar[str] = "Validation failed."

    def accept(self, leaf: Leaf, value: str) -> str | None:
        """A value as it is kept; None where what is there stays."""
        return {"upper": value.upper, "lower": value.lower}.get(self.case, value.__str__)()

    def fresh(self, leaf: Leaf) -> str:
        """Its value in a new row."""
        return self.default

    def after_loading(self, leaf: Leaf) -> None:
        """What is made of it once the whole document is there."""

    def problems(self, leaf: Leaf) -> Iterator[tuple[str, str]]:
        """What is wrong, and of which field."""
        for constraint in self.constraints.values():
            if not isinstance(constraint, str):
                if not constraint.holds(leaf):
                    yield leaf.ref, constraint.message
                continue
            other, _, named = constraint.partition(".")
            target = leaf.parent.get(other)
            found = target.field.constraints.get(named) if target else None
            if found is not None and not found.holds(target):
                yield target.ref, found.message
        if self.required and not leaf.is_set:
            yield leaf.ref, REQUIRED
        for text in self.judged(leaf):
            yield leaf.ref, text

    def judged(self, leaf: Leaf) -> Iterator[str]:
        """What is wrong with the value alone; nothing is wrong with none."""
        if leaf.is_set:
            yield from self.check(leaf)

    def check(self, leaf: Leaf) -> Iterator[str]:
        """What is wrong with a value that is there."""
        return iter(())

    def says(self, content: str = "") -> str:
        """What is said of a wrong value."""
        said = self.message or self.own_words()
        return said.replace("%s", content) if said.count("%s") == 1 else said

    def own_words(self) -> str:
        return self.says_by_itself

    def text(self, leaf: Leaf) -> str:
        return leaf.value

    def values(self, leaf: Leaf) -> list[str]:
        return [leaf.value] if leaf.is_set else []

    def data(self, leaf: Leaf) -> Any:
        """As a `get` answers it."""
        return self.text(leaf)

    def described(self, leaf: Leaf) -> str:
        """As a person reads it."""
        return self.text(leaf)


@dataclass(frozen=True, kw_only=True)
class Several(Field):
    """A field that may be a list of values in one text.

    Parameters
    ----------
    separator
        What stands between two of them.
    as_list
        Whether it is one.
    """

    separator: str = ","
    as_list: bool = False

    def values(self, leaf: Leaf) -> list[str]:
        return [each for each in self.entries(leaf.value) if each]

    def entries(self, value: str) -> list[str]:
        return value.split(self.separator) if self.as_list else [value]

    def data(self, leaf: Leaf) -> Any:
        if not self.as_list:
            return leaf.value
        return {each: {"value": each, "selected": 1} for each in leaf.value.split(self.separator)}
