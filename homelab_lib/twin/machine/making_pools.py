"""How a pool comes to stand on a Linux machine's disks.

Sources: zpool-create(8); OpenZFS, ``cmd/zpool/zpool_vdev.c`` (`check_in_use`, `construct_spec`,
`get_replication`), and what OpenZFS 2.3 answered on a machine that was tried.
"""

from collections.abc import Iterable, Iterator, Set
from itertools import pairwise

from homelab_lib.lab.pools import Pool, Vdev
from homelab_lib.models import zfs
from homelab_lib.twin.machine.blocks import told_blocks
from homelab_lib.twin.machine.columns import Row
from homelab_lib.twin.machine.disks import changing, labels, link, partition, path_of, take
from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Reply
from homelab_lib.twin.machine.usage import Usage
from homelab_lib.twin.machine.zfs import Group, add, datasets

ROLES = ("data", "special", "dedup", "log", "cache", "spare")
"""In the order in which `zpool status` shows them."""

_CREATE = Usage("o: O: m: R: t: f n d", least=2, status=2, in_order=True)
_ONCE = ("log", "cache", "spare")
_TAKES_S = 4.0
_SAME_BYTES = 2**24  # ZPOOL_FUZZ


def stand_up(machine: Machine, pool: Pool) -> None:
    """Have a pool that is described stand on the machine's disks."""
    names = list(machine.world.lab.hosts[machine.name].disks)
    rows = dict(zip(names, machine.blocks, strict=True))
    groups = [(g.role, g.layout, [rows[name] for name in g.disks]) for g in pool.groups]
    _make(machine, pool.name, groups, pool.ashift)


def _make(
    machine: Machine, pool: str, groups: Iterable[tuple[str, str, list[Row]]], ashift: int
) -> None:
    made, vdevs = [], []
    for role, layout, rows in groups:
        members = tuple(_member(machine, row, pool) for row in rows)
        made.append(Group(role, layout, members))
        for each in [[row] for row in rows] if layout == "stripe" else [rows]:
            vdevs.append(
                zfs.Vdev(
                    layout,
                    tuple(row["size"] for row in each),
                    role=role,  # type: ignore[arg-type]
                    ashift=ashift,
                    logical_block=tuple(row["log-sec"] or 512 for row in each),
                )
            )
    holds = zfs.capacity(vdevs)
    add(machine, pool, vdevs=tuple(made), usable_bytes=int(holds.usable_bytes))


def _member(machine: Machine, row: Row, pool: str) -> str:
    """The partition of a disk on which a pool comes to lie; of one that has some, it is there."""
    if row.get("children"):
        return str(row["children"][-1]["name"])
    member = take(machine, row, pool)
    link(machine, f"{path_of(row)}-part1", member)
    return member


def shown(machine: Machine, member: str, given: Set[str]) -> str:
    """A disk as `zpool status` has it: by its lasting name, or its path, or the kernel's path."""
    if {"-P", "-L"} <= given:
        return f"/dev/{member}"
    if "-L" in given:
        return member
    rows = told_blocks(machine) or machine.blocks
    disk = next((row for row in rows if partition(row["name"], 1) == member), None)
    path = path_of(disk) if disk is not None else f"/dev/{member}"
    return f"{path}-part1" if "-P" in given else path.rpartition("/")[2]


def create(machine: Machine, call: Call) -> Reply:
    """``zpool create [-o ashift=N] POOL [LAYOUT] DEVICE… [ROLE [LAYOUT] DEVICE…]…``."""
    given = _CREATE.of(call.other("zpool", *call.argv[2:]))
    if {"f", "n", "d", "R", "t", "m"} & given.options.keys():
        return Reply(2, stderr="twin: its zpool create knows -o and -O alone\n")
    name, *words = given.words
    if twice := next((role for role in _ONCE if words.count(role) > 1), ""):
        why = f"'{twice}' can be specified only once"
        return Reply(1, stderr=f"invalid vdev specification: {why}\n")
    options = dict(value.split("=", 1) for _, value in given.all if "=" in value)
    rows = changing(machine, told_blocks(machine))
    try:
        groups = list(_groups(machine, rows, words))
    except LookupError as error:
        return Reply(1, stderr=f"cannot resolve path '{error.args[0]}'\n")
    used = [f"{path} is in use and contains a unknown filesystem." for path in _used(machine, rows,
            words)]  # fmt: skip
    if used:
        return Reply(1, stderr="\n".join(used) + "\n")
    if wrong := [*_labelled(machine, groups), *_unlike(groups)]:
        head = "invalid vdev specification\nuse '-f' to override the following errors:\n"
        return Reply(1, stderr=head + "\n".join(wrong) + "\n")
    if call.user != "root":
        return Reply(1, stderr=f"cannot create '{name}': permission denied\n")
    if name in datasets(machine):
        return Reply(1, stderr=f"cannot create '{name}': pool already exists\n")

    def done() -> Reply:
        _make(machine, name, groups, int(options.get("ashift", "12")))
        return Reply()

    return Reply(takes_s=_TAKES_S, finish=done)


def _disk(machine: Machine, rows: list[Row], path: str) -> Row:
    """The disk at a path.

    Raises
    ------
    LookupError
        There is none.
    """
    try:
        real = machine.files.resolve(path)
    except FileError:
        real = path
    found = next((row for row in rows if f"/dev/{row['name']}" == real), None)
    if found is None:
        raise LookupError(path)
    return found


def _groups(
    machine: Machine, rows: list[Row], words: list[str]
) -> Iterator[tuple[str, str, list[Row]]]:
    """The vdevs that the words name."""
    role, layout, disks = "data", "stripe", list[Row]()
    for word in words:
        kind = word.startswith(("mirror", "raidz", "draid"))
        if word not in ROLES and not kind:
            disks.append(_disk(machine, rows, word))
            continue
        if disks:
            yield role, layout, disks
        disks = []
        role, layout = (word, "stripe") if word in ROLES else (role, word)
    yield role, layout, disks


def _used(machine: Machine, rows: list[Row], words: list[str]) -> Iterator[str]:
    """Paths of disks on which a pool that is imported lies."""
    members = {m for each in datasets(machine).values() for g in each.vdevs for m in g.members}
    for word in words:
        if word.startswith("/"):
            row = _disk(machine, rows, word)
            if any(child["name"] in members for child in row.get("children") or ()):
                yield word


def _labelled(machine: Machine, groups: Iterable[tuple[str, str, list[Row]]]) -> Iterator[str]:
    """What a person has to give up first."""
    for _, _, rows in groups:
        for row in rows:
            path = path_of(row)
            for child in row.get("children") or ():
                if child.get("fstype") == "zfs_member":
                    yield f"{path}-part1 is part of potentially active pool '{child['label']}'"
            for each in labels(machine, f"/dev/{row['name']}") or ():
                if each["type"] not in ("gpt", "PMBR", "zfs_member"):
                    yield f"{path} contains a filesystem of type '{each['type']}'"


def _unlike(groups: list[tuple[str, str, list[Row]]]) -> Iterator[str]:
    """Vdevs that don't survive losing equally many disks, are of other widths, or have disks of
    other sizes."""
    for _, layout, rows in groups:
        sizes = [row["size"] for row in rows]
        if layout != "stripe" and max(sizes) - min(sizes) > _SAME_BYTES:
            yield f"{_kind(layout)} contains devices of different sizes"
    counted = [(layout, rows) for role, layout, rows in groups if role in ROLES[:3]]
    for (one, its), (other, theirs) in pairwise(counted):
        kinds, loses = (_kind(one), _kind(other)), (_parity(one, its), _parity(other, theirs))
        level = "mismatched replication level: "
        both = set(kinds)
        if both == {"mirror"} and loses[0] != loses[1]:
            ways = f"both {len(its)}-way and {len(theirs)}-way"
            yield f"{level}{ways} mirror vdevs are present"
        elif len(both) > 1 and both not in ({"mirror", "raidz"}, {"raidz", "draid"}):
            yield f"{level}both {kinds[0]} and {kinds[1]} vdevs are present"
        elif loses[0] != loses[1]:
            yield (
                f"{level}{kinds[0]} and {kinds[1]} vdevs with different redundancy, "
                f"{loses[0]} vs. {loses[1]} are present"
            )


def _kind(layout: str) -> str:
    return layout.rstrip("123").partition(":")[0].rstrip("123")


def _parity(layout: str, rows: list[Row]) -> int:
    return Vdev(layout=layout, disks=tuple(row["name"] for row in rows)).failures
