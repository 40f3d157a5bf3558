"""Parameters of a notebook: what may be given, and whether what was given may.

The `parameters` cell says it: ``target: str = "twin"  # twin | ssh``. The annotation gives the
type; a comment that begins with values separated by bars gives the allowed ones.
"""

import ast
import difflib
import io
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nbformat

_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list, str),  # `-p only image,machines` is the shortest way to write one
    "dict": (dict,),
}
_OURS = ("PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH")
_ALLOWED = re.compile(r"\s*([\w.-]+(?:\s*\|\s*[\w.-]+)+)")


@dataclass(frozen=True)
class Declared:
    """One parameter.

    Parameters
    ----------
    name, kind
        Its name, and its type's name; empty where none is given.
    allowed
        The values it may have; empty for any.
    """

    name: str
    kind: str
    allowed: tuple[str, ...] = ()


def declared(notebook: nbformat.NotebookNode) -> dict[str, Declared]:
    """The parameters that a notebook declares; none where no cell has the tag."""
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            return _of_source(cell.source)
    return {}


def _of_source(source: str) -> dict[str, Declared]:
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, kind = node.target.id, ast.unparse(node.annotation)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, kind = node.targets[0].id, ""
        else:
            continue
        hint = _ALLOWED.match(comments.get(node.end_lineno or 0, ""))
        allowed = tuple(each.strip() for each in hint[1].split("|")) if hint else ()
        found[name] = Declared(name, kind.partition("[")[0], allowed)
    return found


def problems(known: Mapping[str, Declared], given: Mapping[str, Any]) -> list[str]:
    """What is wrong with the parameters that were given, one line each."""
    found = []
    for name, value in given.items():
        if name in _OURS:
            continue
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it knows {', '.join(known)}"
            found.append(f"the notebook has no parameter {name!r}{hint}")
        elif why := _wrong(known[name], value):
            found.append(f"parameter {name} is {value!r}; {why}")
    return found


def _wrong(parameter: Declared, value: Any) -> str:
    kinds = _TYPES.get(parameter.kind)
    boolean_for_number = isinstance(value, bool) and kinds is not None and bool not in kinds
    if kinds and (boolean_for_number or not isinstance(value, kinds)):
        keep = " (with -r in place of -p it stays text)" if parameter.kind == "str" else ""
        return f"it has to be of type {parameter.kind}{keep}"
    if parameter.allowed and str(value) not in parameter.allowed:
        near = difflib.get_close_matches(str(value), parameter.allowed, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"allowed are: {', '.join(parameter.allowed)}{hint}"
    return ""
