"""Faults by name, one a row: what is written down, and what comes of it. And what is no fault."""

import re
import shutil
from pathlib import Path

import pytest

from homelab_lib.audit.ledger import judge
from homelab_lib.audit.rules import RULES
from homelab_lib.audit.rules.pooled import pools_work
from homelab_lib.audit.run import findings
from homelab_lib.errors import LabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed

DATA = Path(__file__).resolve().parents[2] / "data"
WRITTEN = load_lab(DATA, decisions=False)
MINI, HOME, CLUSTER, RACK = (
    load_lab(DATA / "examples" / name) for name in ("minipc", "home", "cluster", "server")
)
FOUND = findings(WRITTEN)
JUDGED = {each.claim: each for each in judge(WRITTEN, FOUND)}

PVE, NAS, FW, DESK = (f"hosts.{name}" for name in ("proxmox", "truenas", "firewall", "desktop"))
TANK, MIRROR = "pools.truenas.tank", "pools.proxmox.fastmirror"

SHIPPED = [
    ("four modules are slower", "memory-slower-than-rated", f"{PVE}.memory", "note", "3600 MT/s"),
    ("on both machines", "memory-slower-than-rated", f"{DESK}.memory", "note", "4400 MT/s"),
    ("where the NVMe drives are is made up", "uplink-shared", f"{PVE}.board", "note",
     "Assumed: hosts.proxmox.disks.nvme1"),
    ("a 10G card that meets nobody", "card-without-fast-peer", f"{FW}.devices.x710", "costs",
     "nothing that it is joined to does"),
    ("no LAN before DKMS", "dkms-not-needed", f"{PVE}.ports.lan5g", "risks",
     "no LAN at first boot"),
    ("etcd and databases on turning disks", "volumes-on-turning-disks",
     "clusters.homelab.storage_class", "risks", "79 writes a second"),
    ("two VMs, two Ollama servers", "model-server-for-each-machine", "services.ollama", "note",
     "2 servers"),
    ("no ECC beside RAID-Z2", "memory-without-ecc", f"{NAS}.memory", "note", "flipped bit"),
    ("the H4 is not made any more", "part-hard-to-get", f"{NAS}.board", "note", "suspended"),
    ("and wants the larger brick", "supply-not-named", NAS, "costs", "133 W"),
    ("a 13th generation ages", "microcode-first", f"{DESK}.cpu", "note", "0x12b"),
    ("4 GB/s have no basis", "ideal-without-basis", "link_budgets.0", "note", "It is no need"),
    ("13B on 8 GB", "size-class-does-not-fit", "model_classes.1", "costs",
     "2048 tokens on the RX 7600"),
    ("the pool is slower than 10GbE", "pool-slower-than-its-link", TANK, "note", "at random"),
    ("Exo computes on the processor", "memory-not-pooled", "models.pooled-70b", "stops",
     "0.8 to 1.2 tokens a second"),
]  # fmt: skip

CLAIMS = [
    ("etcd by cluster-init alone", "tier-etcd", "holds-if", "SQLite"),
    ("threads: 32 of 32", "vm-overhead", "fails", "32 of 32 threads"),
    ("two drawings of one cluster", "one-gpu-worker", "contradicts", "Drawn are"),
    ("13B on 8 GB", "vram-13b", "fails", "no desktop on it"),
]

TWO_SWITCHES = [
    ("switches.other", {"title": "Second switch", "part": "switch-8x2.5g"}),
    ("cables.uplink", {"name": "uplink", "a": "switch.p7", "b": "other.p1", "medium": "Cat6"}),
]
SECOND_CABLE = (
    "cables.spare",
    {"name": "spare", "a": "switch.p8", "b": "other.p2", "medium": "Cat6"},
)
THIRD_SWITCH = [
    ("switches.third", {"title": "Third switch", "part": "switch-8x2.5g"}),
    ("cables.on", {"name": "on", "a": "other.p2", "b": "third.p1", "medium": "Cat6"}),
    ("cables.back", {"name": "back", "a": "third.p2", "b": "switch.p8", "medium": "Cat6"}),
]
MANAGED = [(f"switches.{name}.part", "switch-8x2.5g-managed") for name in ("switch", "other")]

WRITTEN_DOWN = [
    ("two cables between two switches", WRITTEN, [*TWO_SWITCHES, SECOND_CABLE],
     "switch-loop", "cables.spare", "stops"),
    ("a circle of three", WRITTEN, [*TWO_SWITCHES, *THIRD_SWITCH],
     "switch-loop", "cables.back", "stops"),
    ("a cable from a switch to itself", WRITTEN,
     [("cables.spare", {"name": "spare", "a": "switch.p7", "b": "switch.p8", "medium": "Cat6"})],
     "switch-loop", "cables.spare", "stops"),
    ("two cables, and switches that could cut them", WRITTEN,
     [*TWO_SWITCHES, SECOND_CABLE, *MANAGED], "switch-loop", "cables.spare", "risks"),
    ("another socket", WRITTEN, [(f"{DESK}.cpu", "ryzen-9-9950x")],
     "processor-does-not-fit", f"{DESK}.cpu", "stops"),
    ("memory of another kind", WRITTEN, [(f"{FW}.memory.0.part", "ddr5-udimm-16gb")],
     "memory-does-not-fit", f"{FW}.memory.0", "stops"),
    ("more modules than places", WRITTEN, [(f"{DESK}.memory.0.count", 5)],
     "memory-does-not-fit", f"{DESK}.memory", "stops"),
    ("more memory than the board takes", MINI,
     [("hosts.mini.memory.0.part", "ddr5-sodimm-32gb")],
     "memory-does-not-fit", "hosts.mini.memory", "risks"),
    ("too few plugs", WRITTEN, [(f"{PVE}.psus", ["atx-650w"])],
     "plugs-missing", f"{PVE}.psus", "stops"),
    ("a card longer than the case", WRITTEN,
     [("sales", []), (f"{DESK}.case", "jonsbo-n3"), (f"{DESK}.devices.gpu.part", "rtx-4090")],
     "card-longer-than-case", f"{DESK}.devices.gpu", "stops"),
    ("60 TB on 27", WRITTEN, [("datasets.truenas.tank/media.expected_bytes", "60 TB")],
     "data-exceeds-pool", TANK, "stops"),
    ("a quota above the pool", WRITTEN, [("datasets.truenas.tank/media.quota_bytes", "60 TB")],
     "quota-beyond-pool", "datasets.truenas.tank/media.quota_bytes", "note"),
    ("64 TiB on 1 TB", WRITTEN, [("vms.k3s-gpu1.disk_bytes", "64 TiB")],
     "volumes-exceed-storage", "storages.proxmox.local-zfs", "stops"),
    ("a UPS rated for less", RACK, [("upses.rack.part", "eaton-5p-650")],
     "ups-too-small", "upses.rack", "risks"),
    ("two sizes of packets in one VLAN", WRITTEN, [(f"{PVE}.ports.lan5g.mtu", 9000)],
     "packets-too-large", "vlans.30", "risks"),
    ("ashift below the sector", WRITTEN, [(f"{MIRROR}.ashift", 9), (f"{MIRROR}.phase", None)],
     "sectors-too-small", f"{MIRROR}.ashift", "costs"),
    ("raidz1 of large disks", WRITTEN, [(f"{TANK}.layout", "raidz1")],
     "redundancy-too-thin", f"{TANK}.layout", "risks"),
    ("raidz1 of large disks of unknown speed", RACK, [("pools.vault.tank.layout", "raidz1")],
     "redundancy-too-thin", "pools.vault.tank.layout", "risks"),
    ("a stripe", WRITTEN, [(f"{TANK}.layout", "stripe")],
     "redundancy-too-thin", f"{TANK}.layout", "risks"),
    ("two sizes in a vdev", WRITTEN, [(f"{PVE}.disks.nvme1.part", "nvme-1tb")],
     "disks-of-unlike-size", MIRROR, "costs"),
    ("exported to everybody", WRITTEN, [("nfs_shares.truenas.media.networks", ["0.0.0.0/0"])],
     "exported-to-everybody", "nfs_shares.truenas.media.networks", "risks"),
    ("a gateway beside the router's", WRITTEN, [("vlans.40.gateway", "10.0.40.2")],
     "gateway-nobody-has", "vlans.40", "stops"),
    ("a line faster than its port", WRITTEN,
     [("internet", {"line": {"port": "firewall.sfp1", "down_bps": "25 Gb/s"}})],
     "line-faster-than-port", "internet.line", "costs"),
    ("a line faster than what leads on", WRITTEN,
     [("internet", {"line": {"port": "firewall.sfp1", "down_bps": "10 Gb/s"}})],
     "line-faster-than-port", "internet.line", "costs"),
    ("two nodes", CLUSTER,
     [("proxmox_clusters", {"two": {"nodes": ["node1", "node2"]}})],
     "cluster-without-majority", "proxmox_clusters.two", "risks"),
    ("two supplies of which one is too little", WRITTEN, [(f"{PVE}.psus", ["atx-750w"] * 2)],
     "supply-too-small", f"{PVE}.psus", "risks"),
    ("no LAN before DKMS", WRITTEN, [(f"{PVE}.os.version", "8.2")],
     "no-lan-at-first-boot", f"{PVE}.ports.lan5g", "stops"),
]  # fmt: skip

REFUSED = [
    ("more processors than sockets", WRITTEN, [(f"{DESK}.cpu_count", 2)],
     "2 processors are too many"),
    ("a VM's gateway that nobody has", WRITTEN, [("vms.k3s-gpu1.gateway", "10.0.30.254")],
     "nobody has 10.0.30.254; the gateway of VLAN 30 is 10.0.30.1"),
    ("a VM's gateway in another network", WRITTEN, [("vms.k3s-gpu1.gateway", "10.0.10.1")],
     "10.0.10.1"),
    ("an export to a network that is not there", WRITTEN,
     [("nfs_shares.truenas.media.networks", ["192.168.77.0/24"])], "nothing of the lab is in"),
    ("packets of two sizes on one cable", WRITTEN, [(f"{PVE}.ports.lan10g.mtu", 1500)],
     "its ends have different mtu"),
]  # fmt: skip

NO_FAULT = [
    ("a second switch", WRITTEN, TWO_SWITCHES, ["switch-loop"]),
    ("a row of three", WRITTEN, [*TWO_SWITCHES, *THIRD_SWITCH[:2]], ["switch-loop"]),
    ("a switch as it left the factory", MINI, [("switches.switch.part", "switch-8x2.5g-managed")],
     ["vlans-differ-at-ends", "vlans-need-managed-switch"]),
    ("a VLAN that is not routed", WRITTEN, [("vlans.40.gateway", None)],
     ["gateway-nobody-has"]),
    ("WAN by DHCP, on a cable", WRITTEN,
     [(f"{FW}.ports.sfp1.assumed", "")], ["no-port-to-internet"]),
    ("a host that routes by an address that two share", WRITTEN,
     [("hosts.second", {"title": "Second", "role": "Firewall", "os": {"kind": "opnsense"},
                        "ports": {"lan": {"part": "intel-i226-v", "address": "10.0.40.3/24",
                                          "vlan": 40}}}),
      ("vlans.40.gateway", "10.0.40.254")], ["gateway-nobody-has"]),
    ("a gateway that is a VM", WRITTEN,
     [("vms.k3s-control.nics", {"net1": {"bridge": "vmbr0", "vlan": 40,
                                         "address": "10.0.40.2/24"}}),
      ("vlans.40.gateway", "10.0.40.2")], ["gateway-nobody-has"]),
    ("nine dollars", WRITTEN, [], ["price-too-low"]),
    ("a driver dated rightly", WRITTEN,
     [(f"{PVE}.ports.wifi.kernel_status", "In-tree (kernel 6.7+)")], ["driver-since-differs"]),
    ("two supplies of which each is enough", RACK, [], ["supply-too-small"]),
    ("a UPS that bears it", RACK, [], ["ups-too-small"]),
    ("whole machines", MINI, [], ["supply-not-named", "card-without-power"]),
    ("what is ours to move", HOME, [], ["gateway-nobody-has", "no-port-to-internet"]),
]  # fmt: skip


def _ids(rows):
    return [row[0] for row in rows]


@pytest.mark.parametrize(
    ("what", "rule", "subject", "severity", "words"), SHIPPED, ids=_ids(SHIPPED)
)
def test_a_fault_of_the_shipped_design(what, rule, subject, severity, words):
    [found] = [each for each in FOUND if (each.rule, each.subject) == (rule, subject)]
    assert found.severity == severity
    assert words in found.told


@pytest.mark.parametrize(("what", "claim", "verdict", "words"), CLAIMS, ids=_ids(CLAIMS))
def test_a_sentence_of_it(what, claim, verdict, words):
    assert JUDGED[claim].verdict == verdict
    assert words in JUDGED[claim].says


@pytest.mark.parametrize(
    ("what", "lab", "changes", "rule", "subject", "severity"), WRITTEN_DOWN, ids=_ids(WRITTEN_DOWN)
)
def test_what_is_written_down_is_looked_at(what, lab, changes, rule, subject, severity):
    found = {each.subject: each.severity for each in RULES[rule](changed(lab, *changes))}
    assert found[subject] == severity


@pytest.mark.parametrize(("what", "lab", "changes", "words"), REFUSED, ids=_ids(REFUSED))
def test_what_can_not_be_is_refused(what, lab, changes, words):
    with pytest.raises(LabError) as refused:
        changed(lab, *changes)
    assert words in str(refused.value)


@pytest.mark.parametrize(("what", "lab", "changes", "rules"), NO_FAULT, ids=_ids(NO_FAULT))
def test_what_is_no_fault(what, lab, changes, rules):
    other = changed(lab, *changes)
    stopped = [f for rule in rules for f in RULES[rule](other) if f.severity != "note"]
    assert stopped == []


@pytest.mark.parametrize(("included", "said"), [(False, 1), (True, 0)])
def test_a_brick_that_is_in_the_box_is_not_missed(included, said):
    mini = MINI.hosts["mini"]
    board = mini.board.model_copy(update={"needs_supply_w": 90, "supply_included": included})
    lab = MINI.model_copy(update={"hosts": {"mini": mini.model_copy(update={"board": board})}})
    assert len(list(RULES["supply-not-named"](lab))) == said


def test_disks_of_which_nobody_says_how_they_read_are_taken_for_good_ones(tmp_path):
    shutil.copytree(DATA / "examples" / "minipc", tmp_path / "lab")
    parts, lab = tmp_path / "lab" / "catalog" / "parts.yaml", tmp_path / "lab" / "lab.yaml"
    written = parts.read_text().replace("4000787030016", "20000588955648")
    written = written.replace(", unreadable_per_bit: unverified", "")
    parts.write_text(re.sub(" *unreadable_per_bit: 1e-14\n", "", written))
    lab.write_text(lab.read_text().replace("layout: mirror", "layout: raidz1"))
    [found] = (f for f in findings(load_lab(tmp_path / "lab")) if f.rule == "redundancy-too-thin")
    assert found.number == pytest.approx(0.12, abs=0.005)  # 16 TB at one sector in 10^15 bits
    assert "the catalog has none for these disks" in found.says


def test_disks_that_exceed_their_pool_hold_no_claim():
    """What no rule of redundancy speaks of, since nothing has room for it, is no "holds"."""
    lab = changed(WRITTEN, ("vms.k3s-gpu1.disk_bytes", "64 TiB"))
    judged = {each.claim: each.verdict for each in judge(lab, findings(lab))}
    assert (judged["tier-fast"], judged["nvme-1tb"]) == ("holds-if", "holds-if")


def test_what_stops_says_what_of_it_was_made_up():
    lab = changed(WRITTEN, ("vms.k3s-gpu1.assumed", "Nobody said so."))
    [found] = [
        f for f in findings(lab) if f.subject == "models.pooled-70b" and f.severity == "stops"
    ]
    assert found.assumed == ("vms.k3s-gpu1: Nobody said so.",)


def test_what_rpc_over_three_cards_would_bring_is_reckoned():
    """39.6 GB read once for each token, at 672, 800 and 384 GB/s, by what cards reach of it."""
    fix = next(f.fix for f in pools_work(load_lab()) if f.subject == "models.pooled-70b")
    low, high = map(float, re.search(r"layers, ([\d.]+) to ([\d.]+) tokens", fix.title).groups())
    layers = list(map(int, re.search(r"\((\d+) \+ (\d+) \+ (\d+) layers", fix.title).groups()))
    assert sum(layers) == 80
    roof = 1 / sum(
        39.6e9 * n / 80 / bps for n, bps in zip(layers, (672e9, 800e9, 384e9), strict=True)
    )
    assert 0.4 * roof < low < high < 0.76 * roof
    assert "crosses 2 seams with 32 KiB" in fix.title
