"""Write a lab down, have physics judge it, rehearse the build, carry it out, keep the evidence.

The verbs of a notebook, each loaded when it is first used:

`load_lab`
    Reads a lab's description.
`begin`
    Begins a run of a runbook.
"""

import gc
from typing import Any

_SELDOM = 100_000
"""New objects after which Python looks for circles of them that nobody needs: most of what a run
reads and makes stays to its end, and looking through it at every 700 took a fifth of the time."""

_VERBS = {"load_lab": "homelab_lib.lab", "begin": "homelab_lib.session.run"}

__all__ = ["begin", "load_lab"]


def __getattr__(name: str) -> Any:
    if name not in _VERBS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "begin" and gc.get_threshold()[0] < _SELDOM:
        gc.set_threshold(_SELDOM)
    return getattr(import_module(_VERBS[name]), name)
