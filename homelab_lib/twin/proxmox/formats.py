"""Proxmox's formats of single values: identifiers, addresses, sizes, volumes.

Source: `PVE::JSONSchema` (pve-common 9.2), `PVE::Storage::Plugin` (pve-storage 9.1),
`PVE::QemuServer` (qemu-server 9.2).
"""

import re
from collections.abc import Callable

from homelab_lib.twin.proxmox.schema import Format, Property, matches, split_list

_IPV4_OCTET = "(?:25[0-5]|(?:2[0-4]|1[0-9]|[1-9])?[0-9])"
_IPV4 = rf"(?:(?:{_IPV4_OCTET}\.){{3}}{_IPV4_OCTET})"
_H16 = "(?:[0-9a-fA-F]{1,4})"
_LS32 = f"(?:{_IPV4}|{_H16}:{_H16})"
_IPV6 = "|".join(
    [
        f"(?:{_H16}:){{6}}{_LS32}",
        f"::(?:{_H16}:){{5}}{_LS32}",
        *(
            f"(?:(?:{_H16}:){{0,{before}}}{_H16})?::(?:{_H16}:){{{after}}}{_LS32}"
            for before, after in enumerate((4, 3, 2, 1, 0))
        ),
        f"(?:(?:{_H16}:){{0,5}}{_H16})?::{_H16}",
        f"(?:(?:{_H16}:){{0,6}}{_H16})?::",
    ]
)
_IPV6 = f"(?:{_IPV6})"
_LABEL = r"([a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?)"
_DNS_NAME = rf"({_LABEL}\.)*{_LABEL}"
_CONTENT = ("images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none")


def form(name: str, pattern: str, words: str, *, ignore_case: bool = False) -> Format:
    """A format that a pattern tells.

    Parameters
    ----------
    name, pattern
        Proxmox's name, and what a value has to match.
    words
        What Proxmox says where it doesn't; ``{}`` is the value.
    ignore_case
        Capital letters do not count.
    """
    whole = re.compile(f"^(?:{pattern})$", re.IGNORECASE if ignore_case else 0)

    def check(value: str) -> None:
        if not whole.search(value):
            raise ValueError(words.format(value))

    return Format(name, check)


def many(each: Format) -> Format:
    """A list of such values."""
    return Format(f"{each.name}-list", each.check, many=True)


def _identifier(what: str) -> Callable[[str], None]:
    def check(value: str) -> None:
        if len(value) < 2:
            raise ValueError(f"{what} ID '{value}' cannot be shorter than 2 characters")
        if not re.search(r"(?i)^[a-z][a-z0-9\-_.]*[a-z0-9]$", value):
            raise ValueError(f"{what} ID '{value}' contains illegal characters")

    return check


def _cidr(value: str) -> bool:
    """Whether a network is written out: its prefix is longer than 7."""
    address, _, prefix = value.partition("/")
    most = 32 if matches(_IPV4, address) else 128 if matches(_IPV6, address) else 0
    return matches(r"\d+", prefix) and 7 < int(prefix) <= most


def _network(words: str, others: tuple[str, ...], version: int) -> Callable[[str], None]:
    def check(value: str) -> None:
        if value.rstrip("\n") in others:
            return
        if not _cidr(value) or (":" in value) != (version == 6):
            raise ValueError(f"value does not look like a valid {words}")

    return check


def _any_cidr(value: str) -> None:
    if not _cidr(value):
        raise ValueError("value does not look like a valid CIDR network")


def interface_cidr(version: int) -> Format:
    """An interface's address with its prefix: ``CIDRv4`` or ``CIDRv6``."""

    def check(value: str) -> None:
        if not _cidr(value) or (":" in value) != (version == 6):
            raise ValueError(f"value does not look like a valid IPv{version} network")

    return Format(f"CIDRv{version}", check)


def _storage_pair(value: str) -> None:
    for part in [] if value == "1" else value.split(":", 1):
        _identifier("storage")(part)


def _volume(value: str) -> None:
    if not re.search(r"(?i)^[a-z][a-z0-9\-_.]*[a-z0-9]:(.+)$", value):
        raise ValueError(f"unable to parse volume ID '{value}'")


def _volume_or_path(value: str) -> None:
    if not value.startswith("/"):
        _volume(value)


def _volume_or_drive(value: str) -> None:
    if value not in ("none", "cdrom"):
        _volume_or_path(value)


def _hotplug(value: str) -> None:
    for feature in [] if value in ("0", "1") else split_list(value):
        if not matches("(network|disk|cpu|memory|usb|cloudinit)", feature):
            raise ValueError(f"invalid hotplug feature '{feature}'")


def _startup(value: str) -> None:
    parts = [part for part in value.split(",") if part.strip()]
    known = all(matches(r"((order=)?\d+|up=\d+|down=\d+)", part) for part in parts)
    if value in ("", "0") or not known:
        raise ValueError("unable to parse startup options")


def _processors(value: str) -> None:
    for part in value.split(",") if value else ():
        found = re.search(r"^\s*(\d+)(?:-(\d+))?\s*$", part)
        if not found or int(found[2] or found[1]) < int(found[1]):
            raise ValueError("unable to parse cpuset option")


def _dir_override(value: str) -> None:
    """``iso=folder/of/them``, without ``..`` in it."""
    kind, _, path = value.partition("=")
    parts_fit = all(len(part) < 255 for part in path.split("/"))
    if kind not in _CONTENT or not path or ".." in path or path.endswith("."):
        raise ValueError(f"invalid override '{value}'")
    if len(path) >= 1023 or not parts_fit:
        raise ValueError(f"invalid override '{value}'")


def _content_type(value: str) -> None:
    if value not in _CONTENT:
        raise ValueError(f"invalid content type '{value}'")


CONFIG_ID = form("pve-configid", r"[a-zA-Z][a-zA-Z0-9_-]+", "invalid configuration ID '{}'")
STORAGE_ID = Format("pve-storage-id", _identifier("storage"))
STORAGE_PAIR = Format("storage-pair", _storage_pair)
IFACE = form(
    "pve-iface",
    r"[a-zA-Z][a-zA-Z0-9_]{1,20}([:\.]\d+)?",
    "invalid network interface name '{}'",
)
BRIDGE_ID = form("pve-bridge-id", r"[-_.\w\d]+", "invalid bridge ID '{}'")
POOL_ID = form(
    "pve-poolid",
    r"[A-Za-z0-9.\-_]+(?:/[A-Za-z0-9.\-_]+){0,2}",
    "poolid '{}' contains invalid characters",
)
VMID = form("pve-vmid", r"[1-9][0-9]{2,8}", "value does not look like a valid VM ID")
NODE = form("pve-node", _LABEL, "value does not look like a valid node name")
MAC = form(
    "mac-addr",
    r"[a-f0-9][02468ace](?::[a-f0-9]{2}){5}",
    "value does not look like a valid unicast MAC address",
    ignore_case=True,
)
IPV4 = form("ipv4", _IPV4, "value does not look like a valid IPv4 address")
IPV6 = form("ipv6", _IPV6, "value does not look like a valid IPv6 address")
IPV4_CONFIG = Format(
    "pve-ipv4-config", _network("ipv4 network configuration", ("dhcp", "manual"), 4)
)
IPV6_CONFIG = Format(
    "pve-ipv6-config", _network("ipv6 network configuration", ("auto", "dhcp", "manual"), 6)
)
CIDR = Format("CIDR", _any_cidr)
DNS_NAME = form("dns-name", _DNS_NAME, "value does not look like a valid DNS name")
ADDRESS = form(
    "address", f"{_IPV4}|{_IPV6}|{_DNS_NAME}", "value does not look like a valid address: {}"
)
DISK_SIZE = form(
    "disk-size",
    r"\d+(\.\d+)?([KMGT](?:iB)?)?",
    "value does not look like a valid disk size: {}",
)
URL_ENCODED = form("urlencoded", r"[-%a-zA-Z0-9_.!~*'()]*", "invalid urlencoded string: {}")
TAG = form("pve-tag", r"[a-zA-Z0-9_][a-zA-Z0-9_\-+.]*", "invalid characters in tag")
VOLUME = Format("pve-volume-id", _volume)
VOLUME_GROUP = form(
    "pve-storage-vgname",
    r"(?i:[a-z0-9_+.][a-z0-9_+.\-]*[a-z0-9])",
    "lvm name '{}' contains illegal characters",
)
VOLUME_OR_PATH = Format("pve-volume-id-or-absolute-path", _volume_or_path)
VOLUME_OR_DRIVE = Format("pve-volume-id-or-qm-path", _volume_or_drive)
HOTPLUG = Format("pve-hotplug-features", _hotplug)
STARTUP = Format("pve-startup-order", _startup)
CPU_SET = Format("pve-cpuset", _processors)
CONTENT = Format("pve-storage-content", _content_type)
SERVER = form(
    "pve-storage-server",
    f"{_IPV4}|{_IPV6}|{_DNS_NAME}",
    "value does not look like a valid server name or IP address",
)
PORTAL = form(
    "pve-storage-portal-dns",
    rf"(?:{_IPV4}|{_DNS_NAME}|\[{_IPV6}\])(?::\d+)?|{_IPV6}",
    "value does not look like a valid portal address",
)
PATH = form("pve-storage-path", r"/[^;()]+.*", "value does not look like a valid absolute path")
MOUNT_OPTIONS = form("pve-storage-options", r"\S+", "invalid options '{}'")
DIR_OVERRIDE = Format("pve-dir-override", _dir_override)

# What stands in many calls.
BOOLEAN = Property("boolean")
TEXT = Property()
STORAGE_OF = Property(format=STORAGE_ID)
VMID_OF = Property("integer", format=VMID, minimum=100, maximum=999_999_999, required=True)
NODE_OF = Property(format=NODE, required=True)
IFACE_OF = Property(format=IFACE, min_length=2, max_length=20, required=True)
COUNT = Property("integer", minimum=1)
