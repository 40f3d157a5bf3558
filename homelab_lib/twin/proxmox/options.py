"""The options of a VM, and of the commands around it, that this node knows.

Source: the API schema of Proxmox VE 9.2 (`/nodes/{node}/qemu`), qm(1). Options that only exist for
migration, old releases and hardware nobody here has are left out: they are refused as unknown.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import replace

from homelab_lib.twin.proxmox.schema import Property, Schema, split_properties

BOOL = Property("boolean")
TEXT = Property()
COUNT = Property("integer", minimum=1)
STORAGE = Property(pattern=r"[a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]")
CONTENT_TYPES = ("images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none")
NET_MODELS = ("virtio", "e1000", "e1000e", "rtl8139", "vmxnet3")
LOCKS = ("backup", "clone", "create", "migrate", "rollback", "snapshot", "snapshot-delete")
NEW_DISK = re.compile(r"(?:([^/:\s]+):)?(\d+(?:\.\d+)?)")
"""``STORAGE:GIGABYTES`` instead of a volume: make one."""


def _form(pattern: str, words: str) -> Callable[[str], None]:
    def check(value: str) -> None:
        if not re.fullmatch(pattern, value):
            raise ValueError(words)

    return check


def _addresses(value: str) -> None:
    for address in re.split(r"[\s,;]+", value):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise ValueError("value does not look like a valid IP address") from None


def _cidr(value: str) -> None:
    try:
        if value != "dhcp":
            ipaddress.IPv4Interface(value if "/" in value else "")
    except ValueError:
        raise ValueError("value does not look like a valid IPv4 network configuration") from None


_LABEL = r"[a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?"
NAME = Property(
    form=_form(rf"{_LABEL}(\.{_LABEL})*", "value does not look like a valid DNS name\n")
)
_TAGS = Property(
    form=_form(
        r"[a-zA-Z0-9_][a-zA-Z0-9_\-+.]*([ ,;]+[a-zA-Z0-9_][a-zA-Z0-9_\-+.]*)*",
        "invalid characters in tag\n",
    )
)
VOLUME = Property(
    form=_form(rf"{STORAGE.pattern}:\S+", "unable to parse volume ID\n"),
)
_MAC = Property(pattern=r"(?i)[a-f0-9][02468ace](?::[a-f0-9]{2}){5}")

_DISK_KEYS: Schema = {
    "file": Property(required=True),
    "media": Property(enum=("cdrom", "disk")),
    "cache": Property(enum=("none", "writethrough", "writeback", "unsafe", "directsync")),
    "format": Property(enum=("raw", "qcow2", "vmdk")),
    "aio": Property(enum=("native", "threads", "io_uring")),
    "discard": Property(enum=("ignore", "on")),
    "size": Property(pattern=r"\d+(\.\d+)?[KMGT]?"),
    "import-from": TEXT,
    "serial": TEXT,
} | dict.fromkeys(("backup", "replicate", "snapshot", "ssd", "iothread", "ro"), BOOL)


def _disk(*without: str) -> Property:
    keys = {key: rule for key, rule in _DISK_KEYS.items() if key not in without}
    return Property(keys=keys, default_key="file")


_NET = Property(
    keys={
        "model": Property(enum=NET_MODELS),
        "macaddr": _MAC,
        "bridge": Property(pattern=r"[-_.\w\d]+"),
        "tag": Property("integer", minimum=1, maximum=4094),
        "trunks": Property(pattern=r"\d+(-\d+)?(;\d+(-\d+)?)*"),
        "mtu": Property("integer", minimum=1, maximum=65520),
        "queues": Property("integer", minimum=0, maximum=64),
        "rate": Property("number", minimum=0),
        "firewall": BOOL,
        "link_down": BOOL,
    }
    | dict.fromkeys(NET_MODELS, _MAC),  # ``virtio=MAC`` is model and address in one
    default_key="model",
)
_IPCONFIG = Property(
    keys={"ip": Property(form=_cidr), "gw": Property(form=_addresses), "ip6": TEXT, "gw6": TEXT}
)
_HOSTPCI = Property(
    keys={"host": TEXT, "mapping": TEXT, "pcie": BOOL, "rombar": BOOL, "x-vga": BOOL},
    default_key="host",
)
_EFI_DISK = replace(
    _disk("media", "cache"),
    keys=dict(_DISK_KEYS) | {"efitype": Property(enum=("2m", "4m")), "pre-enrolled-keys": BOOL},
)

VM_OPTIONS: dict[str, Property] = {
    "name": NAME,
    "memory": Property(
        keys={"current": Property("integer", minimum=16, required=True)}, default_key="current"
    ),
    "balloon": Property("integer", minimum=0),
    "shares": Property("integer", minimum=0, maximum=50000),
    "cores": COUNT,
    "sockets": COUNT,
    "vcpus": COUNT,
    "cpulimit": Property("number", minimum=0, maximum=128),
    "cpuunits": Property("integer", minimum=1, maximum=262144),
    "cpu": Property(keys={"cputype": TEXT, "flags": TEXT, "hidden": BOOL}, default_key="cputype"),
    "machine": Property(pattern=r"(pc|q35|pc-i440fx-\d+[.\d]*|pc-q35-\d+[.\d]*)(\+pve\d+)?"),
    "bios": Property(enum=("seabios", "ovmf")),
    "ostype": Property(
        enum=(
            "other",
            "wxp",
            "w2k",
            "w2k3",
            "w2k8",
            "wvista",
            "win7",
            "win8",
            "win10",
            "win11",
            "l24",
            "l26",
            "solaris",
        )
    ),
    "scsihw": Property(
        enum=("lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi")
    ),
    "vga": Property(
        keys={"type": TEXT, "memory": Property("integer", minimum=4, maximum=512)},
        default_key="type",
    ),
    "agent": Property(
        keys={
            "enabled": Property("boolean", required=True),
            "type": Property(enum=("virtio", "isa")),
        }
        | dict.fromkeys(("fstrim_cloned_disks", "freeze-fs", "freeze-fs-on-backup"), BOOL),
        default_key="enabled",
    ),
    "boot": Property(
        keys={"order": TEXT, "legacy": Property(pattern="[acdn]{1,4}")}, default_key="legacy"
    ),
    "startup": Property(keys=dict.fromkeys(("order", "up", "down"), COUNT), default_key="order"),
    "tags": _TAGS,
    "description": TEXT,
    "hotplug": TEXT,
    "args": TEXT,
    "lock": Property(enum=LOCKS),
    "smbios1": TEXT,
    "vmgenid": TEXT,
    "rng0": TEXT,
    "tpmstate0": Property(
        keys=dict(_DISK_KEYS) | {"version": Property(enum=("v1.2", "v2.0"))}, default_key="file"
    ),
    "efidisk0": _EFI_DISK,
    "citype": Property(enum=("configdrive2", "nocloud", "opennebula")),
    "ciuser": TEXT,
    "cipassword": TEXT,
    "cicustom": Property(keys=dict.fromkeys(("meta", "network", "user", "vendor"), VOLUME)),
    "searchdomain": TEXT,
    "nameserver": Property(form=_addresses),
    "sshkeys": TEXT,
}
VM_OPTIONS |= dict.fromkeys(
    (
        "onboot",
        "protection",
        "numa",
        "kvm",
        "acpi",
        "tablet",
        "localtime",
        "freeze",
        "autostart",
        "reboot",
        "template",
        "ciupgrade",
    ),
    BOOL,
)
VM_OPTIONS |= {f"scsi{n}": _disk() for n in range(31)}
VM_OPTIONS |= {f"virtio{n}": _disk("ssd") for n in range(16)}
VM_OPTIONS |= {f"sata{n}": _disk("iothread", "ro") for n in range(6)}
VM_OPTIONS |= {f"ide{n}": _disk("iothread", "ro") for n in range(4)}
VM_OPTIONS |= {f"net{n}": _NET for n in range(32)}
VM_OPTIONS |= {f"ipconfig{n}": _IPCONFIG for n in range(32)}
VM_OPTIONS |= {f"hostpci{n}": _HOSTPCI for n in range(16)}
VM_OPTIONS |= {f"serial{n}": Property(pattern=r"(/dev/.+|socket)") for n in range(4)}
VM_OPTIONS |= {f"unused{n}": VOLUME for n in range(256)}

DISKS = re.compile(r"(scsi|virtio|sata|ide|efidisk|tpmstate)\d+")
NETS = re.compile(r"net\d+")


def split_net(text: str) -> dict[str, str]:
    """A network device's keys; ``virtio=MAC`` stands for model and address."""
    keys = split_properties(text, "model")
    for model in NET_MODELS:
        if model in keys:
            keys |= {"model": model, "macaddr": keys.pop(model)}
    return keys


def print_net(keys: dict[str, str]) -> str:
    """The device as Proxmox stores it: ``virtio=MAC`` first, then the other keys sorted."""
    rest = sorted(key for key in keys if key not in ("model", "macaddr"))
    return ",".join([f"{keys['model']}={keys['macaddr']}"] + [f"{key}={keys[key]}" for key in rest])
