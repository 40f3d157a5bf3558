"""Disks: the names that udev has for them, the labels on them, and what a pool leaves there.

Sources: systemd, ``60-persistent-storage.rules``; wipefs(8) of util-linux 2.41, and what `zpool
create` of OpenZFS 2.3 left on a disk that was tried.
"""

import copy
import json
import re
from contextlib import suppress
from typing import Any

from homelab_lib.twin.machine.columns import Row
from homelab_lib.twin.machine.devices import device
from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.machine.seeding import lines_of
from homelab_lib.twin.machine.surroundings import Ask

disk_programs = Commands()

BY_ID = "/dev/disk/by-id"
_LABEL_OFFSET = "0x4000"
_TABLE = (("0x200", "gpt"), ("0x1fe", "PMBR"))


def lasting_name(name: str, model: str | None, serial: str | None, wire: str = "ata") -> str:
    """The path that names a disk by its model and its serial number.

    Parameters
    ----------
    name, model, serial
        What the kernel calls it, and what it says of itself.
    wire
        How it is attached: ``ata``, ``usb``.
    """
    bus = "nvme" if name.startswith("nvme") else wire
    called = re.sub(r"[^0-9A-Za-z#+.:=@_-]", "_", model or "unknown")
    return f"{BY_ID}/{bus}-{called}_{serial or name}"


def path_of(row: Row) -> str:
    """The same of a block device's row."""
    wire = "usb" if row.get("tran") == "usb" else "scsi" if row.get("tran") == "sas" else "ata"
    return lasting_name(row["name"], row.get("model"), row.get("serial"), wire)


def partition(name: str, number: int) -> str:
    """What the kernel calls a partition: ``sda1``, ``nvme0n1p1``."""
    return f"{name}{'p' if name[-1].isdigit() else ''}{number}"


def link_disks(machine: Machine) -> None:
    """Have the lasting names of a machine's disks there, as udev does."""
    for row in machine.blocks:
        link(machine, path_of(row), row["name"])


def link(machine: Machine, path: str, name: str) -> None:
    """Have a link to a device there, if there is none yet."""
    machine.files.mkdir(BY_ID, parents=True)
    with suppress(FileError):  # it is there
        machine.files.link(path, f"/dev/{name}")


def seed_disk_links(machine: Machine, ask: Ask) -> None:
    """The lasting names that the disks of a real machine have, where a pool may come to lie on
    them."""
    if machine.name not in machine.world.lab.pools:
        return
    names = lines_of(ask, machine.name, "ls", "-1", BY_ID, ok=(0, 2)) or []
    paths = [f"{BY_ID}/{name}" for name in names]
    ends = lines_of(ask, machine.name, "readlink", "-f", *paths) if paths else []
    for path, end in zip(paths, ends or [], strict=True):
        link(machine, path, end.removeprefix("/dev/"))


def signatures(block: Row) -> list[dict[str, Any]]:
    """What `wipefs` finds on a block device: labels of file systems and pools, a partition
    table."""
    found = []
    if block.get("fstype"):
        label = {"uuid": block.get("uuid"), "label": block.get("label")}
        found.append({"offset": _LABEL_OFFSET, "type": block["fstype"], **label})
    if block.get("children") or block.get("pttype"):
        rows = ({"offset": offset, "type": kind} for offset, kind in _TABLE)
        found += [{**row, "uuid": None, "label": None} for row in rows]
    return [{"device": block["name"], **each} for each in found]


def labels(machine: Machine, path: str) -> list[dict[str, Any]] | None:
    """What `wipefs` finds on a machine's disk; None where there is no such disk."""
    if path not in machine.kept.get("taken", ()):
        told = machine.told("wipefs", "-n", "-J", path)
        if isinstance(told, dict):
            return list(told.get("signatures") or [])
    rows = machine.kept.get("blocks") or machine.blocks
    row = next((row for row in rows if f"/dev/{row['name']}" == path), None)
    return None if row is None else signatures(row)


def take(machine: Machine, block: Row, pool: str) -> str:
    """What `zpool create` leaves on a whole disk: a partition with the label, and a small one.

    Parameters
    ----------
    machine, block
        Where, and the disk's row.
    pool
        Whose label it is.

    Returns
    -------
    str
        The partition that the pool lies on: ``sda1``.
    """
    name = block["name"]
    first, last = partition(name, 1), partition(name, 9)
    facts = {"type": "part", "pttype": "gpt"}
    member = device(first, block["size"] - 2**24, fstype="zfs_member", label=pool, **facts)
    rest = device(last, 2**23, **facts)
    member["pkname"] = rest["pkname"] = name
    block |= {"children": [member, rest], "pttype": "gpt"}
    machine.kept.setdefault("taken", set()).add(f"/dev/{name}")
    return first


def changing(machine: Machine, told: list[Row] | None) -> list[Row]:
    """A machine's rows, to be changed: those of a real one become the twin's own by that.

    Parameters
    ----------
    machine
        Whose.
    told
        What the real one behind it says.
    """
    if machine.ask is None:
        return machine.blocks
    rows: list[Row] = machine.kept.setdefault("blocks", copy.deepcopy(told or []))
    return rows


@disk_programs("wipefs")
def wipefs(machine: Machine, call: Call) -> Reply:
    """What labels a device has; this one wipes nothing."""
    words, given = operands(call)
    if "-n" not in given or "-J" not in given or len(words) != 1:
        return Reply(127, stderr="twin: its wipefs knows -n -J DEVICE alone\n")
    found = labels(machine, words[0])
    if found is None:
        why = "probing initialization failed: No such file or directory"
        return Reply(1, stderr=f"wipefs: error: {words[0]}: {why}\n")
    return Reply(0, json.dumps({"signatures": found}, indent=3) + "\n")
