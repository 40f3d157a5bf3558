"""What tests of whole runs share."""

import pytest

from standing import standing as serve_standing


@pytest.fixture
def standing(tmp_path, monkeypatch):
    """The shipped lab, served as it stands before phase 2."""
    with serve_standing(tmp_path / "lab", monkeypatch) as there:
        yield there
