"""The drives of a VM: the keys of each bus, and of its firmware's disks.

Source: `PVE::QemuServer::Drive` (qemu-server 9.2).
"""

import re

from homelab_lib.twin.proxmox.formats import (
    BOOLEAN,
    COUNT,
    DISK_SIZE,
    URL_ENCODED,
    VOLUME,
    VOLUME_OR_DRIVE,
    VOLUME_OR_PATH,
)
from homelab_lib.twin.proxmox.schema import Format, Property

COUNTS = {"ide": 4, "sata": 6, "scsi": 31, "virtio": 16}
"""How many drives each bus takes."""

DISKS = re.compile(r"(scsi|virtio|sata|ide|efidisk|tpmstate)\d+")
NEW_DISK = re.compile(r"(?:([^/:\s]+):)?(\d+(?:\.\d+)?)")
"""``STORAGE:GIGABYTES`` instead of a volume: make one."""

_VOLUME_OR_DRIVE = Property(format=VOLUME_OR_DRIVE, bare=True, required=True)
_IMAGE_FORMATS = ("raw", "qcow", "qed", "qcow2", "vmdk", "cloop")
_NUMBER, _INTEGER = Property("number"), Property("integer")

_FILE: dict[str, Property] = {
    "file": _VOLUME_OR_DRIVE,
    "volume": Property(alias="file"),
    "format": Property(enum=_IMAGE_FORMATS),
    "size": Property(format=DISK_SIZE),
    "import-from": Property(format=VOLUME_OR_PATH),
}
_WAYS = ("", "_rd", "_wr")
_THROTTLED: dict[str, Property] = (
    {f"{what}{way}": _INTEGER for what in ("bps", "iops") for way in _WAYS}
    | {f"mbps{way}{burst}": _NUMBER for way in _WAYS for burst in ("", "_max")}
    | {f"iops{way}_max": _INTEGER for way in _WAYS}
    | {f"{what}{way}_max_length": COUNT for what in ("bps", "iops") for way in _WAYS}
    | {
        f"{what}{way}_length": Property(alias=f"{what}{way}_max_length")
        for what in ("bps", "iops")
        for way in _WAYS[1:]
    }
)
_EVERY: dict[str, Property] = (
    _FILE
    | _THROTTLED
    | {
        "media": Property(enum=("cdrom", "disk")),
        "cache": Property(enum=("none", "writethrough", "writeback", "unsafe", "directsync")),
        "aio": Property(enum=("native", "threads", "io_uring")),
        "discard": Property(enum=("ignore", "on")),
        "rerror": Property(enum=("ignore", "report", "stop")),
        "werror": Property(enum=("enospc", "ignore", "report", "stop")),
        "serial": Property(format=URL_ENCODED, max_length=60),
    }
    | dict.fromkeys(("backup", "detect_zeroes", "replicate", "shared", "snapshot"), BOOLEAN)
)
_WWN = Property(pattern="^(0x)[0-9a-fA-F]{16}")
_KEYS: dict[str, dict[str, Property]] = {
    "ide": {"model": Property(format=URL_ENCODED, max_length=120), "ssd": BOOLEAN, "wwn": _WWN},
    "sata": {"ssd": BOOLEAN, "wwn": _WWN},
    "scsi": {
        "product": Property(pattern=r"[A-Za-z0-9\-_\s]{,16}"),
        "vendor": Property(pattern=r"[A-Za-z0-9\-_\s]{,8}"),
        "queues": Property("integer", minimum=2),
        "wwn": _WWN,
    }
    | dict.fromkeys(("iothread", "ro", "scsiblock", "ssd"), BOOLEAN),
    "virtio": dict.fromkeys(("iothread", "ro"), BOOLEAN),
}
"""What each bus has beside what all have."""


def _bus(name: str) -> Property:
    return Property(format=Format(keys=_EVERY | _KEYS[name]))


IDE = Format("pve-qm-ide", keys=_EVERY | _KEYS["ide"])

DRIVES: dict[str, Property] = {
    f"{bus}{number}": _bus(bus) for bus, count in COUNTS.items() for number in range(count)
} | {
    "cdrom": Property(format=IDE),
    "efidisk0": Property(
        format=Format(
            keys=_FILE
            | {
                "efitype": Property(enum=("2m", "4m")),
                "pre-enrolled-keys": BOOLEAN,
                "ms-cert": Property(enum=("2011", "2023")),
            }
        )
    ),
    "tpmstate0": Property(
        format=Format(
            keys=_FILE
            | {
                "format": Property(enum=("raw", "qcow2", "vmdk")),
                "version": Property(enum=("v1.2", "v2.0")),
            }
        )
    ),
}
_UNUSED: dict[str, Property] = {
    "file": Property(format=VOLUME, bare=True, required=True),
    "volume": Property(alias="file"),
}
DRIVES |= {f"unused{number}": Property(format=Format(keys=_UNUSED)) for number in range(256)}
"""A VM's options that are drives, or volumes that no drive has any more."""
