"""The disks of a TrueNAS, and what lies on each of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from homelab_lib.answers import Shape, expected, fitted
from homelab_lib.control.truenas.midclt import call, finished
from homelab_lib.runbook.resource import Host
from homelab_lib.units import format_bytes

_ROWS: Shape = [
    {
        "name": str,
        "serial?": str,
        "lunid?": str,
        "identifier?": str,
        "size?": int,
        "imported_zpool?": str,
        "exported_zpool?": str,
        "partitions?": [object],
    }
]
_DETAILS: Shape = {"used": _ROWS, "unused": _ROWS}


def _block(value: Any) -> Any:
    """A block device of `lsblk`, with all that lies on it."""
    told = dict.fromkeys(("type?", "fstype?", "label?", "pttype?"), str)
    return fitted(value, {"name": str, **told, "children?": [_block]})


_BLOCKS: Shape = {"blockdevices": [_block]}
_FOUND: Shape = [{"name": str}]
_COLUMNS = "name,type,fstype,label,pttype"

Disk = dict[str, Any]
"""What is known of one: see `look_at_disks`."""


def serials(host: Host) -> dict[str, str]:
    """The serial number of each disk, by the name that it has since the last boot."""
    return {row["name"]: row.get("serial", "") for row in _rows(host)}


@dataclass(frozen=True)
class Identity:
    """By what a disk is known whatever it is called since the last boot.

    Parameters
    ----------
    serial, lunid
        Its serial number, and its world-wide name where it has one.
    nvme
        Whether it is an NVMe drive: the name of such a one is no ``wwn``.
    identifier
        As TrueNAS has it.
    """

    serial: str
    lunid: str
    identifier: str
    nvme: bool = False

    def command(self, test: str) -> str:
        """What has it test itself: ``long``."""
        # By its world-wide name there is one link; by its serial number several, but for ata-…
        # and nvme-…. TrueNAS leaves away what stands before an NVMe drive's name: eui., or nothing.
        link = f"wwn-0x{self.lunid}" if self.lunid else f"ata-*_{self.serial}"
        if self.nvme:
            link = f"nvme-*_{self.serial}"
        return f"smartctl -t {test} /dev/disk/by-id/{link}"


def identities(host: Host) -> dict[str, Identity]:
    """The disks that can be tested, by their serial numbers: not those that TrueNAS starts from,
    which are often USB sticks and know no tests."""
    boot = set(call(host, "boot.get_disks", shape=[str]))
    return {
        row["serial"]: Identity(
            row["serial"],
            row.get("lunid", ""),
            row.get("identifier", ""),
            row["name"].startswith("nvme"),
        )
        for row in _rows(host)
        if row.get("serial") and row["name"] not in boot
    }


def look_at_disks(host: Host) -> list[Disk]:
    """What each disk is, and what lies on it.

    Two look: the middleware, which knows of pools and partitions, and `lsblk`, which knows of
    whatever else has left a mark on a disk, and of labels that lead to no pool any more.

    Returns
    -------
    list of Disk
        ``name``, ``serial``, ``size`` [bytes] and ``boot`` of each; ``pool``: the pool that it is
        in, or carries the label of (``?`` where that has no name); ``imported``: whether that is
        in use; ``holds``: what else lies on it, in words.
    """
    boot = set(call(host, "boot.get_disks", shape=[str]))
    words = ("lsblk", "--json", "--output", _COLUMNS)
    shown = expected(host.json(*words), _BLOCKS, host=host.name, line=" ".join(words))
    marks = {row["name"]: list(_below(row)) for row in shown["blockdevices"]}
    return [_disk(row, marks.get(row["name"], []), boot) for row in _rows(host)]


def importable(host: Host) -> list[str]:
    """Names of the pools that lie on the disks and are not imported."""
    return sorted(row["name"] for row in finished(host, "pool.import_find", shape=_FOUND))


def _rows(host: Host) -> list[dict[str, Any]]:
    asked = {"type": "BOTH", "join_partitions": True}
    found = call(host, "disk.details", asked, shape=_DETAILS)
    return sorted([*found["used"], *found["unused"]], key=lambda row: str(row["name"]))


def _below(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A block device and all that lies on it."""
    yield row
    for child in row.get("children") or ():
        yield from _below(child)


def _disk(row: dict[str, Any], marks: list[dict[str, Any]], boot: set[str]) -> Disk:
    imported, exported = row.get("imported_zpool", ""), row.get("exported_zpool", "")
    labels = [each.get("label") or "?" for each in marks if each.get("fstype") == "zfs_member"]
    others = {each.get("fstype") for each in marks} - {None, "", "zfs_member"}
    parts = len(row.get("partitions", ()))
    parts = parts or sum(each.get("type") == "part" for each in marks)
    holds = [f"{parts} partition{'s' if parts > 1 else ''}"] if parts else []
    tables = {each["pttype"] for each in marks[:1] if each.get("pttype")}
    holds += [f"an empty {kind} partition table" for kind in sorted(tables) if not parts]
    return {
        "name": row["name"],
        "serial": row.get("serial", ""),
        "size": row.get("size", 0),
        "boot": row["name"] in boot,
        "pool": imported or exported or (labels[0] if labels else ""),
        "imported": bool(imported),
        "holds": holds + sorted(str(each) for each in others),
    }


def told(disk: Disk) -> str:
    """A disk in words: ``sdb (HLNAS14T0001, 14.00 TB)``."""
    return f"{disk['name']} ({disk['serial'] or 'no serial number'}, {format_bytes(disk['size'])})"
