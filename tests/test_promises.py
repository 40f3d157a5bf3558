"""What DESIGN.md promises of a run, tried on a lab that isn't there: whom an approval is for, what
is ours, what a run leaves when it is refused, blocked or cut short."""

import json
import os
import re
import shutil
import signal
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from homelab_lib import paths
from homelab_lib.__main__ import main
from homelab_lib.errors import ApprovalMissing, BadParameter, HostKeyRefused, PlanStale, StepFailed
from homelab_lib.runbook.proof import check
from homelab_lib.session import run as session
from standing import Ran
from standing import standing as serve_standing


def statuses(ran) -> dict[str, str]:
    summary = json.loads((ran.record / "summary.json").read_text())
    return {step["step"]: step["status"] for step in summary["steps"]}


# Whom -------------------------------------------------------------------------------------------


def test_an_approval_is_for_the_hosts_that_were_planned_for(tmp_path, monkeypatch):
    with serve_standing(tmp_path / "a", monkeypatch, seed=1) as a:
        digest = a.planned(only="share")
    with serve_standing(tmp_path / "b", monkeypatch, seed=2) as b:
        monkeypatch.setenv("HOMELAB_STATE", str(tmp_path / "a" / "state"))
        before = b.world.state()
        ran = b.run("apply", digest, only="share")
        assert isinstance(ran.error, PlanStale)
        assert "for other hosts" in str(ran.error)
        assert "SHA256:" in str(ran.error)
        assert b.world.state() == before


@pytest.mark.sample
def test_the_key_of_a_vm_that_changed_stops_verify_with_both_fingerprints(standing):
    """Long: of a host, `tests/recipes/test_phase2.py` has it at every change."""
    machines = {"only": "room,image,machines"}
    standing.run("apply", standing.planned(**machines), **machines)
    guest = standing.world.machines["k3s-control"]
    guest.host_key = Ed25519PrivateKey.generate()
    ran = standing.run("verify", **machines)
    assert isinstance(ran.error, HostKeyRefused)
    assert str(ran.error).count("SHA256:") >= 2


@pytest.mark.slow
def test_a_clock_that_goes_back_between_plan_and_apply_and_within_a_run_is_no_matter(standing):
    share = {"only": "share"}
    digest = standing.planned(**share)
    days = iter(range(20_000, 0, -1))

    def wall():
        return datetime.fromtimestamp(next(days) * 86400.0, UTC).isoformat(timespec="milliseconds")

    standing.world.faults.arm("cut-after", "pool.dataset.create")
    standing.world.faults.arm("fail", "sharing.nfs.create")
    begun = standing.run("apply", digest, wall=wall, **share)
    assert begun.error is not None
    ended = standing.run("apply", digest, wall=wall, **share)
    assert (ended.error, ended.record) == (None, begun.record)
    assert list(check(ended.record)) == []
    assert standing.run("plan", wall=wall, **share).changes == 0


@pytest.mark.parametrize("written", ["lab.yaml", "catalog"])
def test_a_description_that_changed_since_the_plan_is_refused(tmp_path, monkeypatch, written):
    """Whatever it was: the lab's own files, or the facts of a part."""
    folder = shutil.copytree(paths.data() / "examples" / "minipc", tmp_path / "lab")
    with serve_standing(tmp_path, monkeypatch, path=str(folder), runbook="phase1_proxmox") as there:
        digest = there.planned()
        [file, *_] = sorted(folder.glob(f"{written}/*.yaml")) or [folder / written]
        text = file.read_text()
        changed = re.sub("(title|source|name): (?=[A-Z])", r"\1: Another ", text, count=1)
        assert changed != text
        file.write_text(changed)
        before = there.world.state()
        ran = there.run("apply", digest)
        assert isinstance(ran.error, PlanStale)
        assert "description is not the one that was planned" in str(ran.error)
        assert there.world.state() == before


# Ours -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_somebody_elses_restore_into_a_vmid_that_was_ours_is_left_alone(standing):
    """`qmrestore` holds the lock ``create``, as our own creation does."""
    machines = {"only": "room,image,machines"}
    digest = standing.planned(**machines)
    assert standing.run("apply", digest, **machines).error is None
    node = standing.world.machines["proxmox"]
    node.run("qm stop 201").finished()
    node.run("qm set 201 --protection 0")
    node.run("qm destroy 201").finished()
    node.run("qm create 201 --name family-photos --memory 2048").finished()
    node.vms[201].config["lock"] = "create"
    for ran in (standing.run("plan"), standing.run("apply", digest, **machines)):
        assert isinstance(ran.error, StepFailed | PlanStale)
        assert "VMID 201" in str(ran.error)
    assert node.vms[201].config["name"] == "family-photos"


# What a run leaves ------------------------------------------------------------------------------


def test_a_blocked_plan_says_what_was_not_reached(standing):
    standing.world.machines["truenas"].power_off()
    ran = standing.run("plan")
    found = statuses(ran)
    assert found["room"] == "already"
    assert found["image"] == "planned"
    assert found["share"] == "failed"
    assert {found[name] for name in ("server", "agents", "volume", "desktop")} == {"not reached"}
    page = (ran.record / "report.html").read_text()
    assert "not reached" in page
    assert "blocked" in page


def test_an_apply_that_nobody_approved_sends_nothing_and_says_so(standing):
    ran = standing.run(only="share")
    assert isinstance(ran.error, ApprovalMissing)
    assert ran.error.exit_status == 3
    assert "nothing was done" in str(ran.error)
    assert f'approve="{ran.digest}"' in str(ran.error)
    assert ran.sent == 0
    assert list(check(ran.record)) == []


def test_a_refused_run_leaves_a_page_that_says_why(standing):
    digest = standing.planned(only="share")
    standing.world.machines["truenas"].run(
        """midclt call pool.dataset.create '{"name":"tank/k3s","share_type":"NFS"}'"""
    )
    ran = standing.run("apply", digest, only="share")
    assert isinstance(ran.error, PlanStale)
    assert str(ran.record.name) in str(ran.error)
    page = (ran.record / "report.html").read_text()
    assert "refused" in page
    assert "not as they were planned for" in page
    assert set(statuses(ran).values()) == {"not reached"}
    assert list(check(ran.record)) == []


def test_a_notebook_that_lost_a_cell_does_not_end_well(standing):
    with cells(standing, mode="plan", only=["room", "image", "share"]) as run:
        run.plan()
        for name in ("room", "share"):
            run.step(name)
        with pytest.raises(StepFailed, match="image never ran"):
            run.finish()
    assert json.loads((run.record.folder / "summary.json").read_text())["status"] == "failed"


@pytest.mark.parametrize(
    "other",
    [
        {"mode": "verify"},
        {"target": "twin", "mode": "plan"},
        {"lab": str(paths.data() / "examples" / "minipc")},
    ],
)
@pytest.mark.slow
def test_the_record_of_another_run_is_not_continued(standing, other):
    run_id = standing.run("plan", only=["share"]).record.name.rpartition("_")[2]
    options = {"mode": "plan", "only": ["share"], "run_id": run_id} | other
    with pytest.raises(BadParameter, match="of a run with"), cells(standing, **options):
        pass


# Memory -----------------------------------------------------------------------------------------


def _in_time(seconds, act):
    """What is waited for without end must fail the test, not stop it."""

    def late(signal, frame):
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return act()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _a_pipe_in_place_of(file):
    beside = file.with_name(f"{file.name}.kept")
    file.rename(beside)
    os.mkfifo(file, 0o600)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        beside.rename(file)


@pytest.mark.slow
def test_a_pipe_in_place_of_a_file_that_is_remembered_is_an_error_and_not_waited_for(standing):
    share = {"only": "share"}
    digest = standing.planned(**share)
    standing.world.faults.arm("fail", "pool.dataset.create")
    begun = standing.run("apply", digest, **share)
    assert begun.error is not None
    state = next((standing.config.parent / "state").rglob("runs.jsonl")).parent
    files = [file for file in state.rglob("*") if file.is_file()]
    files += [begun.record / "journal.jsonl"]
    assert {file.name.partition(".")[0] for file in files} >= {"runs", "lock", digest, "journal"}
    for file in files:
        with _a_pipe_in_place_of(file):
            ran = _in_time(30, lambda: standing.run("apply", digest, **share))
        assert (file.name, ran.sent) == (file.name, 0)
        assert f"where: {file}" in str(ran.error)
        assert "a pipe" in str(ran.error)
    assert standing.run("apply", digest, **share).error is None


def test_a_pipe_in_a_record_is_told_of_and_not_waited_for(standing, capsys):
    ran = standing.run("plan", only="share")
    capsys.readouterr()
    for file in [each for each in ran.record.iterdir() if each.is_file()]:
        for words in (["record"], ["show"], ["report"]):
            with _a_pipe_in_place_of(file):
                status = _in_time(30, lambda words=words: main([*words, str(ran.record)]))
            told = capsys.readouterr()
            if words == ["record"]:
                assert status == 1
                assert file.name.split(".")[0] in told.out + told.err
    assert main(["record", str(ran.record)]) == 0


@pytest.mark.slow
def test_an_index_of_runs_that_was_torn_bricks_nothing(standing):
    torn = b"[1]\n\xff\xfe\n" + b"\0" * 64 + b'\n{"record": "/tmp/x'
    share = {"only": "share"}
    digest = standing.planned(**share)
    standing.world.faults.arm("fail", "pool.dataset.create")
    first = standing.run("apply", digest, **share)
    assert first.error is not None
    index = next((standing.config.parent / "state").rglob("runs.jsonl"))
    index.write_bytes(index.read_bytes() + torn)
    again = standing.run("apply", digest, **share)
    assert again.error is None
    assert again.record == first.record, "it went on where it had stopped"
    assert list(check(again.record)) == []


def test_the_record_of_a_run_that_ended_well_is_not_written_over(standing, capsys):
    share = {"only": "share"}
    digest = standing.planned(**share)
    first = standing.run("apply", digest, **share)
    left = {file.name: file.read_bytes() for file in first.record.iterdir()}
    for _ in range(2):
        again = standing.run("apply", digest, **share)
        assert (again.error, again.sent) == (None, 0)
        assert again.record != first.record
        assert list(check(again.record)) == []
    assert {file.name: file.read_bytes() for file in first.record.iterdir()} == left
    assert main(["records", "--json"]) == 0
    rows = [row for row in json.loads(capsys.readouterr().out) if row["mode"] == "apply"]
    assert sorted(row["changes"] for row in rows) == [0, 0, first.sent]


def test_a_run_that_was_killed_is_listed_and_then_counts_all_that_was_sent(standing, capsys):
    some = ["room", "image", "share"]
    digest = standing.planned(only=some)
    with cells(standing, approve=digest, only=some) as run:  # and no more cells: it was killed
        run.step("room")
        run.step("image")
        before = sum(len(outcome.sent) for outcome in run.outcomes)
    assert main(["records", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)[-1]
    assert row["run"] == run.record.folder.name
    assert (row["mode"], row["status"], row["changes"]) == ("apply", "not ended", before)

    again = standing.run("apply", digest, only=some)
    assert (again.error, again.record) == (None, run.record.folder)
    assert again.sent > 0 < before
    assert list(check(again.record)) == []
    summary = json.loads((again.record / "summary.json").read_text())
    assert summary["changes_sent"] == summary["changes_planned"] + before == again.sent + before
    page = (again.record / "report.html").read_text()
    assert f"{before} of them before this run was continued" in page
    assert f"{before + again.sent} changes, the last first" in page
    assert main(["records", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[-1]["changes"] == before + again.sent


def test_what_was_carried_out_once_is_not_sent_again_under_that_approval(standing):
    share = {"only": "share"}
    digest = standing.planned(**share)
    assert standing.run("apply", digest, **share).error is None
    nas = standing.world.machines["truenas"]
    [made] = [
        each["id"]
        for each in json.loads(nas.run("midclt call sharing.nfs.query").finished().stdout)
        if each["path"] == "/mnt/tank/k3s"
    ]
    nas.run(f"midclt call sharing.nfs.delete {made}").finished()
    for _ in range(2):
        ran = standing.run("apply", digest, **share)
        assert isinstance(ran.error, PlanStale)
        assert "was carried out" in str(ran.error)
        assert ran.sent == 0
        assert list(check(ran.record)) == []


@pytest.mark.sample
def test_a_run_that_was_killed_at_its_end_tells_what_it_had_to_do_again(standing):
    """Long: killed between steps, it is tried at every change."""
    share = {"only": ["share"]}
    digest = standing.planned(**share)
    with cells(standing, approve=digest, **share) as run:  # killed before it could finish
        run.step("share")
    nas = standing.world.machines["truenas"]
    [made] = [
        each["id"]
        for each in json.loads(nas.run("midclt call sharing.nfs.query").finished().stdout)
        if each["path"] == "/mnt/tank/k3s"
    ]
    nas.run(f"midclt call sharing.nfs.delete {made}").finished()
    again = standing.run("apply", digest, **share)
    assert (again.error, again.record) == (None, run.record.folder)
    assert list(check(again.record)) == []
    left = {file.name: file.read_bytes() for file in again.record.iterdir()}
    run_id = again.record.name.rpartition("_")[2]
    named = standing.run("apply", digest, run_id=run_id, **share)
    assert isinstance(named.error, BadParameter)
    assert {file.name: file.read_bytes() for file in again.record.iterdir()} == left


def test_what_is_remembered_is_its_owners_alone_whatever_the_umask(standing):
    before = os.umask(0)
    try:
        standing.run("apply", standing.planned(only="share"), only="share")
    finally:
        os.umask(before)
    for root in ("state", "reports"):
        for path in (standing.config.parent / root).rglob("*"):
            allowed = 0o700 if path.is_dir() else 0o600
            assert path.stat().st_mode & 0o777 & ~allowed == 0, path


# Cell by cell -----------------------------------------------------------------------------------


@contextmanager
def cells(standing, **options):
    """A run in somebody's hands: what one cell says need not keep them from the next."""
    given = {"target": "ssh", "ssh_config": str(standing.config)} | options
    run = session.begin("phase2", **given)
    try:
        yield run
    finally:
        run.close()


def test_after_a_refusal_the_next_cell_sends_nothing(standing):
    some = ["room", "image", "share"]
    digest = standing.planned(only=some)
    standing.world.machines["truenas"].run(
        """midclt call pool.dataset.create '{"name":"tank/k3s","share_type":"NFS"}'"""
    )
    before = standing.world.state()
    with cells(standing, approve=digest, only=some) as run:
        for act in (run.plan, lambda: run.step("room"), lambda: run.step("image"), run.plan):
            with pytest.raises(PlanStale):
                act()
    assert standing.world.state() == before


def test_a_run_that_was_closed_sends_nothing(standing):
    """With it the lab's lock was given back."""
    digest = standing.planned(only=["image"])
    with cells(standing, approve=digest, only=["image"]) as run:
        run.plan()
        run.close()
        before = standing.world.state()
        with pytest.raises(BadParameter, match="was closed"):
            run.step("image")
    assert standing.world.state() == before


def test_a_step_that_failed_does_not_end_well_until_it_ran_again(standing):
    some = ["room", "image", "share"]
    digest = standing.planned(only=some)
    standing.world.faults.arm("fail", "pvesm set")
    with cells(standing, approve=digest, only=some) as run:
        run.step("room")
        with pytest.raises(StepFailed):
            run.step("image")
        with pytest.raises(StepFailed, match="image failed and share never ran"):
            run.finish()
        run.step("share")
        with pytest.raises(StepFailed, match="image failed, so"):
            run.finish()
        run.step("image")
        run.step("image")
        run.finish()
        run.finish()
    assert statuses(Ran(record=run.record.folder))["image"] == "already"
    assert list(check(run.record.folder)) == []


@pytest.mark.slow
def test_a_run_of_some_steps_leaves_a_whole_record(standing):
    """What they need is looked at, and its checks are not theirs."""
    planned = standing.run("plan", only=["image"])
    applied = standing.run("apply", planned.digest, only=["image"])
    for ran in (planned, applied, standing.run("verify", only=["image"])):
        assert ran.error is None
        assert list(check(ran.record)) == []


def test_a_run_has_one_plan(standing):
    with cells(standing, target="twin", only=["room", "image"]) as run:
        first = run.plan().text
        for name in run.selected:
            run.step(name)
        assert run.plan().text == first
        run.finish()
    assert list(check(run.record.folder)) == []


@pytest.mark.slow
def test_a_file_that_came_after_ours_could_not_be_written_is_left_alone(standing):
    """The journal says that we were at it; but a file is there whole or not at all."""
    digest = standing.planned(only=["image"])
    standing.world.faults.arm("fail", "sh -c .*homelab-vendor.yaml")
    assert standing.run("apply", digest, only=["image"]).error is not None
    node, path = standing.world.machines["proxmox"], "/var/lib/vz/snippets/homelab-vendor.yaml"
    node.run("mkdir -p /var/lib/vz/snippets")
    node.files.write(path, b"#cloud-config\n# somebody's own\n")
    ran = standing.run("apply", digest, only=["image"])
    assert "is not of lab homelab" in str(ran.error)
    assert b"somebody's own" in node.files.read(path)
