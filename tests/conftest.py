"""What tests of whole runs share."""

import gc

import pytest
from hypothesis import settings

from homelab_lib.session import rehearsed
from homelab_lib.session import run as session
from standing import standing as serve_standing

# How long one example takes says how busy the machine is, and nothing of the code.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: it isn't looked through for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _earlier_phases_stand_as_described(monkeypatch):
    """Rehearsing phase 1 before each run of phase 2 takes seconds; `tests/recipes/test_phase1.py`
    and what runs in a process of its own do it."""

    def before(lab, wanted, *, seed=0, note=lambda host, text: None):
        # What stands on workloads, claims and names of the house needs them made.
        since = wanted.phase if wanted and wanted.phase <= 3 else 1
        return rehearsed.before(lab, wanted, seed=seed, since=since, note=note)

    monkeypatch.setattr(session, "before", before)


@pytest.fixture
def standing(tmp_path, monkeypatch):
    """The shipped lab, served as it stands before phase 2."""
    with serve_standing(tmp_path / "lab", monkeypatch) as there:
        yield there


def pytest_terminal_summary(terminalreporter):
    """How many of how many points runbooks were cut off at."""
    reports = (each for found in terminalreporter.stats.values() for each in found)
    told = [value for each in reports for name, value in getattr(each, "user_properties", ())
            if name == "cut off" and each.when == "call"]  # fmt: skip
    if told:
        books = ", ".join(f"{book} {tried} of {points}" for book, tried, points in told)
        terminalreporter.write_line(f"cut off at {sum(each[1] for each in told)} points: {books}")
