"""A whole VM from a backup server in another place alone: it is entered anew with what stands on
paper, the VM is restored beside itself, and the server is left again; and what stops that."""

import copy
import json
from dataclasses import replace

import pytest

from homelab_lib.errors import HomelabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.backups import Backups
from homelab_lib.lab.checks.backups import faults
from homelab_lib.lab.storage import VmStorage
from homelab_lib.recipes.backup import files as backup
from homelab_lib.target.twin import TwinTarget
from homelab_lib.twin.proxmox.backup_servers import fingerprint_of
from homelab_lib.twin.proxmox.storage import Store
from homelab_lib.twin.proxmox.vm import VirtualMachine
from recipes.bench import Bench
from recipes.onto_pbs import ENTERED, GUESTS, SECRET
from recipes.test_guest_backup import DAY_S, DRILL, FILES, VM, noted, nothing_is_left

LAB = load_lab()
PRINT = ":".join(["ab"] * 32)
SERVER, KEPT = "198.51.100.9", "/etc/pve/priv/storage"
OURS = f"homelab-{LAB.name}-drill-control"
PAPER = "/run/homelab-drill-control"
STORE = ENTERED | {
    "server": SERVER,
    "fingerprint": PRINT,
    "encrypted": True,
    "paper": "an aunt in another town",
}
AWAY = GUESTS | {"offsite": True, "medium": "the backup server of an aunt"}


def lab_of(store=None, guests=None, **drill):
    described = {"host": "proxmox", "name": "pbs"} | STORE | (store or {})
    kept = {key: value for key, value in described.items() if value is not None}
    wanted = {
        "backup": "vms",
        "from_paper": "env:PBS_KEY",
        "vm": "k3s-control",
        "vmid": DRILL,
        "storage": "fastmirror",
        "files": 6,
        "phase": 4,
    } | drill
    document = {
        "guests": {"vms": AWAY | (guests or {})},
        "guest_drills": {"control": {k: v for k, v in wanted.items() if v is not None}},
    }
    stores = LAB.storages["proxmox"] | {"pbs": VmStorage.model_validate(kept)}
    found = {"backups": Backups.model_validate(document), "storages": {"proxmox": stores}}
    return LAB.model_copy(update=found | {"nas": {}})


def printed(node):
    """The paper, as `proxmox-backup-client key paperkey` prints it, without its picture."""
    key = json.loads(node.files.text(f"{KEPT}/pbs.enc"))
    lines = json.dumps(key, indent=2)
    begin, end = "-----BEGIN PROXMOX BACKUP KEY-----", "-----END PROXMOX BACKUP KEY-----"
    return f"Subject: {LAB.name}\n\n{begin}\n{lines}\n{end}\n  ▄▄▄\n"


def bench_of(monkeypatch, **changes):
    """All but the drill is done, and the key is printed."""
    monkeypatch.setenv("PBS_TOKEN", SECRET)
    lab = lab_of(**changes)
    bench = Bench(lab, backup.steps(lab, 4), phase=4)
    node = bench.world.machines["proxmox"]
    node.backup_servers[SERVER].tokens[STORE["username"]] = SECRET
    for path, text in FILES.items():
        node.vms[VM].guest.files.put(path, text)
    before = copy.copy(bench)
    before.steps = bench.steps[:3]
    assert [step.name for step in before.steps] == ["storage-pbs", "key-pbs", "guests-vms"]
    assert before.stops() == ("", "")
    monkeypatch.setenv("PBS_KEY", printed(node))
    bench.wire.sent.clear()
    return bench, node


@pytest.fixture
def bench(monkeypatch):
    return bench_of(monkeypatch)


@pytest.fixture
def made(bench):
    bench, node = bench
    assert bench.stops() == ("", "")
    return bench, node


def again(node):
    """Nothing is known of a drill any more."""
    node.files.remove("/var/lib/homelab/drills/control")


def alone(bench):
    """The drill without what it stands on: all that is lost with a house."""
    found = copy.copy(bench)
    found.steps = tuple(replace(s, needs=()) for s in bench.steps if s.name == "drill-control")
    return found


def is_left(node):
    """What of the server is left on the node beside the storage that it backs up to."""
    paths = [p for p in node.files.entries if p.startswith((PAPER, f"{KEPT}/{OURS}"))]
    return [*paths, *(name for name in node.stores if "drill" in name)]


def test_it_comes_back_from_there_and_the_server_is_left_again(made):
    bench, node = made
    assert [step.name for step in bench.steps][3:] == ["drill-control", "three-two-one"]
    assert set(noted(node).values()) == {"same"}
    assert nothing_is_left(node)
    assert is_left(node) == []
    assert node.files.exists(f"{KEPT}/pbs.enc"), "the storage that it backs up to stays entered"
    assert node.vms[VM].running
    [laid_out, drilled, _] = bench.wire.sent
    assert PAPER in laid_out
    assert f"--fingerprint {PRINT}" in drilled
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []


def test_nothing_that_the_host_holds_is_used(bench):
    """What burns with a house: the storage, its token and its key."""
    bench, node = bench
    del node.stores["pbs"]
    for path in [p for p in node.files.entries if p.startswith(f"{KEPT}/")]:
        node.files.remove(path)
    assert alone(bench).stops() == ("", "")
    assert set(noted(node).values()) == {"same"}
    assert nothing_is_left(node)
    assert is_left(node) == []


def test_key_and_token_are_on_no_command_line(made):
    bench, node = made
    key = json.loads(node.files.text(f"{KEPT}/pbs.enc"))["data"]
    assert not [line for line in bench.wire.sent if key in line or SECRET in line]


def test_while_it_is_entered_the_key_lies_where_root_alone_reads_it(bench, monkeypatch):
    bench, node = bench
    seen = []
    run = type(node).run

    def watched(self, line, *more):
        found = run(self, line, *more)
        seen.extend(p for p in (f"{KEPT}/{OURS}.enc", f"{KEPT}/{OURS}.pw", PAPER, f"{PAPER}.key")
                    if node.files.exists(p) and node.files.stat(p).mode & 0o077)  # fmt: skip
        return found

    monkeypatch.setattr(type(node), "run", watched)
    assert bench.stops() == ("", "")
    assert seen == []


@pytest.mark.parametrize("start", [False, True])
def test_the_newest_one_is_taken_and_started_if_that_is_wanted(monkeypatch, start):
    bench, node = bench_of(monkeypatch, start=start)
    assert bench.stops() == ("", "")
    bench.world.clock.sleep(3 * DAY_S)
    again(node)
    assert bench.stops() == ("", "")
    newest = max(node.backup_servers[SERVER].datastores["house"])
    note = node.files.text("/var/lib/homelab/drills/control")
    assert note.splitlines()[0].endswith(f"{OURS}:backup/{newest} (by paper)")
    assert ("start of the restored VM" in noted(node)) is start
    assert nothing_is_left(node)
    assert is_left(node) == []


def test_it_is_evidence_of_three_two_one(made):
    bench, node = made
    title = "k3s-control was restored as a whole from the backup server of an aunt, with the key on"
    told = {check.title: check for check in bench.step("three-two-one").checks}
    assert told[f"{title} paper alone"].holds
    again(node)
    looked = bench.step("three-two-one", "verify")
    assert [each.title for each in looked.checks if not each.holds] == [f"{title} paper alone"]


# What stops it -----------------------------------------------------------------------------------


def typed(node, **other):
    """Another paper."""
    return json.dumps(json.loads(node.files.text(f"{KEPT}/pbs.enc")) | other)


OTHER = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OTHER_PRINT = fingerprint_of(bytes(range(32)))


def test_a_fingerprint_is_the_clients_own():
    """proxmox-backup's own test, pbs-key-config/src/lib.rs: fingerprint_checks."""
    want = [14, 171, 212, 70, 11, 110, 185, 202, 52, 80, 35, 222, 226, 183, 120, 199]
    want += [144, 229, 74, 22, 131, 185, 101, 156, 10, 87, 174, 25, 144, 144, 21, 155]
    assert bytes(want).hex(":") == OTHER_PRINT


@pytest.mark.parametrize(
    ("paper", "words"),
    [
        (lambda node: "it was eaten by a mouse", "can't be read from line 1, column 1 on"),
        (lambda node: printed(node).replace('": "', '" "', 1), "can't be read from line 4"),
        (lambda node: '["kdf"]      ', "has no data"),
        (lambda node: typed(node, data=OTHER[:-5] + "="), "are not 32 bytes in base64"),
        (lambda node: typed(node, data=OTHER), "is not that of its data"),
        (lambda node: typed(node, fingerprint=OTHER_PRINT), "is not that of its data"),
        (lambda node: typed(node, kdf={"Scrypt": {"n": 65536}}), "takes a passphrase"),
    ],
)
def test_what_was_typed_wrong_is_told_before_anything_is_sent(bench, monkeypatch, paper, words):
    bench, node = bench
    text = paper(node)
    monkeypatch.setenv("PBS_KEY", text)
    step, said = bench.stops()
    assert step == "drill-control"
    assert words in said
    assert "env:PBS_KEY" in said
    assert "Traceback" not in said
    assert text[:12] not in said
    assert not [line for line in bench.wire.sent if "pvesm" in line]
    assert is_left(node) == []
    monkeypatch.setenv("PBS_KEY", printed(node))
    assert bench.stops() == ("", ""), "and the next run goes on"


def test_a_key_that_is_another_one_opens_nothing_and_says_whose_it_is(bench, monkeypatch):
    bench, node = bench
    ours = json.loads(node.files.text(f"{KEPT}/pbs.enc"))["fingerprint"][:23]
    monkeypatch.setenv("PBS_KEY", typed(node, data=OTHER, fingerprint=OTHER_PRINT))
    step, said = bench.stops()
    assert step == "drill-control"
    assert f"wrong key - manifest's key {ours} does not match provided key 0e:ab:d4" in said
    assert not [v for v in node.stores["fastmirror"].volumes if f"-{DRILL}-" in v]
    assert nothing_is_left(node)
    assert is_left(node) == []


def test_without_a_paper_it_says_when_there_will_be_one(bench, monkeypatch):
    bench, _ = bench
    monkeypatch.delenv("PBS_KEY")
    step, said = bench.stops()
    assert step == "drill-control"
    assert "the environment has no PBS_KEY" in said
    assert "printed by step key-pbs" in said
    assert bench.wire.sent == []


@pytest.mark.parametrize("paper", ["right", "torn", "another's"])
def test_nothing_of_what_was_typed_is_kept_in_the_journal(bench, monkeypatch, paper):
    bench, node = bench
    text = printed(node)
    key = json.loads(node.files.text(f"{KEPT}/pbs.enc"))["data"]
    if paper == "torn":
        text = text.replace(key, key[:-6])
    if paper == "another's":
        key = OTHER
        text = typed(node, data=OTHER, fingerprint=OTHER_PRINT)
    monkeypatch.setenv("PBS_KEY", text)
    engine = bench.engine()
    if paper == "right":
        engine.run_step("drill-control")
    else:
        with pytest.raises(HomelabError):
            engine.run_step("drill-control")
    kept = str(engine.sender.journal.events)
    assert "drill-control" in kept
    assert key[:-6] not in kept
    assert SECRET not in kept


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda server: setattr(server, "fingerprint", "00:" * 31 + "00"), "not verified, abort!"),
        (lambda server: server.tokens.update({STORE["username"]: "another"}), "401"),
        (lambda server: server.datastores["house"].clear(), f"there is no backup of VM {VM} on"),
    ],
)
def test_a_server_that_is_another_or_lets_nobody_in_or_has_nothing(bench, change, words):
    bench, node = bench
    change(node.backup_servers[SERVER])
    step, said = alone(bench).stops()
    assert step == "drill-control"
    assert words in said
    assert nothing_is_left(node)
    assert is_left(node) == []


def test_a_backup_that_can_not_be_read_back_leaves_neither_torso_nor_storage(bench):
    bench, node = bench
    [archive] = node.backup_servers[SERVER].datastores["house"].values()
    archive.broken = "command '/usr/bin/pbs-restore' failed: exit code 255"
    step, said = bench.stops()
    assert step == "drill-control"
    assert "pbs-restore" in said
    assert noted(node) == {"the whole VM": "lost"}
    assert nothing_is_left(node)
    assert is_left(node) == []


def entered(node, **options):
    """What a drill has left that was broken off while it had entered the server."""
    told = {"server": SERVER, "datastore": "house", "username": STORE["username"]}
    told |= {"fingerprint": PRINT, "nodes": "pve"} | options
    node.stores[OURS] = Store(OURS, "pbs", ["backup"], "", 2**40, options=told)
    node.files.put(f"{KEPT}/{OURS}.pw", f"{SECRET}\n", mode=0o600)
    node.files.put(f"{KEPT}/{OURS}.enc", "{}\n", mode=0o600)


@pytest.mark.parametrize("due", [False, True])
def test_what_a_drill_that_was_broken_off_has_entered_is_left_first(made, due):
    bench, node = made
    entered(node)
    if due:
        again(node)
    [looked] = [bench.step("drill-control", "verify")]
    assert looked.status == "drift"
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent[0].endswith(f"pvesm remove {OURS}")
    assert len(bench.wire.sent) == (4 if due else 1)
    assert is_left(node) == []


def test_both_a_torso_and_a_storage_are_taken_away(made):
    bench, node = made
    again(node)
    entered(node)
    config = {"name": "drill-control", "tags": f"homelab-{LAB.name}", "memory": "512"}
    node.vms[DRILL] = VirtualMachine(DRILL, config)
    assert bench.stops() == ("", "")
    assert nothing_is_left(node)
    assert is_left(node) == []


def test_somebody_elses_storage_of_that_name_stays(made):
    bench, node = made
    entered(node, datastore="attic")
    step, said = bench.stops()
    assert step == "drill-control"
    assert "is there, with datastore attic" in said
    assert OURS in node.stores


@pytest.mark.parametrize("cut", ["before", "after"])
@pytest.mark.parametrize("through", [0, 1])
@pytest.mark.parametrize("start", [False, True])
def test_a_cut_link_ends_in_the_same_state(monkeypatch, cut, through, start):
    bench, node = bench_of(monkeypatch, start=start)
    bench.wire.cut, bench.wire.through = cut, through
    bench.stops()
    bench.wire.cut, bench.wire.off = "", {}
    assert bench.stops() == ("", "")
    assert nothing_is_left(node)
    assert is_left(node) == []
    assert set(noted(node).values()) == {"same"}


def test_a_plan_on_a_likeness_finds_the_same_to_do(bench):
    bench, _ = bench
    other = bench.likeness()
    assert other.stops() == ("", "")
    assert bench.stops() == ("", "")
    assert other.wire.sent == bench.wire.sent
    same = bench.likeness()
    assert same.stops() == ("", "")
    assert same.wire.sent == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"store": {"encrypted": False}}, "is not encrypted"),
        ({"store": {"fingerprint": None}}, "write the fingerprint of pbs down"),
        ({"guests": {"offsite": False}}, "is in the house"),
        ({"guests": {"storage": "local"}}, "write that under carried_by"),
    ],
)
def test_a_description_that_can_not_be_is_refused(changes, words):
    assert any(words in fault.what for fault in faults(lab_of(**changes)))


def test_one_that_fits_has_no_fault():
    assert not [each for each in faults(lab_of()) if "guest_drills" in each.path]


def test_a_rehearsal_types_what_was_printed_on_its_twin():
    """On the lab's own twin nobody has a key yet, and a person's acts are taken for done."""
    lab = lab_of()
    target = TwinTarget.before_phase(lab, 4)
    try:
        assert "data" not in target.secret("env:PBS_KEY").reveal()
        node = target.world.machines["proxmox"]
        key = '{"kdf":null,"data":"x"}'
        node.files.put(f"{KEPT}/pbs.enc", key)
        assert target.secret("env:PBS_KEY").reveal() == key
        assert target.secret("env:PBS_OTHER").reveal() != key
    finally:
        target.close()


def test_one_that_was_held_with_what_the_host_holds_is_none_by_paper(monkeypatch):
    """A lab that had a drill, and says now that it is held by what stands on paper."""
    bench, node = bench_of(monkeypatch, from_paper=None)
    assert bench.stops() == ("", "")
    assert noted(node)
    [old] = [step for step in bench.steps if step.name == "drill-control"]
    bench.steps = tuple(backup.steps(lab_of(), 4))
    looked = bench.step("three-two-one", "verify")
    [check] = [each for each in looked.checks if "on paper alone" in each.title]
    assert not check.holds
    assert "not with what stands on paper alone" in check.says
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert [line for line in bench.wire.sent if PAPER in line]
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []
    bench.steps = (replace(old, needs=()),)
    assert bench.step("drill-control", "verify").status == "drift", "nor the other way round"
