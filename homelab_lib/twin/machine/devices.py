"""Block devices: disks and what is on them.

A device is a row by `lsblk`'s own names, sizes in bytes; what lies on it are its ``children``.

Source: lsblk(8); rows of util-linux 2.38.
"""

from typing import Any

from homelab_lib.twin.machine.columns import Row

_COLUMNS = (
    "alignment disc-aln dax disc-gran disc-max disc-zero fsavail fsroots fssize fstype fsused "
    "fsuse% fsver group hctl hotplug kname label log-sec maj:min min-io mode model name opt-io "
    "owner partflags partlabel parttype parttypename partuuid path phy-sec pkname pttype ptuuid ra "
    "rand rev rm ro rota rq-size sched serial size start state subsystems mountpoint mountpoints "
    "tran type uuid vendor wsame wwn zoned zone-sz zone-wgran zone-app zone-nr zone-omax zone-amax"
)
NOTHING: Row = dict.fromkeys(_COLUMNS.split())
"""All columns of a device of which nothing is known."""


def letters(number: int) -> str:
    """By which the kernel tells disks apart: the first is ``a``, the 27th ``aa``
    (``sd_format_disk_name``)."""
    above, last = divmod(number, 26)
    return (letters(above - 1) if above else "") + chr(ord("a") + last)


def device(name: str, size_bytes: int, *children: Row, **facts: Any) -> Row:
    """A device's row.

    Parameters
    ----------
    name
        ``sda``, ``nvme0n1p1``.
    size_bytes
        Its size [bytes].
    children
        What lies on it.
    facts
        Whatever else is known of it, by `lsblk`'s names: ``tran``, ``rota``, ``serial``,
        ``fstype`` …; ``mountpoint`` where it is mounted.
    """
    mounted = facts.get("mountpoint")
    row = {
        **NOTHING,
        "name": name,
        "kname": name,
        "path": f"/dev/{name}",
        "size": size_bytes,
        "type": "disk",
        "mountpoints": [mounted],
        "fsroots": ["/" if mounted else None],
        "owner": "root",
        "group": "disk",
        "mode": "brw-rw----",
        "subsystems": "block",
        "zoned": "none",
        "alignment": 0,
        "disc-aln": 0,
        "disc-gran": 512,
        "disc-max": 0,
        "disc-zero": False,
        "dax": False,
        "hotplug": facts.get("tran") == "usb",
        "rand": False,
        "rm": False,
        "ro": False,
        "rota": False,
        "log-sec": 512,
        "phy-sec": 512,
        "min-io": 512,
        "opt-io": 0,
        "ra": 128,
        "rq-size": 256,
        "sched": "none",
        "wsame": 0,
        **dict.fromkeys(("zone-sz", "zone-wgran", "zone-app"), 0),
        **dict.fromkeys(("zone-nr", "zone-omax", "zone-amax"), 0),
        **facts,
    }
    for child in children:
        child["pkname"] = name
    return row | ({"children": list(children)} if children else {})


def root_disk(name: str, size_bytes: int, **facts: Any) -> Row:
    """A disk with one partition, on which the system lies."""
    joint = "p" if name[-1].isdigit() else ""
    part = device(f"{name}{joint}1", size_bytes - 2**20, type="part", mountpoint="/", fstype="ext4")
    return device(name, size_bytes, part, **facts)
