"""Expressions of PHP, from words to what they are made of."""

import re

from homelab_lib.twin.opnsense.script_words import Node, ParseError, Token, tokens

_ESCAPE = re.compile(r"\\([nrt\\$\"]|[0-7]{1,3})|\\x([0-9a-fA-F]{1,2})")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "$": "$", '"': '"'}
_INSIDE = re.compile(
    r"\{\$(?P<braced>[^}]+)\}|\$(?P<name>[A-Za-z_]\w*)"
    r"(?:->(?P<property>[A-Za-z_]\w*)|\[(?P<key>[^\]]+)\])?"
)
_LEVELS = (
    *(("or",), ("and",), ("??",), ("||",), ("&&",), ("===", "!==", "==", "!=", "<=>")),
    *(("<", "<=", ">", ">="), (".",), ("+", "-"), ("*", "/", "%")),
)
_ASSIGNS = ("=", ".=", "+=", "-=", "??=")


class Expressions:
    """Reads expressions from words.

    Parameters
    ----------
    tokens
        The words.
    """

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = [*tokens, Token("", "", tokens[-1].line if tokens else 1)]
        self._place = 0

    @property
    def now(self) -> Token:
        return self._tokens[self._place]

    def _is(self, *texts: str) -> bool:
        return self.now.kind in ("operator", "name") and self.now.text.lower() in texts

    def _take(self) -> Token:
        token = self.now
        self._place += 1
        return token

    def _accept(self, *texts: str) -> bool:
        if self._is(*texts):
            self._place += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._wrong(f', expecting "{text}"')

    def _wrong(self, more: str = "") -> ParseError:
        token = self.now
        names = {"variable": "variable ", "name": "identifier ", "number": "integer "}
        names |= {"single": "single-quoted string ", "double": "double-quoted string "}
        shown = f'{names.get(token.kind, "token ")}"{token.text}"' if token.kind else "end of file"
        return ParseError(f"syntax error, unexpected {shown}{more}", token.line)

    def expression(self) -> Node:
        """One expression, with its assignment."""
        line = self.now.line
        left = self._ternary()
        if self._is(*_ASSIGNS):
            if left.kind not in ("variable", "index", "property", "dynamic", "array"):
                raise self._wrong()
            operator = self._take().text
            return Node("assign", (left, operator, self.expression()), line)
        return left

    def _ternary(self) -> Node:
        line = self.now.line
        condition = self._binary(0)
        if not self._accept("?"):
            return condition
        if self._accept(":"):
            return Node("ternary", (condition, None, self.expression()), line)
        then = self.expression()
        self._expect(":")
        return Node("ternary", (condition, then, self.expression()), line)

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while self._is(*_LEVELS[level]):
            token = self._take()
            right = self._binary(level if token.text == "??" else level + 1)
            left = Node("binary", (token.text.lower(), left, right), token.line)
        return left

    def _unary(self) -> Node:
        token = self.now
        if self._accept("!", "-", "@"):
            return Node("unary", (token.text, self._unary()), token.line)
        if token.kind == "cast":
            self._take()
            return Node("cast", (token.text.strip("() \t").lower(), self._unary()), token.line)
        if self._accept("++", "--"):
            return Node("step", (self._primary(), token.text, "before"), token.line)
        found = self._primary()
        after = self.now
        if self._accept("++", "--"):
            return Node("step", (found, after.text, "after"), after.line)
        return found

    def _primary(self) -> Node:
        found = self._atom()
        while True:
            line = self.now.line
            if self._accept("->", "?->"):
                found = self._member(found, line)
            elif self._accept("::"):
                name = self._take().text
                self._expect("(")
                found = Node("static", (found.parts[0], name, self._arguments()), line)
            elif self._accept("["):
                key = None if self._is("]") else self.expression()
                self._expect("]")
                found = Node("index", (found, key), line)
            else:
                return found

    def _member(self, of: Node, line: int) -> Node:
        if self._accept("{"):
            name = self.expression()
            self._expect("}")
            return Node("dynamic", (of, name), line)
        token = self._take()
        if token.kind == "variable":
            return Node("dynamic", (of, Node("variable", (token.text[1:],), line)), line)
        if token.kind != "name":
            self._place -= 1
            raise self._wrong()
        if self._accept("("):
            return Node("method", (of, token.text, self._arguments()), line)
        return Node("property", (of, token.text), line)

    def _atom(self) -> Node:
        token = self._take()
        line = token.line
        match token.kind, token.text.lower():
            case "variable", _:
                return Node("variable", (token.text[1:],), line)
            case "number", text:
                value = float(text) if "." in text else int(text, 0)
                return Node("value", (value,), line)
            case "single", _:
                return Node("value", (re.sub(r"\\([\\'])", r"\1", token.text[1:-1]),), line)
            case "double", _:
                return _interpolated(token.text[1:-1], line)
            case "operator", "(":
                found = self.expression()
                self._expect(")")
                return found
            case "operator", "[":
                return self._array("]", line)
            case "name", "array" | "list" if self._accept("("):
                return self._array(")", line)
            case "name", "isset" | "empty" as what:
                self._expect("(")
                return Node(what, tuple(self._arguments()), line)
            case "name", "exit" | "die":
                given = self._arguments() if self._accept("(") else []
                return Node("exit", tuple(given), line)
            case "name", "new":
                name = self._take().text
                return Node("new", (name, self._arguments() if self._accept("(") else []), line)
            case "name", "require_once" | "require" | "include_once" | "include":
                return Node("require", (token.text, self.expression()), line)
            case "name", "print":
                return Node("print", (self.expression(),), line)
            case "name", _ if self._accept("("):
                return Node("call", (token.text, self._arguments()), line)
            case "name", _:
                return Node("name", (token.text,), line)
        self._place -= 1
        raise self._wrong()

    def _array(self, closing: str, line: int) -> Node:
        items: list[tuple[Node | None, Node]] = []
        while not self._accept(closing):
            key, value = None, self.expression()
            if self._accept("=>"):
                key, value = value, self.expression()
            items.append((key, value))
            if not self._is(closing):
                self._expect(",")
        return Node("array", tuple(items), line)

    def _arguments(self) -> list[Node]:
        found = []
        while not self._accept(")"):
            found.append(self.expression())
            if not self._is(")"):
                self._expect(",")
        return found


def _interpolated(text: str, line: int) -> Node:
    """A double-quoted text, with the variables in it."""
    parts: list[Node] = []
    place = 0
    for found in _INSIDE.finditer(text):
        if found.start() and text[found.start() - 1] == "\\":
            continue
        parts.append(Node("value", (_unescaped(text[place : found.start()]),), line))
        if found["braced"]:
            inside = Expressions(tokens(f"${found['braced']}", line))
            parts.append(inside.expression())
        else:
            variable = Node("variable", (found["name"],), line)
            if found["property"]:
                variable = Node("property", (variable, found["property"]), line)
            elif found["key"]:
                key = found["key"].strip("'")
                name = key.startswith("$")
                inner = Node("variable", (key[1:],)) if name else Node("value", (key,))
                variable = Node("index", (variable, inner), line)
            parts.append(variable)
        place = found.end()
    parts.append(Node("value", (_unescaped(text[place:]),), line))
    return Node("join", tuple(parts), line)


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        if found[2]:
            return chr(int(found[2], 16))
        return _ESCAPES[found[1]] if found[1] in _ESCAPES else chr(int(found[1], 8))

    return _ESCAPE.sub(one, text)
