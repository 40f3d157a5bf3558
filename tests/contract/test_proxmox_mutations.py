"""Calls of Proxmox, changed at random, as its schema judges them and as the twin does."""

import random
import shlex

import pytest

from contract.oracle import contract
from contract.pve_door import called, refused_by_schema
from contract.pve_schema import parameters, refusals, rule_of
from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built
from homelab_lib.twin.proxmox.methods import METHODS

pytestmark = pytest.mark.contract

MUTATIONS, SEED = 20_000, 8


@pytest.fixture(scope="module")
def node():
    return built(load_lab(), before_phase=2).machines["proxmox"]


PVESH = {
    "get": (
        "/version",
        "/nodes",
        "/nodes/pve/status",
        "/nodes/pve/qemu --full 1",
        "/nodes/pve/storage --content images,rootdir --enabled 1 --storage local",
        "/nodes/pve/storage/local/content --content iso --vmid 101",
        "/nodes/pve/tasks --limit 5 --source all --start 0 --vmid 101 --errors 0",
        "/nodes/pve/network --type bridge",
        "/nodes/pve/disks/list --include-partitions 0 --type unused --skipsmart 1",
        "/nodes/pve/hardware/pci --pci-class-blacklist 05 --verbose 1",
        "/cluster/resources --type vm",
        "/cluster/nextid --vmid 300",
        "/storage --type dir",
        "/cluster/backup",
        "/cluster/mapping/pci --check-node pve",
        "/nodes/pve/lxc",
        "/nodes/pve/lxc/301/config --current 1",
        "/nodes/pve/lxc/301/interfaces",
    ),
    "create": (
        "/nodes/pve/qemu --vmid 201 --name a --memory 2048 --cores 2 --onboot 1",
        "/nodes/pve/storage/local/download-url --content iso --filename a.iso --url http://x/a "
        "--checksum abc --checksum-algorithm sha256 --verify-certificates 0",
        "/nodes/pve/network --iface vmbr7 --type bridge --cidr 10.7.0.1/24 --mtu 9000 "
        "--autostart 1 --bridge_vlan_aware 1 --bridge_vids 2-4094",
        "/nodes/pve/disks/zfs --name pool7 --raidlevel mirror --devices /dev/a,/dev/b --ashift 12 "
        "--compression lz4 --add_storage 0",
        "/storage --storage store7 --type dir --path /srv/x --content iso --nodes pve --shared 0",
        "/nodes/pve/apt/repositories --path /etc/apt/x --index 0 --enabled 0",
        "/nodes/pve/apt/update --notify 0 --quiet 1",
        "/cluster/backup --id homelab-vms --storage vm-backups --vmid 201,202 --schedule 02:30 "
        "--prune-backups keep-daily=7,keep-weekly=4 --mode snapshot --compress zstd --enabled 1 "
        "--comment x --notes-template {{guestname}} --fleecing enabled=0",
        "/nodes/pve/vzdump --vmid 201 --storage vm-backups --mode snapshot --compress zstd "
        "--prune-backups keep-all=1 --remove 0 --bwlimit 0 --lockwait 60",
        "/cluster/mapping/pci --id red --map node=pve,path=0000:01:00.0,id=10de:2705",
        "/nodes/pve/lxc/301/status/start --skiplock 0",
        "/nodes/pve/lxc/301/status/shutdown --timeout 60 --forceStop 1",
    ),
    "set": (
        "/nodes/pve/qemu/201/config --cores 4 --delete tags --digest abc",
        "/nodes/pve/qemu/201/resize --disk scsi0 --size +8G",
        "/storage/local --content iso,vztmpl --shared 0 --nodes pve --port 80",
        "/nodes/pve/network/vmbr0 --type bridge --bridge_ports enp12s0 --cidr 10.0.30.10/24 "
        "--gateway 10.0.30.1 --comments x --delete mtu",
        "/nodes/pve/network --regenerate-frr 0",
        "/nodes/pve/apt/repositories --handle no-subscription",
        "/cluster/backup/homelab-vms --storage local --vmid 201 --enabled 0 --delete comment "
        "--prune-backups keep-last=3",
        "/nodes/pve/lxc/301/resize --disk rootfs --size 16G",
    ),
    "delete": (
        "/nodes/pve/qemu/201 --purge 1 --skiplock 0",
        "/nodes/pve/lxc/301 --purge 1 --force 0 --destroy-unreferenced-disks 1",
        "/cluster/backup/homelab-vms",
    ),
}
PROGRAMS = {
    "pct create 301 local:vztmpl/debian.tar.zst": (
        ("POST", "/nodes/{node}/lxc"),
        {"vmid": "301", "ostemplate": "local:vztmpl/debian.tar.zst"},
        "--hostname dns --memory 1024 --swap 0 --cores 2 --rootfs local-zfs:8 --features nesting=1 "
        "--net0 name=eth0,bridge=vmbr0,ip=10.0.30.40/24,gw=10.0.30.1,tag=30 --onboot 1 "
        "--unprivileged 1 --tags a;b --nameserver 10.0.30.1 --mp0 local-zfs:20,mp=/srv",
    ),
    "pvesm add pbs store8": (
        ("POST", "/storage"),
        {"type": "pbs", "storage": "store8"},
        f"--server 10.0.30.9 --datastore house --username pve@pbs!node --content backup "
        f"--fingerprint {':'.join(['ab'] * 32)} --nodes pve --disable 0",
    ),
    "pvesm add nfs store9": (
        ("POST", "/storage"),
        {"type": "nfs", "storage": "store9"},
        "--server 10.0.60.1 --export /mnt/tank/x --content backup --options vers=4.2",
    ),
    "pvesm set local": (
        ("PUT", "/storage/{storage}"),
        {"storage": "local"},
        "--content iso,vztmpl,import --disable 0 --prune-backups keep-last=3",
    ),
}
"""Programs that are a method of the API by words of their own: that, and what the words say."""
VERBS = {"get": "GET", "create": "POST", "set": "PUT", "delete": "DELETE"}
WORDS = (
    *("", "0", "1", "2", "-1", "4", "4.0", "1e3", "99999999999", "on", "no", "maybe", "abc", "a b"),
    *(
        "a,b",
        "a;b",
        "a=b",
        "=",
        ",",
        "x" * 300,
        "ä",
        "/etc/passwd",
        "../x",
        "none",
        "cdrom",
        "01:00",
    ),
    *("local:iso/a.iso", "local-zfs:4", "local-zfs:0", "32G", "32GB", "+8G", "virtio", "vmbr0"),
    *(
        "10.0.0.1",
        "10.0.0.1/24",
        "fd00::1",
        "02:00:00:00:00:01",
        "01:00:00:00:00:01",
        "q35",
        "host",
    ),
    *("enabled=1", "type=std", "file=none", "current=64", "order=scsi0", "socket", "0x1", "1;2"),
)


def flattened(argv):
    """The options of a call by name; None where it is not one of ``--name value`` each."""
    given = {}
    for name, value in zip(argv[::2], argv[1::2], strict=False):
        if not name.startswith("--") or "=" in name:
            return None
        given[name[2:]] = value
    return given if len(argv) % 2 == 0 else None


def shortened(schema, name):
    """Whether a word may be the beginning of an option's name."""
    begun = any(known.startswith(name.lower()) for known in schema)
    return rule_of(schema, name) is None and begun


def mutated(rng, argv, names, keys):
    """Another call, one or two steps from a good one."""
    argv = list(argv)
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(1, len(argv), 2) if len(argv) > 1 else 0
        match rng.randrange(6):
            case 0 if argv:
                argv[at] = rng.choice(WORDS)
            case 1 if argv:
                argv[at] += rng.choice((",", "=1", " ", "0", "x", ",foo=1"))
            case 2 if argv:
                argv[at] += f",{rng.choice(keys)}={rng.choice(WORDS)}"
            case 3:
                argv += [f"--{rng.choice(names)}", rng.choice(WORDS)]
            case 4 if argv:
                argv[at - 1] = f"--{rng.choice(names)}"
            case 5 if argv:
                cut = rng.randrange(len(argv[at]) + 1)
                argv[at] = argv[at][:cut] + argv[at][cut + 1 :]
    return argv


def keys_within(schema):
    inner = [rule["format"] for rule in schema.values() if isinstance(rule.get("format"), dict)]
    return sorted({key for keys in inner for key in keys} | {"ip", "gw", "host", "mapping"})


def test_mutations_are_taken_only_where_the_schema_takes_them(node):
    rng = random.Random(SEED)
    good = [row["argv"][1:] for row in contract("qm-create.json")["rows"] if row["accepted"]]
    create = {k: v for k, v in parameters("POST", "/nodes/{node}/qemu").items() if k != "node"}
    names = sorted(name.replace("[n]", "0") for name in create.keys() - {"vmid", "archive"})
    head = ("qm", "create", "201")
    cases = [
        (head, argv, create, {"vmid": "201"}, names, keys_within(create))
        for argv in good
        if flattened(argv)
    ]
    for verb, lines in PVESH.items():
        for line in lines:
            path, *argv = shlex.split(line)
            method, of_path = METHODS.find(VERBS[verb], path)
            schema = parameters(method.verb, method.path)
            asked = sorted(name.replace("[n]", "0") for name in schema if name not in of_path)
            head = ("pvesh", verb, path)
            cases += [(head, argv, schema, of_path, asked or ["foo"], keys_within(schema))] * 12
    for line, (way, of_words, argv) in PROGRAMS.items():
        schema = {k: v for k, v in parameters(way[0], way[1]).items() if k != "node"}
        asked = sorted(name.replace("[n]", "0") for name in schema.keys() - of_words.keys())
        head = tuple(line.split())
        case = (head, shlex.split(argv), schema, of_words, asked, keys_within(schema))
        cases += [case] * 24
    taken = refused = 0
    while taken + refused < MUTATIONS:
        head, argv, schema, fixed, known, keys = rng.choice(cases)
        changed = mutated(rng, argv, known, keys)
        given = flattened(changed)
        # What names a file is read first, and may not be there.
        files = {"sshkeys", "encryption-key"}
        if given is None or files & given.keys() or any(shortened(schema, n) for n in given):
            continue  # another grammar than the judge's
        reply = called(node, *head, *changed, *(["--output-format", "json"] * (head[0] == "pvesh")))
        if refused_by_schema(reply):
            refused += 1
            continue
        taken += 1
        whole = {name: value for name, value in given.items() if name != "output-format"} | fixed
        why = refusals(schema, whole)
        assert not why, (head, changed, why, reply.err.decode())
    assert min(taken, refused) > MUTATIONS // 20, (taken, refused)
