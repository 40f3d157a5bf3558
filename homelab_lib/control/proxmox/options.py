"""The options of a VM: what Proxmox takes, how it stores it, and when the two are the same.

What is stored need not be spelled as it was given (``agent: 1`` for ``enabled=1``, ``memory:
current=8192``, a network card's keys in another order, ``yes`` for ``1``), and what is at its
default need not be stored at all. Source: the API schema of Proxmox VE 9.2.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

_TRUE, _FALSE = ("1", "on", "yes", "true"), ("0", "off", "no", "false")
_MODELS = ("virtio", "e1000", "e1000e", "rtl8139", "vmxnet3")


@dataclass(frozen=True)
class Option:
    """How one option is written.

    Parameters
    ----------
    default
        What it is where it is not stored.
    bare
        Of an option with keys, the key that may be written without its name.
    keys
        Keys that always count, with their defaults; of the others only those that are wanted do.
    boolean
        Keys whose value is a truth value; ``""`` for an option without keys.
    exact
        Capital letters count.
    """

    default: str = ""
    bare: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    boolean: frozenset[str] = frozenset()
    exact: bool = False

    def read(self, text: str) -> dict[str, str]:
        """A spelling of it as a mapping; an option without keys has the key ``""``."""
        found: dict[str, str] = {}
        for part in text.split(",") if self.bare or self.keys else [text]:
            key, equals, value = part.strip().partition("=")
            if not (self.bare or self.keys):
                key, value = "", part.strip()
            elif not equals:
                key, value = self.bare, key
            elif self.bare == "model" and key in _MODELS:
                found["model"] = key  # ``virtio=MAC`` is the model and its address in one
                key = "macaddr"
            found[key] = self._plain(key, value)
        return {**self.keys, **found}

    def _plain(self, key: str, value: str) -> str:
        if key in self.boolean:
            value = "1" if value.lower() in _TRUE else "0" if value.lower() in _FALSE else value
        return value if self.exact else value.lower()


_FLAG = Option("0", boolean=frozenset({""}))

OPTIONS: Mapping[str, Option] = {
    "agent": Option("0", bare="enabled", boolean=frozenset({"enabled"})),
    "balloon": Option(),
    "bios": Option("seabios"),
    "cicustom": Option(keys=dict.fromkeys(("meta", "network", "user", "vendor"), ""), exact=True),
    "citype": Option("nocloud"),
    "ciupgrade": Option("1", boolean=frozenset({""})),
    "ciuser": Option(exact=True),
    "cores": Option("1"),
    "cpu": Option("kvm64", bare="cputype", keys={"flags": ""}),
    "efidisk0": Option(bare="file", keys={"efitype": "2m", "pre-enrolled-keys": "0"},
                       boolean=frozenset({"pre-enrolled-keys"})),
    "ipconfig0": Option(keys=dict.fromkeys(("ip", "gw", "ip6", "gw6"), "")),
    "machine": Option("pc", bare="type", keys={"viommu": ""}),
    "memory": Option("512", bare="current"),
    "nameserver": Option(),
    "net0": Option(bare="model", keys={"bridge": "", "tag": "", "trunks": "", "link_down": "0"},
                   boolean=frozenset({"link_down"})),
    "onboot": _FLAG,
    "ostype": Option("other"),
    "protection": _FLAG,
    "scsihw": Option("lsi"),
    "serial0": Option(exact=True),
    "startup": Option(bare="order", keys={"order": "", "up": ""}),
    "tpmstate0": Option(bare="file", keys={"version": "v1.2"}),
    "usb0": Option(bare="host", keys={"host": "", "mapping": ""}),
    "vga": Option("std", bare="type"),
}  # fmt: skip
"""What we speak of; a VM may have others, which we leave alone."""


OF_CONTAINERS: Mapping[str, Option] = {
    "cores": Option(),
    "features": Option(keys={"nesting": "0", "keyctl": "0", "fuse": "0"},
                       boolean=frozenset({"nesting", "keyctl", "fuse"})),
    "hostname": Option(exact=True),
    "memory": Option("512"),
    "mp0": Option(bare="volume", keys={"mp": "", "size": ""}, exact=True),
    "nameserver": Option(),
    "net0": Option(keys=dict.fromkeys(("name", "bridge", "tag", "ip", "gw"), "")),
    "onboot": _FLAG,
    "swap": Option("512"),
    "unprivileged": _FLAG,
}  # fmt: skip
"""The same of containers. Source: the API schema of Proxmox VE 9.2."""


def differs(
    name: str, found: Any, wanted: str | None, options: Mapping[str, Option] = OPTIONS
) -> bool:
    """Whether an option is not as wanted.

    Parameters
    ----------
    name
        The option's.
    found
        What is stored, as the API prints it; None where nothing is.
    wanted
        As it would be given to `qm create`; None: the default.
    options
        How the guest's options are written.
    """
    option = options[re.sub(r"\d+$", "0", name)]  # net1 is written as net0 is
    have = option.read(option.default if found is None else str(found))
    want = option.read(option.default if wanted is None else wanted)
    if name in ("efidisk0", "tpmstate0"):
        if found is None:
            return bool(wanted)
        want.pop("file", None)  # its volume has the number that was free
    if name == "machine":
        have["type"], want["type"] = _chipset(have["type"]), _chipset(want["type"])
    if name == "nameserver":
        have, want = _addresses(have), _addresses(want)
    return any(have.get(key, "") != value for key, value in want.items())


def _chipset(machine: str) -> str:
    """``q35`` or ``pc``, whatever version of it."""
    return "q35" if "q35" in machine else "pc"


def _addresses(spelling: dict[str, str]) -> dict[str, str]:
    return {"": " ".join(re.split(r"[\s,;]+", spelling[""].strip()))}


def tags(stored: str) -> set[str]:
    """A VM's tags."""
    return {word for word in re.split(r"[\s,;]+", stored.lower()) if word}


def login_keys(stored: str) -> list[str]:
    """The public keys that a configuration keeps, comments and all, as words."""
    return unquote(stored).split()


_SIZE = re.compile(r"(?:^|,)size=(\d{1,15}(?:\.\d{1,15})?)([KMGT]?)(?:,|$)")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def disk_bytes(stored: str) -> int:
    """The size of a disk [bytes]; 0 where none is told."""
    found = _SIZE.search(stored)
    return int(float(found[1]) * _UNITS[found[2]]) if found else 0
