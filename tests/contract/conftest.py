"""Under ``make test-contract`` all of it has to run: what was skipped has failed."""

import os
from typing import Any

import pytest

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
