"""The page of a house whose owner writes down no tasks: nothing empty stands on it."""

from homelab_lib import paths
from homelab_lib.lab import load_lab
from homelab_lib.views.house import house_body
from homelab_lib.views.tables import phases


def test_phases_without_tasks_have_no_empty_table(tmp_path):
    lab = load_lab(paths.root() / "tests/recipes/labs/cards.yaml")
    page = house_body(lab, [], {}, tmp_path)
    assert "No tasks are written down." in page
    assert "<th>task</th>" not in page
    assert "Phase 1: VMs" in page
    assert "No task is written down" in str(phases(lab))
