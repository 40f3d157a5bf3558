"""Under ``HOMELAB_STRICT=1`` all of it has to run."""

from typing import Any

import pytest

from machine.carried_out import GIB, LARGER, SERIALS
from machine.machine import machine, missing
from strictly import strictly

MISSING = missing(sgdisk="gdisk")


@pytest.fixture(scope="session")
def nas(tmp_path_factory):
    """A machine with six disks, six larger ones that stay nearly empty, and no pool; for all
    files."""
    if MISSING:
        pytest.skip(f"this machine lacks {', '.join(MISSING)}")
    with machine(tmp_path_factory.mktemp("nas"), dict.fromkeys(SERIALS, GIB) | LARGER) as made:
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    return strictly((yield))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    return strictly((yield))
