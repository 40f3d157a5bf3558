"""Parameters of a notebook: what may be given, and whether what was given may.

The `parameters` cell says it: ``target: str = "twin"  # twin | ssh``. The annotation gives the
type; a comment that begins with values separated by bars, the default among them, gives the
allowed ones.
"""

import ast
import difflib
import io
import re
import tokenize
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import nbformat

_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
    "None": (type(None),),
}
_OURS = ("PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH")
_VALUE = r"[\"']?[\w.:/-]+[\"']?"
_ALLOWED = re.compile(rf"\s*({_VALUE}(?:\s*\|\s*{_VALUE})+)")


@dataclass(frozen=True)
class Declared:
    """One parameter.

    Parameters
    ----------
    name, kind
        Its name, and its annotation as written; empty where there is none.
    allowed
        The values it may have; empty for any.
    """

    name: str
    kind: str
    allowed: tuple[str, ...] = ()


def declared(notebook: nbformat.NotebookNode) -> dict[str, Declared]:
    """The parameters that a notebook declares; none where no cell has the tag.

    Raises
    ------
    SyntaxError
        The cell is not plain Python.
    """
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            return _of_source(cell.source)
    return {}


def _of_source(source: str) -> dict[str, Declared]:
    tree = ast.parse(source)
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, kind = node.target.id, ast.unparse(node.annotation)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, kind = node.targets[0].id, ""
        else:
            continue
        allowed = _literals(kind) or _hinted(comments.get(node.end_lineno or 0, ""), node.value)
        found[name] = Declared(name, kind, allowed)
    return found


def defaults(notebook: nbformat.NotebookNode) -> dict[str, Any]:
    """The values that a notebook's parameters have where none are given; only plain ones."""
    found: dict[str, Any] = {}
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            for node in ast.parse(cell.source).body:
                match node:
                    case (
                        ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                        | ast.Assign(targets=[ast.Name(id=name)], value=value)
                    ):
                        with suppress(ValueError):
                            found[name] = ast.literal_eval(value)
            break
    return found


def _literals(kind: str) -> tuple[str, ...]:
    """The values of ``Literal['a', 'b']``."""
    match _parsed(kind):
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inside):
            members = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            return tuple(str(ast.literal_eval(member)) for member in members)
    return ()


def _hinted(comment: str, default: ast.expr | None) -> tuple[str, ...]:
    hint = _ALLOWED.match(comment)
    if hint is None or default is None:
        return ()
    allowed = tuple(each.strip().strip("\"'") for each in hint[1].split("|"))
    try:
        value = ast.literal_eval(default)
    except ValueError:
        return ()
    # "# read | write heads" says no values: then the default isn't one of them.
    return allowed if all(str(each) in allowed for each in _each(value)) else ()


def problems(known: Mapping[str, Declared], given: Mapping[str, Any]) -> list[str]:
    """What is wrong with the parameters that were given, one line each.

    Parameters
    ----------
    known
        What the notebook declares.
    given
        Values by name, as papermill has read them from its command line.
    """
    found = []
    for name, value in given.items():
        if name in _OURS:
            continue
        if not known:
            found.append(f"there is no parameter {name!r}: no cell with the tag `parameters`")
        elif name not in known:
            near = _near(name, list(known))
            found.append(f"the notebook has no parameter {name!r}{near}; it has {', '.join(known)}")
        elif why := _wrong(known[name], value):
            found.append(f"parameter {name} is {value!r}; {why}")
    return found


def _wrong(parameter: Declared, value: Any) -> str:
    kind = _parsed(parameter.kind)
    if kind is not None and not _fits(kind, value):
        keep = " (with -r in place of -p it stays text)" if parameter.kind == "str" else ""
        return f"it has to be of type {parameter.kind}{keep}"
    bad = [str(v) for v in _each(value) if parameter.allowed and str(v) not in parameter.allowed]
    if bad:
        return f"allowed are: {', '.join(parameter.allowed)}{_near(bad[0], parameter.allowed)}"
    return ""


def _fits(kind: ast.expr, value: Any) -> bool:
    """Whether a value is of an annotated type; True for a type that we don't know."""
    match kind:
        case ast.Constant(value=None):
            return value is None
        case ast.Constant(value=str() as text):
            quoted = _parsed(text)
            return quoted is None or _fits(quoted, value)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _fits(left, value) or _fits(right, value)
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inside):
            return value is None or _fits(inside, value)
        case ast.Subscript(value=ast.Name(id="list" | "List"), slice=inside):
            if isinstance(value, str):  # `-p only image,machines` is the shortest way to write one
                return _fits(inside, value)
            return isinstance(value, list) and all(_fits(inside, each) for each in value)
        case ast.Subscript(value=ast.Name(id="dict" | "Dict")):
            return isinstance(value, dict)
        case ast.Name(id="list"):
            return isinstance(value, list | str)
        case ast.Name(id=name) if name in _TYPES:
            if isinstance(value, bool):  # an int in Python, not to a person
                return name == "bool"
            return isinstance(value, _TYPES[name])
    return True


def _parsed(kind: str) -> ast.expr | None:
    try:
        return ast.parse(kind, mode="eval").body
    except SyntaxError:
        return None


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _near(name: Any, among: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(name), among, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def runbook_of(notebook: nbformat.NotebookNode) -> str:
    """The runbook that a notebook begins; empty where it begins none."""
    for cell in notebook.cells:
        if cell.cell_type != "code" or "begin(" not in cell.source:
            continue
        try:
            tree = ast.parse(cell.source)
        except SyntaxError:  # a magic, say; the kernel will tell
            continue
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id="begin"), args=[ast.Constant(value=str() as name)]):
                    return name
    return ""
