"""Under ``make test-contract`` all of it has to run: what was skipped has failed."""

import os
from typing import Any

import pytest

from contract.oracle import FOLDER, contract
from contract.readers import unread

STRICT = bool(os.environ.get("HOMELAB_STRICT"))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    return _strictly((yield))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    return _strictly((yield))


def _strictly(report: Any) -> Any:
    if STRICT and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        told = report.longrepr
        why = told[2] if isinstance(told, tuple) else str(told)
        report.outcome, report.longrepr = "failed", f"it has to run here, and did not: {why}"
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How much of what real machines print nobody of us reads."""
    file = FOLDER / "real-outputs.jsonl"
    if not file.exists() or not any(
        "test_outputs" in report.nodeid for report in terminalreporter.stats.get("passed", ())
    ):
        return
    rows = contract(file.name)
    left = unread(rows)
    shown = ", ".join(f"{product} {count}" for product, count in left.most_common())
    read = len(rows) - left.total()
    terminalreporter.write_line(f"real outputs: {read} of {len(rows)} read; by nobody: {shown}")
