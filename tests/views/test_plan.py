"""A plan as the person reads it who approves it."""

import json
from dataclasses import replace

import pytest

from homelab_lib.runbook.plan import Plan, PlannedChange, PlannedHost
from homelab_lib.runbook.resource import NOT_UNDONE, NOTHING_TO_UNDO, Change, Rollback
from homelab_lib.secret import Mask
from homelab_lib.transport.command import change
from homelab_lib.views.plan import counted, headline, plan_card, plan_text

HOST = PlannedHost("nas", "192.0.2.1", 22, "root", "SHA256:one")
CONFIG = PlannedChange(
    "config", "nas", "file /etc/a.yaml", "rewrite the settings: /etc/a.yaml, 600 root:root",
    "sh -c … /etc/a.yaml", content="sha256:12", shows="b: 2\n", replaces="600 root:root 0f0f",
    difference="--- now\n+++ then\n@@ -1 +1 @@\n-b: 1\n+b: 2", undo="put it back",
    rests="recorded",
)  # fmt: skip
SHARE = PlannedChange(
    "share", "nas", "share media", "make share media", "midclt call sharing.nfs.create …",
    undo="midclt call sharing.nfs.delete 1", rests="validator",
)  # fmt: skip
POOL = PlannedChange(
    "share", "nas", "pool tank", "make pool tank anew", "midclt call pool.create …",
    destroys=("pool tank",), rests="source",
)  # fmt: skip


def plan(*changes, **more):
    more = {"took_s": {"config": 30.0, "share": 240.0}} | more
    return Plan("phase1", "lab", "0", "ssh", ("config", "share"), (HOST,), changes, **more)


GOLDEN = """\
Plan {digest}: 1 to add, 1 to change, 0 to destroy, on 1 host; about 4 min 30 s.
  for nas = root@192.0.2.1:22 (SHA256:one)
  + added   ~ changed in place   - destroyed or replaced
  of these: 1 × file, 1 × share
  rests on: 1 recorded, 1 validator

config: 1 to change, 30 s
  nas
    ~ rewrite the settings: /etc/a.yaml, 600 root:root
      now: 600 root:root 0f0f
        --- now
        +++ then
        @@ -1 +1 @@
        -b: 1
        +b: 2
      undo: put it back

share: 1 to add, 4 min 0 s
  nas
    + make share media
      undo: midclt call sharing.nfs.delete 1"""

DESTROYS = """\
Plan {digest}: 0 to add, 0 to change, 1 to destroy, on 1 host; about 4 min 30 s.
  ! DESTROYS pool tank; runs only if allow_destroy names it
  for nas = root@192.0.2.1:22 (SHA256:one)
  + added   ~ changed in place   - destroyed or replaced
  of these: 1 × pool
  rests on: 1 source

config: no changes

share: 1 to destroy, 4 min 0 s
  nas
    - make pool tank anew
      destroys pool tank
      can't be undone"""

BLOCKED = """\
Plan {digest}: nothing foretold, for it stopped in config.
  for nas = root@192.0.2.1:22 (SHA256:one)
  The rehearsal stopped in config: nas does not answer

config: no changes

share: not reached"""


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (plan(CONFIG, SHARE), GOLDEN),
        (plan(POOL), DESTROYS),
        (plan(blocked="nas does not answer", blocked_at="config"), BLOCKED),
    ],
)
def test_a_plan_in_plain_text(made, text):
    assert plan_text(made, calls=False) == text.format(digest=made.digest)


def test_the_very_call_is_there_for_who_wants_it():
    assert "$ midclt call sharing.nfs.create …" in plan_text(plan(SHARE))
    page = plan_card(plan(SHARE)).html
    assert "<details><summary>the call</summary><code>midclt call sharing.nfs.create" in page


def test_a_way_back_is_written_out_once_for_a_host_and_step():
    arm = change("sh", "-c", "the host undoes it after 90 s unless it is confirmed")
    revert = Rollback(arm, lambda host: True, change("rm", "timer"), 90.0)
    first, second, other = (
        PlannedChange.of(
            "share", name, "node", Change(name, change("true"), undo=undo, rollback=revert), Mask()
        )
        for name, undo in (("a", "x"), ("b", "x"), ("c", "y"))
    )
    text = plan_text(plan(first, second, other), calls=False)
    assert text.count("undo: x") == 1
    assert text.count("undo: y") == 1
    assert text.index("undo: x") < text.index("armed and undone as above") < text.index("undo: y")


def test_the_shell_of_a_revert_is_for_who_asks_for_the_calls():
    arm = change("sh", "-c", "systemd-run --on-active=90 sh -c 'ifreload -a; the host undoes it'")
    revert = Rollback(arm, lambda host: True, change("systemctl", "stop", "undo.timer"), 90.0)
    made = plan(
        PlannedChange.of(
            "share", "link", "node", Change("go", change("true"), undo="x", rollback=revert), Mask()
        )
    )
    brief, whole = plan_text(made, calls=False), plan_text(made)
    told = "armed by a revert on the host in 90 s, unless a fresh connection confirms it; undo: x"
    assert f"{told}; `-v` shows the revert" in brief
    assert "systemd-run" not in brief
    assert f"      {told}\n" in whole
    assert "systemd-run" in whole
    page = plan_card(made).html
    assert "systemd-run" in page.partition("<summary>the call</summary>")[2]
    assert "systemd-run" not in page.partition("<summary>the call</summary>")[0]


def test_what_is_destroyed_stands_above_everything():
    page = plan_card(plan(CONFIG, SHARE, POOL)).html
    assert page.index("class='danger'") < page.index("rewrite the settings")
    assert page.count(NOT_UNDONE.replace("'", "&#x27;")) == 1


@pytest.mark.parametrize("why", [f"{NOT_UNDONE}: a disk never shrinks", NOTHING_TO_UNDO])
def test_what_cannot_or_need_not_be_undone_is_told_as_that(why):
    said = plan_text(plan(replace(SHARE, undo=why)))
    assert f"      {why}" in said
    assert f"undo: {why}" not in said


def test_no_change_goes_out_of_which_nobody_said_how_it_is_undone():
    with pytest.raises(ValueError, match="how is it undone"):
        Change("make a share", change("true"), undo="")


def test_each_change_counts_once():
    made = plan(CONFIG, SHARE, POOL)
    assert counted(made) == {"+": 1, "~": 1, "-": 1}
    assert "1 to add, 1 to change, 1 to destroy" in headline(made)


def test_how_long_it_took_is_no_part_of_what_is_approved():
    quick = plan(SHARE, took_s={"share": 1.0})
    assert quick.digest == plan(SHARE).digest
    assert Plan.from_json(quick.to_json(), where="").took_s == {"share": 1.0}


def test_a_difference_is_part_of_what_is_approved():
    other = replace(CONFIG, difference=CONFIG.difference.replace("b: 1", "b: 9"))
    assert plan(CONFIG).digest != plan(other).digest
    again = Plan.from_json(plan(CONFIG).to_json(), where="")
    assert again.changes == (CONFIG,)


def test_a_plan_from_before_there_were_differences_keeps_its_name():
    document = json.loads(plan(SHARE).to_json())
    del document["took_s"], document["changes"][0]["difference"]
    assert Plan.from_json(json.dumps(document), where="").digest == plan(SHARE).digest


def test_a_card_says_whom_it_is_for():
    assert "root@192.0.2.1:22 (SHA256:one)" in plan_card(plan(SHARE)).html
