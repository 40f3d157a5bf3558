"""The shipped labs: they load, quickly, and say what their files say."""

import shutil
import subprocess
import sys

import pytest

from homelab_lib import paths
from homelab_lib.errors import BadParameter, LabError
from homelab_lib.lab import load_lab

MINIPC = paths.data() / "examples" / "minipc"


@pytest.fixture(scope="module")
def minipc():
    return load_lab(MINIPC)


def test_facts_come_from_the_catalog(minipc):
    mini = minipc.hosts["mini"]
    assert mini.threads == 4
    assert mini.memory_bytes == 16 * 2**30
    assert mini.disks["hdd1"].capacity_bytes == 4_000_787_030_016
    assert mini.disks["hdd1"].part.unreadable_per_bit == 1e-14
    assert mini.ports["lan1"].connector == "RJ45"
    assert mini.ports["lan1"].speeds_bps[0] == 2_500_000_000


def test_a_name_is_that_of_its_key(minipc):
    assert minipc.hosts["mini"].name == "mini"
    assert minipc.hosts["mini"].os.node == "mini"
    assert minipc.hosts["mini"].disks["hdd1"].name == "hdd1"
    assert minipc.vlans[1].id == 1
    assert minipc.datasets["mini"]["tank/files"].name == "tank/files"
    assert minipc.datasets["mini"]["tank/files"].pool == "tank"


def test_human_quantities_are_numbers(minipc):
    assert minipc.vms["play"].memory_bytes == 4 * 2**30
    assert minipc.datasets["mini"]["tank/files"].recordsize_bytes == 2**20
    assert minipc.pools["mini"]["tank"].claimed_usable_bytes == 4 * 10**12


def test_a_switch_has_all_ports_of_its_part(minipc):
    switch = minipc.switches["switch"]
    assert list(switch.ports) == ["p1", "p2", "p3", "p4", "p5"]
    assert not switch.managed
    assert switch.ports["p5"].purpose == "The internet provider's router"
    assert switch.ports["p1"].speeds_bps[0] == 1_000_000_000


def test_machines_are_what_has_a_login(minipc):
    assert list(minipc.machines()) == ["mini", "play"]
    assert minipc.machine("play").vmid == 101
    with pytest.raises(BadParameter, match="did you mean 'mini'"):
        minipc.machine("minni")


def test_a_single_file_is_a_lab_too(minipc):
    assert load_lab(MINIPC / "lab.yaml") == minipc


def test_nothing_changes_after_loading(minipc):
    with pytest.raises(ValueError, match="frozen"):
        minipc.vms["play"].vcpu = 8
    smaller = minipc.model_copy(update={"vms": {}})
    assert not smaller.vms
    assert minipc.vms


def test_importing_and_loading_leave_the_heavy_packages_alone():
    program = (
        "import sys; from homelab_lib.lab import load_lab; load_lab(sys.argv[1]);"
        "sys.exit(bool({'networkx', 'pandas', 'matplotlib', 'numpy'} & set(sys.modules)))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program, str(MINIPC)], cwd=paths.root(), check=False
    )
    assert finished.returncode == 0


# Decisions ---------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(MINIPC, tmp_path / "lab")
    return tmp_path / "lab"


def decide(folder, *changes, more=""):
    listed = "".join(f"      - {change}\n" for change in changes)
    (folder / "decisions.yaml").write_text(
        "decisions:\n  - id: ours\n    title: What we do\n    reason: Because\n    answers: [it]\n"
        f"    changes:\n{listed}{more}"
    )


def test_decisions_change_the_document(folder):
    decide(
        folder,
        "{path: vms.play.vcpu, value: 4}",
        "{path: cables.mini-lan1.b, value: switch.p2}",
        "{path: vlans.1.gateway, value: null}",
        "{path: vms.play.mac, value: '02:00:00:00:00:21'}",
        "{path: purchases.0, value: null}",
        "{path: cables.second, value: {name: second, a: mini.lan2, b: switch.p3, medium: Cat6}}",
    )
    lab = load_lab(folder)
    assert lab.vms["play"].vcpu == 4
    assert lab.cables[0].b == "switch.p2"
    assert lab.cables[1].name == "second"
    assert lab.vlans[1].gateway is None
    assert lab.vms["play"].mac == "02:00:00:00:00:21"
    assert lab.purchases == ()


def test_without_decisions_it_is_the_design_as_written(folder):
    before = load_lab(folder)
    decide(folder, "{path: vms.play.vcpu, value: 4}")
    as_written = load_lab(folder, decisions=False)
    assert as_written.vms == before.vms
    assert as_written.decisions[0].id == "ours"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("{path: vms.plai.vcpu, value: 4}", "nothing is called 'plai' there; did you mean 'play'?"),
        ("{path: vms.play.vcpus, value: 4}", "'vcpus' is no key here; did you mean 'vcpu'?"),
        ("{path: vms.play.vcpu, value: four}", "vms.play.vcpu: found 'four'"),
        ("{path: vms.play.vcpu.more, value: 4}", "there is no 'more' in a plain value"),
        ("{path: cables.mini-lan1.b, value: switch.p9}", "there is no port of switch 'p9'"),
        ("{path: cables.mini-lan.b, value: switch.p2}", "did you mean 'mini-lan1'?"),
        ("{path: vms.other, value: null}", "'other' can't be taken away"),
        ("{path: '', value: 1}", "decisions.ours.changes.0.path: found ''"),
        ("{value: 1}", "'path' is missing"),
    ],
)
def test_a_mistake_in_a_decision_is_said_at_the_decision(folder, change, said):
    decide(folder, change)
    with pytest.raises(LabError) as caught:
        load_lab(folder)
    [problem] = caught.value.problems
    assert problem.startswith(f"{folder}/decisions.yaml:7: ")
    assert said in problem


def test_two_decisions_on_the_same_place(folder):
    decide(folder, "{path: vms.play.vcpu, value: 4}", "{path: vms.play.vcpu, value: 8}")
    with pytest.raises(LabError) as caught:
        load_lab(folder)
    [problem] = caught.value.problems
    assert "vms.play.vcpu is changed by another decision already, at" in problem


def test_a_change_of_one_alias_leaves_the_other(folder):
    file = folder / "lab.yaml"
    text = file.read_text().replace("  mini:\n", "  mini:\n    notes: &heard [loud]\n", 1)
    file.write_text(text.replace("  play:\n", "  play:\n    notes: *heard\n", 1))
    decide(folder, "{path: vms.play.notes.0, value: silent}")
    lab = load_lab(folder)
    assert lab.hosts["mini"].notes == ("loud",)
    assert lab.vms["play"].notes == ("silent",)
