"""Cards passed through, as the user has it done: planned, carried out, looked at again."""

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.runbook.proof import check
from standing import served

OURS = "room,image,machines,agents,groups,boot,mappings,passthrough,second-start"
AGREED = {"only": OURS, "confirm": ["second-start"]}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The shipped lab with its cards passed through, and the runs that did it."""
    folder = tmp_path_factory.mktemp("cards") / "lab"
    with served(folder, runbook="phase3") as there, pytest.MonkeyPatch.context() as patch:
        there.surround(patch)
        planned = there.run("plan", **AGREED)
        assert planned.error is None
        applied = there.run("apply", planned.digest, **AGREED)
        again = there.run("apply", planned.digest, **AGREED)
        yield there, planned, applied, again


def test_what_is_planned_is_sent_once_and_verify_is_clean(done, monkeypatch):
    there, planned, applied, again = done
    there.surround(monkeypatch)
    assert applied.error is None
    assert applied.sent == planned.changes
    assert list(check(applied.record)) == []
    assert (again.error, again.sent) == (None, 0)
    verified = there.run("verify", only=OURS)
    assert (verified.error, verified.sent) == (None, 0)


def test_each_vm_has_its_card_and_starts_with_the_node(done):
    there, *_ = done
    node = there.world.machines["proxmox"]
    lab = load_lab()
    for allocation in lab.gpu_allocation.values():
        if allocation.phase is None:
            continue
        device = allocation.device.partition(".")[2]
        vm = next(v for v in lab.vms.values() if device in v.gpus)
        config = node.vms[vm.vmid].config
        assert config["hostpci0"] == f"mapping=gpu-{allocation.name},pcie=1"
        assert config["onboot"] == "1"
        [card] = {f.id for f in there.world.machines[vm.name].bus if f.class_code == "0300"}
        assert card in lab.hosts["proxmox"].devices[device].part.pci_ids
