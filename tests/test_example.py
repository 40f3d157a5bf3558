"""The record that is kept as an example is whole, and shows nothing of where it was made."""

import re
from pathlib import Path

from homelab_lib.runbook.proof import check

EXAMPLE = Path(__file__).resolve().parent.parent / "reports" / "example"


def test_it_proves_itself():
    assert list(check(EXAMPLE)) == []


def test_it_is_complete():
    names = {file.name for file in EXAMPLE.iterdir()}
    assert names == {"after.json", "before.json", "journal.jsonl", "notebook.html",
                     "notebook.ipynb", "plan.json", "report.html", "summary.json",
                     "timeline.svg"}  # fmt: skip


def test_nothing_in_it_is_of_the_machine_it_was_made_on():
    for file in EXAMPLE.iterdir():
        assert not re.search(r"homelab-twin-\w|127\.0\.0\.1:\d", file.read_text()), file.name
