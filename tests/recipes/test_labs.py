"""Labs of other shapes than the shipped one: planned, applied, left alone, verified, refused.

A whole lab takes seconds: the smallest, and one with most that a VM can have, are enough at every
change; CI has them all.
"""

import copy
import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from homelab_lib import paths
from homelab_lib.errors import BadParameter, StepFailed
from homelab_lib.lab import Lab, load_lab
from homelab_lib.recipes import runbook
from homelab_lib.runbook.proof import check
from standing import standing as serve_standing

MINIPC = paths.data() / "examples" / "minipc"
SMALL = yaml.safe_load((Path(__file__).parent / "labs" / "small.yaml").read_text())
VM, CLUSTER = SMALL["vms"]["one"], SMALL["clusters"]["alpha"]
NFS = {
    "name": "files",
    "share": "nas.volumes",
    "server_address": "192.168.9.5",
    "chart": {
        "name": "csi-driver-nfs",
        "repo": "https://charts.example",
        "chart": "csi-driver-nfs",
        "version": "4.13.4",
        "namespace": "kube-system",
    },
}
SHARE = {
    "path": "/volume1/volumes",
    "networks": ["192.168.9.0/24"],
    "maproot_user": "root",
    "exists": True,
}
NUMBERS = {"one": 101, "two": 102, "three": 103, "four": 104}


class _Plain(yaml.SafeDumper):
    """Writes out what is there twice: a lab has no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def vm(name: str, host: str = "pve1", **more: object) -> dict:
    """A VM like the first one, at an address of its own."""
    number = NUMBERS[name]
    given = {"host": host, "vmid": number, "address": f"192.168.9.{number - 80}/24"}
    return {key: value for key, value in {**VM, **given, **more}.items() if value is not None}


def there(name: str, **more: object) -> dict:
    """A VM that is there already."""
    return vm(name, phase=None, image=None, exists=True, **more)


@pytest.fixture
def lab(tmp_path):
    """Writes the small lab with other VMs, clusters and what else is given; gives its file."""

    def write(vms: dict | None = None, clusters: dict | None = None, **more: object) -> Path:
        document = copy.deepcopy(SMALL)
        document |= {"vms": vms or {"one": VM}, "clusters": {} if clusters is None else clusters}
        document |= more
        folder = tmp_path / "described"
        shutil.copytree(MINIPC / "catalog", folder / "catalog")
        file = folder / "lab.yaml"
        file.write_text(yaml.dump(document, Dumper=_Plain))
        return file

    return write


@pytest.fixture
def stand(tmp_path, monkeypatch):
    """Serves a lab as it stands before a phase."""
    entered = []

    def up(path: Path, name: str = "phase2"):
        context = serve_standing(tmp_path / "lab", monkeypatch, path=str(path), runbook=name)
        entered.append(context)
        return context.__enter__()

    yield up
    for context in entered:
        context.__exit__(None, None, None)


def round_trip(there, *, confirm: str = "") -> None:
    """Plan, apply, apply again, verify: what was planned is sent, once, and nothing is amiss."""
    before = there.world.state()
    planned = there.run("plan")
    assert planned.error is None
    assert there.world.state() == before, "a plan changed something"
    applied = there.run("apply", planned.digest, confirm=confirm)
    assert applied.error is None
    assert applied.sent == planned.changes
    assert list(check(applied.record)) == []
    again = there.run("apply", planned.digest, confirm=confirm)
    assert (again.error, again.sent) == (None, 0)
    verified = there.run("verify", confirm=confirm)
    assert (verified.error, verified.sent) == (None, 0)


def names(file: Path, phase: int = 2) -> tuple[str, ...]:
    return runbook(load_lab(file), phase, lambda name: "").names


def objects(world, server: str, kind: str) -> list[str]:
    """The names of a cluster's objects, as its own kubectl prints them."""
    reply = world.machines[server].run(f"sudo k3s kubectl get {kind} -A -o json").finished()
    assert reply.status == 0, reply.err
    return [each["metadata"]["name"] for each in json.loads(reply.out)["items"]]


# What runs --------------------------------------------------------------------------------------


def test_the_mini_pc(stand):
    assert names(MINIPC) == ("room", "image", "machines", "server", "volume", "workloads")
    standing = stand(MINIPC)
    round_trip(standing)
    claim = standing.world.clusters["play"].get("PersistentVolumeClaim", "volume-test",
                                                "homelab-test")  # fmt: skip
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


@pytest.mark.sample
def test_three_servers_on_three_nodes_each_with_its_own_storage(lab, stand):
    vms = {"one": VM, "two": vm("two", "pve2"), "three": vm("three", "pve3")}
    servers = {**CLUSTER, "servers": ["one", "two", "three"], "storage_class": None}
    standing = stand(lab(vms, {"alpha": servers}))
    round_trip(standing)
    world = standing.world
    assert objects(world, "two", "nodes") == ["one", "three", "two"], "asked of another server"
    for name, host in (("one", "pve1"), ("two", "pve2"), ("three", "pve3")):
        assert list(world.machines[host].stores["local-zfs"].volumes)
        assert list(world.machines[host].vms) == [NUMBERS[name]]
    world.machines["one"].power_off()
    assert objects(world, "two", "nodes"), "two of three members keep the state"
    world.machines["three"].power_off()
    assert world.machines["two"].run("sudo k3s kubectl get nodes").finished().status == 1


@pytest.mark.sample
@pytest.mark.parametrize("kind", ["linux", "synology"])
def test_a_share_that_is_there_already(lab, stand, kind):
    nas = {**SMALL["hosts"]["nas"], "os": {"kind": kind}}
    if kind == "linux":
        nas["ssh"] = {"address": "192.168.9.5", "user": "root"}
    clusters = {"alpha": {**CLUSTER, "agents": ["two"], "storage_class": NFS}}
    file = lab(
        {"one": VM, "two": vm("two")},
        clusters,
        hosts={**SMALL["hosts"], "nas": nas},
        nfs_shares={"nas": {"volumes": SHARE}},
    )
    standing = stand(file)
    round_trip(standing)
    files = standing.world.machines["nas"].nfs_shares[0].files
    assert files.exists("/homelab-test/volume-test/probe")


def test_a_share_that_is_not_exported_to_the_cluster(lab, stand):
    clusters = {"alpha": {**CLUSTER, "storage_class": NFS}}
    standing = stand(lab(clusters=clusters, nfs_shares={"nas": {"volumes": SHARE}}))
    standing.world.machines["nas"].nfs_shares.clear()
    ran = standing.run("plan", only="room,image,machines,share")
    assert ran.error is None, "the twin takes the lab's word for what nobody can be asked about"
    ran = standing.run("apply", ran.digest, only="room,image,machines,share")
    assert "192.168.9.5 exports /volume1/volumes to one: it exports nothing" in str(ran.error)


@pytest.mark.sample
def test_two_clusters_in_one_phase(lab, stand):
    beta = {**CLUSTER, "servers": ["two"], "context": "beta", "dns_name": "beta.example"}
    file = lab({"one": VM, "two": vm("two")}, {"alpha": CLUSTER, "beta": beta})
    assert names(file) == ("room", "image", "machines", "server-alpha", "volume-alpha",
                           "server-beta", "volume-beta")  # fmt: skip
    standing = stand(file)
    round_trip(standing)
    assert objects(standing.world, "one", "nodes") == ["one"]
    assert objects(standing.world, "two", "nodes") == ["two"]


@pytest.mark.slow
def test_only_machines_in_phase_seven(lab, stand):
    """A second disk, a second card, an address by DHCP, LVM in place of ZFS."""
    thin = {"kind": "lvmthin", "vgname": "pve", "thinpool": "data", "size_bytes": "400 GB",
            "content": ["images", "rootdir"]}  # fmt: skip
    stores = {**SMALL["storages"], "pve1": {**SMALL["storages"]["pve1"], "local-lvm": thin}}
    leased = vm("two", phase=7, address="dhcp", gateway=None, nameserver=None)
    big = vm("one", phase=7, storage="local-lvm") | {
        "disks": {"scsi1": {"storage": "local-zfs", "size_bytes": "100 GiB"}},
        "nics": {"net1": {"vlan": 1, "address": "192.168.9.91/24"}},
    }
    file = lab({"one": big, "two": leased}, storages=stores)
    assert names(file, 7) == ("room", "image", "machines")
    standing = stand(file, "phase7")
    round_trip(standing)
    node = standing.world.machines["pve1"]
    assert node.stores.volume_size(node.vms[101].config["scsi1"].partition(",")[0]) == 100 * 2**30
    shown = standing.world.machines["one"].run("ip -j addr").finished().out
    assert b"192.168.9.91" in shown
    assert standing.world.machines["two"].address.startswith("192.168.9.")


def test_a_system_that_a_person_installs(lab, stand):
    iso = {"kind": "iso", "url": "https://images.example/os.iso", "filename": "os.iso",
           "sha256": "3" * 64, "size_bytes": 9 * 10**8, "release": "An installer"}  # fmt: skip
    windows = vm("one", image="os", firmware="ovmf", machine="q35", tpm=True, ostype="win11")
    file = lab({"one": windows}, images={**SMALL["images"], "os": iso})
    assert names(file) == ("room", "image", "machines", "install-one")
    standing = stand(file)
    planned = standing.run("plan")
    assert planned.error is None
    ran = standing.run("apply", planned.digest)
    assert isinstance(ran.error, StepFailed)
    assert "open the console of VM 101 (one)" in str(ran.error)
    assert 'confirm=["install-one"]' in str(ran.error)
    ran = standing.run("apply", planned.digest, confirm="install-one")
    assert ran.error is None
    config = standing.world.machines["pve1"].vms[101].config
    assert config["ide2"] == "local:iso/os.iso,media=cdrom"
    assert config["boot"] == "order=scsi0;ide2"
    assert "sshkeys" not in config
    assert standing.run("verify", confirm="install-one").error is None


@pytest.mark.sample
def test_machines_that_are_there_already(lab, stand):
    """A cluster on a VM that somebody made; a second cluster that runs, and is only looked at."""
    old = {**CLUSTER, "phase": None, "exists": True, "servers": ["three"], "agents": ["four"],
           "context": "old", "dns_name": "old.example"}  # fmt: skip
    services = {"page": {"title": "A page", "runs_on": "old", "phase": 2}}
    vms = {"one": there("one"), "three": there("three"), "four": there("four")}
    file = lab(vms, {"alpha": CLUSTER, "old": old}, services=services)
    assert names(file) == ("machines", "server", "volume", "server-old")
    standing = stand(file)
    before = standing.world.machines["pve1"].state()
    round_trip(standing)
    assert standing.world.machines["pve1"].state()["vms"] == before["vms"]
    assert sorted(objects(standing.world, "three", "nodes")) == ["four", "three"]


@pytest.mark.sample
def test_a_cluster_on_a_machine_of_an_earlier_phase(lab, stand):
    file = lab(clusters={"alpha": {**CLUSTER, "phase": 7}})
    assert names(file, 2) == ("room", "image", "machines")
    assert names(file, 7) == ("machines", "server", "volume")
    round_trip(stand(file, "phase7"))


def test_a_guest_that_should_be_there_and_is_not(lab, stand):
    standing = stand(lab({"one": there("one")}, {"alpha": CLUSTER}))
    node = standing.world.machines["pve1"]
    node.vms[101].config["name"] = "photos"
    ran = standing.run("plan")
    assert "that number has 'photos'" in str(ran.error)
    node.stop_vm(101)
    node.vms[101].config["name"] = "one"
    assert "is stopped: start it" in str(standing.run("plan").error)


# What is refused --------------------------------------------------------------------------------

CONTAINER = {**{k: v for k, v in VM.items() if k != "image"}, "vmid": 110, "template": "tar"}
TEMPLATE = {"kind": "template", "url": "https://images.example/t.tar.zst", "sha256": "4" * 64,
            "filename": "t.tar.zst", "release": "Debian 13"}  # fmt: skip


@pytest.mark.parametrize(
    ("phase", "more", "where", "says"),
    [
        (2, {"vms": {"one": {**VM, "disks": {"scsi1": {"disk": "spare"}}}}},
         "vms.one", "disks whose serial numbers nobody has written down (spare)"),
        (2, {"vms": {"one": {**VM, "address": "dhcp"}}, "clusters": {"alpha": CLUSTER}},
         "vms.one.address", "gets its address by DHCP"),
        (2, {"vms": {"one": {**VM, "phase": 7}}, "clusters": {"alpha": CLUSTER}},
         "vms.one.phase", "phase 2 needs vms.one, which phase 7 makes"),
        (2, {"clusters": {"alpha": {**CLUSTER, "storage_class": NFS}},
             "nfs_shares": {"nas": {"volumes": {**SHARE, "exists": False, "phase": 2}}}},
         "nfs_shares.nas.volumes", "which runs synology"),
        (2, {"clusters": {"alpha": {**CLUSTER, "clients": ["nas"]}}},
         "clusters.alpha.clients", "nas is to get kubectl"),
        (2, {"clusters": {"alpha": {**CLUSTER, "host_agents": ["nas"]}}},
         "clusters.alpha.host_agents", "physical hosts as workers (nas)"),
        (2, {"smb_shares": {"nas": {"old": {"path": "/volume1/old", "phase": 2}}}},
         "smb_shares.nas.old", "holds what no recipe makes yet: smb_shares.nas.old"),
        (7, {}, "", "phase 7 of lab 'small' has nothing that this runbook makes"),
        (9, {}, "", "phase 9 of lab 'small' is not there"),
    ],
)  # fmt: skip
def test_what_can_not_be_made_is_refused_by_its_key(lab, phase, more, where, says):
    described: Lab = load_lab(lab(**more))
    with pytest.raises(BadParameter) as caught:
        runbook(described, phase, lambda name: "")
    assert says in caught.value.what
    assert caught.value.where == where
    assert caught.value.fix


def test_an_empty_phase_says_what_the_others_hold(lab):
    with pytest.raises(BadParameter, match=r"phase 2: vms\.one, clusters\.alpha"):
        runbook(load_lab(lab(clusters={"alpha": CLUSTER})), 7, lambda name: "")


@pytest.mark.parametrize("name", ["phase", "phase0", "phase-1", "2", "phase2x", ""])
def test_a_runbook_that_is_no_phase(stand, name):
    standing = stand(MINIPC)
    standing.runbook = name
    assert "there is no runbook" in str(standing.run("plan").error)


@pytest.mark.sample
def test_a_house_of_ipv6_alone(tmp_path, monkeypatch):
    """Its node, its VM and the cluster on it have no other address."""
    folder = shutil.copytree(MINIPC, tmp_path / "lab")
    file = folder / "lab.yaml"
    text = re.sub(r"192\.168\.8\.(\d+)/24", r"fd00:8::\1/64", file.read_text())
    text = text.replace("fd00:8::0/64", "fd00:8::/64")
    file.write_text(
        re.sub(r"192\.168\.8\.(\d+)", r"fd00:8::\1", text).replace("$schema=../../", "")
    )
    with serve_standing(tmp_path, monkeypatch, path=str(folder), runbook="phase2") as there:
        planned = there.run("plan")
        assert planned.error is None
        applied = there.run("apply", planned.digest)
        assert (applied.error, applied.sent) == (None, planned.changes)
        assert there.run("plan").changes == 0
        assert there.run("verify").error is None
        there.world.machines["mini"].reboot()
        there.world.clock.sleep(600)
        assert there.run("verify").error is None, "after a reboot, too"
