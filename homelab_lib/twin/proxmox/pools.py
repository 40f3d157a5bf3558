"""Disks of a node and the ZFS pools on them, as the node sees them.

Sources: `PVE::Diskmanage` and `PVE::API2::Disks::ZFS` (pve-storage 9.1), zpool-create(8).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from homelab_lib.twin.machine.columns import Row
from homelab_lib.twin.machine.disks import lasting_name

_LAYOUTS = {
    "single": ("", 1),
    "mirror": ("mirror", 2),
    "raid10": ("mirror", 4),
    "raidz": ("raidz1", 3),
    "raidz2": ("raidz2", 4),
    "raidz3": ("raidz3", 5),
    "draid": ("draid1", 3),
    "draid2": ("draid2", 4),
    "draid3": ("draid3", 5),
}
"""Of each level of the API: zpool's word, and the fewest disks."""


@dataclass
class ZPool:
    """A ZFS pool.

    Parameters
    ----------
    name, level
        Its name, and the API's word for its layout.
    members
        Its parts, by paths that name the disk: ``/dev/disk/by-id/nvme-…``.
    size_bytes
        What it holds [bytes].
    state
        ``ONLINE``, or what is wrong with it.
    """

    name: str
    level: str
    members: list[str]
    size_bytes: int
    state: str = "ONLINE"
    said: dict[str, Any] | None = None
    """What a real one says of itself."""

    @classmethod
    def told(cls, row: dict[str, Any], detail: dict[str, Any]) -> "ZPool":
        """One that stands on a real node, by the API's own answers."""
        members = list(_leaves(detail.get("children") or []))
        size = int(row.get("size", 0))
        return cls(row["name"], "single", members, size, row.get("health", "ONLINE"), said=detail)

    @property
    def row(self) -> dict[str, Any]:
        """As the API lists it."""
        used = self.size_bytes // 1000
        return {
            "name": self.name,
            "size": self.size_bytes,
            "alloc": used,
            "free": self.size_bytes - used,
            "frag": 0,
            "dedup": 1,
            "health": self.state,
        }

    @property
    def detail(self) -> dict[str, Any]:
        """What `zpool status` says of it, as a tree."""
        if self.said is not None:
            return self.said
        word, _ = _LAYOUTS[self.level]
        width = 2 if self.level == "raid10" else len(self.members)
        leaves = [self._vdev(path) for path in self.members]
        groups = [leaves[at : at + width] for at in range(0, len(leaves), width)]
        below = [
            self._vdev(f"{word}-{number}") | {"children": group}
            for number, group in enumerate(groups)
        ]
        top = self._vdev(self.name) | {"children": below if word else leaves}
        said = {"scan": "none requested", "errors": "No known data errors"}
        return {"name": self.name, "state": self.state, **said, "children": [top]}

    def _vdev(self, name: str) -> dict[str, Any]:
        return {"name": name, "state": self.state, "read": 0, "write": 0, "cksum": 0, "msg": ""}


def _leaves(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        below = row.get("children") or []
        yield from _leaves(below) if below else (str(row.get("name", "")),)


def disk_row(block: Row) -> dict[str, Any]:
    """A block device as the API lists it among the disks."""
    kind = "nvme" if block["name"].startswith("nvme") else "hdd" if block["rota"] else "ssd"
    row: dict[str, Any] = {
        "devpath": f"/dev/{block['name']}",
        "gpt": 1 if block.get("children") else 0,
        "health": "PASSED",
        "model": str(block["model"] or "unknown"),
        "serial": str(block["serial"] or "unknown"),
        "size": block["size"],
        "type": kind,
        "vendor": "unknown",
        "wwn": "unknown",
        "wearout": 100,
    }
    row["by_id_link"] = by_id(row)
    used = "partitions" if block.get("children") else block.get("fstype")
    return row | ({"used": used} if used else {})


def by_id(row: dict[str, Any]) -> str:
    """The path that names a disk, by its row in the API."""
    serial = row.get("serial", "unknown")
    name = row["devpath"].removeprefix("/dev/")
    return lasting_name(name, row.get("model"), serial if serial != "unknown" else None)


def fewest(level: str) -> int:
    """How many disks a layout needs at the least."""
    return _LAYOUTS[level][1]
