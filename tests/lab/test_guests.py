"""VMs and containers of any kind, clusters with several servers, a NAS in a VM."""

import pytest

from homelab_lib.audit.facts_budgets import memory_facts
from homelab_lib.audit.facts_storage import pool_facts
from homelab_lib.audit.run import findings
from homelab_lib.lab.graph import graph_of
from homelab_lib.views import tables, topology
from lab.small import load, problems, small

GIB = 2**30


@pytest.fixture
def lab(tmp_path):
    """The small lab as a document, to be written with `load`."""
    folder, document = small(tmp_path)
    document["containers"] = {}
    return folder, document


def container(**more):
    return {
        "host": "mini", "vmid": 110, "template": "debian-13", "vcpu": 2, "memory_bytes": "1 GiB",
        "disk_bytes": "8 GiB", "storage": "local-zfs", "vlan": 1, "address": "192.168.8.31/24",
    } | more  # fmt: skip


TEMPLATE = {
    "kind": "template", "filename": "debian-13-standard_13.1-2_amd64.tar.zst", "release": "Debian",
    "exists": True,
}  # fmt: skip


def test_an_address_by_dhcp(lab):
    lab[1]["vms"]["play"]["address"] = "dhcp"
    found = load(lab)
    assert (found.vms["play"].ip, found.vms["play"].addresses) == (None, ())
    assert not [each for each in findings(found) if "broke" in each.says]
    assert "DHCP" not in str(tables.virtual_machines(found))
    assert "topology" in repr(topology.topology(found))


def test_a_container_counts_and_is_drawn(lab):
    _, document = lab
    document["images"]["debian-13"] = TEMPLATE
    document["containers"]["dns"] = container(
        mounts={"mp0": {"path": "/srv", "folder": "/tank/files"}}
    )
    document["services"] = {"dns": {"title": "DNS", "runs_on": "dns"}}
    found = load(lab)
    assert [guest.name for guest in found.guests("mini")] == ["play", "dns"]
    [memory] = memory_facts(found)
    assert ("dns", GIB) in memory.shares
    assert "dns" in tables.virtual_machines(found).index
    assert graph_of(found).nodes["dns"]["kind"] == "container"
    document["containers"]["dns"]["memory_bytes"] = "64 GiB"
    assert "memory-sold-twice" in {each.rule for each in findings(load(lab))}


WINDOWS = {
    "image": "windows-11", "cdroms": ["virtio"], "ostype": "win11", "firmware": "ovmf",
    "machine": "q35", "tpm": True, "disks": {"scsi1": {"storage": "local-zfs",
    "size_bytes": "100 GiB"}}, "nics": {"net1": {"vlan": 1, "address": "dhcp"}},
}  # fmt: skip
ISO = {"kind": "iso", "filename": "w.iso", "release": "Windows 11", "exists": True}


def test_a_vm_from_an_iso(lab):
    _, document = lab
    document["images"] |= {"windows-11": ISO, "virtio": ISO | {"filename": "v.iso"}}
    document["vms"]["play"] |= WINDOWS
    vm = load(lab).vms["play"]
    assert (vm.firmware, vm.tpm, vm.disks["scsi1"].size_bytes) == ("ovmf", True, 100 * GIB)
    document["vms"]["play"]["image"] = "ubuntu-24-04"
    document["vms"]["play"]["cdroms"] = ["ubuntu-24-04"]
    assert problems(lab) == ["vms.play.cdroms.0: image 'ubuntu-24-04' is of kind cloud, not iso"]


def test_a_vm_that_is_there_already(lab):
    _, document = lab
    play = document["vms"]["play"]
    del play["image"], play["phase"]
    play["exists"] = True
    found = load(lab)
    assert found.vms["play"].image is None
    assert not [each for each in findings(found) if "broke" in each.says]
    del play["exists"]
    assert problems(lab) == ["vms.play: 'image' is missing: what it starts from; or exists: true"]


WRONG = {
    "VMID of a VM and a container": ({"containers": {"dns": {"vmid": 101}}},
        ["containers.dns.vmid: the VMID '101' is used twice; the first is vms.play.vmid"]),
    "container from a cloud image": ({"containers": {"dns": {"template": "ubuntu-24-04"}}},
        ["containers.dns.template: image 'ubuntu-24-04' is of kind cloud, not template"]),
    "container where no container may be": ({"containers": {"dns": {"storage": "local"}}},
        ["containers.dns.storage: storage 'local' may not hold containers"]),
    "address twice": ({"containers": {"dns": {"address": "192.168.8.21/24"}}},
        ["containers.dns.address: the address '192.168.8.21' is used twice"]),
    "address of another VLAN": ({"containers": {"dns": {"address": "10.0.0.4/24"}}},
        ["containers.dns.address: 10.0.0.4/24 is outside of 192.168.8.0/24"]),
    "name of a VM and a container": ({"containers": {"play": {}}},
        ["containers.play: the machine name 'play' is used twice"]),
    "drive of nothing": ({"vms": {"play": {"disks": {"scsi1": {}}}}},
        ["vms.play.disks.scsi1: write storage and size_bytes, or the host's disk"]),
    "first drive twice": ({"vms": {"play": {"disks": {"scsi0": {"disk": "nvme9"}}}}},
        ["vms.play.disks.scsi0: scsi0 is the first disk",
         "vms.play.disks.scsi0.disk: there is no disk of mini 'nvme9'"]),
    "drive of no storage": (
        {"vms": {"play": {"disks": {"scsi1": {"storage": "ssd", "size_bytes": "1 GiB"}}}}},
        ["vms.play.disks.scsi1.storage: there is no storage of mini 'ssd'"]),
    "card on no bridge": ({"vms": {"play": {"nics": {"net1": {"vlan": 1, "bridge": "vmbr7"}}}}},
        ["vms.play.nics.net1.bridge: there is no bridge of mini 'vmbr7'"]),
    "card in no VLAN": ({"vms": {"play": {"nics": {"net1": {"vlan": 7}}}}},
        ["vms.play.nics.net1.vlan: there is no VLAN '7'"]),
    "HBA that is not there": ({"vms": {"play": {"passthrough": ["hba"]}}},
        ["vms.play.passthrough.0: there is no device of mini 'hba'"]),
    "an image that can't be fetched": ({"images": {"ubuntu-24-04": {"sha256": None}}},
        ["images.ubuntu-24-04: 'sha256' is missing: it is to be fetched"]),
}  # fmt: skip


def merged(below, more):
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            merged(below[key], value)
        else:
            below[key] = value


@pytest.mark.parametrize("case", WRONG)
def test_a_contradiction_is_said_at_its_place(lab, case):
    more, said = WRONG[case]
    _, document = lab
    document["images"]["debian-13"] = TEMPLATE
    for name, each in more.get("containers", {}).items():
        document["containers"][name] = container(**each)
    merged(document, {room: things for room, things in more.items() if room != "containers"})
    found = problems(lab)
    assert len(found) == len(said)
    assert all(problem.startswith(words) for problem, words in zip(found, said, strict=True))


def test_a_vmid_is_the_clusters(lab):
    """Two hosts that are no cluster may both have 101; two nodes of one may not."""
    _, document = lab
    mini = document["hosts"]["mini"]
    port = {"part": "i226-v-onboard", "bridge": "vmbr0", "address": "192.168.8.12/24", "vlan": 1}
    document["hosts"]["pve2"] = {key: mini[key] for key in ("title", "role", "os")} | {
        "ports": {"lan1": port}
    }
    document["storages"]["pve2"] = {
        "local-lvm": {"kind": "lvmthin", "vgname": "pve", "thinpool": "data", "content": ["images"]}
    }
    document["vms"]["other"] = document["vms"]["play"] | {
        "host": "pve2", "storage": "local-lvm", "address": "192.168.8.22/24",
    }  # fmt: skip
    assert load(lab).proxmox_nodes("pve2") == ("pve2",)
    document["proxmox_clusters"] = {"home": {"nodes": ["mini", "pve2"]}}
    document["hosts"]["pve2"]["os"] = mini["os"] | {"node": "pve2"}
    [problem] = problems(lab)
    assert problem.startswith("vms.other.vmid: the VMID '101' is used twice")


# A NAS in a VM ------------------------------------------------------------------------------------


@pytest.fixture
def nas_vm(lab):
    """Both hard disks go to a TrueNAS in a VM, which has the pool, the dataset and the share."""
    _, document = lab
    drives = {"scsi1": {"disk": "hdd1"}, "scsi2": {"disk": "hdd2"}}
    document["images"]["truenas"] = ISO | {"filename": "truenas.iso", "release": "TrueNAS 25.10"}
    document["vms"]["nas"] = document["vms"]["play"] | {
        "vmid": 105, "image": "truenas", "os": {"kind": "truenas", "version": "25.10.1"},
        "address": "192.168.8.30/24", "disks": drives,
    }  # fmt: skip
    document["pools"]["nas"] = {"tank": document["pools"]["mini"].pop("tank")}
    for room in ("datasets", "nfs_shares"):
        document[room]["nas"] = document[room].pop("mini")
    document["nfs_shares"]["nas"]["files"]["path"] = "/mnt/tank/files"
    return lab


def test_a_vm_owns_a_pool(nas_vm):
    found = load(nas_vm)
    assert found.hardware("nas").name == "mini"
    assert found.system("nas").kind == "truenas"
    assert pool_facts(found)["nas.tank"].disk_bytes == 4_000_787_030_016
    assert not [each for each in findings(found) if "broke" in each.says]
    subjects = {each.subject for each in findings(found) if each.rule == "capacity-before-overhead"}
    assert subjects == {"pools.nas.tank.claimed_usable_bytes"}


def test_a_vm_has_the_disks_that_it_is_given(nas_vm):
    _, document = nas_vm
    del document["vms"]["nas"]["disks"]["scsi2"]
    assert problems(nas_vm) == ["pools.nas.tank: disk 'hdd2' of mini isn't passed through to nas"]


def test_a_vm_on_no_host_has_no_disks(nas_vm):
    _, document = nas_vm
    document["vms"]["nas"]["host"] = "maxi"
    assert problems(nas_vm) == ["vms.nas.host: there is no host 'maxi'; there are: mini"]


def test_a_disk_that_is_given_away_is_in_no_pool_of_the_host(nas_vm):
    _, document = nas_vm
    document["pools"]["mini"]["tank"] = document["pools"].pop("nas")["tank"]
    for room in ("datasets", "nfs_shares"):
        document[room]["mini"] = document[room].pop("nas")
    document["nfs_shares"]["mini"]["files"]["path"] = "/tank/files"
    assert problems(nas_vm) == [
        "pools.mini.tank: disk 'hdd1' is passed through to nas",
        "pools.mini.tank: disk 'hdd2' is passed through to nas",
    ]


# Kubernetes ---------------------------------------------------------------------------------------


def cluster(**more):
    return {
        "version": "v1.34.4+k3s1", "servers": ["play"], "installer": "k3s", "dns_name": "k3s.lan",
        "context": "k",
    } | more  # fmt: skip


DOWNLOAD = {"url": "https://get.k3s.io/install.sh", "sha256": "0" * 64}


def test_volumes_from_anywhere_or_nowhere(lab):
    _, document = lab
    document["downloads"] = {"k3s": DOWNLOAD}
    document["clusters"] = {"k": cluster()}
    assert load(lab).clusters["k"].storage_class is None
    document["clusters"]["k"]["storage_class"] = "local-path"
    found = load(lab).clusters["k"]
    assert (found.storage_class, found.nfs) == ("local-path", None)
    document["clusters"]["k"]["storage_class"] = "longhorn"
    [problem] = problems(lab)
    assert "clusters.k.storage_class: found 'longhorn'; allowed: 'local-path'" in problem
    chart = {"name": "c", "repo": "https://c", "chart": "c", "version": "1", "namespace": "n"}
    nfs = {"name": "nfs", "share": "mini.files", "server_address": "192.168.8.10", "chart": chart}
    document["clusters"]["k"]["storage_class"] = nfs
    assert load(lab).clusters["k"].nfs.share == "mini.files"
    nfs["share"] = "mini.file"
    [problem] = problems(lab)
    assert "there is no NFS share 'mini.file'; did you mean 'mini.files'?" in problem
    nfs["share"], nfs["mount"] = "mini.files", "x"
    [problem] = problems(lab)
    assert problem.startswith("clusters.k.storage_class.mount: 'mount' is no key here")


def test_several_servers(lab):
    _, document = lab
    document["downloads"] = {"k3s": DOWNLOAD}
    for number in (2, 3):
        document["vms"][f"play{number}"] = document["vms"]["play"] | {
            "vmid": 100 + number, "address": f"192.168.8.{30 + number}/24",
        }  # fmt: skip
    document["clusters"] = {"k": cluster(servers=["play", "play2", "play3"])}
    found = load(lab)
    assert found.clusters["k"].first_server == "play"
    assert "etcd-without-majority" not in {each.rule for each in findings(found)}
    document["clusters"]["k"]["servers"] = ["play", "play2"]
    [told] = [each for each in findings(load(lab)) if each.rule == "etcd-without-majority"]
    assert (told.subject, told.number) == ("clusters.k.servers", 0)
    document["clusters"]["k"].update(servers=["play", "ply2"], agents=["play"])
    found = problems(lab)
    assert found[0].startswith("clusters.k.servers.1: there is no VM 'ply2'; did you mean 'play2'?")
    assert "clusters.k.agents.0: the node 'play' is used twice" in found[1]


def test_a_machine_is_in_one_cluster(lab):
    """Two would write one k3s's configuration in turn."""
    _, document = lab
    document["downloads"] = {"k3s": DOWNLOAD}
    document["clusters"] = {"k": cluster(), "other": cluster(context="o")}
    [problem] = problems(lab)
    assert problem.startswith("clusters.other.servers.0: the node 'play' is used twice")
