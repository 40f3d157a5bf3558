"""A Proxmox Backup Server as a place for backups: entered by a token, known by its certificate."""

import copy
from dataclasses import replace

import pytest

from homelab_lib.errors import BadParameter
from homelab_lib.lab import load_lab
from homelab_lib.lab.backups import Backups
from homelab_lib.lab.storage import VmStorage
from homelab_lib.recipes.backup import files as backup
from homelab_lib.twin.proxmox.archives import Archive
from recipes.bench import Bench
from recipes.onto_pbs import ENTERED, GUESTS, SECRET

LAB = load_lab()
PRINT = ":".join(["ab"] * 32)
VM, DRILL = 201, 9201
STORE = ENTERED | {
    "server": "10.0.30.9",
    "fingerprint": PRINT,
    "encrypted": True,
    "paper": "an aunt in another town",
}
DRILLED = {"backup": "vms", "vm": "k3s-control", "vmid": DRILL, "storage": "fastmirror", "phase": 4}


@pytest.fixture(autouse=True)
def token(monkeypatch):
    monkeypatch.setenv("PBS_TOKEN", SECRET)


def lab_of(**changes):
    store = VmStorage.model_validate(
        {"host": "proxmox", "name": "pbs"}
        | {key: value for key, value in (STORE | changes).items() if value is not None}
    )
    stores = {"proxmox": LAB.storages["proxmox"] | {"pbs": store}}
    document = {"guests": {"vms": GUESTS}, "guest_drills": {"control": DRILLED}}
    kept = Backups.model_validate(document)
    return LAB.model_copy(update={"backups": kept, "nas": {}, "storages": stores})


def bench_of(**changes):
    lab = lab_of(**changes)
    bench = Bench(lab, backup.steps(lab, 4), phase=4)
    node = bench.world.machines["proxmox"]
    node.vms[VM].guest.files.put("/etc/app/a.conf", "what a is told\n")
    return bench, node, node.backup_servers[STORE["server"]]


def test_entered_by_the_token_encrypted_backed_up_and_restored():
    bench, node, server = bench_of()
    server.tokens[STORE["username"]] = SECRET
    assert [step.name for step in bench.steps] == [
        "storage-pbs", "key-pbs", "guests-vms", "drill-control", "three-two-one",
    ]  # fmt: skip
    assert bench.stops() == ("", "")
    [archive] = server.datastores["house"].values()
    assert archive.vmid == VM
    assert archive.encrypted == node.stores["pbs"].options["encryption-key"]
    assert DRILL not in node.vms
    assert not any(SECRET in line for line in bench.wire.sent), "it stands in no list of processes"
    assert SECRET not in str(node.stores["pbs"].config)
    assert node.files.entry("/etc/pve/priv/storage/pbs.pw").mode == 0o600
    assert node.jobs["homelab-vms"]["prune-backups"] == "keep-all=1", "the server forgets, not we"
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda server: setattr(server, "fingerprint", "00:" * 31 + "00"), "not verified, abort!"),
        (lambda server: server.tokens.update({STORE["username"]: "another"}), "401"),
        (lambda server: server.tokens.clear(), "401"),
        (lambda server: server.datastores.clear(), "check permissions and existence"),
    ],
)
def test_a_server_that_is_another_or_lets_nobody_in_is_not_entered(change, words):
    bench, node, server = bench_of()
    change(server)
    step, said = bench.stops()
    assert step == "storage-pbs"
    assert words in said
    assert "pbs" not in node.stores
    assert not node.files.exists("/etc/pve/priv/storage/pbs.pw")


def test_a_certificate_that_changed_later_stops_it_and_is_not_learnt():
    bench, node, server = bench_of()
    assert bench.stops() == ("", "")
    server.fingerprint = "00:" * 31 + "00"
    step, said = bench.stops()
    assert step == "storage-pbs"
    assert "does not let pve in" in said
    assert node.stores["pbs"].options["fingerprint"] == PRINT
    node.stores["pbs"].options["fingerprint"] = server.fingerprint
    assert "another certificate" in bench.stops()[1]


def test_a_full_datastore_is_told(monkeypatch):
    bench, node, server = bench_of()
    assert bench.stops() == ("", "")
    node.stores["pbs"].full = True
    bench.world.clock.sleep(3 * 86_400)
    step, said = bench.stops()
    assert step == "guests-vms"
    assert "job errors" in said
    assert len(server.datastores["house"]) == 1


def test_what_the_server_found_broken_is_not_good():
    bench, _, server = bench_of()
    assert bench.stops() == ("", "")
    next(iter(server.datastores["house"].values())).verified = "failed"
    step, said = bench.stops()
    assert step == "guests-vms"
    assert "the look through it failed: k3s-control" in said


def test_a_backup_that_was_broken_off_is_none():
    """Its server lists it, and knows no size: the plugin then says 1 (list_volumes)."""
    bench, node, server = bench_of()
    assert bench.stops() == ("", "")
    [whole] = server.datastores["house"].values()
    bench.world.clock.sleep(3 * 86_400)
    for each in [name for name in server.datastores["house"] if name != whole.server_name]:
        del server.datastores["house"][each]
    torn = Archive("qemu", VM, whole.made_s + 2.9 * 86_400, size_bytes=1, broken="no index.json")
    server.datastores["house"][torn.server_name] = torn
    assert bench.step("guests-vms", "verify").status == "drift", "the whole one is 72 h old"
    node.files.remove("/var/lib/homelab/drills/control")
    alone = copy.copy(bench)
    alone.steps = tuple(replace(s, needs=()) for s in bench.steps if s.name == "drill-control")
    assert alone.stops() == ("", "")
    note = node.files.text("/var/lib/homelab/drills/control")
    assert note.splitlines()[0].endswith(f"pbs:backup/{whole.server_name}")


def test_a_backup_that_is_not_encrypted_where_it_should_be_is_told():
    bench, _, server = bench_of()
    assert bench.stops() == ("", "")
    next(iter(server.datastores["house"].values())).encrypted = ""
    step, said = bench.stops()
    assert step == "guests-vms"
    assert "whoever has the server reads k3s-control" in said


def test_what_stands_on_paper_is_all_that_it_takes_to_get_at_it():
    [step] = [step for step in backup.steps(lab_of(), 4) if step.name == "key-pbs"]
    for each in ("paperkey", "house of 10.0.30.9", "pve@pbs!node", "env:PBS_TOKEN", "fingerprint"):
        assert each in step.manual.ask
    assert SECRET not in step.manual.ask


def test_one_that_encrypts_nothing_is_not_made_to():
    bench, node, _ = bench_of()
    assert bench.stops() == ("", "")
    del node.stores["pbs"].options["encryption-key"]
    step, said = bench.stops()
    assert step == "storage-pbs"
    assert "encrypts nothing" in said


@pytest.mark.parametrize("key", ["username", "password", "fingerprint"])
def test_without_a_token_and_a_fingerprint_it_is_not_entered(key):
    with pytest.raises(BadParameter, match=f"has no {key}"):
        list(backup.steps(lab_of(**{key: None}), 4))


def test_a_server_on_the_host_that_it_backs_up_has_the_order_of_a_restore_written():
    lab = lab_of(server="10.0.30.22")  # that of one of the host's own VMs
    [step] = [step for step in backup.steps(lab, 4) if step.name == "storage-pbs"]
    assert "k3s-gpu1, a guest of proxmox itself" in step.why
    order = [step.why.index(word) for word in ("anew, make", "mount its", "paper", "the others")]
    assert order == sorted(order)
    assert "guest of" not in next(s for s in backup.steps(lab_of(), 4)).why


def test_a_backup_that_a_wrong_clock_has_dated_is_not_the_newest():
    bench, _, server = bench_of()
    assert bench.stops() == ("", "")
    [whole] = server.datastores["house"].values()
    ahead = Archive("qemu", VM, whole.made_s + 365 * 86_400, dict(whole.config), size_bytes=9)
    ahead.inside, ahead.encrypted = whole.inside, whole.encrypted
    server.datastores["house"][ahead.server_name] = ahead
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == [], "the one before it is new enough"
    del server.datastores["house"][whole.server_name]
    assert bench.stops() == ("", "")
    assert any("/vzdump" in line for line in bench.wire.sent), "nothing else is there"
