"""A lab of many shapes: it loads, its mistakes are told, and whoever uses it bears it."""

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml

from homelab_lib import paths
from homelab_lib.audit.facts_budgets import memory_facts, power_facts
from homelab_lib.audit.facts_network import wired
from homelab_lib.audit.run import findings
from homelab_lib.errors import LabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.lab.document import read
from homelab_lib.lab.power import ProxmoxCluster
from homelab_lib.models.paths import path_bandwidth
from homelab_lib.twin.built import built
from homelab_lib.views import tables, topology
from homelab_lib.wiring.pcie_tree import leaves

WIDE = Path(__file__).parent / "wide"
CASES = yaml.safe_load((Path(__file__).parent / "wide_cases.yaml").read_text())


@pytest.fixture(scope="module")
def lab():
    return load_lab(WIDE)


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(WIDE, tmp_path / "lab")
    return tmp_path / "lab"


def problems(folder: Path) -> list[str]:
    with pytest.raises(LabError) as caught:
        load_lab(folder)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


def with_change(folder: Path, old: str, new: str) -> str:
    text = (folder / "lab.yaml").read_text()
    assert text.count(old) >= 1, old
    text = text.replace(old, new, 1)
    (folder / "lab.yaml").write_text(text)
    return text


# What it says ------------------------------------------------------------------------------------


def test_addresses_of_both_families_and_from_dhcp(lab):
    gate = lab.hosts["gate"]
    assert gate.ports["wan"].address is None
    assert gate.ports["wan"].automatic
    assert gate.ports["lan"].address == "192.168.1.1/24"
    assert gate.ports["lan"].addresses == {20: "192.168.20.1/24"}
    assert gate.ports["lan"].cidrs == (
        "192.168.1.1/24",
        "fd00:1::1/64",
        "192.168.20.1/24",
        "fd00:20::1/64",
    )


def test_a_bond_is_what_its_ports_are_in(lab):
    node = lab.hosts["node1"]
    assert node.bridges == ("vmbr0",)
    assert node.segment("eno2") == "vmbr0"
    assert (node.on_wire("eno2").mtu, node.on_wire("eno2").tagged) == (9000, (20,))
    assert lab.hosts["node2"].on_wire("eno1") is lab.hosts["node2"].ports["eno1"]


def test_two_processors_have_the_threads_of_both(lab):
    assert lab.hosts["store"].threads == 2 * lab.hosts["node1"].threads
    assert lab.hosts["store"].memory_bytes == 4 * 16 * 2**30


def test_what_is_not_described_is_none_and_not_zero(lab):
    box = lab.hosts["isp-box"]
    assert (box.cpu, box.threads, box.memory_bytes) == (None, None, None)


def test_a_node_keeps_its_capitals(lab):
    assert lab.hosts["node1"].os.node == "PVE-01"


def test_what_a_runbook_can_set_up(lab):
    driven = [name for name, host in lab.hosts.items() if host.os.driven]
    assert driven == ["gate", "node1", "node2", "store"]


@pytest.mark.parametrize(
    ("nodes", "qdevice", "votes", "failures"),
    [
        # Proxmox VE Administration Guide, "Corosync External Vote Support": an even cluster gets
        # one vote more, an odd one as many as it has nodes, less one.
        (1, None, 1, 0),
        (2, None, 2, 0),
        (2, "pi", 3, 1),
        (3, None, 3, 1),
        (3, "pi", 5, 2),
        (4, None, 4, 1),
        (4, "pi", 5, 2),
        (5, None, 5, 2),
    ],
)
def test_nodes_that_may_fail(nodes, qdevice, votes, failures):
    names = tuple(f"node{number}" for number in range(nodes))
    cluster = ProxmoxCluster(nodes=names, qdevice=qdevice)
    assert (cluster.votes, cluster.failures) == (votes, failures)


def test_a_change_keeps_all_the_rest(lab):
    other = changed(lab, ("hosts.syno.ports.lan.address", "192.168.1.21/24"))
    assert other.hosts["syno"].ports["lan"].address == "192.168.1.21/24"
    again = changed(other, ("hosts.syno.ports.lan.address", "192.168.1.20/24"))
    assert again.model_dump() == lab.model_dump()


def test_an_editor_takes_it_too():
    schema = json.loads((paths.data() / "lab.schema.json").read_text(encoding="utf-8"))
    document = json.loads(json.dumps(read(WIDE / "lab.yaml")[0].plain()))
    validator = jsonschema.Draft202012Validator(schema)
    assert [f"{e.json_path}: {e.message}" for e in validator.iter_errors(document)] == []


# Mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=[each["case"] for each in CASES])
def test_a_case(folder, case):
    before = (folder / "lab.yaml").read_text()
    text = with_change(folder, case["old"], case["new"])
    if case.get("loads"):
        load_lab(folder)
        return
    found = problems(folder)
    fitting = [problem for problem in found if case["says"] in problem]
    assert len(fitting) == 1, found
    assert len(found) == 1 or not case.get("alone", True), found
    place = text.index(case["at"]) if "at" in case else before.index(case["old"])
    line = text[:place].count("\n") + 1
    line += case.get("line", 0)
    assert fitting[0].startswith(f"lab.yaml:{line}: "), (fitting, line)


def test_a_ups_of_the_old_form_is_told_where_it_went(folder):
    (folder / "catalog" / "old.yaml").write_text(
        "accessories:\n  my-ups:\n    title: UPS\n    sources: [x]\n    role: ups\n"
    )
    [found] = problems(folder)
    assert found.startswith("catalog/old.yaml:5: accessories.my-ups.role: found 'ups'; a UPS is a")
    assert "move it to upses: with rated_va and rated_w" in found


# Secrets -----------------------------------------------------------------------------------------

CANARY = "c4nary-Zq8vXw3k"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("key: env:GATE_KEY", f"key: {CANARY}"),
        ("secret: keyring:gate/api", f"secret: [{CANARY}]"),
        ("private_key: file:~/secrets/wg0", f"private_key: {CANARY}"),
        ("auth_key: env:TS_KEY", f"auth_key: 'tskey-{CANARY}'"),
        ("token: env:CF_TOKEN", f"token: {{value: {CANARY}}}"),
        ("password: env:ANN", f"password: {CANARY}"),
        ("secret: env:CHAP", f"secret: {CANARY}"),
        ("key: env:B2_KEY}", f"key: {CANARY}}}"),
        ("key: env:B2_KEY}", f"key: env:B2_KEY}}, settings: {{key: {CANARY}}}"),
        ("settings: {email: ann@example}", f"settings: {{url: 'https://hooks/{CANARY}'}}"),
        ("password: env:NUT", f"password: {CANARY}"),
        ("password: env:MAIL", f"password: {CANARY}"),
        ("key: env:GATE_KEY", "key: 'env:'"),
        ("key: env:GATE_KEY", "key: 123456789"),
    ],
)
def test_a_secret_in_the_file_is_refused_and_never_shown(folder, old, new):
    text = with_change(folder, old, new)
    [found] = problems(folder)
    assert "a secret" in found
    assert "never written here; write" in found
    assert CANARY not in found
    assert "123456789" not in found
    line = text[: text.index(new)].count("\n") + 1
    assert found.startswith(f"lab.yaml:{line}: ")


def test_a_secret_where_keys_are_expected_is_not_shown_either(folder):
    text = (folder / "lab.yaml").read_text()
    start, end = text.index("    api:\n"), text.index("    ports:\n      wan:")
    (folder / "lab.yaml").write_text(f"{text[:start]}    api: {CANARY}\n{text[end:]}")
    [found] = problems(folder)
    assert "hosts.gate.api: found text; expected keys: address, certificate_sha256, key" in found
    assert CANARY not in found


@pytest.mark.parametrize("reference", ["env:KEY", "file:~/k", "file:/a b/c", "keyring:nas/me"])
def test_a_reference_is_taken(folder, reference):
    with_change(folder, "key: env:GATE_KEY", f"key: {reference}")
    assert load_lab(folder).hosts["gate"].api.key == reference


# Users -------------------------------------------------------------------------------------------


def test_tables_say_what_is_not_described(lab):
    table = tables.hosts(lab)
    assert list(table.loc["isp-box", ["processor", "threads", "memory"]]) == ["not described"] * 3
    assert table.loc["isp-box", "system"] == "FRITZ!OS"
    assert table.loc["store", "processor"].startswith("2 × ")
    networks = tables.networks(lab)
    assert networks.loc[20, "gateway"] == "none"
    assert networks.loc[1, "subnet"] == "192.168.1.0/24, fd00:1::/64"
    assert "node1" in networks.loc[1, "members"]


def test_the_audit_bears_it(lab):
    assert all(finding.says for finding in findings(lab))
    assert {fact.supply for fact in power_facts(lab)} == {"node1", "store"}
    assert [fact.host for fact in memory_facts(lab)] == ["node1"]
    assert all(leaves(lab, name) is not None for name in lab.hosts)
    assert topology.topology(lab)


def test_a_bond_is_a_way_through_the_graph(lab):
    graph = wired(lab)
    assert graph.nodes["node1:bond0"]["kind"] == "bond"
    found = path_bandwidth(graph, "node1:vmbr0", "core")
    assert found.path[:2] == ("node1:vmbr0", "node1:bond0")
    assert found.bandwidth_bps == 2.5e9


def test_the_twin_stands_it_up(lab):
    machines = built(lab, before_phase=1).machines
    assert set(machines) == set(lab.hosts)
    [bridge] = [each for each in machines["node1"].interfaces if each.name == "vmbr0"]
    assert (bridge.cidr, bridge.mtu) == ("192.168.1.11/24", 9000)
    assert machines["isp-box"].threads >= 1
