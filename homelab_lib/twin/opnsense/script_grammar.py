"""PHP, as far as a script that sets something through the appliance's own classes needs it.

What this does not know is a parse error, as PHP's own: never a guess. There are no classes,
closures or references of a script's own here.
"""

from homelab_lib.twin.opnsense.script_expressions import Expressions
from homelab_lib.twin.opnsense.script_words import Node, Script, Token, tokens

_STATEMENTS = {
    "use",
    "echo",
    "if",
    "for",
    "foreach",
    "while",
    "unset",
    "return",
    "break",
    "continue",
}
_STATEMENTS |= {"throw", "try", "function"}


def parse(text: str) -> Script:
    """A script from its text.

    Raises
    ------
    ParseError
        It is none, or has what is not known here.
    """
    head, opened, code = text.partition("<?php")
    parser = _Parser(tokens(code, head.count("\n") + 1) if opened else [])
    if head and not head.startswith("#!"):
        parser.script.body.append(Node("echo", (Node("value", (head,)),)))
    elif head:
        rest = head.partition("\n")[2]
        if rest:
            parser.script.body.append(Node("echo", (Node("value", (rest,)),)))
    while parser.now.kind:
        parser.script.body.append(parser.statement())
    return parser.script


class _Parser(Expressions):
    """Reads statements."""

    def __init__(self, words: list[Token]) -> None:
        super().__init__(words)
        self.script = Script()

    def statement(self) -> Node:
        """One statement."""
        line = self.now.line
        if self.now.kind == "html":
            return Node("echo", (Node("value", (self._take().text,)),), line)
        if self._accept("{"):
            body = []
            while not self._accept("}"):
                if not self.now.kind:
                    raise self._wrong()
                body.append(self.statement())
            return Node("block", tuple(body), line)
        if self._accept(";"):
            return Node("block", (), line)
        if self.now.kind == "name":
            known = getattr(self, f"_{self.now.text.lower()}", None)
            if self.now.text.lower() in _STATEMENTS and known is not None:
                self._take()
                return known(line)
        value = self.expression()
        self._end()
        return Node("do", (value,), line)

    def _end(self) -> None:
        if self.now.kind:
            self._expect(";")

    def _use(self, line: int) -> Node:
        while not self._accept(";"):  # names are known by their last part
            self._take()
        return Node("block", (), line)

    def _echo(self, line: int) -> Node:
        values = [self.expression()]
        while self._accept(","):
            values.append(self.expression())
        self._end()
        return Node("echo", tuple(values), line)

    def _if(self, line: int) -> Node:
        self._expect("(")
        condition = self.expression()
        self._expect(")")
        then = self.statement()
        otherwise = None
        if self._is("elseif"):
            at = self._take().line
            otherwise = self._if(at)
        elif self._accept("else"):
            otherwise = self._if(self._take().line) if self._is("if") else self.statement()
        return Node("if", (condition, then, otherwise), line)

    def _foreach(self, line: int) -> Node:
        self._expect("(")
        values = self.expression()
        self._expect("as")
        key, target = None, self._target()
        if self._accept("=>"):
            key, target = target, self._target()
        self._expect(")")
        return Node("foreach", (values, key, target, self.statement()), line)

    def _target(self) -> Node:
        if self._is("&"):
            raise self._wrong()  # references are no part of this
        return self._primary()

    def _while(self, line: int) -> Node:
        self._expect("(")
        condition = self.expression()
        self._expect(")")
        return Node("while", (condition, self.statement()), line)

    def _for(self, line: int) -> Node:
        self._expect("(")
        parts = []
        for end in (";", ";", ")"):
            found = []
            while not self._accept(end):
                found.append(self.expression())
                self._accept(",")
            parts.append(found)
        return Node("for", (*parts, self.statement()), line)

    def _unset(self, line: int) -> Node:
        self._expect("(")
        targets = self._arguments()
        self._end()
        return Node("unset", tuple(targets), line)

    def _return(self, line: int) -> Node:
        value = None if self._is(";") else self.expression()
        self._end()
        return Node("return", (value,), line)

    def _break(self, line: int) -> Node:
        self._end()
        return Node("break", (), line)

    def _continue(self, line: int) -> Node:
        self._end()
        return Node("continue", (), line)

    def _throw(self, line: int) -> Node:
        value = self.expression()
        self._end()
        return Node("throw", (value,), line)

    def _try(self, line: int) -> Node:
        body = self.statement()
        self._expect("catch")
        self._expect("(")
        while self.now.kind == "name" or self._is("|"):
            self._take()
        name = self._take().text[1:] if self.now.kind == "variable" else ""
        self._expect(")")
        return Node("try", (body, name, self.statement()), line)

    def _function(self, line: int) -> Node:
        name = self._take().text
        self._expect("(")
        parameters: list[tuple[str, Node | None]] = []
        while not self._accept(")"):
            while self.now.kind == "name" or self._is("?", "|"):
                self._take()  # its type
            if self.now.kind != "variable":
                raise self._wrong(", expecting variable")
            parameter = self._take().text[1:]
            parameters.append((parameter, self.expression() if self._accept("=") else None))
            self._accept(",")
        if self._accept(":"):
            while not self._is("{"):
                self._take()
        self.script.functions[name.lower()] = parameters, [self.statement()]
        return Node("block", (), line)
