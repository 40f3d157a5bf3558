"""Tables as a notebook shows them, and a run as tables."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from homelab_lib import load_lab
from homelab_lib.audit.finding import Finding
from homelab_lib.views import storage
from homelab_lib.views.audit import by_host
from homelab_lib.views.dataframes import table_html
from homelab_lib.views.frames import frames

EXAMPLE = Path(__file__).resolve().parents[2] / "reports" / "example"


def sides(frame):
    return re.findall(r"<th style='text-align:(\w+)", table_html(frame))


@pytest.mark.parametrize(
    ("cells", "side"),
    [
        (["26.98 TB", "–"], "right"),
        (["1 in 16.6 million", "1 in 2.13"], "right"),
        (["2.5 Gb/s", "10 Gb/s"], "right"),
        (["11 h 15 min", "2 d 0 h"], "right"),
        ([1.5, float("nan")], "right"),
        (["10.0.30.0/24", "10.0.1.0/24"], "left"),
        (["2.5.1", "3.0.0"], "left"),
        (["56 TB = 50.93 TiB", "-"], "left"),
        (["raidz2 of 4", "one disk"], "left"),
    ],
)
def test_numbers_stand_on_the_right_and_text_on_the_left(cells, side):
    frame = pd.DataFrame({"name": ["a", "b"], "what": cells}).set_index("name")
    assert sides(frame) == ["left", side]


def test_a_table_moves_no_terminal_and_runs_nothing():
    html = table_html(pd.DataFrame({"a": ["<script>x</script>\x1b]0;"]}))
    assert "<script>" not in html
    assert "\x1b" not in html


def test_runs_can_be_laid_one_under_the_other():
    summary = json.loads((EXAMPLE / "summary.json").read_text())
    other = summary | {"run_id": "r2", "target": "ssh", "evidence": "measured"}
    one, two = frames(summary), frames(other)
    changes = pd.DataFrame([*one["changes"], *two["changes"]])
    assert changes.groupby("evidence").size().to_dict() == {
        "measured": summary["changes_sent"],
        "rehearsed": summary["changes_sent"],
    }
    steps = pd.DataFrame(one["steps"])
    assert list(steps["step"]) == [step["step"] for step in summary["steps"]]
    assert steps["duration_s"].sum() == pytest.approx(summary["steps"][-1]["end_s"], abs=0.1)
    run = {"run_id", "runbook", "lab", "target", "mode", "evidence", "plan", "started"}
    for name in ("steps", "changes", "numbers"):
        assert one[name]
        assert all(run < row.keys() for row in one[name])


def test_more_disks_give_more_room_at_a_price():
    grid = storage.grid(storage.main_pool(load_lab()), most=6)
    room = [float(cell) for cell in grid["raidz2 [TiB]"] if cell != "–"]
    assert len(room) == 3
    assert room == sorted(room)
    assert grid.loc[4, "raidz2 [TiB]"] == "24.5", "as the pool of four has it"
    assert grid.loc[3, "mirrors of 2 [TiB]"] == "–"


def test_findings_are_folded_by_what_they_are_about():
    def finding(severity, subject):
        return Finding("rule", severity, subject, "says")

    page = by_host(
        [finding("note", "hosts.nas.memory"), finding("stops", "pools.nas.tank"),
         finding("risks", "services.exo")]
    ).html  # fmt: skip
    assert page.count("<details") == 2
    assert page.count("<details open") == 1
    assert "<b>nas</b>: 1 stops, 1 note" in page


def test_an_index_without_a_name_has_no_heading():
    html = table_html(pd.DataFrame({"bytes": ["12"]}, index=["usable"]))
    assert re.findall(r"<th[^>]*>([^<]*)</th>", html) == ["", "bytes"]
