"""Ways in and out: provider's lines, tunnels, what they lead to."""

import ipaddress
from collections.abc import Iterator

from homelab_lib.lab.checks.addresses import IpNetwork, fixed, ip, subnets
from homelab_lib.lab.checks.fault import Fault, twice, unknown
from homelab_lib.lab.document import Steps
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.remote import PackageSource


def faults(lab: Lab) -> Iterator[Fault]:
    yield from _lines(lab)
    yield from _wireguard(lab)
    yield from _tailscale(lab)
    places = [*lab.hosts, *lab.vms, *lab.clusters]
    for name, tunnel in lab.cloudflare_tunnels.items():
        path = ("cloudflare_tunnels", name)
        if tunnel.runs_on not in places:
            yield unknown((*path, "runs_on"), tunnel.runs_on, places, "host, VM or cluster")
        names = (
            ((*path, "ingress", i, "hostname"), e.hostname) for i, e in enumerate(tunnel.ingress)
        )
        yield from twice(names, "the name")
        yield from _source((*path, "source"), tunnel.source, lab)
    if lab.nvidia_driver is not None and lab.nvidia_driver.toolkit is not None:
        yield from _source(("nvidia_driver", "toolkit"), lab.nvidia_driver.toolkit, lab)


def _lines(lab: Lab) -> Iterator[Fault]:
    for name, line in lab.internet.items():
        path = ("internet", name, "port")
        host, dot, port = line.port.partition(".")
        if host not in lab.hosts:
            yield unknown(path, host, lab.hosts, "host")
        elif not dot or port not in lab.hosts[host].attached:
            yield unknown(path, port, lab.hosts[host].attached, f"port of {host}")
    yield from twice(
        ((("internet", name, "port"), line.port) for name, line in lab.internet.items()), "the port"
    )


# WireGuard ---------------------------------------------------------------------------------------


def _wireguard(lab: Lab) -> Iterator[Fault]:
    addresses: list[tuple[Steps, object]] = []
    keys: list[tuple[Steps, str | None]] = []
    for host, tunnels in lab.wireguard.items():
        if host not in lab.hosts and host not in lab.vms:
            yield unknown(("wireguard", host), host, [*lab.hosts, *lab.vms], "host or VM")
        ports = [(("wireguard", host, name, "port"), t.port) for name, t in tunnels.items()]
        yield from twice(ports, "the port")
        for name, tunnel in tunnels.items():
            path = ("wireguard", host, name)
            own = [ipaddress.ip_interface(cidr).network for cidr in tunnel.addresses]
            yield from _apart((*path, "addresses"), own, lab)
            addresses += [((*path, "addresses", i), ip(c)) for i, c in enumerate(tunnel.addresses)]
            for peer_name, peer in tunnel.peers.items():
                here = (*path, "peers", peer_name)
                addresses += [
                    ((*here, "addresses", i), ip(c)) for i, c in enumerate(peer.addresses)
                ]
                keys.append(((*here, "public_key"), peer.public_key))
                for index, cidr in enumerate(peer.routes):
                    if ipaddress.ip_network(cidr).prefixlen == 0:
                        what = (
                            f"{cidr} would lead all that {host} sends into the tunnel, and us out"
                        )
                        yield Fault((*here, "routes", index), what)
                for index, cidr in enumerate(peer.addresses):
                    if not any(ip(cidr) in network for network in own):
                        networks = ", ".join(map(str, own))
                        what = f"{cidr} is outside of the tunnel's network, {networks}"
                        yield Fault((*here, "addresses", index), what)
    yield from twice([*_machines(lab), *addresses], "the address")
    yield from twice(keys, "the public key")


def _machines(lab: Lab) -> list[tuple[Steps, object]]:
    """Addresses of machines, with which a tunnel's must not collide."""
    seen: dict[object, Steps] = {}
    for path, cidr in fixed(lab):
        seen.setdefault(ip(cidr), path)
    return [(path, address) for address, path in seen.items()]


def _apart(path: Steps, networks: list[IpNetwork], lab: Lab) -> Iterator[Fault]:
    """A tunnel has a network of its own."""
    for index, network in enumerate(networks):
        for subnet, id_ in subnets(lab).items():
            if network.overlaps(subnet):
                yield Fault(
                    (*path, index), f"{network} overlaps {subnet}, the subnet of VLAN {id_}"
                )
        if network.num_addresses == 1:
            what = f"{network} has room for nobody else; write the tunnel's prefix, such as /24"
            yield Fault((*path, index), what)


# Tailscale ---------------------------------------------------------------------------------------


def _tailscale(lab: Lab) -> Iterator[Fault]:
    known = [*subnets(lab), *(ipaddress.ip_interface(cidr).network for _, cidr in fixed(lab))]
    for name, node in lab.tailscale.items():
        path = ("tailscale", name)
        if name not in lab.hosts and name not in lab.vms:
            yield unknown(path, name, [*lab.hosts, *lab.vms], "host or VM")
        for index, route in enumerate(node.routes):
            network = ipaddress.ip_network(route)
            if not any(network.overlaps(each) for each in known):
                what = f"no subnet of the lab is in {route}; there are: "
                what += ", ".join(dict.fromkeys(map(str, known)))
                yield Fault((*path, "routes", index), what)
        yield from _source((*path, "source"), node.source, lab)


def _source(path: Steps, source: PackageSource | None, lab: Lab) -> Iterator[Fault]:
    if source is not None and source.keyring not in lab.downloads:
        yield unknown((*path, "keyring"), source.keyring, lab.downloads, "download")
