"""What came of a run, in a sentence: read by whoever changes it."""

import json
import re
from pathlib import Path

import pytest

from homelab_lib.runbook.plan import Plan
from homelab_lib.views.verdict import happened, verdict

EXAMPLE = Path(__file__).resolve().parents[2] / "reports" / "example"
SUMMARY = json.loads((EXAMPLE / "summary.json").read_text())
PLAN = Plan.from_json((EXAMPLE / "plan.json").read_text(), where="")
NOTHING_SENT = {"changes_sent": 0}
REAL = {"target": "ssh", "evidence": "measured"}
SENT = [{"outcome": "done"}]
ONE_VM = [
    SUMMARY["steps"][0]
    | {"resources": [{"host": host, "name": name, "sent": SENT} for host, name in about]}
    for about in (
        [("anna", "VM 110 (chat)"), ("anna", "VM 110 (chat) at its second start")],
        [("chat", "model llama3.1:8b at http://x"), ("chat", "model llama3.1:8b in memory at x")],
    )
]


def steps(number, status):
    return [s | ({"status": status} if n == number else {}) for n, s in enumerate(SUMMARY["steps"])]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({},
         "Three VMs, one dataset, one NFS share, three k3s nodes and more now stand on the twin; "
         "nothing real was touched. 43 changes were sent, in 4 min 34 s of the twin's time."),
        ({"target": "ssh", "evidence": "rehearsed", "steps": ONE_VM, "changes_sent": 4},
         "One VM and one model now stand on hosts that say they are a twin. 4 changes were sent, "
         "in 0.0 s."),
        (NOTHING_SENT,
         "Nothing had to be done: all 10 steps are as described on the twin; nothing real was "
         "touched."),
        ({"steps": steps(2, "skipped"), **NOTHING_SENT},
         "Nothing had to be done: all 9 steps are as described on the twin; nothing real was "
         "touched."),
        ({"mode": "verify", **REAL},
         "All 10 steps are as the lab describes, looked at on the real hosts."),
        ({"mode": "verify", "status": "drift", **REAL, "steps": steps(2, "drift")},
         "Not as the lab describes it: machines; looked at on the real hosts."),
        ({"status": "failed", **REAL, "steps": steps(3, "failed"), "changes_sent": 1},
         "It failed in share: 1 change was sent, on the real hosts."),
        ({"status": "waiting", **REAL, "steps": steps(3, "waiting"), "changes_sent": 7},
         "It waits for a person at share: 7 changes were sent, on the real hosts."),
        ({"status": "blocked", **NOTHING_SENT},
         "The rehearsal did not get to the end, so there is no plan to approve: no change was "
         "sent, on the twin; nothing real was touched."),
        ({"status": "refused", **REAL, **NOTHING_SENT},
         "No plan could be made or carried out: no change was sent, on the real hosts."),
        ({"status": "planned", "mode": "apply", "target": "ssh"},
         f"Plan {PLAN.digest}: 42 to add, 1 to change, 0 to destroy, on 6 hosts. "
         "Nothing was done."),
    ],
)  # fmt: skip
def test_what_came_of_a_run(changed, told):
    found = verdict(SUMMARY | changed, PLAN)
    found = re.sub(r"; about [^.]+", "", found)  # how long it took is the example's own affair
    assert re.sub(r"in \d+ min \d+ s of", "in 4 min 34 s of", found) == told


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, "all of it on a twin of the lab: no machine of yours was touched"),
        ({"target": "ssh", "evidence": "measured"},
         "this really happened on the real hosts; its plan was rehearsed on a twin before"),
        ({"target": "ssh", "evidence": "measured", "mode": "verify", **NOTHING_SENT},
         "the real hosts were looked at, and nothing was sent to them"),
        ({"target": "ssh", "evidence": "measured", "mode": "plan", **NOTHING_SENT},
         "the real hosts were looked at, and nothing was sent to them; what would be, and how long "
         "it takes, is of a rehearsal on a twin made of what they said"),
        ({"target": "ssh", "evidence": "rehearsed"},
         "this really happened on the real hosts (who said of themselves that they are a twin); "
         "its plan was rehearsed on a twin before"),
    ],
)  # fmt: skip
def test_what_really_happened_and_what_on_a_twin_alone(changed, told):
    assert happened(SUMMARY | changed) == told
