"""What the expressions of a PHP script are."""

import math
from collections.abc import Iterable
from typing import Any

from homelab_lib.twin.opnsense.script_objects import UserModel, UserRow, Xml
from homelab_lib.twin.opnsense.script_values import CONSTANTS, key, number, same, text, truth
from homelab_lib.twin.opnsense.script_words import Node, Script


class Fatal(Exception):
    """An error that nobody in the script has caught."""

    def __init__(self, what: str, line: int, kind: str = "Error") -> None:
        super().__init__(what)
        self.what, self.line, self.kind = what, line, kind


class Leave(Exception):
    def __init__(self, what: str, value: Any = None) -> None:
        super().__init__(what)
        self.what, self.value = what, value


class Computing:
    """A script that runs: its variables, and what it has printed.

    Parameters
    ----------
    name
        The script's own.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.out, self.err = "", ""
        self.variables: dict[str, Any] = {}
        self.script = Script()

    def called(self, name: str, given: list[Any], line: int) -> Any:
        """What a function gives."""
        raise NotImplementedError

    def static(self, name: str, method: str, line: int) -> Any:
        """What a method of a class gives."""
        raise NotImplementedError

    def new(self, name: str, given: list[Any], line: int) -> Any:
        """An object of a class."""
        raise NotImplementedError

    def method(self, of: Any, method: str, given: list[Any], line: int) -> Any:
        """What a method of an object gives."""
        raise NotImplementedError

    def required(self, path: str, line: int) -> bool:
        """What comes of an include."""
        raise NotImplementedError

    # ---------------------------------------------------------------- expressions

    def value(self, node: Node) -> Any:
        """What an expression is."""
        match node.kind:
            case "value":
                return node.parts[0]
            case "join":
                return "".join(text(self.value(each)) for each in node.parts)
            case "variable":
                return self.variables.get(node.parts[0])
            case "name":
                return self._constant(node)
            case "array":
                return self._array(node)
            case "index":
                return self._index(node)
            case "property" | "dynamic":
                return self._property(self.value(node.parts[0]), self._name(node), node.line)
            case "assign":
                return self._assigned(node)
            case "step":
                return self._step(node)
            case "binary":
                return self._binary(node)
            case "unary":
                return self._unary(*node.parts)
            case "cast":
                return self._cast(node.parts[0], self.value(node.parts[1]))
            case "ternary":
                condition, then, otherwise = node.parts
                found = self.value(condition)
                if truth(found):
                    return found if then is None else self.value(then)
                return self.value(otherwise)
            case "isset":
                return all(self._isset(each) for each in node.parts)
            case "empty":
                each = node.parts[0]
                return not self._isset(each) or not truth(self.value(each))
            case "exit":
                given = self.value(node.parts[0]) if node.parts else None
                raise Leave("exit", given)
            case "require":
                return self.required(text(self.value(node.parts[1])), node.line)
            case "print":
                self.out += text(self.value(node.parts[0]))
                return 1
            case "call":
                return self.called(node.parts[0], self._values(node.parts[1]), node.line)
            case "static":
                name, method, arguments = node.parts
                return self.static(name, method, node.line)
            case "new":
                return self.new(node.parts[0], self._values(node.parts[1]), node.line)
            case "method":
                of, method, arguments = node.parts
                return self.method(self.value(of), method, self._values(arguments), node.line)
        raise Fatal(f"this twin's PHP can't tell what a {node.kind} is", node.line)

    def _values(self, nodes: Iterable[Node]) -> list[Any]:
        return [self.value(each) for each in nodes]

    def _name(self, node: Node) -> str:
        return node.parts[1] if node.kind == "property" else text(self.value(node.parts[1]))

    def _constant(self, node: Node) -> Any:
        name = node.parts[0]
        for known in (name, name.lower()):
            if known in CONSTANTS:
                return CONSTANTS[known]
        if name == "__DIR__":
            return self.name.rpartition("/")[0] or "/"
        raise Fatal(f'Undefined constant "{name}"', node.line)

    def _array(self, node: Node) -> dict[int | str, Any]:
        found: dict[int | str, Any] = {}
        for name, value in node.parts:
            if name is None:
                free = max((k for k in found if isinstance(k, int)), default=-1) + 1
                found[free] = self.value(value)
            else:
                found[key(self.value(name))] = self.value(value)
        return found

    def _index(self, node: Node) -> Any:
        of, name = self.value(node.parts[0]), node.parts[1]
        if name is None:
            raise Fatal("Cannot use [] for reading", node.line)
        wanted = self.value(name)
        if isinstance(of, Xml):
            if isinstance(wanted, int):
                return of.at(wanted)
            return None if of.element is None else of.element.get(text(wanted))
        if isinstance(of, dict):
            return of.get(key(wanted))
        if isinstance(of, str) and isinstance(wanted, int):
            return of[wanted : wanted + 1]
        return None

    def _property(self, of: Any, name: str, line: int) -> Any:
        if isinstance(of, Xml):
            return of.get(name)
        if isinstance(of, UserRow):
            return of.keys if name == "apikeys" else of.row.findtext(name, "")
        if isinstance(of, UserModel) and name == "user":
            return of
        return of.get(name) if isinstance(of, dict) else None  # a warning that is not shown

    def _assigned(self, node: Node) -> Any:
        target, operator, given = node.parts
        if operator == "??=" and self._isset(target):
            return self.value(target)
        value = self.value(given)
        if operator == ".=":
            value = text(self.value(target)) + text(value)
        elif operator in ("+=", "-="):
            sign = 1 if operator == "+=" else -1
            value = number(self.value(target)) + sign * number(value)
        self._assign(target, value)
        return value

    def _step(self, node: Node) -> Any:
        target, operator, when = node.parts
        before = self.value(target)
        after = number(before) + (1 if operator == "++" else -1)
        self._assign(target, after)
        return after if when == "before" else before

    def _assign(self, target: Node, value: Any) -> None:
        copied = dict(value) if isinstance(value, dict) else value
        match target.kind:
            case "variable":
                self.variables[target.parts[0]] = copied
            case "array":
                for number_, (name, place) in enumerate(target.parts):
                    wanted = number_ if name is None else key(self.value(name))
                    given = value.get(wanted) if isinstance(value, dict) else None
                    self._assign(place, given)
            case "index":
                self._assign_index(target, copied)
            case "property" | "dynamic":
                of, name = self.value(target.parts[0]), self._name(target)
                if isinstance(of, Xml):
                    of.set(name, text(value))
                elif isinstance(of, dict):
                    of[name] = copied
                    self._assign(target.parts[0], of)
                else:
                    raise Fatal(f'Attempt to assign property "{name}" on null', target.line)
            case _:
                raise Fatal("Cannot re-assign this", target.line)

    def _assign_index(self, target: Node, value: Any) -> None:
        of, name = self.value(target.parts[0]), target.parts[1]
        if isinstance(of, Xml):
            wanted = 0 if name is None else self.value(name)
            if isinstance(wanted, int):
                of.at(wanted).write(text(value))
            else:
                of.made().set(text(wanted), text(value))
            return
        array = dict(of) if isinstance(of, dict) else {}
        if name is None:
            array[max((k for k in array if isinstance(k, int)), default=-1) + 1] = value
        else:
            array[key(self.value(name))] = value
        self._assign(target.parts[0], array)

    def _unset(self, node: Node) -> None:
        match node.kind:
            case "variable":
                self.variables.pop(node.parts[0], None)
            case "property" | "dynamic":
                of = self.value(node.parts[0])
                if isinstance(of, Xml):
                    of.unset(self._name(node))
            case "index":
                of, name = self.value(node.parts[0]), self.value(node.parts[1])
                if isinstance(of, dict):
                    self._assign(node.parts[0], {k: v for k, v in of.items() if k != key(name)})
                elif isinstance(of, Xml) and isinstance(name, int):
                    found = of.at(name)
                    if found.element is not None and found.parent is not None:
                        found.parent.made().remove(found.element)

    def _isset(self, node: Node) -> bool:
        match node.kind:
            case "variable":
                return self.variables.get(node.parts[0]) is not None
            case "property" | "dynamic":
                of = self.value(node.parts[0]) if self._reaches(node.parts[0]) else None
                if isinstance(of, Xml):
                    return of.has(self._name(node))
                return isinstance(of, dict) and of.get(self._name(node)) is not None
            case "index":
                found = self._index(node) if self._reaches(node.parts[0]) else None
                return found.element is not None if isinstance(found, Xml) else found is not None
        return self.value(node) is not None

    def _reaches(self, node: Node) -> bool:
        return node.kind not in ("variable", "property", "dynamic", "index") or self._isset(node)

    def _binary(self, node: Node) -> Any:
        operator, left, right = node.parts
        if operator == "??":
            return self.value(left) if self._isset(left) else self.value(right)
        one = self.value(left)
        if operator in ("&&", "and"):
            return truth(one) and truth(self.value(right))
        if operator in ("||", "or"):
            return truth(one) or truth(self.value(right))
        other = self.value(right)
        match operator:
            case ".":
                return text(one) + text(other)
            case "===" | "!==":
                alike = type(one) is type(other) and one == other
                return alike == (operator == "===")
            case "==" | "!=":
                return same(one, other) == (operator == "==")
        if isinstance(one, dict) and isinstance(other, dict) and operator == "+":
            return {**other, **one}
        a, b = number(one), number(other)
        match operator:
            case "+" | "-" | "*":
                return {"+": a + b, "-": a - b, "*": a * b}[operator]
            case "/" | "%":
                if not b:
                    raise Fatal("Division by zero", node.line, "DivisionByZeroError")
                if operator == "%":
                    return int(math.fmod(int(a), int(b)))
                return int(a // b) if a % b == 0 else a / b
        return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]

    def _unary(self, operator: str, of: Node) -> Any:
        if operator == "!":
            return not truth(self.value(of))
        found = self.value(of)
        return -number(found) if operator == "-" else found

    def _cast(self, kind: str, value: Any) -> Any:
        match kind:
            case "string":
                return text(value)
            case "int" | "integer":
                return int(number(value))
            case "bool" | "boolean":
                return truth(value)
            case "float":
                return float(number(value))
        if isinstance(value, Xml):
            return {name: each.text for name, each in value.children()}
        return value if isinstance(value, dict) else {0: value}
