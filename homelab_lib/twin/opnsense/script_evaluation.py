"""What a PHP script does: its statements. What it calls is in `script_calls`."""

from collections.abc import Callable, Iterable

from homelab_lib.twin.opnsense.script_computing import Computing, Fatal, Leave
from homelab_lib.twin.opnsense.script_objects import Xml
from homelab_lib.twin.opnsense.script_values import text, truth
from homelab_lib.twin.opnsense.script_words import Node

_MOST_TURNS = 10_000


class Evaluation(Computing):
    """A script that runs."""

    def block(self, body: Iterable[Node]) -> None:
        for each in body:
            self.statement(each)

    def statement(self, node: Node) -> None:
        match node.kind:
            case "block":
                self.block(node.parts)
            case "echo":
                for each in node.parts:
                    self.out += text(self.value(each))
            case "do":
                self.value(node.parts[0])
            case "if":
                condition, then, otherwise = node.parts
                if truth(self.value(condition)):
                    self.statement(then)
                elif otherwise is not None:
                    self.statement(otherwise)
            case "foreach":
                self._foreach(node)
            case "while":
                condition, body = node.parts
                self._loop(lambda: truth(self.value(condition)), body, ())
            case "for":
                begin, condition, step, body = node.parts
                for each in begin:
                    self.value(each)
                self._loop(lambda: all(truth(self.value(each)) for each in condition), body, step)
            case "unset":
                for each in node.parts:
                    self._unset(each)
            case "return" | "break" | "continue" as what:
                given = node.parts[0] if node.parts else None
                raise Leave(what, self.value(given) if given is not None else None)
            case "throw":
                thrown = self.value(node.parts[0])
                what = thrown.get("message", "") if isinstance(thrown, dict) else text(thrown)
                raise Fatal(text(what), node.line, "Exception")
            case "try":
                body, name, handler = node.parts
                try:
                    self.statement(body)
                except Fatal as error:
                    self.variables[name] = {"message": error.what}
                    self.statement(handler)

    def _loop(self, goes_on: Callable[[], bool], body: Node, step: Iterable[Node]) -> None:
        for _ in range(_MOST_TURNS):
            if not goes_on():
                return
            if self._turn(body):
                return
            for each in step:
                self.value(each)
        raise Fatal("Maximum execution time of 300 seconds exceeded", body.line)

    def _turn(self, body: Node) -> bool:
        """One turn of a loop; whether it was the last."""
        try:
            self.statement(body)
        except Leave as left:
            if left.what not in ("break", "continue"):
                raise
            return left.what == "break"
        return False

    def _foreach(self, node: Node) -> None:
        values, name, target, body = node.parts
        found = self.value(values)
        pairs = list(found.all()) if isinstance(found, Xml) else list((found or {}).items())
        for each, value in pairs:
            if name is not None:
                self._assign(name, each)
            self._assign(target, value)
            if self._turn(body):
                return
