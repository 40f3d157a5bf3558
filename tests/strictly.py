"""Where everything that a test needs is said to be there, what was skipped has failed."""

import os
from typing import Any

STRICT = bool(os.environ.get("HOMELAB_STRICT"))


def strictly(report: Any) -> Any:
    """A report of a test or of a module, as it counts here."""
    if STRICT and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        told = report.longrepr
        why = told[2] if isinstance(told, tuple) else str(told)
        report.outcome, report.longrepr = "failed", f"it has to run here, and did not: {why}"
    return report
