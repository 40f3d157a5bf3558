"""A line for csh: its words with the quotes that they stood in, its pipelines and redirections."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_HISTORY = re.compile(r"(?<!\\)!(?![ \t\n=(~]|$)([\w./-]*)")
_OPERATOR = re.compile(r"&&|\|\||\|&|>>&!?|>>!?|>&!?|>!?|<<|<|[;|&()]")

Word = list[tuple[str, str]]
"""A word's pieces, each with the quote that it stood in."""

Token = str | Word
"""An operator, or a word."""


class Wrong(Exception):
    """A line that csh does not take; its text is what it says."""


@dataclass
class Simple:
    """A program with its words, as they are written, and where it reads and prints."""

    words: list[Word] = field(default_factory=list)
    source: Word | None = None
    target: Word | None = None
    append: bool = False
    errors_too: bool = False  # go where the output goes
    piped: bool = False
    errors_piped: bool = False


@dataclass
class List:
    """Pipelines, each with what stands before it: ``;``, ``&&``, ``||``; or a group of such."""

    parts: "list[tuple[str, list[Simple | List]]]" = field(default_factory=list)


def parsed(line: str) -> List:
    """What a line says.

    Raises
    ------
    Wrong
        csh does not take it.
    """
    event = _HISTORY.search(line)
    if event is not None:
        raise Wrong(f"{event[1]}: Event not found.")
    tokens = [token for each in line.split("\n") for token in (*_tokens(each), ";")]
    found, rest = _sequence(tokens)
    if rest:
        raise Wrong("Too many )'s.")
    return found


def _tokens(line: str) -> Iterator[Token]:
    """Operators as texts, words as pieces with the quotes that they stood in."""
    place, word = 0, Word()
    while place < len(line):
        char = line[place]
        operator = _OPERATOR.match(line, place)
        if char in " \t" or operator or (char == "#" and not word and place):
            if word:
                yield word
                word = []
            if char == "#":
                return
            if operator:
                yield operator[0]
            place = operator.end() if operator else place + 1
        elif line.startswith("$(", place):
            raise Wrong("Illegal variable name.")
        elif char in "'\"`":
            end = line.find(char, place + 1)
            if end < 0:
                raise Wrong(f"Unmatched '{char}'.")
            word.append((char, line[place + 1 : end].replace("\\!", "!")))
            place = end + 1
        elif char == "\\":
            word.append(("'", line[place + 1 : place + 2]))
            place += 2
        else:
            word.append(("", char))
            place += 1
    if word:
        yield word


def _sequence(tokens: list[Token], *, inside: bool = False) -> tuple[List, list[Token]]:
    found, joint = List(), ";"
    pipeline: list[Simple | List] = []
    now = Simple()
    while tokens:
        token = tokens.pop(0)
        if token == "(":
            if now.words:
                raise Wrong("Badly placed ()'s.")
            group, tokens = _sequence(tokens, inside=True)
            pipeline.append(group)
            now = Simple()
            continue
        if token == ")":
            if not inside:
                raise Wrong("Too many )'s.")
            _close(found, joint, pipeline, now)
            return found, tokens
        if isinstance(token, list):
            now.words.append(token)
        elif token in ("|", "|&"):
            now.piped, now.errors_piped = True, token == "|&"
            if now.target is not None:
                raise Wrong("Ambiguous output redirect.")
            if now.words:
                pipeline.append(now)
            if not pipeline or not [t for t in tokens[:1] if isinstance(t, list) or t == "("]:
                raise Wrong("Invalid null command.")
            now = Simple()
        elif token in (";", "&&", "||"):
            _close(found, joint, pipeline, now)
            joint, pipeline, now = token, [], Simple()
        elif token == "&":
            raise Wrong("this twin's csh runs nothing in the background; daemon(8) does")
        elif token == "<<":
            raise Wrong("this twin's csh reads no here-documents")
        else:
            _redirect(now, token, tokens)
    if inside:
        raise Wrong("Too many ('s.")
    _close(found, joint, pipeline, now)
    return found, tokens


def _redirect(now: Simple, token: str, tokens: list[Token]) -> None:
    name = tokens.pop(0) if tokens else ""
    if not isinstance(name, list):
        raise Wrong("Missing name for redirect.")
    if token == "<":
        if now.source is not None:
            raise Wrong("Ambiguous input redirect.")
        now.source = name
        return
    if now.target is not None:
        raise Wrong("Ambiguous output redirect.")
    now.target, now.append, now.errors_too = name, token.startswith(">>"), "&" in token


def _close(found: List, joint: str, pipeline: "list[Simple | List]", now: Simple) -> None:
    if now.words:
        pipeline.append(now)
    elif now.source or now.target:
        raise Wrong("Invalid null command.")
    for each in pipeline[:-1]:
        if isinstance(each, Simple) and each.target is not None:
            raise Wrong("Ambiguous output redirect.")
    if pipeline:
        found.parts.append((joint, list(pipeline)))
