"""The doors to Proxmox's API, and what is told of its calls."""

import json

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.lab.releases import KNOWN
from homelab_lib.twin.built import built
from homelab_lib.twin.fidelity import Fidelity
from homelab_lib.twin.proxmox import pct
from homelab_lib.twin.proxmox.arguments import parse_arguments
from homelab_lib.twin.proxmox.boot_loader import boot_loader
from homelab_lib.twin.proxmox.booting import booting
from homelab_lib.twin.proxmox.formats import BOOLEAN, STORAGE_ID, many
from homelab_lib.twin.proxmox.grounds import GROUNDS
from homelab_lib.twin.proxmox.ifupdown2 import ifupdown2
from homelab_lib.twin.proxmox.methods import METHODS
from homelab_lib.twin.proxmox.nics import nics
from homelab_lib.twin.proxmox.qm import COMMANDS, qm
from homelab_lib.twin.proxmox.releases import RELEASES
from homelab_lib.twin.proxmox.schema import Property, PveError

VERBS = {"GET": "get", "PUT": "set", "POST": "create", "DELETE": "delete"}


@pytest.fixture(scope="module")
def node():
    return built(load_lab(), before_phase=3).machines["proxmox"]


def test_each_call_says_what_it_rests_on():
    told = {grounds.call for grounds in GROUNDS}
    known = {f"pvesh {VERBS[verb]} {path}" for verb, path in METHODS}
    known |= {f"qm {name}" for name in (*COMMANDS, "status", "unlock", "guest exec")}
    known |= {f"pct {name}" for name in (*pct.COMMANDS, "unlock")}
    known |= {f"pvesm {name}" for name in ("add", "set", "remove", "status", "list", "path")}
    known.add("pvesm extractconfig")
    known |= {"pveversion", "losetup"}
    known |= {*ifupdown2.bodies, *nics.bodies, *booting.bodies}
    known |= {*boot_loader.bodies, "proxmox-boot-tool status", "proxmox-boot-tool kernel list"}
    known.add("proxmox-boot-tool kernel pin")
    known -= {"ip", "modprobe"}  # every machine has these
    assert told == known
    assert set(qm.bodies) == {"qm"}


def test_the_older_releases_rest_on_no_schema():
    for grounds in GROUNDS:
        if grounds.rests is Fidelity.VALIDATOR:
            assert grounds.releases == ("9.2",)


def test_each_known_series_has_a_release():
    known = {series.name for series in KNOWN if series.product == "proxmox"}
    assert set(RELEASES) == known
    assert all(each.version.startswith(f"{name}.") for name, each in RELEASES.items())


SCHEMA = {
    "storage": Property(format=many(STORAGE_ID)),
    "name": Property(required=True),
    "start": BOOLEAN,
    "stop": BOOLEAN,
}


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("x", {"name": "x"}),
        ("x --start", {"name": "x", "start": "1"}),
        ("--start x", {"start": "0", "name": "missing"}),
        ("--start no x", {"start": "0", "name": "x"}),
        ("x -START yes", {"name": "x", "start": "1"}),
        ("x --storage aa --storage=bb", {"name": "x", "storage": "aa,bb"}),
        ("x --stora aa", {"name": "x", "storage": "aa"}),
    ],
)
def test_a_command_line_is_read_as_getopt_reads_it(words, given):
    if given.get("name") == "missing":  # `x` is what --start is told, and no truth value
        with pytest.raises(PveError, match="not enough arguments"):
            parse_arguments(words.split(), SCHEMA, ["name"])
        return
    assert parse_arguments(words.split(), SCHEMA, ["name"]) == given


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("x --st 1", "Option st is ambiguous (start, stop, storage)"),
        ("x --nope", "Unknown option: nope"),
        ("x --storage", "Option storage requires an argument"),
        ("x --storage=", "Option storage requires an argument"),
        ("x -storage=aa", "unable to parse option"),
        ("x --start maybe", "unable to parse boolean option"),
        ("x --storage a", "cannot be shorter than 2 characters"),
        ("x y", "too many arguments"),
    ],
)
def test_what_getopt_and_the_schema_refuse(words, says):
    with pytest.raises(PveError) as refused:
        parse_arguments(words.split(), SCHEMA, ["name"])
    assert says in refused.value.text


def test_a_path_without_a_method_is_refused(node):
    reply = node.run("pvesh get /nodes/pve/nothing --output-format json").finished()
    assert (reply.status, reply.err) == (1, b"No 'get' handler defined for '/nodes/pve/nothing'\n")


def test_a_table_is_no_silent_lie(node):
    assert node.run("pvesh get /nodes").finished().status == 127
    assert node.run("pvesh get /cluster/nextid").finished().out == b"100\n"


def test_a_vm_is_changed_through_either_door(node):
    vm = next(iter(node.vms))
    path = f"/nodes/pve/qemu/{vm}"
    assert node.run(f"qm set {vm} --tags B,a --description 'x: y'").finished().status == 0
    shown = json.loads(node.run(f"pvesh get {path}/config --output-format json").finished().out)
    assert (shown["tags"], shown["description"]) == ("a;b", "x: y")
    assert b"description: x%3A y" in node.run(f"qm config {vm}").finished().out
    assert node.run(f"pvesh set {path}/config --delete description").finished().out == b""
    assert b"description" not in node.run(f"qm config {vm}").finished().out
    listed = node.run("qm list").finished().out.decode().splitlines()
    assert listed[0].split() == ["VMID", "NAME", "STATUS", "MEM(MB)", "BOOTDISK(GB)", "PID"]
    assert listed[1].split()[0] == str(vm)


def test_what_a_gpu_needs_is_taken_and_stored(node):
    given = {
        "machine": "q35,viommu=virtio",
        "hostpci0": "0000:01:00,pcie=1,x-vga=0,romfile=gpu.rom",
        "usb0": "host=1234:5678,usb3=1",
        "numa0": "cpus=0-3,hostnodes=0,memory=2048,policy=bind",
        "hookscript": "local:snippets/hook.pl",
        "rng0": "source=/dev/urandom",
        "watchdog": "i6300esb,action=reset",
        "virtiofs0": "dirid=media,cache=auto",
    }
    words = " ".join(f"--{name} {value}" for name, value in given.items())
    tpm = "--tpmstate0 local-zfs:1,version=v2.0 --efidisk0 local-zfs:1,efitype=4m"
    assert node.run(f"qm create 300 {words} {tpm}").finished().err == b""
    shown = json.loads(
        node.run("pvesh get /nodes/pve/qemu/300/config --output-format json").finished().out
    )
    assert {name: shown[name] for name in given} == given
    assert shown["tpmstate0"].endswith(",size=4M,version=v2.0")
    assert shown["efidisk0"].endswith(",efitype=4m,size=1M")
