"""Under ``HOMELAB_STRICT=1`` all of it has to run."""

from typing import Any

import pytest

from strictly import strictly


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    return strictly((yield))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    return strictly((yield))
