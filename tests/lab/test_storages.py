"""Storages, datasets and shares as each appliance names them, on machines of any kind."""

import pytest

from homelab_lib.audit.run import findings
from homelab_lib.lab.per_host import at, every
from lab.small import load, problems, small


@pytest.fixture
def lab(tmp_path):
    """The small lab as a document, to be written with `load`."""
    return small(tmp_path)


def second_node(lab, name="pve2"):
    """Another Proxmox host beside mini, of the same make."""
    _, document = lab
    mini = document["hosts"]["mini"]
    port = {"part": "i226-v-onboard", "bridge": "vmbr0", "address": "192.168.8.12/24", "vlan": 1}
    host = {key: mini[key] for key in ("title", "role", "os", "board", "cpu", "memory")}
    host["disks"] = {"nvme": {"part": "nvme-500gb", "slot": "M2_1"}}
    document["hosts"][name] = host | {"ports": {"lan1": port}}
    document["pools"][name] = {"rpool": {"layout": "stripe", "disks": ["nvme"]}}


def test_each_node_has_its_own_local_zfs(lab):
    second_node(lab)
    storages = lab[1]["storages"]
    storages["pve2"] = {"local-zfs": dict(storages["mini"]["local-zfs"])}
    found = load(lab)
    names = [storage.id for storage in every(found.storages) if storage.name == "local-zfs"]
    assert names == ["mini.local-zfs", "pve2.local-zfs"]
    assert [pool.id for pool in every(found.pools)] == ["mini.rpool", "mini.tank", "pve2.rpool"]
    assert at(found.pools, "pve2.rpool").host == "pve2"
    assert at(found.pools, "pve2.tank") is None
    assert not [each for each in findings(found) if "broke" in each.says]


def test_in_a_cluster_one_id_is_one_definition(lab):
    second_node(lab)
    _, document = lab
    document["proxmox_clusters"] = {"home": {"nodes": ["mini", "pve2"]}}
    nas = {"kind": "nfs", "server": "192.168.8.30", "export": "/srv/pve", "content": ["backup"]}
    for node in ("mini", "pve2"):
        document["storages"].setdefault(node, {})["nas"] = dict(nas)
    assert at(load(lab).storages, "pve2.nas").server == "192.168.8.30"
    document["storages"]["pve2"]["nas"]["export"] = "/srv/other"
    [problem] = problems(lab)
    assert problem.startswith("storages.pve2.nas: export: a storage id is one definition")
    del document["proxmox_clusters"]
    assert at(load(lab).storages, "pve2.nas").export == "/srv/other"


KINDS = {
    "dir": {"path": "/srv"},
    "btrfs": {"path": "/srv"},
    "zfspool": {"pool": "rpool/data"},
    "lvm": {"vgname": "pve"},
    "lvmthin": {"vgname": "pve", "thinpool": "data"},
    "nfs": {"server": "nas.home.arpa", "export": "/srv"},
    "cifs": {"server": "192.168.8.30", "share": "Backup of PVE"},
    "pbs": {"server": "192.168.8.31", "datastore": "main"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_storage_needs_what_proxmox_demands(lab, kind):
    holds = ["backup"] if kind == "pbs" else ["images"]
    new = {"kind": kind, "content": holds} | KINDS[kind]
    lab[1]["storages"]["mini"]["new"] = new
    assert at(load(lab).storages, "mini.new").kind == kind
    for field in KINDS[kind]:
        lab[1]["storages"]["mini"]["new"] = {k: v for k, v in new.items() if k != field}
        assert problems(lab) == [f"storages.mini.new: a storage of kind {kind} needs {field!r}"]


def test_a_storage_holds_what_its_kind_can(lab):
    mini = lab[1]["storages"]["mini"]
    mini["thin"] = {"kind": "lvmthin", "vgname": "pve", "thinpool": "data", "content": ["iso"]}
    mini["pbs"] = {"kind": "pbs", "server": "s", "datastore": "d", "content": ["images"]}
    mini["more"] = {"kind": "dir", "path": "/x", "pool": "rpool", "content": ["iso"]}
    found = problems(lab)
    assert len(found) == 3
    assert "storages.mini.thin.content.0: a lvmthin can't hold iso; it can hold: " in found[0]
    assert "storages.mini.pbs.content.0: a pbs can't hold images" in found[1]
    assert found[2] == "storages.mini.more.pool: a storage of kind dir has no 'pool'"


def test_what_proxmox_sets_up_by_itself(lab):
    """An installation on ext4: `local`, and `local-lvm` on a thin pool."""
    _, document = lab
    del document["pools"]["mini"]["rpool"]
    document["storages"]["mini"] = {
        "local": {"kind": "dir", "path": "/var/lib/vz", "content": ["iso", "import", "snippets"]},
        "local-lvm": {"kind": "lvmthin", "vgname": "pve", "thinpool": "data",
                      "content": ["images", "rootdir"]},
    }  # fmt: skip
    document["vms"]["play"]["storage"] = "local-lvm"
    assert load(lab).vms["play"].storage == "local-lvm"


def test_names_that_are_there_and_cannot_well_be_renamed(lab):
    _, document = lab
    mini = document["pools"]["mini"]
    mini["Media_8TB"] = mini.pop("tank")
    files = document["datasets"]["mini"].pop("tank/files")
    document["datasets"]["mini"]["Media_8TB/Family Photos"] = files
    document["nfs_shares"]["mini"]["files"].update(
        dataset="Media_8TB/Family Photos", path="/Media_8TB/Family Photos"
    )
    storages = document["storages"]["mini"]
    storages["Local_ZFS.1"] = storages.pop("local-zfs")
    document["vms"]["play"]["storage"] = "Local_ZFS.1"
    document["hosts"]["mini"]["os"]["node"] = "PVE-01"
    found = load(lab)
    assert at(found.datasets, "mini.Media_8TB/Family Photos").pool == "Media_8TB"
    assert found.hosts["mini"].os.node == "PVE-01"


def test_a_decision_finds_a_name_with_dots(lab):
    _, document = lab
    datasets = document["datasets"]["mini"]
    datasets["tank/files.v2"] = datasets.pop("tank/files")
    document["nfs_shares"]["mini"]["files"].update(dataset="tank/files.v2", path="/tank/files.v2")
    change = {"path": "datasets.mini.tank/files.v2.purpose", "value": "New"}
    document["decisions"] = [
        {"id": "x", "title": "x", "reason": "x", "answers": ["x"], "changes": [change]}
    ]
    assert at(load(lab).datasets, "mini.tank/files.v2").purpose == "New"


def test_a_share_of_the_pool_itself(lab):
    share = lab[1]["nfs_shares"]["mini"]["files"]
    share.update(dataset="tank", path="/tank")
    assert load(lab).nfs_shares["mini"]["files"].dataset == "tank"
    share["dataset"] = "tonk"
    [problem] = problems(lab)
    assert "no dataset of mini 'tonk'; did you mean 'tank'?" in problem


def test_a_share_on_a_server_without_zfs(lab):
    _, document = lab
    port = {"part": "i226-v-onboard", "address": "192.168.8.30/24", "vlan": 1}
    document["hosts"]["box"] = {
        "title": "Box", "role": "Files", "os": {"kind": "synology"}, "ports": {"lan": port},
    }  # fmt: skip
    share = {"path": "/volume1/k3s", "networks": ["192.168.8.0/24"], "exists": True}
    document["nfs_shares"]["box"] = {"k3s": share}
    document["smb_shares"] = {"box": {"Photos & more": {"path": "/volume1/photos", "exists": True}}}
    assert at(load(lab).nfs_shares, "box.k3s").exists
    document["hosts"]["box"]["os"]["kind"] = "truenas"
    assert problems(lab) == [
        "nfs_shares.box.k3s: 'dataset' is missing: a share of a TrueNAS has one",
        "smb_shares.box.Photos & more: 'dataset' is missing: a share of a TrueNAS has one",
    ]


def test_what_exists_is_made_by_no_phase(lab):
    tank = lab[1]["pools"]["mini"]["tank"]
    tank["exists"] = True
    assert problems(lab) == [
        "pools.mini.tank.phase: it exists already, so that phase 1 can't make it"
    ]
    del tank["phase"]
    assert load(lab).pools["mini"]["tank"].exists


def test_things_stand_under_machines_that_there_are(lab):
    _, document = lab
    document["pools"]["mimi"] = document["pools"].pop("mini")
    found = problems(lab)
    assert found[0] == (
        "pools.mimi: there is no host or VM 'mimi'; did you mean 'mini'?; there are: mini, play"
    )


def test_the_key_says_the_machine(lab):
    tank = lab[1]["pools"]["mini"]["tank"]
    tank["name"] = "tank"
    [problem] = problems(lab)
    assert "'tank' is its name already" in problem
