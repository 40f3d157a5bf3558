"""What a shell script is made of, words as they are written; and how a part of it is left."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Redirection:
    """``2>file``, ``<<END``, ``2>&1``."""

    number: int
    operator: str
    target: str
    body: str


@dataclass(frozen=True)
class Simple:
    """Assignments and a program with its words, all unexpanded."""

    assignments: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """``{ …; }``, or with `apart` ``( … )``."""

    body: "Sequence"
    apart: bool


@dataclass(frozen=True)
class If:
    """Conditions with what is done where one holds, and what is done where none does."""

    branches: tuple[tuple["Sequence", "Sequence"], ...]
    otherwise: "Sequence"


@dataclass(frozen=True)
class Loop:
    """``while``, or with `until` the other way round."""

    condition: "Sequence"
    body: "Sequence"
    until: bool


@dataclass(frozen=True)
class For:
    """A body for each word; without words for each argument."""

    name: str
    words: tuple[str, ...]
    body: "Sequence"


@dataclass(frozen=True)
class Case:
    """The first arm whose pattern fits."""

    word: str
    arms: tuple[tuple[tuple[str, ...], "Sequence"], ...]


@dataclass(frozen=True)
class Function:
    """A function's definition."""

    name: str
    body: "Command"


@dataclass(frozen=True)
class Command:
    """Any of these, with its redirections."""

    what: "Simple | Group | If | Loop | For | Case | Function"
    redirections: tuple[Redirection, ...]


@dataclass(frozen=True)
class Pipeline:
    """Commands that feed each other; `negated` turns its status round."""

    commands: tuple[Command, ...]
    negated: bool


@dataclass(frozen=True)
class Sequence:
    """Lists of pipelines, each with ``&&`` or ``||`` in front of all but its first."""

    lists: tuple[tuple[tuple[str, Pipeline], ...], ...]


class Leave(Exception):
    """Something is left before its end: ``exit``, ``return``, ``break``, ``continue``.

    Parameters
    ----------
    what
        That word.
    status
        The status it leaves with; of a loop, how many are left.
    """

    def __init__(self, what: str, status: int) -> None:
        super().__init__(what)
        self.what = what
        self.status = status
