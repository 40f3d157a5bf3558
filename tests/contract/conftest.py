"""Under ``make test-contract`` all of it has to run: what was skipped has failed."""

import os
from typing import Any

import pytest

from contract.carried_out import CarriedOut, carried_out
from contract.oracle import FOLDER, contract
from contract.readers import unread
from strictly import strictly


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    return strictly((yield))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    return strictly((yield))


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


@pytest.fixture(scope="session")
def carried(tmp_path_factory: pytest.TempPathFactory) -> CarriedOut:
    """What every runbook of every lab sends, carried out once for all files and workers."""
    base = tmp_path_factory.getbasetemp()
    return carried_out(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)
