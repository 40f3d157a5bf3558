"""Storages of a Proxmox node, and sizes as its configuration writes them."""

from dataclasses import dataclass, field

FOLDERS = {
    "iso": "template/iso",
    "vztmpl": "template/cache",
    "backup": "dump",
    "snippets": "snippets",
    "import": "import",
    "images": "images",
}
OPTIONS = ("vgname", "thinpool", "server", "export", "share", "datastore", "username")
"""Properties of a storage that say where it is, beside ``path`` and ``pool``."""
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "": 1}


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
        How much fits [bytes].
    volumes
        Disks of VMs by volume name, with their size [bytes]; files are in the file system.
    options
        What else its kind is configured with: ``vgname``, ``thinpool``, ``server`` ….
    """

    name: str
    kind: str
    content: list[str]
    place: str
    size_bytes: int
    volumes: dict[str, int] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)


def parse_size(text: str) -> int:
    """``64G`` in bytes.

    Raises
    ------
    ValueError
        It is no size.
    """
    unit = text[-1:] if text[-1:] in "KMGT" else ""
    return int(float(text.removesuffix(unit)) * _UNITS[unit])


def print_size(size_bytes: int) -> str:
    """``64G``, the largest unit that needs no fraction."""
    for unit in ("T", "G", "M", "K"):
        if size_bytes % _UNITS[unit] == 0:
            return f"{size_bytes // _UNITS[unit]}{unit}"
    return str(size_bytes)
