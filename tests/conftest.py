"""What tests of whole runs share."""

import pytest
from hypothesis import settings

from standing import standing as serve_standing

# How long one example takes says how busy the machine is, and nothing of the code.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture
def standing(tmp_path, monkeypatch):
    """The shipped lab, served as it stands before phase 2."""
    with serve_standing(tmp_path / "lab", monkeypatch) as there:
        yield there
