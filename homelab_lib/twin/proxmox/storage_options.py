"""The parameters of the API's calls that make and change storages, and fetch files onto them.

Source: the API schema of Proxmox VE 9.2.
"""

from homelab_lib.twin.proxmox.api import Given
from homelab_lib.twin.proxmox.formats import (
    BOOLEAN,
    CONFIG_ID,
    CONTENT,
    DIR_OVERRIDE,
    MOUNT_OPTIONS,
    NODE,
    PATH,
    PORTAL,
    SERVER,
    STORAGE_ID,
    TEXT,
    VOLUME,
    VOLUME_GROUP,
    many,
)
from homelab_lib.twin.proxmox.schema import Format, Property

KINDS = (
    *("btrfs", "cephfs", "cifs", "dir", "esxi", "iscsi", "iscsidirect", "lvm", "lvmthin", "nfs"),
    *("pbs", "rbd", "zfs", "zfspool"),
)
CONTENTS = Property(format=many(CONTENT))
_LIMIT = Property("number", minimum=0)
_LIMITS = Format(keys=dict.fromkeys(("clone", "default", "migration", "move", "restore"), _LIMIT))
_COUNT = Property("integer", minimum=0)


def _kept(keys: Given) -> None:
    some = any(int(value) > 0 for key, value in keys.items() if key != "keep-all")
    if some and keys.get("keep-all") == "1":
        raise ValueError("keep-all cannot be set together with other options.")


KEEP = Format(
    "prune-backups",
    _kept,
    keys={"keep-all": BOOLEAN}
    | {
        f"keep-{each}": _COUNT
        for each in ("last", "hourly", "daily", "weekly", "monthly", "yearly")
    },
)
UPDATE = {
    "bwlimit": Property(format=_LIMITS),
    "content": CONTENTS,
    "content-dirs": Property(format=many(DIR_OVERRIDE)),
    "delete": Property(format=many(CONFIG_ID), max_length=4096),
    "digest": Property(max_length=64),
    "domain": Property(max_length=256),
    "fingerprint": Property(pattern="([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}"),
    "format": Property(enum=("raw", "qcow2", "subvol", "vmdk")),
    "fs-name": Property(format=CONFIG_ID),
    "max-protected-backups": Property("integer", minimum=-1),
    "monhost": Property(format=many(PORTAL)),
    "mountpoint": Property(format=PATH),
    "nodes": Property(format=many(NODE)),
    "options": Property(format=MOUNT_OPTIONS),
    "password": Property(max_length=256),
    "port": Property("integer", minimum=1, maximum=65535),
    "preallocation": Property(enum=("off", "metadata", "falloc", "full")),
    "prune-backups": Property(format=KEEP),
    "saferemove-stepsize": Property("integer", enum=("1", "2", "4", "8", "16", "32")),
    "server": Property(format=SERVER),
    "smbversion": Property(enum=("default", "2.0", "2.1", "3", "3.0", "3.11")),
    "subdir": Property(format=PATH),
    "zfs-base-path": Property(format=PATH),
}
UPDATE |= dict.fromkeys(
    (
        *("blocksize", "comstar_hg", "comstar_tg", "data-pool", "encryption-key"),
        *("is_mountpoint", "keyring", "lio_tpg", "master-pubkey", "namespace", "pool"),
        *("saferemove_throughput", "username"),
    ),
    TEXT,
)
UPDATE |= dict.fromkeys(
    (
        *("create-base-path", "create-subdirs", "disable", "fuse", "krbd", "mkdir", "nocow"),
        *("nowritecache", "saferemove", "shared", "skip-cert-verification"),
        *("snapshot-as-volume-chain", "sparse", "tagged_only"),
    ),
    BOOLEAN,
)
_LVM_NAME = Property(format=VOLUME_GROUP)
CREATE = {key: rule for key, rule in UPDATE.items() if key not in ("delete", "digest")}
CREATE |= dict.fromkeys(
    ("authsupported", "datastore", "iscsiprovider", "share", "target"), TEXT
) | {
    "base": Property(format=VOLUME),
    "export": Property(format=PATH),
    "path": Property(format=PATH),
    "portal": Property(format=PORTAL),
    "storage": Property(format=STORAGE_ID, required=True),
    "thinpool": _LVM_NAME,
    "type": Property(enum=KINDS, required=True),
    "vgname": _LVM_NAME,
}
DOWNLOAD = {
    "content": Property(format=CONTENT, enum=("iso", "vztmpl", "import"), required=True),
    "filename": Property(max_length=255, required=True),
    "url": Property(pattern="https?://.*", required=True),
    "checksum": Property(requires="checksum-algorithm"),
    "checksum-algorithm": Property(
        enum=("md5", "sha1", "sha224", "sha256", "sha384", "sha512"), requires="checksum"
    ),
    "verify-certificates": BOOLEAN,
    "compression": Property(enum=("zst", "gz", "lzo", "bz2")),
}
