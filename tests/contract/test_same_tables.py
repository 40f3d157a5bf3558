"""Programs that tell of a machine: a twin that was told what this one says prints what it prints.

The twin asks this machine as it would ask a real host; every other form of the same is its own.
"""

import json
import os
import shlex
import shutil
import subprocess

import pytest

from contract.same import IS_ROOT, environment, twin_machine
from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.program import Call

pytestmark = pytest.mark.contract

LINES = """
lsblk
lsblk -J
lsblk -J -b
lsblk -J -O
lsblk -J -b -O
lsblk -b -o NAME,SIZE,ROTA
lsblk -n -o NAME,SIZE
lsblk -J -o NAME,TYPE,MOUNTPOINTS
lsblk -r
lsblk -P
lsblk -l
lsblk -d -n
lsblk -p -o NAME
lsblk -f -J
lsblk -o NOPE
lsblk /dev/nosuch
lsblk --nope
findmnt
findmnt -J
findmnt -l
findmnt -n -o SOURCE /
findmnt -T /usr
findmnt -J -o TARGET,FSTYPE
findmnt -J /
findmnt -t proc
findmnt --list -J -t proc -o TARGET,OPTIONS
findmnt -J -t proc,sysfs
findmnt -rn -o TARGET,FSTYPE -t proc
findmnt -P -t proc
findmnt -S proc
findmnt -M /usr
findmnt -J /nosuch
findmnt -o NOPE
findmnt --nope
lscpu -J
df /nosuch
df -x
dpkg-query -W -f ${Package}\\t${Version}\\n
dpkg-query -W -f '${Package} ${db:Status-Status}\\n' -- bash nosuch
dpkg-query -W bash nosuch coreutils
dpkg-query -W nosuch
getent group root daemon sudo
getent passwd daemon
getent group sudo
getent passwd nosuch
id daemon
id -gn daemon
id -u daemon
nproc
uname -r
uname -m
""".strip().splitlines()


@pytest.fixture(scope="module")
def machine():
    machine = twin_machine()
    machine.files.make_folder("/usr")
    machine.ask = asked
    machine.threads = os.cpu_count()
    machine.kernel = os.uname().release
    machine.accounts.groups.clear()
    machine.accounts.read(lines("getent passwd"), lines("getent group"))
    machine.packages = dict(
        line.split("\t") for line in lines("dpkg-query -W -f '${Package}\\t${Version}\\n'")
    )
    return machine


def asked(host, argv):
    """What this machine says: as a real host would be asked."""
    done = subprocess.run(
        argv, capture_output=True, text=True, env=environment("root"), check=False
    )
    return done.returncode, done.stdout, done.stderr


def lines(line):
    return asked("here", shlex.split(line))[1].splitlines()


def shown(text):
    """As the program's reader takes it: JSON by its values, text line by line."""
    try:
        return json.loads(text, object_hook=settled)
    except ValueError:
        return [line.rstrip() for line in text.splitlines()]


def settled(row):
    """Without what may change from one moment to the next."""
    return {key: value for key, value in row.items() if key not in ("fsused", "fsavail", "fsuse%")}


@pytest.mark.parametrize("line", LINES)
def test_it_prints_what_this_machine_prints(machine, line):
    argv = tuple(shlex.split(line))
    if shutil.which(argv[0]) is None:
        pytest.skip(f"this machine has no {argv[0]}")
    status, out, err = asked("here", argv)
    reply = machine.call(Call(argv, env=environment("root"))).finished()
    order = sorted if line == "findmnt -l" else lambda rows: rows  # the kernel's is not told
    found = (reply.status, order(shown(reply.out.decode())), reply.err.decode())
    assert found == (status, order(shown(out)), err)


# A bridge has a carrier where one of its ports has.
WIRES = """
ip link set lo up
ip link add br0 type bridge
ip link set br0 address 02:00:00:00:00:05 mtu 1400
ip link add e1 type veth peer name e2
ip link set e1 master br0 up
ip link set e2 up
ip link set br0 up
n=0; until ip -o link show br0 | grep -q LOWER_UP || [ $n = 200 ]; do n=$((n+1)); sleep 0.02; done
ip addr add 10.0.0.5/24 brd + dev br0
ip route add default via 10.0.0.1
"""
FLEETING = ("ifindex", "operstate", "qdisc")  # what comes of the order, and of a bridge's own queue


@pytest.mark.parametrize(
    "line",
    [
        "ip -j addr",
        "ip -j -4 addr show",
        "ip --json addr show dev br0",
        "ip -j link",
        "ip -j link show br0",
        "ip -j route",
        "ip -j route show default",
        "ip -j route get 10.0.0.9",
        "ip -j route get 9.9.9.9",
        "ip route",
        "ip route get 9.9.9.9",
        "ip -br -4 addr",
        "ip addr show nosuch",
        "ip foo",
        "ip addr nosuch",
        "ip -nope addr",
        "ip -4 addr show lo",
    ],
)
def test_the_network_is_told_as_in_a_namespace_of_its_own(line):
    if not IS_ROOT or shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("a network namespace takes root, unshare and ip")
    machine = twin_machine()
    machine.interfaces = [
        Interface("br0", "02:00:00:00:00:05", "10.0.0.5/24", "", "", gateway="10.0.0.1", mtu=1400)
    ]
    done = subprocess.run(
        ["unshare", "-n", "sh", "-ec", f"{WIRES}{line}"],
        capture_output=True, text=True, env=environment("root"), check=False,
    )  # fmt: skip
    reply = machine.call(Call(tuple(line.split()), env=environment("root"))).finished()
    found = (reply.status, told(reply.out.decode()), reply.err.decode())
    assert found == (done.returncode, told(done.stdout), done.stderr)


def told(text):
    """Without what is another in each kernel, and the addresses that links give themselves."""
    rows = [row for row in shown(text) if "e1" not in str(row) and "e2" not in str(row)]
    for row in rows:
        if isinstance(row, dict):
            for key in FLEETING:
                row.pop(key, None)
            given = row.get("addr_info", [])
            row["addr_info"] = [a for a in given if not a["local"].startswith("fe80")]
    return rows
