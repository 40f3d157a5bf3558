"""Addresses that a guest gets by DHCP, from whoever gives them in its VLAN."""

import hashlib
import ipaddress
from collections.abc import Mapping

from homelab_lib.twin.machine.surroundings import Surroundings


def lease(world: Surroundings, host: str, name: str, net: Mapping[str, str]) -> tuple[str, str]:
    """Address with prefix length, and gateway, of a network card; both empty for nobody there.

    Parameters
    ----------
    world
        Where; whoever lends addresses in it is asked first.
    host, name
        The Proxmox host that the guest is on, and the guest.
    net
        The card's keys as Proxmox has them: ``macaddr``, ``bridge``, ``tag``.
    """
    lab = world.lab
    ports = lab.hosts[host].attached.values()
    untagged = next((p.vlan for p in ports if p.bridge == net.get("bridge") and p.vlan), None)
    vlan = lab.vlans.get(int(net["tag"]) if "tag" in net else untagged or 0)
    if vlan is None or vlan.subnet is None:
        return "", ""
    network = ipaddress.ip_network(vlan.subnet)
    mac = net["macaddr"].lower()
    for lender in world.lenders:
        found = lender(vlan.subnet, mac, name)
        if found is not None:
            return found
    for under in lab.dhcp.values():
        for known in under.leases.values():
            if known.mac == mac and known.address:
                return f"{known.address}/{network.prefixlen}", vlan.gateway or ""
    # In the upper half: people give fixed addresses from below.
    half = max(network.num_addresses // 2, 2)
    drawn = int.from_bytes(hashlib.sha256(mac.encode()).digest()[:4]) % (half - 2)
    return f"{network[half + drawn]}/{network.prefixlen}", vlan.gateway or ""
