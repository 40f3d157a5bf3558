"""Which programs a call runs."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import dropwhile

from homelab_lib.twin.machine.grammar import parse
from homelab_lib.twin.machine.lexer import Syntax
from homelab_lib.twin.machine.script import Case, Command, For, Function, Group, If, Loop, Simple
from homelab_lib.twin.machine.script import Sequence as Script


def called(words: Sequence[str]) -> Iterator[Sequence[str]]:
    """The programs that a call runs, each with its words: itself, or those in its script.

    Parameters
    ----------
    words
        The call. A script's own functions are left out; one that can't be read is ``sh`` alone.
    """
    match words:
        case ["sh" | "/bin/sh", "-c", script, *given]:
            for found in _of_script(script):
                if found[0] == "$@":  # it runs the words that it was given
                    yield from called([*given[1:], *found[1:]])
                else:
                    yield found
        case ["env", *rest]:
            yield from called(list(dropwhile(lambda word: "=" in word, rest)))
        case ["runuser", "-u", _, "--", *rest]:
            yield from called(rest)
        case _:
            yield words


@lru_cache
def _of_script(script: str) -> tuple[Sequence[str], ...]:
    functions: set[str] = set()
    try:
        simple = list(_simple(parse(script), functions))
    except Syntax:
        return (["sh"],)
    found = [[word.strip("\"'") for word in each.words] for each in simple if each.words]
    return tuple(words for each in found if each[0] not in functions for words in called(each))


def _simple(script: Script, functions: set[str]) -> Iterator[Simple]:
    for pipeline in (pipeline for each in script.lists for _, pipeline in each):
        for command in pipeline.commands:
            yield from _of_command(command, functions)


def _of_command(command: Command, functions: set[str]) -> Iterator[Simple]:
    match command.what:
        case Simple() as simple:
            yield simple
        case Group(body):
            yield from _simple(body, functions)
        case If(branches, otherwise):
            for condition, body in branches:
                yield from _simple(condition, functions)
                yield from _simple(body, functions)
            yield from _simple(otherwise, functions)
        case Loop(condition, body):
            yield from _simple(condition, functions)
            yield from _simple(body, functions)
        case For(_, _, body):
            yield from _simple(body, functions)
        case Case(_, arms):
            for _, body in arms:
                yield from _simple(body, functions)
        case Function(name, body):
            functions.add(name)
            yield from _of_command(body, functions)
