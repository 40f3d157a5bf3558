"""A twin of a real machine: what that refuses to tell, it refuses; that is not "there is none"."""

import json

import pytest

from homelab_lib.errors import HomelabError
from homelab_lib.lab import load_lab
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call
from homelab_lib.twin.machine.seeding import seed_machine
from homelab_lib.twin.machine.unix import UNIX
from homelab_lib.twin.world import World

WORLD = World(load_lab("data/examples/minipc"))
HOST = {
    "uname -r": "6.12.48+deb13-amd64\n",
    "nproc": "8\n",
    "dpkg-query": "bash\t5.2\ncurl\t8.14\n",
    "getent passwd": "root:x:0:0:root:/root:/bin/bash\nana:x:1000:1000::/home/ana:/bin/bash\n",
    "getent group": "root:x:0:\nana:x:1000:\n",
    "id": "ana\n",
    "lsmod": "Module Size Used by\nvfio 1 0\n",
    "systemctl show": "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n",
}
BROKEN = (1, "", "x: Input/output error\n")
DENIED = (1, "", "sudo: a password is required\n")
NO_SYSTEMD = "System has not been booted with systemd as init system (PID 1). Can't operate.\n"


def seeded(otherwise=()):
    """A twin of the host, where some of its commands answer otherwise."""
    known = {key: (0, text, "") for key, text in HOST.items()} | dict(otherwise)

    def ask(_, argv):
        words = argv[2:] if argv[0] == "env" else argv
        begin = [key for key in known if " ".join(words).startswith(key)]
        if begin:
            return known[max(begin, key=len)]
        if words[0] != "stat":
            return 127, "", f"sh: {words[0]}: not found\n"
        paths = words[words.index("--") + 1 :]
        said = (f"stat: cannot statx '{path}': No such file or directory\n" for path in paths)
        return 1, "", "".join(said)

    machine = Machine("desk", WORLD, user="ana", commands=UNIX)
    return machine, seed_machine(machine, ask)


def answers(machine, *argv):
    reply = machine.call(Call(argv)).finished()
    return reply.status, reply.out.decode(), reply.err.decode()


def test_it_is_what_the_host_says():
    machine, there = seeded()
    assert there
    assert (machine.kernel, machine.threads) == ("6.12.48+deb13-amd64", 8)
    assert answers(machine, "dpkg-query", "-W", "-f", "${Version}", "curl") == (0, "8.14", "")
    assert answers(machine, "which", "curl")[0] == 0
    assert answers(machine, "which", "wget")[0] == 1


def test_a_host_that_is_not_reached_is_down():
    assert not seeded({"uname -r": None})[1]


@pytest.mark.parametrize("question", [key for key in HOST if key != "id"])
@pytest.mark.parametrize("answer", [BROKEN, DENIED, (1, "", NO_SYSTEMD)])
def test_a_host_that_does_not_let_itself_be_asked_stops_the_plan(question, answer):
    with pytest.raises(HomelabError) as caught:
        seeded({question: answer})
    assert answer[2].strip() in str(caught.value)
    assert caught.value.where.startswith(f"desk: {question}")


@pytest.mark.parametrize(
    ("question", "argv"),
    [
        ("dpkg-query", ("dpkg-query", "-W", "curl")),
        ("lsmod", ("lsmod",)),
        ("nproc", ("nproc",)),
        ("systemctl show", ("systemctl", "show", "k3s.service", "-p", "LoadState")),
    ],
)
def test_a_program_that_the_host_does_not_have_its_twin_does_not_have(question, argv):
    machine, _ = seeded({question: (127, "", "not found\n")})
    status, out, err = answers(machine, *argv)
    assert (status, out) == (127, "")
    assert err.startswith(f"{argv[0]}: the real host has no such program")


def test_where_no_packages_are_told_it_is_asked_for_what_fetches_files():
    told = {"which curl": (1, "", ""), "which wget": (0, "/usr/bin/wget\n", "")}
    machine, _ = seeded({"dpkg-query": (127, "", "no\n"), **told})
    assert answers(machine, "which", "curl", "wget") == (1, "/usr/bin/wget\n", "")


def test_a_kernel_setting_that_can_not_be_asked_for_is_not_missing():
    machine, _ = seeded({"sysctl": (255, "", "sysctl: permission denied on key 'vm.x'\n")})
    assert answers(machine, "sysctl", "-n", "vm.x")[2].startswith("sysctl: permission denied")


@pytest.mark.parametrize(
    ("program", "junk"),
    [
        (program, junk)
        for program in ("lsblk", "findmnt", "lscpu")
        for junk in ("", "null", "[]", "{}", "7", '{"blockdevices": [1]}', '{"filesystems": [{}]}')
    ],
)
def test_an_answer_of_another_form_is_said_aloud(program, junk):
    machine, _ = seeded({program: (0, junk, "")})
    status, out, err = answers(machine, program, "-J")
    assert (status, out) == (1, "")
    assert err.startswith(f"{program}: the real host answers")


# What people's machines have: a card reader without a card, NVMe, a USB stick that calls itself
# rotating, eMMC with its boot areas, a snap's loop, RAID over two disks with LVM and LUKS, zram.
MIRROR = {
    "name": "md0", "type": "raid1", "size": 1000, "children": [
        {"name": "vg-root", "type": "lvm", "size": 900, "mountpoints": ["/"]},
        {"name": "luks-1", "type": "crypt", "size": 90, "mountpoints": ["/home", "/srv"]},
    ],
}  # fmt: skip
ODD = [
    {"name": "sda", "type": "disk", "size": None, "rm": True, "tran": "usb"},
    {"name": "sdb", "type": "disk", "size": 15_728_640_000, "rota": True, "tran": "usb"},
    {"name": "nvme0n1", "type": "disk", "size": 1_000_204_886_016, "rota": False, "tran": "nvme"},
    {"name": "mmcblk0", "type": "disk", "size": 62_537_072_640},
    {"name": "mmcblk0boot0", "type": "disk", "size": 4_194_304, "ro": True},
    {"name": "loop0", "type": "loop", "size": 57_147_392, "mountpoints": ["/snap/core/1"]},
    {"name": "sdc", "type": "disk", "size": 1024, "children": [MIRROR]},
    {"name": "sdd", "type": "disk", "size": 1024, "state": "offline", "children": [MIRROR]},
    {"name": "zram0", "type": "disk", "size": 0, "mountpoints": ["[SWAP]"]},
]


def test_odd_disks_are_told_as_the_host_tells_them():
    machine, _ = seeded({"lsblk": (0, json.dumps({"blockdevices": ODD}), "")})
    told = json.loads(answers(machine, "lsblk", "-J", "-b", "-o", "NAME,SIZE,TRAN,ROTA")[1])
    assert [(row["name"], row["size"], row["tran"]) for row in told["blockdevices"]] == [
        (row["name"], row["size"], row.get("tran")) for row in ODD
    ]
    drawn = answers(machine, "lsblk", "-n", "-o", "NAME,SIZE,TYPE,MOUNTPOINTS")[1].splitlines()
    assert [line.split() for line in drawn[:3]] == [
        ["sda", "disk"],
        ["sdb", "14.6G", "disk"],
        ["nvme0n1", "931.5G", "disk"],
    ]
    assert ["└─md0", "1000B", "raid1"] in [line.split() for line in drawn]
    assert sum("vg-root" in line for line in drawn) == 2  # below each disk of the mirror


LSPCI = "0000:03:00.0 VGA compatible controller [0300]: A card [8086:e20b] (rev 01)\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lspci", "-Dnnvv"), (0, LSPCI, "")),
        (("dmidecode", "-t", "memory"), (0, "# dmidecode 3.6\n", "")),
        (("dmidecode", "-t", "memory"), (1, "", "/dev/mem: Operation not permitted\n")),
    ],
)
def test_hardware_is_told_in_the_hosts_own_words(words, said):
    packages = "pciutils\t1\ndmidecode\t3\n"
    other = {"dpkg-query": (0, packages, ""), " ".join(words): said}
    machine, _ = seeded(other)
    assert answers(machine, *words) == said


def test_a_tool_that_is_yet_to_be_installed_tells_what_is_described():
    machine, _ = seeded({"dpkg-query": (0, "bash\t5.2\n", "")})
    assert answers(machine, "lspci", "-Dnnvv")[0] == 127
    machine.packages["pciutils"] = "1"
    status, out, _ = answers(machine, "lspci", "-Dnnvv")
    assert (status, out.count("\n\n"), "Host bridge" in out) == (0, 1, True)
