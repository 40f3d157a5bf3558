"""Write a lab down, have physics judge it, rehearse the build, carry it out, keep the evidence.

The verbs of a notebook, each loaded when it is first used:

`load_lab`
    Reads a lab's description.
`begin`
    Begins a run of a runbook.
"""

from typing import Any

_VERBS = {"load_lab": "homelab_lib.lab", "begin": "homelab_lib.session.run"}

__all__ = ["begin", "load_lab"]


def __getattr__(name: str) -> Any:
    if name not in _VERBS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_VERBS[name]), name)
