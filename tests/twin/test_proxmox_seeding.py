"""A Proxmox node as a real one says it is: guests of all nodes, storages of all kinds."""

import json
import shlex

import pytest

from homelab_lib.errors import HomelabError
from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built
from homelab_lib.twin.machine.seeding import seed_machine
from homelab_lib.twin.proxmox.container import Container
from homelab_lib.twin.proxmox.seeding import seed_proxmox
from homelab_lib.twin.proxmox.storage import Store
from homelab_lib.twin.proxmox.vm import VirtualMachine

LAB = load_lab()
TIB = 2**40


@pytest.fixture
def real():
    """The node that is asked."""
    return built(LAB, before_phase=2).machines["proxmox"]


@pytest.fixture
def twin():
    """The node that is to become it."""
    return built(LAB, before_phase=0).machines["proxmox"]


class Asked:
    """Puts the twin's questions to the real node."""

    def __init__(self, node) -> None:
        self.node = node
        self.questions: list[str] = []
        self.instead: dict[str, tuple[int, str, str]] = {}

    def __call__(self, host, argv):
        line = shlex.join(argv)
        self.questions.append(line)
        if host != self.node.name:
            return None  # a guest that is not reached
        for begin, answer in self.instead.items():
            if line.startswith(begin):
                return answer
        reply = self.node.run(line).finished()
        return reply.status, reply.out.decode(), reply.err.decode()


def get(node, path):
    reply = node.run(f"pvesh get {path} --output-format json").finished()
    assert reply.status == 0, reply.err
    return json.loads(reply.out)


def test_containers_other_nodes_and_templates_are_kept(real, twin):
    elsewhere = {
        "type": "qemu",
        "node": "pve2",
        "name": "far",
        "status": "running",
        "maxmem": 2**30,
    }
    real.others = {
        102: elsewhere | {"id": "qemu/102", "vmid": 102},
    }  # fmt: skip
    real.containers[101] = Container(101, {"hostname": "dns", "memory": "512"}, running=True)
    real.peers = [{"id": "node/pve2", "type": "node", "node": "pve2", "status": "online"}]
    real.vms[900] = VirtualMachine(900, {"name": "base", "template": "1", "memory": "1024"})
    seed_proxmox(twin, Asked(real))
    for path in ("/cluster/resources --type vm", "/nodes", "/nodes/pve/qemu"):
        for key in ("vmid", "node", "type", "name", "template"):
            assert [row.get(key) for row in get(twin, path)] == [
                row.get(key) for row in get(real, path)
            ]
    for vmid, says in ((101, "CT 101 already exists"), (102, "VM 102"), (900, "VM 900")):
        assert says in twin.run(f"qm create {vmid} --name a").err.decode()
    assert [row["vmid"] for row in get(twin, "/nodes/pve/qemu") if row.get("template")] == [900]


def test_a_container_with_lines_for_lxc_itself(real, twin):
    """As whoever gives one a card writes them; the API has them as pairs."""
    real.containers[101] = Container(101, {"hostname": "media", "memory": "512"}, running=True)
    config = {"hostname": "media", "memory": 512, "lxc": [["lxc.mount.entry", "/dev/dri dev/dri"]]}
    asked = Asked(real)
    asked.instead = {"pvesh get /nodes/pve/lxc/101/config": (0, json.dumps(config), "")}
    seed_proxmox(twin, asked)
    assert get(twin, "/nodes/pve/lxc/101/config")["hostname"] == "media"


KINDS = {
    "zfspool": {"pool": "rpool/data", "sparse": 1},
    "lvmthin": {"vgname": "pve", "thinpool": "data"},
    "lvm": {"vgname": "big"},
    "dir": {"path": "/var/lib/vz"},
    "btrfs": {"path": "/srv/b"},
    "nfs": {"server": "10.0.30.10", "export": "/mnt/tank/x", "path": "/mnt/pve/nfs"},
    "cifs": {"server": "10.0.30.10", "share": "x", "path": "/mnt/pve/cifs"},
    "rbd": {"pool": "vms", "monhost": "10.0.30.11"},
    "cephfs": {"fs-name": "cephfs", "path": "/mnt/pve/cephfs"},
    "pbs": {"server": "10.0.30.12", "datastore": "main", "username": "root@pam"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_storage_of_each_kind_is_what_it_says_of_itself(real, twin, kind):
    content = ["backup"] if kind == "pbs" else ["images", "rootdir"]
    store = Store("there", kind, content, "", TIB, options=dict(KINDS[kind]))
    if "images" in content:  # far more than the storage has, as thin volumes may be
        sizes = (TIB, 2 * TIB) if store.thin else (2**30,)
        store.volumes = {f"vm-{300 + n}-disk-0": size for n, size in enumerate(sizes)}
    store.beside_bytes, store.reserved_bytes = TIB // 4, TIB // 20
    real.stores["there"] = store
    seed_proxmox(twin, Asked(real))
    for path in ("/nodes/pve/storage --storage there", "/storage/there"):
        assert get(twin, path) == get(real, path)
    assert "path" not in KINDS[kind] or twin.stores["there"].place == KINDS[kind]["path"]
    free = store.free_bytes
    assert twin.stores["there"].free_bytes == free > 0
    if "images" in content:
        twin.stores.allocate("there", "vm-400-disk-0", 2**30)
        assert twin.stores["there"].free_bytes == free - (0 if store.thin else 2**30)
        assert get(twin, "/nodes/pve/storage/there/content")[0]["vmid"] == 300


def test_a_storage_that_is_away_is_not_waited_for(real, twin):
    nfs = Store("away", "nfs", ["images"], "", TIB, options=dict(KINDS["nfs"]), active=False)
    real.stores["away"] = nfs
    asked = Asked(real)
    seed_proxmox(twin, asked)
    (row,) = get(twin, "/nodes/pve/storage --storage away")
    assert (row["active"], row["enabled"], row["total"], row["avail"]) == (0, 1, 0, 0)
    assert not [line for line in asked.questions if "storage/away/content" in line]


def test_a_vm_that_is_called_as_a_host_is_not_that_host(real, twin):
    config = {"name": "truenas", "memory": "1024", "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0"}
    for vmid in (500, 501):  # names need not be its own among VMs either
        real.vms[vmid] = VirtualMachine(vmid, dict(config), running=True, started=dict(config))
    seed_proxmox(twin, Asked(real))
    world = twin.world
    assert type(world.machines["truenas"]).__name__ == "TrueNas"
    guests = {world.machines[f"proxmox/{vmid}"] for vmid in (500, 501)}
    assert guests == {twin.vms[500].guest, twin.vms[501].guest}
    twin.stop_vm(500)
    twin.destroy_vm(500)
    assert type(world.machines["truenas"]).__name__ == "TrueNas"
    assert "proxmox/500" not in world.machines


def test_a_node_that_calls_itself_otherwise_is_told_with_the_mend(real, twin):
    real.node = "pve1"
    with pytest.raises(HomelabError) as told:
        seed_proxmox(twin, Asked(real))
    assert "is called 'pve1' by Proxmox, and 'pve' in the lab" in str(told.value)
    assert "os: {node: pve1}" in str(told.value)


@pytest.mark.parametrize(
    "path", ["/cluster/status", "/version", "/cluster/resources", "/nodes/pve/storage", "/storage"]
)
def test_what_can_not_be_asked_is_not_taken_for_nothing(real, twin, path):
    asked = Asked(real)
    asked.instead[f"pvesh get {path} "] = (255, "", "ipcc_send_rec failed: Connection refused\n")
    with pytest.raises(HomelabError, match="Connection refused") as told:
        seed_proxmox(twin, asked)
    assert f"pvesh get {path} --output-format json" in str(told.value)


def test_whatever_a_node_answers_is_understood_or_told(real, twin):
    """No answer of another shape comes out as a fault of ours."""
    first = Asked(real)
    seed_proxmox(twin, first)
    odd = ("", "null", "[]", "{}", "[{}]", "[null]", '"x"', "7")
    raw = []
    for line in dict.fromkeys(first.questions):
        if "pvesh get" not in line:
            continue
        for answer in odd:
            asked = Asked(real)
            asked.instead[line[line.index("pvesh get") :]] = (0, answer, "")
            try:
                seed_proxmox(twin, asked)
            except HomelabError:
                continue
            except Exception as error:
                raw.append(f"{line}: {answer!r}: {type(error).__name__}: {error}")
    assert raw == []


def test_what_is_at_work_there_is_at_work_on_the_twin(real, twin):
    real.vms[300] = VirtualMachine(300, {"name": "a", "lock": "backup"})
    real.tasks.end(real.tasks.begin("qmstart", "300"))
    upid = real.tasks.begin("vzdump", "300")
    seed_proxmox(twin, Asked(real))
    assert twin.tasks.running("300") == [upid]
    (row,) = get(twin, "/nodes/pve/tasks --source active --vmid 300")
    assert (row["type"], "endtime" in row) == ("vzdump", False)


LOOKS = (
    "ip -br addr",
    "ip -j -d link show",
    "ip -j route show default",
    "ethtool -i enp11s0",
    "ethtool enp12s0",
    "ifreload -V",
    "cat /etc/network/interfaces",
    "pvesh get /nodes/pve/network --output-format json",
    "pvesh get /nodes/pve/disks/list --output-format json",
    "pvesh get /nodes/pve/disks/zfs --output-format json",
    "pvesh get /nodes/pve/disks/zfs/fastmirror --output-format json",
    "pvesh get /nodes/pve/apt/repositories --output-format json",
    "pvesh get /nodes/pve/subscription --output-format json",
    "wipefs -n -J /dev/nvme1n1",
    "cat /sys/module/zfs/parameters/zfs_arc_max",
)


@pytest.mark.parametrize("before_phase", [1, 2])
def test_network_disks_and_sources_are_those_of_the_real_one(before_phase):
    """The real one is not as the lab has it; the twin becomes what it is."""
    real = built(LAB, before_phase=before_phase).machines["proxmox"]
    twin = built(LAB, before_phase=0).machines["proxmox"]
    real.run("pvesh create /nodes/pve/network --iface vmbr7 --type bridge --autostart 1")
    real.run("pvesh set /nodes/pve/network").finished()
    real.disk_rows[1]["serial"] = "OTHER"
    real.sources[0]["repositories"][0]["Enabled"] = 0
    asked = Asked(real)
    assert seed_machine(twin, asked)
    seed_proxmox(twin, asked)
    for line in LOOKS:
        there, here = (machine.run(line).finished() for machine in (real, twin))
        assert (here.status, here.out) == (there.status, there.out), line
    assert twin.accepts_logins()


def test_a_twin_goes_on_from_what_the_real_one_is():
    """A pool that is made on the twin stands on its disks, and is asked of nobody."""
    real = built(LAB, before_phase=1).machines["proxmox"]
    twin = built(LAB, before_phase=0).machines["proxmox"]
    asked = Asked(real)
    seed_machine(twin, asked)
    seed_proxmox(twin, asked)
    words = "--name fastmirror --raidlevel mirror --devices /dev/nvme1n1,/dev/nvme2n1"
    twin.run(f"pvesh create /nodes/pve/disks/zfs {words} --add_storage 1").finished()
    assert [row["name"] for row in get(twin, "/nodes/pve/disks/zfs")] == ["rpool", "fastmirror"]
    used = {row["devpath"]: row.get("used") for row in get(twin, "/nodes/pve/disks/list")}
    assert (used["/dev/nvme1n1"], used["/dev/nvme2n1"]) == ("ZFS", "ZFS")
    found = json.loads(twin.run("wipefs -n -J /dev/nvme1n1").finished().out)["signatures"]
    assert [each["type"] for each in found] == ["gpt", "PMBR"]
    assert get(real, "/nodes/pve/disks/zfs") == get(twin, "/nodes/pve/disks/zfs")[:1]


def test_an_undo_that_is_about_to_act_is_waited_for_by_hand():
    real = built(LAB, before_phase=2).machines["proxmox"]
    twin = built(LAB, before_phase=0).machines["proxmox"]
    real.run("systemd-run --unit=homelab-network-undo --on-active=180 -- true")
    with pytest.raises(HomelabError, match="about to undo a change of its network"):
        seed_proxmox(twin, Asked(real))
