"""The SSH library, without the half of it that a run rarely needs.

paramiko loads invoke for one thing, ``Match exec`` in an ssh_config, and that takes as long as all
the rest. `enable_match_exec` fetches it when one is met.
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
import paramiko.config  # noqa: E402

__all__ = ["enable_match_exec", "paramiko"]


def enable_match_exec() -> None:
    """Let paramiko's parser of ssh_config run what stands in ``Match exec``."""
    paramiko.config.invoke = importlib.import_module("invoke")
