"""What the twin's Proxmox answers, and what we read of it, held against outputs of real nodes."""

import json
import re

import pytest

from contract.oracle import contract
from homelab_lib.control.proxmox import options
from homelab_lib.control.proxmox.api import active_task, follow_task
from homelab_lib.control.proxmox.guest import guest_addresses, guest_file, leased_addresses
from homelab_lib.control.proxmox.machine import VirtualMachine as Wanted
from homelab_lib.lab import load_lab
from homelab_lib.transport.command import Result
from homelab_lib.twin.built import built
from homelab_lib.twin.proxmox.releases import RELEASES
from homelab_lib.twin.proxmox.storage import Store
from homelab_lib.twin.proxmox.vm import VirtualMachine

pytestmark = pytest.mark.contract

ROWS = [row for row in contract("real-outputs.jsonl") if row["product"].startswith("Proxmox")]


def outputs(begins):
    """What real nodes printed at a command, the newest release first."""
    found = [row for row in ROWS if re.match(begins, row["command"])]
    assert found, f"nobody has given an output of {begins}"
    return sorted(found, key=lambda row: row["release"], reverse=True)


def document(row):
    """The answer itself; over HTTP it stands in ``data``."""
    found = json.loads(row["output"])
    return found["data"] if isinstance(found, dict) and set(found) == {"data"} else found


def kind(value):
    if isinstance(value, bool | int | float):
        return "number"  # Perl has no others
    return type(value).__name__


def lacking(real, ours, place=""):
    """What a real answer has and ours has not, or has as something else."""
    if isinstance(real, dict) and isinstance(ours, dict):
        for key, value in real.items():
            name = f"{place}.{key}".strip(".")
            if key not in ours:
                yield f"{name} is not there"
            else:
                yield from lacking(value, ours[key], name)
    elif isinstance(real, list) and isinstance(ours, list):
        if real and ours:
            yield from lacking(real[0], ours[0], f"{place}[]")
    elif kind(real) != kind(ours):
        yield f"{place} is {ours!r}, of a real one {real!r}"


@pytest.fixture(scope="module")
def node():
    node = built(load_lab(), before_phase=3).machines["proxmox"]
    node.tasks.end(node.tasks.begin("vzdump"))
    node.files.put("/var/lib/vz/template/iso/a.iso", b"x")
    node.stores["local"].content.append("iso")
    node.files.mkdir("/mnt/pve/nfs", parents=True)
    node.stores["nfs"] = Store(
        "nfs", "nfs", ["images"], "/mnt/pve/nfs", 2**40, options={"shared": 1}
    )
    return node


def get(node, path):
    reply = node.run(f"pvesh get {path} --output-format json").finished()
    assert reply.status == 0, reply.err
    return json.loads(reply.out)


def matching(real, ours, key):
    """Pairs of rows that are of the same kind."""
    return [
        (row, next(each for each in ours if each.get(key) == row.get(key)))
        for row in real
        if any(each.get(key) == row.get(key) for each in ours)
    ]


@pytest.mark.parametrize(
    ("command", "path", "by"),
    [
        ("GET /nodes/node1/status", "/nodes/pve/status", ""),
        ("GET /api2/json/nodes/.*/status", "/nodes/pve/status", ""),
        ("GET /nodes/N/version", "/nodes/pve/version", ""),
        ("GET /nodes$", "/nodes", "type"),
        ("GET /cluster/status", "/cluster/status", "type"),
        ("GET /nodes/node1/network", "/nodes/pve/network", "type"),
        ("GET /nodes/pve1/storage", "/nodes/pve/storage", "type"),
        ("GET /nodes/node1/storage/local/content", "/nodes/pve/storage/local/content", "format"),
        ("GET /nodes/pve1/tasks", "/nodes/pve/tasks", "type"),
    ],
)
def test_an_answer_has_the_keys_and_types_of_a_real_one(node, command, path, by):
    for row in outputs(command):
        real, ours = document(row), get(node, path)
        pairs = matching(real, ours, by) if by else [(real, ours)]
        assert pairs, "nothing to compare"
        for each, mine in pairs:
            wrong = list(lacking(each, mine))
            assert not wrong, (row["release"], wrong)


def test_a_task_by_itself_says_how_it_ended(node):
    (row,) = outputs("GET /nodes/N/tasks/UPID/status")
    upid = node.tasks.begin("test", "failed")
    node.tasks.end(upid, "some error occurred")
    wrong = list(lacking(document(row), get(node, f"/nodes/pve/tasks/{upid}/status")))
    assert not [why for why in wrong if "endtime" not in why]


def test_the_guest_agents_answers(node):
    vm = next(iter(node.vms))
    for row in outputs(r"GET ….*/agent/network-get-interfaces"):
        shown = json.loads(node.run(f"qm guest cmd {vm} network-get-interfaces").finished().out)
        assert not list(lacking(document(row)["result"], shown))
    (row,) = outputs("GET …/agent/exec-status")
    shown = json.loads(node.run(f"qm guest exec {vm} -- echo hello").finished().out)
    wrong = list(lacking(document(row), shown))
    assert wrong == ["out-truncated is not there"], "the agent says so only of what it cut"


def test_qm_config_prints_a_configuration_as_a_real_one_does(node):
    row = next(row for row in outputs("qm config 107") if row["kind"] == "captured")
    config = dict(line.split(": ", 1) for line in row["output"].splitlines())
    node.vms[107] = VirtualMachine(107, config)
    try:
        assert node.run("qm config 107").finished().out.decode().strip() == row["output"].strip()
        shown = get(node, "/nodes/pve/qemu/107/config")
    finally:
        del node.vms[107]
    numbers = {key for key, value in shown.items() if isinstance(value, int)}
    assert numbers == {"balloon", "cores", "numa", "sockets"}


@pytest.mark.parametrize("row", outputs("pveversion -v"), ids=lambda row: row["release"])
def test_pveversion_names_release_and_kernel(node, row):
    first, second, *_ = row["output"].splitlines()
    before = node.version, node.commit, node.kernel
    node.version, node.commit = re.search(r"version: (\S+)/(\w+)\)", second).groups()
    node.kernel = re.search(r"kernel: (\S+)\)", first)[1]
    try:
        assert node.run("pveversion -v").finished().out.decode().splitlines()[:2] == [first, second]
        line = f"pve-manager/{node.version}/{node.commit} (running kernel: {node.kernel})\n"
        assert node.run("pveversion").finished().out.decode() == line
    finally:
        node.version, node.commit, node.kernel = before


def test_the_known_releases_are_the_twins():
    (row,) = [row for row in outputs("pveversion -v") if row["release"].startswith("8.4")]
    known = RELEASES["8.4"]
    assert f"running version: {known.version}/{known.commit}" in row["output"]
    assert known.kernel.removesuffix("-pve") in row["output"]


def test_pvesm_status_has_seven_columns_in_kibibytes(node):
    head, *lines = node.run("pvesm status").finished().out.decode().splitlines()
    columns = ["Name", "Type", "Status", "Total (KiB)", "Used (KiB)", "Available (KiB)", "%"]
    assert re.findall(r"\S+(?: \(KiB\))?", head) == columns
    rows = {row["storage"]: row for row in get(node, "/nodes/pve/storage")}
    for line in lines:
        name, _, status, total, used, free, part = line.split()
        row = rows[name]
        sizes = [row[key] // 1024 for key in ("total", "used", "avail")]
        assert [int(total), int(used), int(free)] == sizes
        assert (status, part) == ("active", f"{row['used'] * 100 / row['total']:.2f}%")


# Ours --------------------------------------------------------------------------------------------


class Real:
    """A node that answers what real ones did."""

    name = "proxmox"

    def __init__(self, **answers):
        self.answers = answers

    def read(self, *argv, **options):
        return Result(0, json.dumps(self.json(*argv)), "")

    def json(self, *argv, **options):
        return next(
            answer for part, answer in self.answers.items() if any(w.endswith(part) for w in argv)
        )

    def begun(self, resource):
        return False

    def cut(self, text, limit, *, end=False):
        return text[-limit:] if end else text[:limit]

    def sent(self, resource):
        return ()


def test_our_readers_take_what_real_agents_say():
    for row in outputs(r"GET ….*/agent/network-get-interfaces"):
        said = document(row)
        for shown in (said, said["result"]):  # `qm` prints what is inside
            host = Real(**{"network-get-interfaces": shown, "config": {}})
            addresses = guest_addresses(host, 101)
            assert addresses
            assert all(re.fullmatch(r"[\d.]+", each) for each in addresses)
            card = next(each for each in said["result"] if each["name"] != "lo")
            net = f"virtio={card['hardware-address'].upper()},bridge=vmbr0"
            host.answers["config"] = {"net0": net}
            assert leased_addresses(host, "pve", 101) == guest_addresses(
                host, 101, card["hardware-address"]
            )
    (row,) = outputs("GET …/agent/exec-status")
    assert guest_file(Real(cat=document(row)), 101, "cat", lambda seconds: None) == "hello\n"


def test_our_readers_take_what_real_tasks_say():
    (row,) = outputs("GET /nodes/N/tasks/UPID/status")
    ended = document(row)
    progress = follow_task("node1")(Real(status=ended), Result(0, f'"{ended["upid"]}"\n', ""))
    assert (progress.done, progress.error) == (True, "test: some error occurred")
    listed = document(outputs("GET /nodes/pve1/tasks")[0])
    assert active_task(Real(tasks=listed), "pve1", 100) == "", "it has ended"


def test_our_readers_take_real_configurations():
    configs = [document(row) for row in outputs("GET /nodes/node1/qemu/101/config")]
    configs += [
        dict(line.split(": ", 1) for line in row["output"].splitlines())
        for row in outputs("qm config 107")
    ]
    for config in configs:
        drives = [key for key in config if re.fullmatch(r"(scsi|sata|virtio)\d", key)]
        assert drives
        assert all(options.disk_bytes(config[drive]) >= 32 * 2**30 for drive in drives)
        for key in options.OPTIONS.keys() & config.keys():
            assert not options.differs(key, config[key], str(config[key])), key
        seen = Real(resources=[{"vmid": 101, "node": "pve", "type": "qemu", "name": "x"}],
                    config=dict(config), current={"status": "running"})  # fmt: skip
        wanted = Wanted("pve", "attic", "pve", 101, config["name"], (), "", "", "s", "", 2**30)
        observed = wanted.observe(seen)
        assert (observed["name"], observed["lock"]) == (config["name"], "")
