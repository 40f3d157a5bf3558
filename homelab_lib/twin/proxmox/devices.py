"""The devices of a VM beside its drives: network cards, what is passed through, its screen.

Source: `PVE::QemuServer` with its `Network`, `PCI`, `USB`, `RNG`, `Virtiofs` and `Memory`
(qemu-server 9.2).
"""

import re

from homelab_lib.twin.proxmox.formats import (
    BOOLEAN,
    BRIDGE_ID,
    CONFIG_ID,
    IPV4,
    IPV4_CONFIG,
    IPV6,
    IPV6_CONFIG,
    MAC,
)
from homelab_lib.twin.proxmox.schema import Format, Property, Schema, parse_properties

NETS = re.compile(r"net\d+")
_CARDS = (
    *("e1000", "e1000-82540em", "e1000-82544gc", "e1000-82545em", "e1000e", "i82551", "i82557b"),
    *("i82559er", "ne2k_isa", "ne2k_pci", "pcnet", "rtl8139", "virtio", "vmxnet3"),
)
_NUMBERS = r"\d+(?:-\d+)?(?:;\d+(?:-\d+)?)*"

_NET: Schema = {
    "model": Property(enum=_CARDS, bare=True, required=True),
    "macaddr": Property(format=MAC),
    "bridge": Property(format=BRIDGE_ID),
    "tag": Property("integer", minimum=1, maximum=4094),
    "trunks": Property(pattern=_NUMBERS),
    "mtu": Property("integer", minimum=1, maximum=65520),
    "queues": Property("integer", minimum=0, maximum=64),
    "rate": Property("number", minimum=0),
    "firewall": BOOLEAN,
    "link_down": BOOLEAN,
} | {card: Property(alias="macaddr", key_alias="model") for card in _CARDS}
"""``virtio=MAC`` is model and address in one."""

_IPCONFIG: Schema = {
    "ip": Property(format=IPV4_CONFIG),
    "gw": Property(format=IPV4, requires="ip"),
    "ip6": Property(format=IPV6_CONFIG),
    "gw6": Property(format=IPV6, requires="ip6"),
}
_PCI = r"(?:[a-f0-9]{4,}:)?[a-f0-9]{2}:[a-f0-9]{2}(?:\.[a-f0-9])?"
_HOSTPCI: Schema = (
    {
        "host": Property(pattern=f"{_PCI}(;{_PCI})*", bare=True),
        "mapping": Property(format=CONFIG_ID),
        "romfile": Property(pattern="[^,;]+"),
        "mdev": Property(pattern=r"[^/\.:]+"),
        "driver": Property(enum=("vfio", "keep")),
    }
    | dict.fromkeys(("rombar", "pcie", "x-vga", "legacy-igd"), BOOLEAN)
    | {
        f"{which}-id": Property(pattern="0x[0-9a-fA-F]{4}")
        for which in ("vendor", "device", "sub-vendor", "sub-device")
    }
)
_USB_ID = "(0x)?([0-9A-Fa-f]{4}):(0x)?([0-9A-Fa-f]{4})"
_USB_PATH = r"(\d+)\-(\d+(\.\d+)*)"
_USB: Schema = {
    "host": Property(pattern=f"(?:(?:{_USB_ID})|(?:{_USB_PATH})|[Ss][Pp][Ii][Cc][Ee])", bare=True),
    "mapping": Property(format=CONFIG_ID),
    "usb3": BOOLEAN,
}
_NUMA: Schema = {
    "cpus": Property(pattern=_NUMBERS, required=True),
    "hostnodes": Property(pattern=_NUMBERS),
    "memory": Property("number"),
    "policy": Property(enum=("preferred", "bind", "interleave")),
}
_VIRTIOFS: Schema = {
    "dirid": Property(format=CONFIG_ID, bare=True, required=True),
    "cache": Property(enum=("auto", "always", "metadata", "never")),
} | dict.fromkeys(("direct-io", "expose-acl", "expose-xattr"), BOOLEAN)
_RNG: Schema = {
    "source": Property(
        enum=("/dev/urandom", "/dev/random", "/dev/hwrng"), bare=True, required=True
    ),
    "max_bytes": Property("integer"),
    "period": Property("integer"),
}
_VGA: Schema = {
    "type": Property(
        enum=(
            *("cirrus", "qxl", "qxl2", "qxl3", "qxl4", "none", "serial0", "serial1", "serial2"),
            *("serial3", "std", "virtio", "virtio-gl", "vmware"),
        ),
        bare=True,
    ),
    "memory": Property("integer", minimum=4, maximum=512),
    "clipboard": Property(enum=("vnc",)),
}
_AUDIO: Schema = {
    "device": Property(enum=("ich9-intel-hda", "intel-hda", "AC97"), required=True),
    "driver": Property(enum=("spice", "none")),
}
_SPICE: Schema = {
    "foldersharing": BOOLEAN,
    "videostreaming": Property(enum=("off", "all", "filter")),
}
_SHARED_MEMORY: Schema = {
    "name": Property(pattern=r"[a-zA-Z0-9\-]+"),
    "size": Property("integer", minimum=1, required=True),
}
_WATCHDOG: Schema = {
    "model": Property(enum=("i6300esb", "ib700"), bare=True),
    "action": Property(enum=("reset", "shutdown", "poweroff", "pause", "debug", "none")),
}


def _numbered(name: str, count: int, rule: Property) -> dict[str, Property]:
    return {f"{name}{number}": rule for number in range(count)}


DEVICES: dict[str, Property] = {
    "rng0": Property(format=Format("pve-qm-rng", keys=_RNG)),
    "vga": Property(format=Format(keys=_VGA)),
    "audio0": Property(format=Format(keys=_AUDIO)),
    "spice_enhancements": Property(format=Format(keys=_SPICE)),
    "ivshmem": Property(format=Format(keys=_SHARED_MEMORY)),
    "watchdog": Property(format=Format("pve-qm-watchdog", keys=_WATCHDOG)),
}
DEVICES |= _numbered("net", 32, Property(format=Format(keys=_NET)))
DEVICES |= _numbered("ipconfig", 32, Property(format=Format("pve-qm-ipconfig", keys=_IPCONFIG)))
DEVICES |= _numbered("hostpci", 16, Property(format=Format("pve-qm-hostpci", keys=_HOSTPCI)))
DEVICES |= _numbered("usb", 14, Property(format=Format(keys=_USB)))
DEVICES |= _numbered("numa", 8, Property(format=Format(keys=_NUMA)))
DEVICES |= _numbered("virtiofs", 10, Property(format=Format(keys=_VIRTIOFS)))
DEVICES |= _numbered("serial", 4, Property(pattern="(/dev/[^,]+|socket)"))
DEVICES |= _numbered("parallel", 3, Property(pattern=r"/dev/parport\d+|/dev/usb/lp\d+"))


def split_net(text: str) -> dict[str, str]:
    """A network card's keys, as the schema has them.

    Raises
    ------
    ValueError
        It is none.
    """
    return parse_properties(text, _NET)


def print_net(keys: dict[str, str]) -> str:
    """The device as Proxmox stores it: ``virtio=MAC`` first, then the other keys sorted."""
    rest = sorted(key for key in keys if key not in ("model", "macaddr"))
    return ",".join([f"{keys['model']}={keys['macaddr']}"] + [f"{key}={keys[key]}" for key in rest])
