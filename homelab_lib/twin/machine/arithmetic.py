"""The shell's arithmetic: whole numbers, their sums, products and comparisons."""

import ast
import operator
from collections.abc import Callable

from homelab_lib.twin.machine.lexer import Syntax


def _quotient(a: int, b: int) -> int:
    """Division as C does it: towards zero."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


_OPERATORS: dict[type[ast.AST], Callable[..., int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _quotient,
    ast.Mod: lambda a, b: a - b * _quotient(a, b),
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def calculate(text: str) -> int:
    """The value of an expression.

    Raises
    ------
    Syntax
        It is none, or has what this shell does not know.
    """
    try:
        return _value(ast.parse(text.strip() or "0", mode="eval").body)
    except (SyntaxError, KeyError, ZeroDivisionError) as error:
        raise Syntax(f"arithmetic expression: {error}: {text!r}") from None


def _value(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.UnaryOp():
            return int(_OPERATORS[type(node.op)](_value(node.operand)))
        case ast.BinOp():
            return int(_OPERATORS[type(node.op)](_value(node.left), _value(node.right)))
        case ast.Compare(ops=[one], comparators=[other]):
            return int(_OPERATORS[type(one)](_value(node.left), _value(other)))
    raise KeyError(type(node).__name__)
