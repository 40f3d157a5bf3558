"""The interfaces of a Proxmox node: those that are wanted, and what the node says of those it has.

Source: `PVE::API2::Network` (pve-manager 9.2): setting an interface replaces all of its stanza, so
that whatever it has and is to keep has to be given again.
"""

from collections.abc import Set
from dataclasses import dataclass
from typing import Any, Literal

from homelab_lib import answers
from homelab_lib.answers import SCALAR, Shape, whole
from homelab_lib.control.proxmox.api import api
from homelab_lib.runbook.resource import Host

USUAL_MTU = 1500

_ROWS: Shape = [{"iface": str, "type": str, "mtu?": whole}]
_RUNNING: Shape = [
    {
        "ifname?": str,
        "mtu?": whole,
        "flags?": [str],
        "master?": str,
        "linkinfo?": {"info_kind?": str, "info_data?": dict},
        "addr_info?": [{"scope?": str, "local?": str, "prefixlen?": whole}],
    }
]
_ROUTES: Shape = [{"dev?": str, "gateway?": str}]
_KEPT = (
    *("type", "method", "cidr", "gateway", "cidr6", "gateway6", "mtu", "autostart", "comments"),
    *("bridge_ports", "bridge_vlan_aware", "bridge_vids", "slaves", "bond_mode"),
    *("bond_xmit_hash_policy", "bond-primary", "vlan-raw-device", "vlan-id"),
)
"""Of a row: what the API takes, and so what can be given again."""


@dataclass(frozen=True)
class Link:
    """An interface that is wanted.

    Parameters
    ----------
    iface, kind
        Its name, and what it is to the API.
    cidr, cidr6, gateway
        Addresses with prefix length, and the way out; empty for none.
    mtu
        Largest packet [bytes].
    ports
        Of a bridge or a bond: the interfaces in it.
    vlan_aware
        Of a bridge: it keeps VLANs apart.
    bond_mode
        Of a bond, in the kernel's words.
    direct
        No switch is on it: it leads to one other host, and nowhere else.
    """

    iface: str
    kind: Literal["eth", "bridge", "bond", "vlan"]
    cidr: str = ""
    cidr6: str = ""
    gateway: str = ""
    mtu: int = USUAL_MTU
    ports: tuple[str, ...] = ()
    vlan_aware: bool = False
    bond_mode: str = ""
    direct: bool = False

    def options(self, row: dict[str, Any], elsewhere: Set[str] = frozenset()) -> dict[str, str]:
        """What the API is to be given: what the interface has, and what it is to have.

        Parameters
        ----------
        row
            The interface as the node lists it; empty for one that is to be made.
        elsewhere
            Interfaces that are wanted for something else. What is in a bridge besides, and the lab
            does not speak of, stays there.
        """
        found = {key: str(row[key]) for key in _KEPT if str(row.get(key, "")) and key != "method"}
        found["type"] = self.kind
        wanted = {"cidr": self.cidr, "cidr6": self.cidr6, "gateway": self.gateway}
        found |= {key: value for key, value in wanted.items() if value}
        if self.mtu != int(found.get("mtu", USUAL_MTU)):
            found["mtu"] = str(self.mtu)
        if self.kind in ("bridge", "bond"):
            key = "bridge_ports" if self.kind == "bridge" else "slaves"
            there = found.get(key, "").split()
            stay = [name for name in there if name not in {*self.ports, *elsewhere}]
            if set(there) != {*self.ports, *stay}:
                found[key] = " ".join([*self.ports, *stay])
        if self.kind == "bond" and self.bond_mode:
            found["bond_mode"] = self.bond_mode
        if self.vlan_aware:
            found["bridge_vlan_aware"] = "1"
        if self.kind != "eth" or self.cidr or self.cidr6 or self.mtu != USUAL_MTU:
            found["autostart"] = "1"
        return found

    def differs(self, running: dict[str, Any] | None, elsewhere: Set[str] = frozenset()) -> str:
        """What of the kernel's own link is not as wanted; empty for nothing. See `options`."""
        if running is None:
            return f"{self.iface} is not there"
        wrong = []
        has_to_be_up = self.kind != "eth" or bool(self.cidr or self.cidr6)
        if has_to_be_up and not running["up"]:
            wrong.append("is down")
        for cidr in filter(None, (self.cidr, self.cidr6)):
            if cidr not in running["cidrs"]:
                wrong.append(f"has not {cidr}")
        if running["mtu"] != self.mtu:
            wrong.append(f"takes packets of {running['mtu']} bytes")
        ports = set(running["ports"])
        if self.kind in ("bridge", "bond") and (set(self.ports) - ports or ports & elsewhere):
            wrong.append(f"has the ports {', '.join(running['ports']) or 'none'}")
        if self.vlan_aware and not running["vlan_aware"]:
            wrong.append("knows no VLANs")
        return f"{self.iface} {', '.join(wrong)}" if wrong else ""


def listed(host: Host, node: str) -> dict[str, dict[str, Any]]:
    """The interfaces as the node has them in its file, staged changes among them, by name."""
    rows = api(host, f"/nodes/{node}/network", shape=_ROWS)
    found = {}
    for row in rows:
        values = {key: row.get(key) for key in (*_KEPT, "exists") if row.get(key) is not None}
        line = f"pvesh get /nodes/{node}/network"
        answers.expected(values, {str: SCALAR}, host=host.name, line=line)
        found[row["iface"]] = {key: str(value).strip() for key, value in values.items()}
    return found


def running(host: Host) -> dict[str, dict[str, Any]]:
    """The kernel's own links by name: whether up, addresses, packet size, ports."""
    words = ("ip", "-j", "-d", "addr", "show")
    rows = answers.expected(host.json(*words), _RUNNING, host=host.name, line=" ".join(words))
    named = [row for row in rows if row.get("ifname")]
    return {row["ifname"]: _link(row, named) for row in named}


def _link(row: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    info = row.get("linkinfo", {})
    ports = [each["ifname"] for each in rows if each.get("master") == row["ifname"]]
    return {
        "up": "UP" in row.get("flags", ()),
        "mtu": row.get("mtu", 0),
        "cidrs": [
            f"{each.get('local')}/{each.get('prefixlen')}"
            for each in row.get("addr_info", ())
            if each.get("scope") != "link"  # which each interface gives itself
        ],
        "kind": info.get("info_kind", ""),
        # Guests' taps are ports of a bridge, too: theirs come and go.
        "ports": [name for name in ports if not name.startswith(("tap", "veth", "fwpr"))],
        "vlan_aware": bool(info.get("info_data", {}).get("vlan_filtering")),
    }


def ways_out(host: Host) -> list[str]:
    """The default routes, as ``GATEWAY by INTERFACE``."""
    words = ("ip", "-j", "route", "show", "default")
    rows = answers.expected(host.json(*words), _ROUTES, host=host.name, line=" ".join(words))
    return [f"{row.get('gateway', 'none')} by {row.get('dev', '?')}" for row in rows]
