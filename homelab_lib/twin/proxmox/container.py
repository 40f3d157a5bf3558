"""A Linux container on a node: its configuration, and whether it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from homelab_lib.twin.proxmox.container_options import CARDS
from homelab_lib.twin.proxmox.schema import flag, split_properties
from homelab_lib.twin.proxmox.storage import parse_size


@dataclass
class Container:
    """A container.

    Parameters
    ----------
    vmid, config
        Its number, and its options as they are stored.
    running, since_s
        Whether it runs, and since when.
    """

    vmid: int
    config: dict[str, str]
    running: bool = False
    since_s: float = 0.0

    def row(self, now_s: float) -> dict[str, Any]:
        """What the node says of it."""
        memory = int(self.config.get("memory", 512)) * 2**20
        root = split_properties(self.config.get("rootfs", ""), "volume")
        found: dict[str, Any] = {
            "vmid": self.vmid,
            "name": self.config.get("hostname", f"CT{self.vmid}"),
            "type": "lxc",
            "status": "running" if self.running else "stopped",
            "cpus": int(self.config.get("cores", 0)),
            "maxmem": memory,
            "maxswap": int(self.config.get("swap", 512)) * 2**20,
            "maxdisk": parse_size(root["size"]) if "size" in root else 0,
            "uptime": int(now_s - self.since_s) if self.running else 0,
        } | dict.fromkeys(("cpu", "mem", "disk", "netin", "netout", "diskread", "diskwrite"), 0)
        found |= {key: self.config[key] for key in ("tags", "lock") if key in self.config}
        return found | ({"template": 1} if flag(self.config.get("template")) else {})

    def interfaces(self, leased: Callable[[dict[str, str]], str]) -> list[dict[str, Any]]:
        """What `ip` shows inside of it; nothing of one that is off.

        Parameters
        ----------
        leased
            Gives the address with its prefix length that DHCP has for a card.
        """
        rows: list[dict[str, Any]] = []
        for key in sorted(self.config) if self.running else ():
            card = split_properties(self.config[key]) if CARDS.fullmatch(key) else {}
            if "name" not in card:
                continue
            mac = card["hwaddr"].lower()
            row: dict[str, Any] = {"name": card["name"], "hwaddr": mac, "hardware-address": mac}
            found = leased(card) if card.get("ip") == "dhcp" else card.get("ip", "")
            address, slash, prefix = found.partition("/")
            row["ip-addresses"] = []
            if slash:
                inside = {"ip-address": address, "ip-address-type": "inet", "prefix": int(prefix)}
                row |= {"inet": found, "ip-addresses": [inside]}
            rows.append(row)
        return rows
