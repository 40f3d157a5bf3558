"""The SSH library, without the half of it that a run rarely needs.

paramiko loads invoke for one thing, its own reading of an ssh_config, which nobody needs here, and
that takes as long as all the rest.
"""

import importlib
import sys


def _load() -> None:
    if "invoke" in sys.modules or "paramiko" in sys.modules:
        return
    sys.modules["invoke"] = None  # type: ignore[assignment]  # paramiko takes it for not installed
    try:
        importlib.import_module("paramiko")
    finally:
        del sys.modules["invoke"]


_load()

import paramiko  # noqa: E402

__all__ = ["paramiko"]
