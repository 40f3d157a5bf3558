"""The options of a container, as `pct create` takes them.

Source: `PVE::LXC::Config` and `PVE::API2::LXC` (pve-container 6.0), their API schema.
"""

import re

from homelab_lib.twin.proxmox.formats import (
    ADDRESS,
    BOOLEAN,
    CONFIG_ID,
    DISK_SIZE,
    DNS_NAME,
    IPV4,
    IPV4_CONFIG,
    IPV6,
    IPV6_CONFIG,
    MAC,
    POOL_ID,
    STARTUP,
    STORAGE_OF,
    TAG,
    VMID_OF,
    VOLUME,
    form,
    many,
)
from homelab_lib.twin.proxmox.schema import Format, Property, Schema

CARDS = re.compile(r"net\d+")
VOLUMES = re.compile(r"rootfs|mp\d+")

_MOUNT_OPTION = "(discard|lazytime|noatime|nodev|noexec|nosuid)"
_PLACE = Format("pve-lxc-mp-string")
_VOLUME: dict[str, Property] = {
    "volume": Property(format=_PLACE, bare=True, required=True),
    "mountoptions": Property(pattern=f"{_MOUNT_OPTION}(;{_MOUNT_OPTION})*"),
    "size": Property(format=DISK_SIZE),
} | dict.fromkeys(("acl", "quota", "replicate", "ro", "shared"), BOOLEAN)
_ROOT = Property(format=Format(keys=_VOLUME))
_MOUNT = Property(
    format=Format(keys=_VOLUME | {"mp": Property(format=_PLACE, required=True), "backup": BOOLEAN})
)
_CARD = Property(
    format=Format(
        keys={
            "name": Property(pattern=r"[-_.\w\d]+", required=True),
            "bridge": Property(pattern=r"[-_.\w\d]+"),
            "gw": Property(format=IPV4),
            "gw6": Property(format=IPV6),
            "hwaddr": Property(format=MAC),
            "ip": Property(format=IPV4_CONFIG),
            "ip6": Property(format=IPV6_CONFIG),
            "mtu": Property("integer", minimum=64, maximum=65535),
            "rate": Property("number"),
            "tag": Property("integer", minimum=1, maximum=4094),
            "trunks": Property(pattern=r"\d+(?:;\d+)*"),
            "type": Property(enum=("veth",)),
        }
        | dict.fromkeys(("firewall", "host-managed", "link_down"), BOOLEAN)
    )
)
_DEVICE = Property(
    format=Format(
        keys={
            "path": Property(format=Format("pve-lxc-dev-string"), bare=True),
            "mode": Property(pattern="0[0-7]{3}"),
            "deny-write": BOOLEAN,
        }
        | dict.fromkeys(("gid", "uid"), Property("integer", minimum=0))
    )
)
_FEATURES = Property(
    format=Format(
        keys={"mount": Property(pattern=r"[a-zA-Z0-9_; ]+")}
        | dict.fromkeys(("force_rw_sys", "fuse", "keyctl", "mknod", "nesting"), BOOLEAN)
    )
)
_UNUSED_KEYS: Schema = {"volume": Property(format=VOLUME, bare=True, required=True)}
_UNUSED = Property(format=Format(keys=_UNUSED_KEYS))
_NAMESERVER = many(Format("lxc-ip-with-ll-iface", ADDRESS.check))
_TIMEZONE = form("pve-ct-timezone", r"host|[A-Za-z0-9_+/-]+", "invalid time zone '{}'")
_ENV = r"\w+=[^\x00-\x08\x10-\x1F\x7F]*"
_SYSTEMS = (
    *("debian", "devuan", "ubuntu", "centos", "fedora", "opensuse", "archlinux", "alpine"),
    *("gentoo", "nixos", "unmanaged"),
)
_LOCKS = (
    *("backup", "create", "destroyed", "disk", "fstrim", "migrate", "mounted", "rollback"),
    *("snapshot", "snapshot-delete"),
)

OPTIONS: dict[str, Property] = {
    "arch": Property(enum=("amd64", "i386", "arm64", "armhf", "riscv32", "riscv64")),
    "cmode": Property(enum=("shell", "console", "tty")),
    "cores": Property("integer", minimum=1, maximum=8192),
    "cpulimit": Property("number", minimum=0, maximum=8192),
    "cpuunits": Property("integer", minimum=0, maximum=500000),
    "description": Property(max_length=8192),
    "entrypoint": Property(pattern=r"[^\x00-\x08\x10-\x1F\x7F]+"),
    "env": Property(pattern=rf"(?:{_ENV})(?:\0{_ENV})*"),
    "features": _FEATURES,
    "hookscript": Property(format=VOLUME),
    "hostname": Property(format=DNS_NAME, max_length=255),
    "lock": Property(enum=_LOCKS),
    "memory": Property("integer", minimum=16),
    "nameserver": Property(format=_NAMESERVER),
    "ostype": Property(enum=_SYSTEMS),
    "rootfs": _ROOT,
    "searchdomain": Property(format=many(DNS_NAME)),
    "startup": Property(format=STARTUP),
    "swap": Property("integer", minimum=0),
    "tags": Property(format=many(TAG)),
    "timezone": Property(format=_TIMEZONE),
    "tty": Property("integer", minimum=0, maximum=6),
} | dict.fromkeys(
    ("console", "debug", "onboot", "protection", "template", "unprivileged"), BOOLEAN
)  # fmt: skip
OPTIONS |= {f"net{number}": _CARD for number in range(32)}
OPTIONS |= {f"mp{number}": _MOUNT for number in range(256)}
OPTIONS |= {f"dev{number}": _DEVICE for number in range(256)}
OPTIONS |= {f"unused{number}": _UNUSED for number in range(256)}
"""What stands in a container's configuration."""

CREATE: Schema = (
    OPTIONS
    | {
        "vmid": VMID_OF,
        "ostemplate": Property(max_length=255, required=True),
        "bwlimit": Property("number", minimum=0),
        "password": Property(min_length=5),
        "pool": Property(format=POOL_ID),
        "ssh-public-keys": Property(),
        "storage": STORAGE_OF,
        "unique": Property("boolean", requires="restore"),
    }
    | dict.fromkeys(("force", "ha-managed", "ignore-unpack-errors", "restore", "start"), BOOLEAN)
)
UPDATE: Schema = OPTIONS | {
    "delete": Property(format=many(CONFIG_ID)),
    "revert": Property(format=many(CONFIG_ID)),
    "digest": Property(max_length=40),
}
