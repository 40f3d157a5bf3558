"""How a run that did not end well reads on a terminal: golden texts, read by whoever changes them.

Of a toy runbook, carried out and kept as any other one; `homelab show RECORD` tells it.
"""

import pytest

from homelab_lib.__main__ import main
from homelab_lib.errors import HomelabError, StepFailed
from homelab_lib.notebook.closing import closing
from homelab_lib.runbook import record as records
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.step import Check, Manual, Runbook, Step
from homelab_lib.secret import Mask
from homelab_lib.session.reporting import Reporter
from runbook.toy import Value, Wire, engine, plan_of


def book(*, holds: bool = True, manual: Manual | None = None) -> Runbook:
    pool = Step("pool", "Make the pool", ensure=lambda context: [Value("one", "a", "1")])
    share = Step(
        "share",
        "Share it",
        ensure=lambda context: [Value("one", "b", "2")],
        check=lambda context: [Check("a file written here is read there", holds, "no such file")],
        manual=manual,
    )
    return Runbook("toy", "A toy", (pool, share))


def told(folder, mode, wanted, wire, capsys):
    """A run from its first step to where it ends; the last lines it says, and `homelab show`."""
    record = records.Record(folder / "2026-01-01_toy_ssh_rabc123")
    journal = Journal(record.journal, mask=Mask(), wall=lambda: "2026-01-01T00:00:00Z")
    head = {"runbook": "toy", "lab": "toy", "target": "ssh", "mode": mode, "approve": ""}
    journal.append("run", **head)
    about = {"run_id": record.run_id, "title": "A toy", "started": "2026-01-01T08:15:00+00:00"}
    plan = plan_of(book(), wire) if mode == "apply" else None
    run = engine(wanted, wire, mode=mode, plan=plan, journal=journal)
    error, status = "", "completed"
    for name in wanted.names:
        try:
            run.run_step(name)
        except HomelabError as failure:
            error, status = str(failure), run.outcomes[name].status
            break
    outcomes = list(run.outcomes.values())
    if any(outcome.status == "drift" for outcome in outcomes):
        status = "drift"
    Reporter(record, journal, Mask(), about | head).conclude(
        status, outcomes=outcomes, plan=plan, evidence="measured", ended="now",
        error=error,
    )  # fmt: skip
    said = closing(record.folder, ["homelab"]).splitlines()[0]
    assert main(["show", str(record.folder)]) == 0
    shown = capsys.readouterr().out.partition("Plan p")[0]  # the plan's text has its own tests
    assert said in shown.splitlines(), "the run and the record say the same"
    return shown


DRIFT = """\
A toy: drift, ssh, verify, begun 2026-01-01 08:15
Not as the lab describes it: share; looked at on the real hosts.
  ✓ pool: already
  ▲ share: drift
      b: 3 → 2
"""
FAILED = """\
A toy: failed, ssh, apply, begun 2026-01-01 08:15
It failed in share: 2 changes were sent, on the real hosts.
  ● pool: changed
  ✕ share: failed
does not hold: a file written here is read there: no such file
  where: share
  next:  everything that was sent is in the journal; start from what it says here
"""
WAITS = """\
A toy: waiting, ssh, apply, begun 2026-01-01 08:15
It waits for a person at share: 1 change was sent, on the real hosts.
  ● pool: changed
  ☐ share: waiting
a person has to act: Plug the cable.
    only a person can tell
  where: share
  next:  do it, then run the same command again with --confirm share
"""


@pytest.mark.parametrize(
    ("mode", "wanted", "there", "text"),
    [
        ("verify", book(), {"a": "1", "b": "3"}, DRIFT),
        ("apply", book(holds=False), {}, FAILED),
        ("apply", book(manual=Manual("Plug the cable.")), {}, WAITS),
    ],
    ids=["drift", "failed", "waits"],
)
def test_a_run_that_did_not_end_well(mode, wanted, there, text, tmp_path, capsys):
    assert told(tmp_path, mode, wanted, Wire({"one": dict(there)}), capsys) == text


def test_a_rehearsal_that_finds_something_amiss_does_not_speak_of_what_was_sent():
    with pytest.raises(StepFailed) as stopped:
        plan_of(book(holds=False), Wire())
    assert stopped.value.fix.startswith("nothing was sent")
