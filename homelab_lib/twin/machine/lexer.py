"""The shell's tokens: words with their quotes still on, operators, here-documents."""

import re
from dataclasses import dataclass
from itertools import pairwise

_OPERATORS = ("&&", "||", ";;", "<<-", "<<", ">>", "<&", ">&", ">|", "<>", *"<>|;&()\n")
_REDIRECTIONS = {"<<-", "<<", ">>", "<&", ">&", ">|", "<", ">"}
_BREAKS_WORD = " \t\n;&|<>()"


class Syntax(ValueError):
    """What this shell can't read."""


@dataclass
class Token:
    """A word or an operator.

    Parameters
    ----------
    text
        As it is written; empty at the end of the script.
    is_word
        Whether it is a word.
    number
        The file descriptor in front of a redirection.
    body
        Text of a here-document.
    """

    text: str
    is_word: bool
    number: int | None = None
    body: str = ""

    @property
    def redirects(self) -> bool:
        return not self.is_word and self.text in _REDIRECTIONS


def tokens(script: str) -> list[Token]:
    """All tokens of a script, and one more that ends it.

    Raises
    ------
    Syntax
        A quote or a parenthesis is left open.
    """
    found: list[Token] = []
    place = 0
    while place < len(script):
        char = script[place]
        if char in " \t" or script.startswith("\\\n", place):
            place += 1 if char in " \t" else 2
        elif char == "#":
            end = script.find("\n", place)
            place = len(script) if end < 0 else end
        elif number := re.match(r"\d(?=[<>])", script[place:]):
            operator = _operator(script, place + 1)
            found.append(Token(operator, False, int(number[0])))
            place += 1 + len(operator)
        elif operator := _operator(script, place):
            found.append(Token(operator, False))
            place += len(operator)
            if operator == "\n":
                place = _here_documents(found, script, place)
        else:
            end = _word_end(script, place)
            found.append(Token(script[place:end], True))
            place = end
    _here_documents(found, "", 0)
    return [*found, Token("", False)]


def _operator(script: str, place: int) -> str:
    return next((each for each in _OPERATORS if script.startswith(each, place)), "")


def _word_end(script: str, place: int) -> int:
    while place < len(script) and script[place] not in _BREAKS_WORD:
        place = after(script, place)
    return place


def _here_documents(found: list[Token], script: str, place: int) -> int:
    """Read the texts that the line before has announced; where the script goes on."""
    lines_end = [number for number, token in enumerate(found[:-1]) if token.text == "\n"]
    line = found[lines_end[-1] + 1 if lines_end else 0 :]
    for token, word in pairwise(line):
        if token.text not in ("<<", "<<-") or token.is_word or token.body:
            continue
        end = re.sub(r"['\"\\]", "", word.text)
        lines: list[str] = []
        while place < len(script):
            line, _, _ = script[place:].partition("\n")
            place += len(line) + 1
            line = line.lstrip("\t") if token.text == "<<-" else line
            if line == end:
                break
            lines.append(f"{line}\n")
        # A quoted end keeps the text as it is: a mark for whoever expands it.
        token.body = ("" if end == word.text else "'") + "\n" + "".join(lines)
    return place


def after(text: str, place: int) -> int:
    """The place after the character, quote or expansion that begins at `place`.

    Raises
    ------
    Syntax
        It does not end.
    """
    char = text[place]
    if char == "\\":
        return min(place + 2, len(text))
    if char == "'":
        return _closing(text, place, "'") + 1
    if char == '"':
        return after_quote(text, place)
    if char == "`":
        return _closing(text, place, "`") + 1
    if text.startswith("$(", place):
        return _nested(text, place + 1, "(", ")")
    if text.startswith("${", place):
        return _nested(text, place + 1, "{", "}")
    return place + 1


def after_quote(text: str, place: int) -> int:
    """The place after a double-quoted part."""
    place += 1
    while place < len(text):
        if text[place] == '"':
            return place + 1
        place = place + 1 if text[place] == "'" else after(text, place)
    raise Syntax("Unterminated quoted string")


def _closing(text: str, place: int, mark: str) -> int:
    end = text.find(mark, place + 1)
    if end < 0:
        raise Syntax("Unterminated quoted string")
    return end


def _nested(text: str, place: int, opening: str, closing: str) -> int:
    depth = 0
    while place < len(text):
        depth += (text[place] == opening) - (text[place] == closing)
        if depth == 0:
            return place + 1
        place = after(text, place)
    raise Syntax(f'end of file unexpected (expecting "{closing}")')
