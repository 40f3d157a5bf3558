"""Programs about file systems: what is mounted where, how full it is, and NFS.

Source: findmnt(8), df(1), mount(8), showmount(8).
"""

import posixpath
from collections.abc import Iterable
from typing import Any

from homelab_lib.twin.machine.columns import Look, Row, human, printed
from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails, operands
from homelab_lib.twin.machine.tree import Mount
from homelab_lib.twin.machine.usage import Misused, Usage, named

mounts = Commands()

_FINDMNT = Usage(
    "J,json o,output: n,noheadings r,raw l,list P,pairs t,types: S,source: M,mountpoint: T,target: "
    "b,bytes f,first-only k,kernel A,all a,ascii u v D,df O,options: e,evaluate s,fstab",
    most=2,
)
_DF = Usage("h,human-readable H k B,block-size: P,portability T,print-type a,all i l,local output?"
            " t,type: x,exclude-type: total")  # fmt: skip
_COLUMNS = ("target", "source", "fstype", "options")
_ALL = (*_COLUMNS, "size", "used", "avail", "use%")
_RIGHT = frozenset(("size", "used", "avail", "use%"))
_KERNELS: tuple[tuple[str, str, str, str], ...] = (
    ("/sys", "sysfs", "sysfs", "rw,nosuid,nodev,noexec,relatime"),
    ("/proc", "proc", "proc", "rw,nosuid,nodev,noexec,relatime"),
    ("/dev", "udev", "devtmpfs", "rw,nosuid,relatime,size=8123456k,mode=755"),
    ("/dev/pts", "devpts", "devpts", "rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=000"),
    ("/dev/shm", "tmpfs", "tmpfs", "rw,nosuid,nodev"),
    ("/run", "tmpfs", "tmpfs", "rw,nosuid,nodev,noexec,relatime,size=1624691k,mode=755"),
    ("/run/lock", "tmpfs", "tmpfs", "rw,nosuid,nodev,noexec,relatime,size=5120k"),
)
_SIZED = ("ext4", "xfs", "zfs", "btrfs", "vfat", "nfs", "nfs4", "tmpfs", "devtmpfs")
_OTHER_BYTES = 2**30  # of what no disk of this machine holds


def mounted(machine: Machine) -> list[Row]:
    """What is mounted on a machine, the root first; of a seeded one, as the real one says."""
    told = machine.told("findmnt", "-J", "-b", "-o", ",".join(name.upper() for name in _ALL))
    if told is not None:
        found = list(_flat(told.get("filesystems") if isinstance(told, dict) else None))
    else:
        root = ("/", machine.root_source, machine.root_fstype, "rw,relatime")
        found = [dict(zip(_COLUMNS, each, strict=True)) for each in (root, *_KERNELS)]
        for row in found:
            _sized(machine, row)
    known = {row.get("target") for row in found}
    for mount in machine.files.mounts.values():
        if mount.target not in known:
            row = {"target": mount.target, "source": mount.source, "fstype": mount.fstype}
            row["options"] = mount.options
            _sized(machine, row)
            found.append(row)
    return found


def _flat(rows: Any) -> Iterable[Row]:
    if not isinstance(rows, list):
        raise Misused(Reply(1, stderr="findmnt: the real host answers in another form\n"))
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("target"), str):
            raise Misused(Reply(1, stderr="findmnt: the real host answers in another form\n"))
        yield {key: value for key, value in row.items() if key != "children"}
        yield from _flat(row.get("children") or [])


def _in_fstab(machine: Machine) -> list[Row]:
    """What is to be mounted at each boot."""
    lines = [
        line.partition("#")[0].split() for line in machine.files.text("/etc/fstab").splitlines()
    ]
    names = ("source", "target", "fstype", "options")
    return [dict(zip(names, words, strict=False)) for words in lines if len(words) > 3]


def _sized(machine: Machine, row: Row) -> None:
    """How large it is, and how full."""
    row |= dict.fromkeys(("size", "used", "avail", "use%"))
    if row["fstype"] in _SIZED:
        is_root = row["target"] == "/"
        size = machine.root_bytes if is_root else _OTHER_BYTES
        used = size if machine.files.full and is_root else size // 10 if is_root else 0
        row |= {"size": size, "used": used, "avail": size - used, "use%": f"{used * 100 // size}%"}


def _tree(rows: list[Row]) -> list[Row]:
    """Each row below that of the file system which holds its folder."""
    placed = [{**row, "children": []} for row in rows]
    top: list[Row] = []
    for number, row in enumerate(placed):
        above = [
            each
            for each in placed[:number]
            if f"{row['target']}/".startswith(f"{each['target'].rstrip('/')}/")
        ]
        best = max(above, key=lambda each: len(each["target"]), default=None)
        (top if best is None else best["children"]).append(row)
    return top


@mounts("findmnt")
def findmnt(machine: Machine, call: Call) -> Reply:
    """What is mounted where, as a tree, a table or JSON."""
    given = _FINDMNT.of(call)
    asked = given.get("o")
    columns = tuple(asked.lower().split(",")) if asked else _COLUMNS
    for name in columns:
        if name not in _ALL:
            return fails(call, f"unknown column: {name.upper()}")
    rows = _in_fstab(machine) if "s" in given else mounted(machine)
    if "t" in given:
        rows = [row for row in rows if row["fstype"] in given.options["t"].split(",")]
    for option, place in (("S", "source"), ("M", "target")):
        if option in given:
            rows = [row for row in rows if row[place] == given.options[option]]
    if "T" in given:
        rows = _holding(machine, call, given.options["T"], rows)
    words = given.words
    if len(words) == 1:
        rows = [r for r in rows if words[0] in (r["target"].rstrip("/") or "/", r["source"])][-1:]
    elif words:
        rows = [row for row in rows if [row["source"], row["target"]] == words]
    rows = rows[:1] if "f" in given else rows
    if not rows:
        return Reply(1)
    form = next((form for letter, form in _FORMS.items() if letter in given), "table")
    if "b" not in given:
        sizes = ("size", "used", "avail")
        rows = [r | {s: human(r[s]) for s in sizes if isinstance(r.get(s), int)} for r in rows]
    ascii_only = "a" in given or call.env.get("LC_ALL") in ("C", "POSIX")
    look = Look(columns, _RIGHT, "n" not in given, form, ascii_only)
    listed = {"l", "r", "P"} & given.options.keys()
    shown = rows if listed else _tree(rows)
    return Reply(0, printed("filesystems", shown, look))


_FORMS = {"J": "json", "r": "raw", "P": "pairs", "l": "list"}


def _holding(machine: Machine, call: Call, word: str, rows: list[Row]) -> list[Row]:
    """The file system that a path lies on."""
    try:
        path = machine.files.resolve(call.path(word), machine.who(call))
        machine.files.stat(path)
    except FileError:
        return []
    inside = [r for r in rows if f"{path}/".startswith(f"{r['target'].rstrip('/')}/")]
    return [max(inside, key=lambda row: len(row["target"]))] if inside else []


@mounts("df")
def df(machine: Machine, call: Call) -> Reply:
    """How full the file systems are, all of them or those that hold the given paths."""
    given = _DF.of(call)
    rows = [row for row in mounted(machine) if isinstance(row.get("size"), int)]
    err = ""
    if given.words:
        chosen = []
        for word in given.words:
            try:
                if word:
                    machine.files.stat(call.path(word), machine.who(call))
                chosen += _holding(machine, call, word, rows)
            except FileError as error:
                err += f"df: {named(word, call)}: {error.says}\n"
        rows = chosen
    if "t" in given:
        rows = [row for row in rows if row["fstype"] in given.options["t"].split(",")]
    if not rows:
        return Reply(1, stderr=err or "df: no file systems processed\n")
    block = given.get("B") or ""
    unit = 1 if block in ("1", "B") else 2**20 if block == "M" else 1024
    scaled = human if "h" in given else lambda size: str(-(-size // unit))
    title = {"h": "Size", "P": "1024-blocks"}
    size_title = next(
        (t for letter, t in title.items() if letter in given), f"{_block(unit)}-blocks"
    )
    heads = ["Filesystem", size_title, "Used", "Available", "Use%", "Mounted on"]
    heads[3] = "Avail" if "h" in given else heads[3]
    heads[4] = "Capacity" if "P" in given else heads[4]
    table = [heads]
    for row in rows:
        sizes = [scaled(row[name]) for name in ("size", "used", "avail")]
        share = -(-row["used"] * 100 // max(row["used"] + row["avail"], 1))
        table.append([row["source"], *sizes, f"{share}%", row["target"]])
    if "T" in given:
        kinds = ["Type", *(row["fstype"] for row in rows)]
        table = [[line[0], kind, *line[1:]] for line, kind in zip(table, kinds, strict=True)]
    return Reply(1 if err else 0, _aligned(table, left=2 if "T" in given else 1), err)


def _block(unit: int) -> str:
    return {1: "1B", 1024: "1K", 2**20: "1M"}[unit]


def _aligned(table: list[list[str]], *, left: int) -> str:
    widths = [max(len(line[place]) for line in table) for place in range(len(table[0]))]
    widths[0] = max(widths[0], 14)
    out = ""
    for line in table:
        cells = [
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line[:-1], widths, strict=False))
        ]
        out += " ".join([*cells, line[-1]]) + "\n"
    return out


@mounts("mount")
def mount(machine: Machine, call: Call) -> Reply:
    """Mount an NFS export, or a file system that is on a device of this machine."""
    words, options = operands(call, "-t -o")
    if not words:
        form = "{source} on {target} type {fstype} ({options})\n"
        return Reply(0, "".join(form.format(**row) for row in mounted(machine)))
    if words[0].startswith("/dev/") and machine.on_device is not None:
        return _from_device(machine, words[0], posixpath.normpath(words[1]), options)
    if "nfs-common" not in machine.packages:
        text = "bad option; for several filesystems (e.g. nfs, cifs) you might need a "
        return Reply(32, stderr=f"mount: {words[1]}: {text}/sbin/mount.<type> helper program.\n")
    server, _, export = words[0].partition(":")
    target = posixpath.normpath(words[1])
    found, why = machine.world.nfs(machine, server, export)
    if found is None:
        return Reply(32, stderr=f"mount.nfs: {why} for {words[0]} on {target}\n", takes_s=3)
    fstype = "nfs4" if options.get("-t", "nfs4").startswith("nfs") else options["-t"]
    machine.files.mount(
        Mount(target, found.files, found.root, words[0], fstype, options.get("-o") or "rw")
    )
    return Reply()


def _from_device(machine: Machine, device: str, target: str, options: dict[str, str]) -> Reply:
    assert machine.on_device is not None
    asked = options.get("-o") or "rw"
    found = machine.on_device(machine, device, asked)
    if isinstance(found, str):
        return Reply(32, stderr=f"mount: {target}: {found}\n")
    tree, kind = found
    if not machine.files.is_dir(target):
        return Reply(32, stderr=f"mount: {target}: mount point does not exist.\n")
    machine.files.mount(Mount(target, tree, "/", device, kind, asked))
    return Reply()


@mounts("umount")
def umount(machine: Machine, call: Call) -> Reply:
    """Take a mount away."""
    target = operands(call)[0][0]
    if machine.on_device is not None and posixpath.normpath(target) not in machine.files.mounts:
        return Reply(32, stderr=f"umount: {target}: not mounted.\n")
    machine.files.umount(target)
    return Reply()


@mounts("showmount")
def showmount(machine: Machine, call: Call) -> Reply:
    """What a server exports."""
    server, world = operands(call)[0][0], machine.world
    nas: Any
    if server in ("localhost", "127.0.0.1"):
        nas, listens = machine, machine.listeners.get(2049)
        why = "" if listens and listens() else "Connection refused"
    else:
        address = server if ":" in server else world.resolve(machine, server)
        if not address:
            return Reply(1, stderr="clnt_create: RPC: Unknown host\n")
        nas, why = world.find_ip(address), world.reach(machine, address, 2049)
    if why:
        return Reply(1, stderr=f"clnt_create: RPC: Unable to receive: {why}\n", takes_s=3)
    lines = [f"{row['path']} {','.join(row['networks'] or ['*'])}\n" for row in nas.exports()]
    head = "" if "--no-headers" in call.argv else f"Export list for {server}:\n"
    return Reply(0, head + "".join(lines))
