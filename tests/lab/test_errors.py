"""A wrong description: every mistake at once, with its line, what is allowed, and a near miss."""

import copy
import re
import shutil

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homelab_lib import paths
from homelab_lib.errors import LabError
from homelab_lib.lab import Lab, load_lab
from homelab_lib.lab.changes import changed

PYDANTICS = re.compile(
    r"[Ii]nput should|[Ii]t should be|valid (tuple|string|integer|number|dict|list|bool)|"
    r"Value error|Assertion failed|instance of|unable to parse|Field required|Extra inputs"
)
MINIPC = paths.data() / "examples" / "minipc"
TEXT = (MINIPC / "lab.yaml").read_text()


@pytest.fixture
def folder(tmp_path):
    """A copy of the small lab."""
    shutil.copytree(MINIPC, tmp_path / "lab")
    return tmp_path / "lab"


def problems(folder):
    with pytest.raises(LabError) as caught:
        load_lab(folder)
    assert "Traceback" not in str(caught.value)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


def with_change(folder, old, new):
    """The file with one passage replaced, and the line on which that begins."""
    text = (folder / "lab.yaml").read_text()
    assert text.count(old) >= 1, old
    (folder / "lab.yaml").write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


_CHART = (
    "{name: dash, repo: https://example.org/charts, chart: dash, version: '1.0.0', namespace: dash}"
)
WRONG = {
    # case: (what stands there, what shall stand there, lines further down, what must be said)
    "unknown key": (
        "    role: Hyp",
        "    rolle: Hyp",
        0,
        ["hosts.mini.rolle: 'rolle' is no key here; did you mean 'role'?", "allowed: api, "],
    ),
    "missing key": ("    role: Hypervisor and NAS\n", "", -2, ["hosts.mini: 'role' is missing"]),
    "unknown word": (
        "kind: proxmox",
        "kind: proxmux",
        0,
        ["hosts.mini.os.kind: found 'proxmux'", "'truenas'", "did you mean 'proxmox'?"],
    ),
    "chart on a machine": (
        "phases:\n",
        f"services:\n  dash: {{title: Dash, runs_on: mini, chart: {_CHART}}}\nphases:\n",
        1,
        ["services.dash.chart: what has a chart runs on a cluster, and this one on mini"],
    ),
    "brought along by what brings nothing": (
        "phases:\n",
        "services:\n  a: {title: A, runs_on: play, within: b}\n  b: {title: B}\nphases:\n",
        1,
        ["services.a.within: b has no chart that could bring it along"],
    ),
    "Ollama without a card": (
        "phases:\n",
        f"services:\n  ai: {{title: AI, runs_on: play, ollama: {{version: 0.32.15}}, "
        f"chart: {_CHART}}}\nphases:\n",
        1,
        ["services.ai.ollama: Ollama has a server for each device", "write devices"],
    ),
    "a machine that exists": (
        "    role: Hyp",
        "    exists: true\n    role: Hyp",
        0,
        ["hosts.mini.exists", "what is there already carries no phase"],
    ),
    "a balancer of no model": (
        "phases:\n",
        "services:\n  lb: {title: LB, runs_on: mini, balancer: {routes: [{name: all, port: 1, "
        "models: [x]}]}}\nphases:\n",
        1,
        ["services.lb.balancer.routes.all.models.0: there is no model 'x'"],
    ),
    "a secret written down": (
        "phases:\n",
        f"services:\n  ui: {{title: UI, runs_on: play, chart: {_CHART}, web_ui: {{email: a@b, "
        "password: hunter22, session_key: env:KEY}}\nphases:\n",
        1,
        ["services.ui.web_ui.password: a secret is never written here"],
    ),
    "number for a text": (
        'version: "9.1"',
        "version: 9.10",
        0,
        ["found 9.10, which YAML reads as a number; put it in quotes"],
    ),
    "text for a number": (
        "vcpu: 2",
        "vcpu: two",
        0,
        ["vms.play.vcpu: found 'two'; expected a whole number (Virtual cores)"],
    ),
    "no such unit": ("4 GiB", "4 gigs", 0, ["vms.play.memory_bytes", "TiB", "Memory [bytes]"]),
    "truth for a number": ("vcpu: 2", "vcpu: true", 0, ["vms.play.vcpu: found True"]),
    "bad MAC": ("02:00:00:08:00:10", "02:00:00:08:00", 0, ["hosts.mini.ports.lan1.mac", "MAC"]),
    "no prefix length": (
        "address: 192.168.8.21/24",
        "address: 192.168.8.21",
        0,
        ["vms.play.address", "such as 10.0.30.10/24"],
    ),
    "host bits in a network": (
        "subnet: 192.168.8.0/24",
        "subnet: 192.168.8.1/24",
        0,
        ["vlans.1.subnet", "host bits set"],
    ),
    "bad name": ("  mini:\n", "  Mini PC:\n", 0, ["lower-case letters, digits and hyphens"]),
    "name written twice": (
        "    title: Mini-PC\n",
        "    title: x\n    name: mini\n",
        -2,
        ["'mini' is its name already; leave out 'name: mini'"],
    ),
    "part not in the catalog": (
        "part: nvme-500gb",
        "part: nvme-500g",
        0,
        ["hosts.mini.disks.nvme.part: 'nvme-500g' is not in the catalog under disks",
         "did you mean 'nvme-500gb'?"],
    ),
    "part of another kind": (
        "cpu: intel-n100",
        "cpu: n100-nas-minipc",
        0,
        ["hosts.mini.cpu: 'n100-nas-minipc' is one of the catalog's systems; wanted here: cpus"],
    ),
    "cable to no host": (
        "a: mini.lan1",
        "a: mimi.lan1",
        0,
        ["cables.mini-lan1.a: there is no host or switch 'mimi'; did you mean 'mini'?"],
    ),
    "cable to no port": (
        "a: mini.lan1",
        "a: mini.lan9",
        0,
        ["there is no port of mini 'lan9'; did you mean 'lan", "there are: lan1, lan2"],
    ),
    "port used twice": (
        "b: switch.p1, medium: Cat6, length_m: 1}",
        "b: switch.p1, medium: Cat6}\n  - {name: again, a: mini.lan2, b: switch.p1, medium: Cat6}",
        1,
        [
            "cables.again.b: the port 'switch.p1' is used twice",
            "the first is cables.mini-lan1.b at lab.yaml:",
        ],
    ),
    "no such switch port": ("      p5:", "      p6:", 0, ["switches.switch.ports.p6: there is no"]),
    "VM on no host": ("vms:\n  play:\n    host: mini", "vms:\n  play:\n    host: maxi", 2,
        ["vms.play.host: there is no host 'maxi'"]),
    "VM on a host without Proxmox": ("kind: proxmox", "kind: linux", None,
        ["vms.play.host: mini runs linux, not proxmox"]),
    "VM on no storage": ("storage: local-zfs", "storage: local-lvm", 0,
        ["vms.play.storage: there is no storage of mini 'local-lvm'; did you mean 'local'?"]),
    "VM on a storage without disks": ("storage: local-zfs", "storage: local", 0,
        ["storage 'local' may not hold VM disks"]),
    "VM in no VLAN": ("    vlan: 1\n    address: 192.168.8.21", 
        "    vlan: 3\n    address: 192.168.8.21", 0, ["vms.play.vlan: there is no VLAN '3'"]),
    "VM of no image": (
        "image: ubuntu-24-04",
        "image: ubuntu-24-05",
        0,
        ["did you mean 'ubuntu-24-04'?"],
    ),
    "address outside its subnet": ("192.168.8.21/24", "192.168.9.21/24", 0,
        ["192.168.9.21/24 is outside of 192.168.8.0/24, the subnet of VLAN 1"]),
    "other prefix length": ("192.168.8.21/24", "192.168.8.21/16", 0, ["another prefix length"]),
    "broadcast address": ("192.168.8.21/24", "192.168.8.255/24", 0, ["broadcast address"]),
    "address twice": ("192.168.8.21/24", "192.168.8.10/24", 0,
        ["vms.play.address: the address '192.168.8.10' is used twice; "
         "the first is hosts.mini.ports.lan1.address"]),
    "login at a stranger's address": ("ssh: {address: 192.168.8.10", "ssh: {address: 192.168.8.11",
        0, ["hosts.mini.ssh.address: there is no address of mini '192.168.8.11'"]),
    "serial number twice": ("WX11D0000002", "WX11D0000001", 0, ["the serial number"]),
    "MAC twice": ("interface: enp2s0}", "interface: enp2s0, mac: 02:00:00:08:00:10}", 0,
        ["hosts.mini.ports.lan2.mac: the MAC address '02:00:00:08:00:10' is used twice"]),
    "interface twice": ("interface: enp2s0", "interface: enp1s0", 0, ["the interface 'enp1s0'"]),
    "one name, two machines": ("vms:\n  play:", "vms:\n  mini:", 1, ["the machine name 'mini'"]),
    "no such slot": ("slot: SATA2", "slot: SATA3", 0, ["there is no slot 'SATA3'; did you mean"]),
    "slot twice": ("slot: SATA2", "slot: SATA1", 0, ["the slot 'SATA1' is used twice"]),
    "disk in two pools": ("disks: [nvme]", "disks: [hdd1]", None,
        ["pools.mini.tank.disks.0: the disk 'mini.hdd1' is used twice; "
         "the first is pools.mini.rpool"]),
    "no such disk": ("[hdd1, hdd2]", "[hdd1, hdd3]", None, ["there is no disk of mini 'hdd3'"]),
    "a mirror of one": ("[hdd1, hdd2]", "[hdd1]", 0, ["a mirror vdev needs 2 disks or more"]),
    "uneven vdevs": ("[hdd1, hdd2]", "[hdd1, hdd2]\n      vdevs: 3", 1, ["don't divide into 3"]),
    "dataset in no pool": ("  tank/files:\n", "  tonk/files:\n", 0,
        ["datasets.mini.tonk/files: there is no pool of mini 'tonk'; did you mean 'tank'?"]),
    "share of no dataset": ("dataset: tank/files", "dataset: tank/file", 0,
        ["there is no dataset of mini 'tank/file'; did you mean 'tank/files'?"]),
    "share beside its dataset": ("path: /tank/files", "path: /tank/music", 0,
        ["/tank/music isn't in dataset 'tank/files', which is at /tank/files"]),
    "storage in no pool": ("pool: rpool/data", "pool: fast/data", 0, ["no pool of mini"]),
    "no such phase": ("    phase: 2\n", "    phase: 7\n", 0,
        ["vms.play.phase: there is no phase '7'; there are: 1, 2"]),
    "phases out of order": ("    number: 1\n", "    number: 3\n", None, ["in the order [3, 2]"]),
    "task on no machine": ("hosts: [mini, play]", "hosts: [mini, plai]", None,
        ["phases.play.tasks.vm.hosts.1: there is no host or VM 'plai'; did you mean 'play'?"]),
    "purchase for nothing": ("[mini.hdd1, mini.hdd2]", "[mini.hdd1, mini.hdd7]", None,
        ["'mini.hdd7'; did you mean 'mini.hdd"]),
    "purchase of no part": ("part: sata-hdd-4tb\n", "part: sata-hdd-5tb\n", 0,
        ["purchases.disks.part: 'sata-hdd-5tb' is not in the catalog"]),
    "overlapping subnets": ("    gateway: 192.168.8.1\n\npools",
        "  2: {name: two, purpose: x, subnet: 192.168.8.128/25}\npools", 0,
        ["192.168.8.128/25 overlaps 192.168.8.0/24, the subnet of VLAN 1"]),
    "gateway elsewhere": ("gateway: 192.168.8.1\n\npools", "gateway: 10.0.0.1\n\npools", 0,
        ["vlans.1.gateway: 10.0.0.1 is outside of 192.168.8.0/24"]),
    "parts in the lab's file": ("name: minipc\n", "name: minipc\ncatalog: {}\n", 1,
        ["parts stand in the folder catalog/"]),
    "key twice": ("title: Mini-PC\n", "title: Mini-PC\n    title: Box\n", 1,
        ["hosts.mini.title: given twice; the first is at lab.yaml:"]),
    "phases under names": ("phases:\n", "phases:\n  1: {title: First}\nsales:\n", 0,
        ["phases: found keys '1'; expected a list, an entry a line: - {name: …, number: …, "
         "title: …}"]),
    "a list of machines": ("hosts:\n  mini:\n", "hosts: [mini]\nvms:\n  mini:\n", 0,
        ["hosts: found a list; expected entries under their names, NAME: {title: …"]),
    "no YAML": ("    title: Mini-PC\n", "    title: Mini-PC\n   tilted: 1\n", None,
        ["this isn't YAML"]),
}  # fmt: skip


FOLLOWED = {
    "bad name",  # who refers to it by the right name refers to nothing
    "VM on a host without Proxmox",
    "one name, two machines",
    "dataset in no pool",
    "phases out of order",
    "phases under names",
    "a list of machines",
}
"""Mistakes of which others are a consequence."""


@pytest.mark.parametrize("case", WRONG)
def test_one_mistake_is_one_problem_at_its_line(folder, case):
    old, new, further, said = WRONG[case]
    line = with_change(folder, old, new)
    found = problems(folder)
    fitting = [p for p in found if all(fragment in p for fragment in said)]
    assert fitting, found
    if case not in FOLLOWED:
        assert len(found) == 1, found
    if further is not None:
        assert fitting[0].startswith(f"lab.yaml:{line + further}: "), (fitting, line)


def test_a_card_that_nothing_gives_to_the_vm_that_is_to_compute_on_it():
    late = ("gpu_allocation.rtx-4070-ti-super.phase", 4)
    with pytest.raises(LabError) as caught:
        changed(load_lab(paths.data()), late)
    (said,) = caught.value.problems
    assert "services.ollama.devices" in said
    assert "nothing gives it to k3s-gpu1 by phase 3" in said
    assert "gpu_allocation: {gpu1: {device: proxmox.gpu1" in said


def test_all_mistakes_are_said_at_once(folder):
    """Those of the schema, of the cross-references and of the catalog, each once, by line."""
    with_change(folder, "    role: Hyp", "    rolle: Hyp")
    with_change(folder, "vcpu: 2", "vcpu: zwei")
    with_change(folder, "b: switch.p1", "b: switch.p9")
    with_change(folder, "slot: SATA2", "slot: SATA7")
    parts = folder / "catalog" / "parts.yaml"
    parts.write_text(parts.read_text().replace("boost_hz: 3.4e9", "boost_hz: fast", 1))
    found = problems(folder)
    assert [p.partition(": ")[2].partition(":")[0] for p in found] == [
        "cpus.intel-n100.boost_hz",
        "hosts.mini.rolle",
        "hosts.mini.disks.hdd2.slot",
        "cables.mini-lan1.b",
        "vms.play.vcpu",
    ]


def test_what_only_follows_from_a_mistake_is_not_said(folder):
    """A pool that can't be read is there all the same: its datasets are no mistakes."""
    with_change(folder, "layout: mirror", "layout: miror")
    [found] = problems(folder)
    assert "pools.mini.tank.layout" in found


def test_two_files_with_the_same_key(folder):
    (folder / "more.yaml").write_text("vms: {}\n")
    [found] = problems(folder)
    assert found.startswith("more.yaml:1: vms: given twice; the first is at lab.yaml:")


def test_a_part_given_twice(folder):
    (folder / "catalog" / "more.yaml").write_text("memory: {intel-n100: {}}\n")
    found = problems(folder)
    assert any("memory.intel-n100" in p and "'capacity_bytes' is missing" in p for p in found)


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_no_lab_there(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabError) as caught:
        load_lab(tmp_path / name)
    assert name in caught.value.where
    assert caught.value.fix


def field_names(model):
    definitions = model.model_json_schema()["$defs"].values()
    return {name for each in definitions for name in each.get("properties", ())}


NAMES = {"files"}  # of things of the small lab; elsewhere it is a key
KEYS = sorted(key for key in field_names(Lab) - NAMES if len(key) > 1 and f"    {key}:" in TEXT)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)
@given(key=st.sampled_from(KEYS), data=st.data())
def test_any_typo_in_a_key_gets_a_suggestion(folder, key, data):
    """One letter left out, doubled or swapped with the next."""
    at = data.draw(st.integers(0, len(key) - 2))
    typo = data.draw(
        st.sampled_from(
            [
                key[:at] + key[at + 1 :],
                key[: at + 1] + key[at:],
                key[:at] + key[at + 1] + key[at] + key[at + 2 :],
            ]
        )
    )
    (folder / "lab.yaml").write_text(TEXT.replace(f"    {key}:", f"    {typo}:", 1))
    if typo in (key, "addresss"):  # the latter is as near to `addresses` as to `address`
        return
    found = problems(folder)
    assert len(found) == 1
    assert f"{typo!r} is no key here; did you mean {key!r}?" in found[0]


DOCUMENT = yaml.safe_load(TEXT)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.integers() | st.booleans() | st.none(), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)
@given(data=st.data())
def test_loading_is_total_over_values(tmp_path_factory, data):
    """Whatever stands anywhere in the document, the answer is a lab or a `LabError`."""
    document = copy.deepcopy(DOCUMENT)
    place = document
    while isinstance(place, (dict, list)) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], (dict, list)) or data.draw(st.integers(0, 3)) == 0:
            place[key] = data.draw(VALUES)
            break
        place = place[key]
    file = tmp_path_factory.mktemp("fuzz") / "lab.yaml"
    file.write_text(yaml.safe_dump(document, allow_unicode=True))
    expect_lab_or_error(file)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    text=st.binary(max_size=200) | st.text(alphabet="ab:-[]{}&*!?#|>'\" \n\t%@,").map(str.encode)
)
@pytest.mark.slow
def test_loading_is_total_over_bytes(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("fuzz") / "lab.yaml"
    file.write_bytes(text)
    expect_lab_or_error(file)


def expect_lab_or_error(file):
    try:
        lab = load_lab(file)
    except LabError as error:
        lab = error
    assert isinstance(lab, Lab) or (lab.problems and str(lab))
    if isinstance(lab, LabError):
        assert not PYDANTICS.search(str(lab)), lab
