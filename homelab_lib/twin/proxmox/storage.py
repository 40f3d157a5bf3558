"""Storages of a Proxmox node, and sizes as its configuration writes them."""

import re
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.twin.proxmox.archives import Archive
from homelab_lib.twin.proxmox.schema import NO_SUCH_FILE, PveError

FOLDERS = {
    "iso": "template/iso",
    "vztmpl": "template/cache",
    "backup": "dump",
    "snippets": "snippets",
    "import": "import",
    "images": "images",
}
FILES = ("dir", "btrfs", "nfs", "cifs", "cephfs")
"""Kinds that keep files in folders."""
_THIN = (*FILES, "lvmthin", "rbd")
_SHARED = ("iscsi", "nfs", "cifs", "rbd", "cephfs", "iscsidirect", "zfs", "drbd", "pbs")
"""Kinds that Proxmox takes for shared whatever is said of them (`@SHARED_STORAGE` of its
`PVE::Storage::Plugin`)."""
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "": 1}
_OF_A_GUEST = re.compile(r"(?:^|/)(?:vm|base|subvol|basevol)-(\d+)-[^/]*$")


@dataclass
class Store:
    """A storage.

    Parameters
    ----------
    name, kind
        Proxmox's id and type, such as ``dir``, ``zfspool`` or ``lvmthin``.
    content
        What it may hold.
    place
        Folder, or ZFS dataset; empty where it is neither.
    size_bytes
        How large it is [bytes].
    volumes
        Disks of guests by volume name, with their size [bytes]; files are in the file system.
    options
        What else its kind is configured with: ``vgname``, ``thinpool``, ``server`` ….
    beside_bytes
        What is used of it beside the volumes here, and where these take no room of their own,
        with them [bytes].
    reserved_bytes
        What is neither used nor to be had: what a file system keeps for root [bytes].
    active, enabled
        Whether it is there, and whether it is to be.
    archives
        Backups of guests, by what stands behind ``backup/`` in their names.
    full
        No backup fits on it any more.
    key
        Fingerprint of the key that was entered here to encrypt backups by, whatever is said of it;
        empty: it is not known here, but by what is configured.
    """

    name: str
    kind: str
    content: list[str]
    place: str
    size_bytes: int
    volumes: dict[str, int] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    beside_bytes: int = 0
    reserved_bytes: int = 0
    active: bool = True
    enabled: bool = True
    archives: dict[str, Archive] = field(default_factory=dict)
    full: bool = False
    key: str = ""

    @property
    def thin(self) -> bool:
        """Whether a volume takes room only for what is written to it."""
        return self.kind in _THIN or str(self.options.get("sparse", "0")) == "1"

    @property
    def used_bytes(self) -> int:
        """What is used [bytes]."""
        volumes = 0 if self.thin else sum(self.volumes.values())
        return max(self.beside_bytes + volumes, 0)

    @property
    def free_bytes(self) -> int:
        """What is to be had [bytes]."""
        return max(self.size_bytes - self.reserved_bytes - self.used_bytes, 0)

    def holds(self, more_bytes: int) -> bool:
        """Whether a volume of that size, or one that grows by it, can be made."""
        return self.thin or more_bytes <= self.free_bytes

    def now(self, size_bytes: int, used_bytes: int, free_bytes: int) -> None:
        """Take over what a real one says of itself, with the volumes that it has already."""
        self.size_bytes = size_bytes
        self.reserved_bytes = max(size_bytes - used_bytes - free_bytes, 0)
        # Volumes that do not take what they may hold, nominally exceed all that is used.
        self.beside_bytes = used_bytes - (0 if self.thin else sum(self.volumes.values()))

    @property
    def config(self) -> dict[str, Any]:
        """As `/storage` lists it."""
        place = {} if not self.place else {"pool" if self.kind == "zfspool" else "path": self.place}
        head = {"storage": self.name, "type": self.kind, "content": ",".join(self.content)}
        return place | self.options | head

    @property
    def status(self) -> dict[str, Any]:
        """As the node sees it: one that is not there is listed with zeros."""
        row: dict[str, Any] = {
            "storage": self.name,
            "type": self.kind,
            "content": ",".join(self.content),
            "active": int(self.active and self.enabled),
            "enabled": int(self.enabled),
            "shared": int(self.kind in _SHARED or str(self.options.get("shared", "0")) == "1"),
        }
        if not row["active"]:
            return row | {"total": 0, "used": 0, "avail": 0}
        row |= {"total": self.size_bytes, "used": self.used_bytes, "avail": self.free_bytes}
        return row | ({"used_fraction": row["used"] / row["total"]} if row["total"] else {})


class Stores(dict[str, Store]):
    """The storages of a node by name, and the volumes on them."""

    def named(self, name: str) -> Store:
        """The storage of that name.

        Raises
        ------
        PveError
            In Proxmox's words.
        """
        if name not in self:
            raise PveError(f"storage '{name}' does not exist", NO_SUCH_FILE)
        return self[name]

    def allocate(self, store_name: str, name: str, size_bytes: int, content: str = "images") -> str:
        """Make a volume.

        Raises
        ------
        PveError
            No room, or not there.
        """
        store = self.named(store_name)
        if not store.active:
            raise PveError(f"storage '{store_name}' is not online")
        if content not in store.content:
            raise PveError(f"storage '{store_name}' does not support content-type '{content}'")
        if not store.holds(size_bytes):
            raise PveError(_no_room(store, name))
        store.volumes[name] = size_bytes
        return f"{store_name}:{name}"

    def free_name(self, vmid: int) -> str:
        """The next ``vm-201-disk-N``."""
        taken = {name for store in self.values() for name in store.volumes}
        return next(n for i in range(99) if (n := f"vm-{vmid}-disk-{i}") not in taken)

    def volume_size(self, volid: str) -> int:
        """How large a VM's disk is [bytes].

        Raises
        ------
        PveError
            There is none.
        """
        name, _, volume = volid.partition(":")
        volumes = self.named(name).volumes
        if volume not in volumes:
            raise PveError(f"volume '{volid}' does not exist", NO_SUCH_FILE)
        return volumes[volume]

    def free_volumes(self, vmid: int) -> None:
        """Delete the volumes of a guest."""
        for store in self.values():
            for name in [n for n in store.volumes if guest_of(n) == vmid]:
                del store.volumes[name]


def mounted_at(name: str, kind: str) -> str:
    """Where Proxmox mounts what a server has; empty for what is no file system."""
    return f"/mnt/pve/{name}" if kind in FILES else ""


def _no_room(store: Store, name: str) -> str:
    """What the tool behind a storage says where a volume does not fit."""
    if store.kind == "lvm":
        group = store.options.get("vgname", store.name)
        full = f'Volume group "{group}" has insufficient free space'
        return f"lvcreate '{group}/{name}' error:   {full}"
    return f"zfs error: cannot create '{store.place}/{name}': out of space"


def guest_of(volume: str) -> int | None:
    """Whose a volume is by its name: ``vm-201-disk-0``; None for nobody's."""
    found = _OF_A_GUEST.search(volume)
    return int(found[1]) if found else None


def parse_size(text: str) -> int:
    """``64G`` in bytes.

    Raises
    ------
    ValueError
        It is no size.
    """
    plain = text.removesuffix("iB")
    unit = plain[-1:] if plain[-1:] in _UNITS else ""
    return int(float(plain.removesuffix(unit)) * _UNITS[unit])


def print_size(size_bytes: int) -> str:
    """``64G``, the largest unit that needs no fraction."""
    for unit in ("T", "G", "M", "K"):
        if size_bytes % _UNITS[unit] == 0:
            return f"{size_bytes // _UNITS[unit]}{unit}"
    return str(size_bytes)
