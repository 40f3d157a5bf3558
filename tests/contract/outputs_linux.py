"""What Linux machines print, read by the twin that becomes one; the shape of its own answers."""

import json
import re
import shlex
from datetime import UTC, datetime

from contract.oracle import contract
from contract.readers import Output, reads, unlike
from contract.same import environment, twin_machine
from homelab_lib.control.linux.pools import read_status
from homelab_lib.control.ollama.log import read_log
from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.program import Call
from homelab_lib.twin.machine.zfs import add, has_zfs

_UNITS = {"B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def seeded(output: str):
    """A twin's machine whose real one answers every question with this."""
    machine = twin_machine()
    machine.ask = lambda host, argv: (0, output, "")
    return machine


def says(machine, line: str) -> str:
    call = Call(tuple(shlex.split(line)), env=environment("root"))
    reply = machine.call(call).finished()
    assert reply.status == 0, reply.err
    return reply.out.decode()


def wired():
    """A machine with an interface of each kind that we have."""
    machine = twin_machine()
    mac = "02:00:00:00:00:05"
    machine.interfaces = [
        Interface("eth0", mac, "10.0.0.5/24", "", "", gateway="10.0.0.1"),
        Interface("eth0.7", mac, "10.0.7.5/24", "", "", tag=7),
        Interface("eth1", mac, "", "", "", up=False),
    ]
    return machine


# ------------------------------------------------------------------ processors


@reads("lscpu -J")
def lscpu(row: Output) -> None:
    real = json.loads(row["output"])["lscpu"]
    assert json.loads(says(seeded(row["output"]), "lscpu -J"))["lscpu"] == real
    own = json.loads(says(twin_machine(), "lscpu -J"))["lscpu"]
    assert {each["field"] for each in own} <= {each["field"] for each in real}
    assert unlike(own, [real]) == []


# ---------------------------------------------------------------------- disks


@reads(r"lsblk -J -O")
def lsblk(row: Output) -> None:
    real = json.loads(row["output"])["blockdevices"]
    assert json.loads(says(seeded(row["output"]), "lsblk -J -O"))["blockdevices"] == real
    own = json.loads(says(twin_machine(), "lsblk -J -O"))["blockdevices"]
    for device in own:
        children = device.pop("children")
        assert [each["pkname"] for each in children] == [device["name"]]
        for each in (device, *children):
            assert set(each) == set(real[0])
            assert each["size"][-1] in "BKMGT"


@reads(r"lsblk --noheadings -J -o PATH,PARTTYPE,FSTYPE")
def lsblk_of_proxmox(row: Output) -> None:
    real = json.loads(row["output"])["blockdevices"]
    own = json.loads(says(twin_machine(), row["command"]))["blockdevices"]
    assert {key for each in own for key in each} - {"children"} == set(real[0])
    assert {type(each["path"]) for each in own} == {str}


@reads(r"lsblk( -t-like columns)?$")
def lsblk_as_text(row: Output) -> None:
    """A tree that a person saw, told to the twin, is drawn again."""
    heads, *lines = row["output"].rstrip("\n").splitlines()
    names = [name.lower() for name in heads.split()]
    rows = _tree(lines, names)
    machine = seeded(json.dumps({"blockdevices": rows}))
    drawn = says(machine, f"lsblk -o {','.join(names)}")
    marks = str.maketrans("├└│─", "|`|-")
    assert [line.split() for line in drawn.splitlines()] == [
        line.translate(marks).split() for line in (heads, *lines)
    ]


def _tree(lines: list[str], names: list[str]) -> list[dict]:
    top: list[dict] = []
    above: list[tuple[int, dict]] = []
    for line in lines:
        depth = len(re.match(r"[^\w]*", line)[0])
        words = line[depth:].split()
        row = dict.fromkeys(names) | dict(zip(names, words, strict=False))
        row["size"] = _bytes(row["size"])
        row |= {key: int(row[key]) for key in ("rm", "ro") if key in row}
        above = [(d, r) for d, r in above if d < depth]
        (above[-1][1].setdefault("children", []) if above else top).append(row)
        above.append((depth, row))
    return top


def _bytes(text: str) -> int:
    size = round(float(text[:-1]) * _UNITS[text[-1]])
    return size - 512 if text.startswith("1024") else size  # a sector less than the next unit


# --------------------------------------------------------------------- mounts


@reads("findmnt -J")
def findmnt(row: Output) -> None:
    real = json.loads(row["output"])
    machine = seeded(row["output"])
    assert sorted(_flat(json.loads(says(machine, "findmnt -J"))["filesystems"])) == sorted(
        _flat(real["filesystems"])
    )
    [root] = json.loads(says(twin_machine(), "findmnt -J"))["filesystems"]
    assert unlike(_without_children(root), [_without_children(real["filesystems"][0])]) == []
    assert {"/proc", "/sys", "/dev", "/run"} <= {child["target"] for child in root["children"]}


def _flat(rows):
    for row in rows:
        yield tuple(row[key] for key in ("target", "source", "fstype", "options"))
        yield from _flat(row.get("children") or ())


def _without_children(row):
    return {key: value for key, value in row.items() if key != "children"}


@reads("df$")
def df(row: Output) -> None:
    heads, *lines = row["output"].rstrip("\n").splitlines()
    own_heads, *own = says(twin_machine(), "df").splitlines()
    assert own_heads.split() == heads.split()
    form = re.compile(r"\S+ +\d+ +\d+ +\d+ +\d+% /\S*")
    assert all(form.fullmatch(line) for line in (*lines, *own))


# --------------------------------------------------------------------- network


_ADDRESSES = r"ip (-j|--json) (-4 )?addr"


@reads(_ADDRESSES)
def ip_addr(row: Output) -> None:
    """The twin's links have what links of their kind have on all machines that were looked at."""
    rows = [
        each for each in contract("real-outputs.jsonl") if re.match(_ADDRESSES, each["command"])
    ]
    real = [link for each in rows for link in json.loads(each["output"])]
    own = json.loads(says(wired(), row["command"].replace("(container)", "")))
    assert unlike(own, [real]) == []
    assert {each["ifname"] for each in own} >= {"lo", "eth0", "eth0.7"}


@reads("ip route$")
def ip_route(row: Output) -> None:
    """After what it leads to, a route is told by words and values, the same words in each."""
    known = {"via", "dev", "proto", "scope", "src", "metric"}
    for line in (*row["output"].splitlines(), *says(wired(), "ip route").splitlines()):
        assert {word for word in line.split()[1::2] if word != "linkdown"} <= known


# --------------------------------------------------------------------- journal


@reads(r"journalctl -u k3s \(no entries\)")
def empty_journal(row: Output) -> None:
    assert (
        says(twin_machine(), "journalctl -u k3s").splitlines()[-1]
        == (row["output"].splitlines()[-1])
    )


@reads(r"journalctl -u ollama \(llama.cpp lines\)")
def journal(row: Output) -> None:
    form = re.compile(r"\w{3} \d\d \d\d:\d\d:\d\d \S+ \S+\[\d+\]: .*")
    machine = twin_machine()
    machine.log("", "\n".join(line.partition("]: ")[2] for line in row["output"].splitlines()))
    lines = says(machine, "journalctl").splitlines()
    assert [line.partition("]: ")[2] for line in lines] == [
        line.partition("]: ")[2] for line in row["output"].splitlines()
    ]
    assert all(form.fullmatch(line) for line in (*lines, *row["output"].splitlines()))


@reads(r"journalctl -u ollama \(model load, CPU only\)")
def loaded_by_the_processor(row: Output) -> None:
    told = read_log(row["output"])
    assert (told.cache_types, told.card_bytes) == (("q8_0",), {})


@reads(r"llama-server log \(load_tensors\)")
def loaded_by_a_card(row: Output) -> None:
    told = read_log(row["output"])
    assert (told.layers, told.of_layers) == (13, 13)
    assert told.card_bytes == {"weights": round(40.73 * 2**20)}, "what is mapped is not its"


# ---------------------------------------------------------------------- pools


@reads("zpool status.*")
def zpool_status(row: Output) -> None:
    text = row["output"]
    for block in re.split(r"(?m)^(?=\s*pool: )", text)[1:]:
        found = read_status(block)
        assert found is not None
        assert f"state: {found.state}" in block
        scan = found.scan
        assert scan.says in block
        assert scan.at_work == ("in progress since" in block)
        ended = re.search(r"(scrub repaired|resilvered) .* with (\d+) errors on .* (\d{4})", block)
        assert (scan.ended_s is not None) == (ended is not None)
        if ended is not None and scan.ended_s is not None:
            told = (scan.scrub, scan.errors, datetime.fromtimestamp(scan.ended_s, UTC).year)
            assert told == (ended[1].startswith("scrub"), int(ended[2]), int(ended[3]))
    own = pooled_says("zpool status tank")
    mine, real = read_status(own), read_status(text)
    assert mine is not None
    assert real is not None
    heads = set(re.findall(r"(?m)^\s*(\w+):", text)) | {
        "errors",
        "scan",
    }  # cut off before, or older
    assert set(re.findall(r"(?m)^\s*(\w+):", own)) <= heads


def pooled_says(line: str) -> str:
    """A twin's machine that has a pool, months after it was made."""
    machine = twin_machine()
    has_zfs(machine)
    add(machine, "tank")
    machine.world.clock.sleep(90 * 86_400.0)
    return says(machine, line)
