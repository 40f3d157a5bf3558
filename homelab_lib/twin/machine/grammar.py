"""The shell's grammar: from tokens to commands.

Source: POSIX.1-2024, Shell Command Language, 2.9 and 2.10.
"""

import re
from collections.abc import Callable, Collection

from homelab_lib.twin.machine.lexer import Syntax, Token, tokens
from homelab_lib.twin.machine.script import (
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Loop,
    Pipeline,
    Redirection,
    Sequence,
    Simple,
)

RESERVED = {"if", "then", "elif", "else", "fi", "for", "do", "done", "while", "until"}
RESERVED |= {"case", "esac", "{", "}", "!", "in"}
_NAME = re.compile(r"[A-Za-z_]\w*")


def parse(script: str) -> Sequence:
    """The commands of a script.

    Raises
    ------
    Syntax
        It is none, or has what this shell does not know.
    """
    parser = _Parser(tokens(script))
    found = parser.sequence(())
    if parser.now.text:
        raise Syntax(f'"{parser.now.text}" unexpected')
    return found


def _shown(token: Token) -> str:
    """A token in a complaint, as dash calls it."""
    if not token.text:
        return "end of file"
    if token.text == "\n":
        return "newline"
    return "word" if token.is_word and token.text not in RESERVED else f'"{token.text}"'


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._place = 0

    @property
    def now(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self.now
        self._place += 1
        return token

    def _word(self) -> str:
        if not self.now.is_word:
            raise Syntax(f"{_shown(self.now)} unexpected (expecting word)")
        return self._take().text

    def _skip(self, *operators: str) -> None:
        while not self.now.is_word and self.now.text in operators and self.now.text:
            self._place += 1

    def _expect(self, text: str) -> None:
        if self.now.text != text:
            raise Syntax(f'{_shown(self.now)} unexpected (expecting "{text}")')
        self._place += 1

    def sequence(self, ends: Collection[str]) -> Sequence:
        lists = []
        self._skip("\n")
        while self.now.text and self.now.text not in ends:
            lists.append(self._list())
            if self.now.text == "&":
                raise Syntax('"&" unexpected: this twin runs nothing in the background')
            if self.now.text not in (";", "\n"):
                break
            self._skip(";", "\n")
        if ends and (self.now.text not in ends or not lists):
            raise Syntax(f'{_shown(self.now)} unexpected (expecting "{next(iter(ends))}")')
        return Sequence(tuple(lists))

    def _list(self) -> tuple[tuple[str, Pipeline], ...]:
        parts = [("", self._pipeline())]
        while self.now.text in ("&&", "||"):
            joint = self._take().text
            self._skip("\n")
            parts.append((joint, self._pipeline()))
        return tuple(parts)

    def _pipeline(self) -> Pipeline:
        negated = self.now.is_word and self.now.text == "!"
        if negated:
            self._take()
        commands = [self._command()]
        while self.now.text == "|":
            self._take()
            self._skip("\n")
            commands.append(self._command())
        return Pipeline(tuple(commands), negated)

    def _command(self) -> Command:
        word = self.now.text
        following = self._tokens[min(self._place + 1, len(self._tokens) - 1)]
        if word == "(" and not self.now.is_word:
            self._take()
            body = self.sequence((")",))
            self._expect(")")
            return Command(Group(body, apart=True), self._redirections())
        named = self.now.is_word and word not in RESERVED
        if named and following.text == "(" and not following.is_word:
            return Command(self._function(), ())
        compound: dict[str, Callable[[], Group | If | Loop | For | Case]] = {
            "{": self._group,
            "if": self._if,
            "while": self._loop,
            "until": self._loop,
            "for": self._for,
            "case": self._case,
        }
        if self.now.is_word and word in compound:
            what = compound[word]()
            return Command(what, self._redirections())
        if (not self.now.is_word and not self.now.redirects) or word in RESERVED:
            raise Syntax(f"{_shown(self.now)} unexpected")
        return self._simple()

    def _simple(self) -> Command:
        assignments: list[str] = []
        words: list[str] = []
        redirections: list[Redirection] = []
        while self.now.is_word or self.now.redirects:
            if self.now.redirects:
                redirections.append(self._redirection())
            elif not words and re.match(r"[A-Za-z_]\w*=", self.now.text):
                assignments.append(self._take().text)
            else:
                words.append(self._take().text)
        return Command(Simple(tuple(assignments), tuple(words)), tuple(redirections))

    def _redirections(self) -> tuple[Redirection, ...]:
        found = []
        while self.now.redirects:
            found.append(self._redirection())
        return tuple(found)

    def _redirection(self) -> Redirection:
        token = self._take()
        default = 0 if token.text.startswith("<") else 1
        number = default if token.number is None else token.number
        return Redirection(number, token.text, self._word(), token.body)

    def _group(self) -> Group:
        self._take()
        body = self.sequence(("}",))
        self._expect("}")
        return Group(body, apart=False)

    def _function(self) -> Function:
        name = self._take().text
        self._expect("(")
        self._expect(")")
        self._skip("\n")
        if not _NAME.fullmatch(name):
            raise Syntax("Bad function name")
        return Function(name, self._command())

    def _if(self) -> If:
        branches, otherwise = [], Sequence(())
        while self._take().text in ("if", "elif"):
            condition = self.sequence(("then",))
            self._expect("then")
            branches.append((condition, self.sequence(("fi", "elif", "else"))))
            if self.now.text == "else":
                self._take()
                otherwise = self.sequence(("fi",))
        return If(tuple(branches), otherwise)

    def _loop(self) -> Loop:
        until = self._take().text == "until"
        condition = self.sequence(("do",))
        return Loop(condition, self._body(), until)

    def _body(self) -> Sequence:
        self._expect("do")
        body = self.sequence(("done",))
        self._expect("done")
        return body

    def _for(self) -> For:
        self._take()
        name, words = self._word(), ['"$@"']
        self._skip("\n")
        if self.now.text == "in":
            self._take()
            words = []
            while self.now.is_word:
                words.append(self._take().text)
        self._skip(";", "\n")
        return For(name, tuple(words), self._body())

    def _case(self) -> Case:
        self._take()
        word = self._word()
        self._skip("\n")
        self._expect("in")
        self._skip("\n")
        arms = []
        while self.now.text != "esac":
            self._skip("(")
            patterns = [self._word()]
            while self.now.text == "|":
                self._take()
                patterns.append(self._word())
            self._expect(")")
            self._skip("\n")
            empty = self.now.text in (";;", "esac")
            arms.append((tuple(patterns), Sequence(()) if empty else self.sequence((";;", "esac"))))
            self._skip(";;", "\n")
        self._expect("esac")
        return Case(word, tuple(arms))
