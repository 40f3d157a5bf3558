"""The shell's tokens: words with their quotes still on, operators, here-documents."""

import re
from dataclasses import dataclass
from itertools import pairwise

_CASE = re.compile(r"(?<![\w$/.-])(?:case(?=\s)|esac(?![\w/.-]))")
_OPERATORS = ("&&", "||", ";;", "<<-", "<<", ">>", "<&", ">&", ">|", "<>", *"<>|;&()\n")
_REDIRECTIONS = {"<<-", "<<", ">>", "<&", ">&", ">|", "<", ">"}
_BREAKS_WORD = " \t\n;&|<>()"
_OPERATOR = re.compile("|".join(map(re.escape, _OPERATORS)))
_NUMBER = re.compile(r"\d(?=[<>])")
_PLAIN = re.compile(r"[^ \t\n;&|<>()\\'\"`$]+")


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
    place = line = 0  # line: which token is the first of this one
    while place < len(script):
        char = script[place]
        if char in " \t" or script.startswith("\\\n", place):
            place += 1 if char in " \t" else 2
        elif char == "#":
            end = script.find("\n", place)
            place = len(script) if end < 0 else end
        elif number := _NUMBER.match(script, place):
            operator = _operator(script, place + 1)
            found.append(Token(operator, False, int(number[0])))
            place += 1 + len(operator)
        elif operator := _operator(script, place):
            found.append(Token(operator, False))
            place += len(operator)
            if operator == "\n":
                place = _here_documents(found[line:], script, place)
                line = len(found)
        else:
            end = _word_end(script, place)
            found.append(Token(script[place:end], True))
            place = end
    _here_documents(found[line:], "", 0)
    return [*found, Token("", False)]


def _operator(script: str, place: int) -> str:
    operator = _OPERATOR.match(script, place)
    return operator[0] if operator else ""


def _word_end(script: str, place: int) -> int:
    while place < len(script) and script[place] not in _BREAKS_WORD:
        plain = _PLAIN.match(script, place)
        place = plain.end() if plain else after(script, place)
    return place


def _here_documents(line: list[Token], script: str, place: int) -> int:
    """Read the texts that a line has announced; where the script goes on."""
    for token, word in pairwise(line):
        if token.text not in ("<<", "<<-") or token.is_word or token.body:
            continue
        end = re.sub(r"['\"\\]", "", word.text)
        lines: list[str] = []
        while place < len(script):
            stop = script.find("\n", place)
            text = script[place : stop if stop >= 0 else len(script)]
            place += len(text) + 1
            text = text.lstrip("\t") if token.text == "<<-" else text
            if text == end:
                break
            lines.append(f"{text}\n")
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
    depth, cases = 0, 0
    while place < len(text):
        if word := _CASE.match(text, place):
            cases += 1 if word[0] == "case" else -1
            place = word.end()
            continue
        if text[place] == ")" and cases > 0 and depth == 1:
            place += 1  # ends a pattern
            continue
        depth += (text[place] == opening) - (text[place] == closing)
        if depth == 0:
            return place + 1
        place = after(text, place)
    raise Syntax(f'end of file unexpected (expecting "{closing}")')
