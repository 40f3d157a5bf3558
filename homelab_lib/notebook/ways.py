"""What is to be given next, in the words of the way by which one came.

An error names it as Python has it, ``confirm=["second-start"]`` or ``mode=plan``, as who works in a
notebook writes it. On a command line that is no help.
"""

import json
import re
import shlex
from collections.abc import Sequence
from typing import Literal

Way = Literal["homelab", "papermill"]
_NAMED = re.compile(
    r'\b(confirm|allow_destroy|only|skip|unknown_releases)=(\["[^"\n]*"(?:, "[^"\n]*")*\])'
)
_MODE = re.compile(r'\bmode=(plan|apply|verify)\b(?: approve="(\w+)")?')


def given(parameter: str, names: Sequence[str], way: Way) -> str:
    """What is written for a parameter.

    ``--confirm a --confirm b``; for papermill ``-p confirm a,b``.

    Parameters
    ----------
    parameter
        Its name, as Python has it.
    names
        The list.
    way
        The command that is given.
    """
    if way == "papermill":
        return shlex.join(["-p", parameter, ",".join(names)])
    flag = f"--{parameter.replace('_', '-')}"
    return shlex.join(word for name in names for word in (flag, name))


def in_words_of(way: Way, text: str) -> str:
    """A message, each list of names and each mode in it as it is given to a command."""
    named = _NAMED.sub(lambda found: given(found[1], json.loads(found[2]), way), text)
    return _MODE.sub(lambda found: _mode(found[1], found[2] or "", way), named)


def _mode(mode: str, digest: str, way: Way) -> str:
    if way == "papermill":
        return f"-p mode {mode}" + (f" -p approve {digest}" if digest else "")
    return f"homelab {mode}" + (f" … --approve {digest}" if digest else "")
