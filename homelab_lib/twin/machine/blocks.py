"""`lsblk`: a machine's block devices. A seeded machine has the real one's, whatever is in them.

Source: lsblk(8), util-linux 2.38.
"""

from collections.abc import Iterator
from typing import Any

from homelab_lib.twin.machine.columns import Look, Row, human, printed
from homelab_lib.twin.machine.devices import NOTHING
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails
from homelab_lib.twin.machine.usage import Misused, Usage

blocks = Commands()

_LSBLK = Usage(
    "J,json b,bytes O,output-all o,output: n,noheadings d,nodeps l,list r,raw P,pairs p,paths "
    "f,fs t,topology a,all i,ascii e,exclude: I,include: x,sort: s,inverse S,scsi m,perms D,discard"
)
_DEFAULT = ("name", "maj:min", "rm", "size", "ro", "type", "mountpoints")
_FS = ("name", "fstype", "fsver", "label", "uuid", "fsavail", "fsuse%", "mountpoints")
_SIZES = ("size", "fsavail", "fssize", "fsused", "disc-gran", "disc-max", "wsame", "zone-sz")
_RIGHT = frozenset(
    (*_SIZES, "rm", "ro", "fsuse%", "rota", "alignment", "min-io", "opt-io", "phy-sec", "log-sec")
)
_MAJOR = {"nvme": 259, "vd": 254, "sd": 8, "loop": 7, "dm": 253, "md": 9, "mmcblk": 179}


@blocks("lsblk")
def lsblk(machine: Machine, call: Call) -> Reply:
    """Block devices, as a tree, a table or JSON."""
    try:
        given = _LSBLK.of(call)
    except Misused as error:
        return error.reply
    if unknown := {"s", "x", "I", "t", "S", "m", "D"} & given.options.keys():
        return fails(call, f"this twin does not know -{min(unknown)}")
    rows = list(_numbered(machine))
    columns = _columns(given.get("o"), rows, everything="O" in given, fs="f" in given)
    if isinstance(columns, str):
        return fails(call, columns)
    if given.words:
        wanted = {word.removeprefix("/dev/") for word in given.words}
        known = {row["name"]: row for row in _every(rows)}
        if missing := sorted(wanted - known.keys()):
            return Reply(32, stderr=f"lsblk: /dev/{missing[0]}: not a block device\n")
        rows = [row for name, row in known.items() if name in wanted]
    form = next((form for letter, form in _FORMS.items() if letter in given), "table")
    if "d" in given:
        rows = [{**row, "children": []} for row in rows]
    if form in ("raw", "pairs", "list"):
        rows = [{**row, "children": []} for row in _every(rows)]
    shown = [_shown(row, in_bytes="b" in given, paths="p" in given) for row in rows]
    ascii_only = "i" in given or call.env.get("LC_ALL") in ("C", "POSIX")
    look = Look(columns, _RIGHT, "n" not in given, form, ascii_only)
    return Reply(0, printed("blockdevices", shown, look))


_FORMS = {"J": "json", "r": "raw", "P": "pairs", "l": "list"}


def _columns(
    asked: str | None, rows: list[Row], *, everything: bool, fs: bool
) -> tuple[str, ...] | str:
    """The columns to show; or what is wrong with those that were asked for."""
    known = tuple(dict.fromkeys([*NOTHING, *(key for row in rows for key in row)]))
    known = tuple(key for key in known if key != "children")
    if everything:
        return known
    if asked is None:
        return _FS if fs else _DEFAULT
    names = tuple(name.lower() for name in asked.removeprefix("+").split(","))
    for name in names:
        if name not in known:
            return f"unknown column: {name.upper()}"
    return (*_DEFAULT, *names) if asked.startswith("+") else names


def _are_rows(rows: Any) -> bool:
    """Whether these are devices with a name each, and such devices on them."""
    return isinstance(rows, list) and all(
        isinstance(row, dict)
        and isinstance(row.get("name"), str)
        and _are_rows(row.get("children") or [])
        for row in rows
    )


def _numbered(machine: Machine) -> Iterator[Row]:
    """The machine's devices; of a seeded one as the real one tells of them."""
    told = told_blocks(machine)
    if told is not None:
        yield from (row for row in told if machine.sees_disk(row["name"]))
        return
    for place, row in enumerate(row for row in machine.blocks if machine.sees_disk(row["name"])):
        major = next((number for kind, number in _MAJOR.items() if row["name"].startswith(kind)), 8)
        yield from _with_numbers([row], major, place * 16)


def told_blocks(machine: Machine) -> list[Row] | None:
    """What the real host behind a seeded machine says, with what the twin has changed of it; None
    where there is no real host."""
    if (rows := machine.kept.get("blocks")) is not None:
        found: list[Row] = rows
        return found
    told = machine.told("lsblk", "-J", "-b", "-O")
    if told is None:
        return None
    said: Any = told.get("blockdevices") if isinstance(told, dict) else None
    if not _are_rows(said):
        raise Misused(Reply(1, stderr="lsblk: the real host answers in another form\n"))
    return list(said)


def _with_numbers(rows: list[Row], major: int, minor: int) -> Iterator[Row]:
    for place, row in enumerate(rows):
        children = list(_with_numbers(row.get("children") or [], major, minor + place + 1))
        numbers = row["maj:min"] or f"{major}:{minor + place}"
        yield {**row, "maj:min": numbers} | ({"children": children} if children else {})


def _every(rows: list[Row]) -> Iterator[Row]:
    for row in rows:
        yield row
        yield from _every(row.get("children") or [])


def _shown(row: Row, *, in_bytes: bool, paths: bool) -> Row:
    shown = dict(row)
    for column in () if in_bytes else (*_SIZES, "zone-wgran", "zone-app"):
        value = shown.get(column)
        if isinstance(value, str) and value.isdigit():  # util-linux before 2.33
            value = int(value)
        shown[column] = human(value) if isinstance(value, int) else value
    if paths:
        shown["name"] = row.get("path") or f"/dev/{row['name']}"
    if row.get("children"):
        shown["children"] = [
            _shown(child, in_bytes=in_bytes, paths=paths) for child in row["children"]
        ]
    return shown
