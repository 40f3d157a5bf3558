"""A run of a runbook, as its notebook has it: begun, planned, approved, done, and closed."""

from homelab_lib.session.run import Run, begin

__all__ = ["Run", "begin"]
