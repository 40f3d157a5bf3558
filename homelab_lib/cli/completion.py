"""`completion`: what a shell offers when TAB is pressed, names of one's own among it.

The shell's few lines ask this program, so that what is offered is what is there: a lab's runbooks
and their steps, plans and records that were kept.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from homelab_lib import paths
from homelab_lib.cli.start import examples
from homelab_lib.errors import HomelabError

_SCRIPTS = {
    "bash": """\
_homelab() {
  local IFS=$'\\n' word=${COMP_WORDS[COMP_CWORD]}
  local found=$(homelab complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  COMPREPLY=($(compgen -W "$found" -- "$word"))
}
complete -o default -F _homelab homelab
""",
    "zsh": """\
#compdef homelab
_homelab() {
  local -a found
  found=(${(f)"$(homelab complete "${(@)words[2,CURRENT]}" 2>/dev/null)"})
  if (( $#found )); then compadd -a found; else _files; fi
}
compdef _homelab homelab
""",
    "fish": """\
complete -c homelab -a '(homelab complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
""",
}
_HELD = ("only", "skip", "confirm")  # options that name a runbook's steps
Parser = argparse.ArgumentParser


def completion(arguments: argparse.Namespace) -> int:
    """Print what has a shell complete: source <(homelab completion bash)."""
    print(_SCRIPTS[arguments.shell], end="")
    return 0


def add_to(add: Any) -> None:
    """Give the command line this command; `add` makes its parser from its function."""
    add(completion).add_argument("shell", choices=tuple(_SCRIPTS), help="whose lines to print")


def complete(commands: Mapping[str, Parser], words: Sequence[str]) -> int:
    """Print what may stand in the place of the last word.

    Parameters
    ----------
    commands
        Each command's parser, which says what it takes.
    words
        What was typed after the program's name; the last one may be begun, or empty.
    """
    *typed, last = words or [""]
    with suppress(HomelabError):  # of a lab that is wrong, nothing is offered
        for word in sorted(set(_offered(commands, typed, last))):
            if word.startswith(last):
                print(word)
    return 0


def _offered(commands: Mapping[str, Parser], typed: Sequence[str], last: str) -> Iterable[str]:
    if not typed:
        return commands
    if typed[0] not in commands:
        return ()
    command = commands[typed[0]]
    given, wanted = _read(command, typed[1:])
    if last.startswith("-") and (wanted is None or not wanted.option_strings):
        return (option for action in command._actions for option in action.option_strings)
    return _names(wanted, given) if wanted is not None else ()


def _read(command: Parser, typed: Sequence[str]) -> tuple[dict[str, str], argparse.Action | None]:
    """What was given already, and what the next word stands for."""
    options = {name: action for action in command._actions for name in action.option_strings}
    places = [action for action in command._actions if not action.option_strings]
    given: dict[str, str] = {}
    wanted: argparse.Action | None = None
    for word in typed:
        if wanted is not None:
            given[wanted.dest], wanted = word, None
        elif word in options:
            wanted = options[word] if options[word].nargs != 0 else None
        elif not word.startswith("-") and places:
            given[places.pop(0).dest] = word
    return given, wanted or (places[0] if places else None)


def _names(wanted: argparse.Action, given: dict[str, str]) -> Iterable[str]:
    """What an argument may be; empty where it is a file or a folder, which the shell knows."""
    if wanted.choices is not None:
        return map(str, wanted.choices)
    lab = given.get("lab", str(paths.data()))
    named: dict[str, Callable[[], Iterable[str]]] = {
        "like": examples,
        "runbook": lambda: _runbooks(lab),
        "phase": lambda: _runbooks(lab),
        "apply": lambda: _rules(lab),
        "approve": _plans,
        "what": lambda: [*_plans(), *_records()],
        "record": _records,
    }
    named |= dict.fromkeys(_HELD, lambda: _steps(lab, given.get("runbook", "")))
    return named[wanted.dest]() if wanted.dest in named else ()


def _runbooks(lab: str) -> Iterator[str]:
    from homelab_lib.lab import load_lab
    from homelab_lib.recipes.phase import runbooks

    yield from (each.name for each in runbooks(load_lab(lab)))
    yield from ("health", "house")


def _steps(folder: str, name: str) -> Iterator[str]:
    from homelab_lib.lab import load_lab
    from homelab_lib.recipes import meant, runbook

    lab = load_lab(folder)
    what = meant(lab, name)
    book = runbook(lab, what.phase, lambda machine: "", what.part)
    yield from (step.name for step in book.steps)


def _rules(lab: str) -> Iterable[str]:
    from homelab_lib.audit.cure import curable
    from homelab_lib.lab import load_lab

    return curable(load_lab(lab))


def _plans() -> Iterator[str]:
    yield from (file.stem for file in paths.state("any").parent.glob("*/plans/p*.json"))


def _records() -> Iterator[str]:
    yield from (file.parent.name for file in paths.reports().glob("*/journal.jsonl"))
