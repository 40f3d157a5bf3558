"""What a node's staged network changes, beside what we stage: whatever is staged is applied,
whoever staged it.

Source: `PVE::Network::Interfaces` (pve-common 9): who stages writes all of the file anew, with the
defaults of bridges and bonds, and a block for each card.
"""

import re
from collections.abc import Iterator, Sequence, Set

from homelab_lib.control.proxmox.links import Link

Keys = dict[str, str]

_OUR_KEYS = {
    "bridge_ports": "bridge-ports",
    "slaves": "bond-slaves",
    "bond_mode": "bond-mode",
    "bridge_vlan_aware": "bridge-vlan-aware",
}
_PORTS = ("bridge_ports", "slaves")
_BY_ITSELF = {
    "bridge-stp": {"off", "no", "0"},
    "bridge-fd": {"0"},
    "bridge-vids": {"2-4094"},
    "bond-miimon": {"100"},
    "bridge-ports": {"none"},
}
"""By key: values that Proxmox writes where there was none."""
_BLOCK = re.compile(r"iface\s+(\S+)\s+(\S+)\s+(\S+)")
_AT_BOOT = ("auto", "allow-auto", "allow-hotplug")


def besides(now: str, staged: str, links: Sequence[Link]) -> list[str]:
    """What would be applied and is nothing of `links`, a line for each.

    Parameters
    ----------
    now, staged
        The files that hold, and that is to hold: interfaces(5).
    links
        The interfaces that are wanted.
    """
    before, after = _blocks(now), _blocks(staged)
    ours = {link.iface: link for link in links}
    told = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name, {}), after.get(name, {})
        iface, _, family = name.partition(" ")
        if iface in ours and new:
            others = {n for each in links if each.iface != iface for n in (each.iface, *each.ports)}
            old |= {key: new[key] for key in _of_ours(ours[iface], family, old, new, others)}
        if old and not new:
            told.append(f"{name} is not there any more")
        told += [
            f"{name}: {key} {new.get(key) or 'none'} in place of {old.get(key) or 'none'}"
            for key in sorted({*old, *new})
            if new and old.get(key, "") != new.get(key, "")
        ]
    return told


def _of_ours(link: Link, family: str, old: Keys, new: Keys, others: Set[str]) -> Iterator[str]:
    """The keys of a block that are as this link is to have them."""
    address = link.cidr6 if family else link.cidr
    ports = {api: old.get(key, "") for api, key in _OUR_KEYS.items() if api in _PORTS}
    options = link.options(ports, others - set(link.ports))
    wanted = {_OUR_KEYS.get(key, key): value for key, value in options.items()}
    wanted |= {"address": address, "method": "static" if address else "manual", "auto": "yes"}
    wanted |= {"bridge-vlan-aware": "yes"} if link.vlan_aware else {}
    for key, value in new.items():
        if sorted(value.split()) == sorted(wanted.get(key, "").split()):
            yield key


def _blocks(text: str) -> dict[str, Keys]:
    """The blocks of the file, by interface (and family, where it is IPv6), without what Proxmox
    puts in by itself; comments are none of a network's."""
    found: dict[str, Keys] = {}
    at_boot: set[str] = set()
    block: Keys = {}
    for line in text.splitlines():
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        head = _BLOCK.match(line.strip())
        if words[0] in _AT_BOOT:
            at_boot |= set(words[1:])
        elif head is not None:
            name, family, method = head.groups()
            block = found.setdefault(name if family == "inet" else f"{name} {family}", {})
            block["method"] = method
        elif words[0] not in ("source", "source-directory"):
            key, value = words[0].replace("_", "-"), " ".join(words[1:])
            if value not in _BY_ITSELF.get(key, ()):
                block[key] = " ".join(filter(None, (block.get(key), value)))
    for name, keys in found.items():
        if name in at_boot:
            keys["auto"] = "yes"
        if (mask := keys.pop("netmask", "")) and "address" in keys:
            keys["address"] += f"/{mask}"
    # A card of which nothing is said has a block all the same, once somebody has staged.
    return {name: keys for name, keys in found.items() if keys != {"method": "manual"}}
