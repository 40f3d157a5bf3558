"""A VM that is off: the plan is to start it, and nothing is planned for disks nobody has seen."""

import json

import pytest

from homelab_lib import paths
from homelab_lib.errors import HostKeyRefused, StepFailed, Unseen
from homelab_lib.runbook.proof import check
from standing import standing as serve_standing

SMALL = paths.data() / "examples" / "minipc"


@pytest.fixture(
    scope="module",
    params=[str(SMALL), pytest.param("", marks=pytest.mark.sample)],
    ids=["one VM", "three VMs"],
)
def done(request, tmp_path_factory):
    """A lab after phase 2. Each test leaves it as it found it."""
    folder = tmp_path_factory.mktemp("lab")
    lab = {"path": request.param}
    with pytest.MonkeyPatch.context() as patch, serve_standing(folder, patch, **lab) as there:
        assert there.run("apply", there.planned()).error is None
        yield there


def qm(standing, *words: str) -> None:
    node = next(iter(standing.world.lab.vms.values())).host
    reply = standing.world.machines[node].run(" ".join(("qm", *words)))
    standing.world.clock.sleep(reply.takes_s)
    assert reply.finished().status == 0


def last_vm(standing):
    """The lab's last VM: its name and what the lab says of it."""
    return _made(standing)[-1]


def _made(standing):
    """The VMs that phase 2 has made, by their names."""
    return [(name, vm) for name, vm in standing.world.lab.vms.items() if vm.phase in (None, 2)]


def test_vms_that_are_off_are_started_and_looked_at_before_anything_else_is_planned(done):
    vmids = [vm.vmid for _, vm in _made(done)]
    for vmid in vmids:
        qm(done, "stop", str(vmid))
    planned = done.run("plan")
    assert planned.error is None
    changes = json.loads((planned.record / "plan.json").read_text())["changes"]
    assert [change["call"] for change in changes] == [f"qm start {n}" for n in vmids]
    page = (planned.record / "report.html").read_text()
    assert "not looked at yet" in page
    assert list(check(planned.record)) == []

    started = done.run("apply", planned.digest)
    assert isinstance(started.error, Unseen)
    assert started.sent == len(vmids)
    assert "mode=plan" in started.error.fix
    assert json.loads((started.record / "summary.json").read_text())["status"] == "stopped"
    assert list(check(started.record)) == []

    rest = done.run("plan")
    assert (rest.error, rest.changes) == (None, 0), "nothing of it was missing"
    assert done.run("verify").error is None


@pytest.mark.long
@pytest.mark.parametrize("done", [""], indirect=True)
def test_what_was_lost_while_it_was_off_is_planned_once_it_runs(done):
    qm(done, "stop", "203")
    unit = done.world.machines["k3s-gpu2"].units["k3s-agent"]
    unit.enabled = False
    first = done.run("plan")
    assert first.changes == 1
    assert isinstance(done.run("apply", first.digest).error, Unseen)
    second = done.run("plan")
    assert second.changes == 2, "enable and start k3s-agent"
    assert done.run("apply", second.digest).error is None
    assert unit.enabled


def test_a_vm_that_runs_and_can_t_be_looked_at_has_nothing_planned_for_its_disks(done):
    name, _ = last_vm(done)
    guest = done.world.machines[name]
    guest.sshd_after_s = 1e9
    done.world.went_down(guest)  # the connections it had
    try:
        ran = done.run("plan")
    finally:
        guest.sshd_after_s = 0.0
    assert isinstance(ran.error, StepFailed)
    assert f"{name} lets us in: {name}" in str(ran.error)
    assert ran.changes == 0


def test_a_vm_whose_key_nobody_knows_stops_the_plan_and_not_only_the_run(done):
    (pins,) = (done.config.parent / "state").rglob("known_hosts.*")
    kept = pins.read_text()
    pins.write_text("")
    before = done.world.state()
    try:
        ran = done.run("plan")
    finally:
        pins.write_text(kept)
    assert isinstance(ran.error, StepFailed | HostKeyRefused)
    assert "nobody vouches for its host key" in str(ran.error)
    assert done.world.state() == before
