"""Storage over the network: whether its clients reach it, and who else may mount it."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import rule
from homelab_lib.audit.rules.network import allowed, zone
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.per_host import at, every


def _nodes(lab: Lab, cluster: Cluster) -> list[str]:
    return [*cluster.vms, *cluster.host_agents]


def _addresses(lab: Lab, name: str) -> tuple[str, ...]:
    """Addresses with prefix of a host or VM."""
    return lab.vms[name].addresses if name in lab.vms else lab.hosts[name].cidrs


def _reaches(lab: Lab, node: str, server: str, address: str) -> bool:
    """Whether a node has a way to an address of a server: by a common network, or by a router."""
    target = ip_address(address)
    if any(target in ip_interface(own).network for own in _addresses(lab, node)):
        return True
    vlan = next(
        (i for i, v in lab.vlans.items() if any(target in ip_network(s) for s in v.subnets)), None
    )
    return vlan is not None and any(allowed(lab, each, vlan) for each in zone(lab, node))


@rule("nfs-address-unreachable")
def storage_is_reached(lab: Lab) -> Iterator[Finding]:
    """A storage class whose server address the cluster's nodes have no way to."""
    for cluster in lab.clusters.values():
        storage = cluster.nfs
        if storage is None:
            continue
        share = at(lab.nfs_shares, storage.share)
        if share is None:
            continue
        own = [str(ip_interface(a).ip) for a in _addresses(lab, share.host)]
        vms = [node for node in _nodes(lab, cluster) if node in lab.vms]
        nobody = storage.server_address not in own
        lost = [n for n in vms if not _reaches(lab, n, share.host, storage.server_address)]
        if not lost and not nobody:
            continue
        path = f"clusters.{cluster.name}.storage_class.server_address"
        better = [a for a in own if all(_reaches(lab, n, share.host, a) for n in vms)]
        why = (
            f"{share.host} has no such address"
            if nobody
            else f"{', '.join(lost)} have no way to it: it is in none of their networks, and in "
            "no VLAN that a router joins with theirs"
        )
        yield Finding(
            "nfs-address-unreachable",
            "stops",
            path,
            f"Volumes are to be mounted from {storage.server_address}; {why}.",
            len(lost),
            "nodes",
            tuple(f"{name}: {', '.join(_addresses(lab, name))}" for name in (*lost, share.host)),
            Fix(
                f"{better[0]}, the server's address in the nodes' network"
                if better
                else "an address of the server in the nodes' network",
                changes=((path, better[0]),) if better else (),
            ),
        )


@rule("share-refuses-node")
def shares_admit_nodes(lab: Lab) -> Iterator[Finding]:
    """A node whose address is in none of the networks that its volumes are exported to."""
    for cluster in lab.clusters.values():
        if cluster.nfs is None:
            continue
        share = at(lab.nfs_shares, cluster.nfs.share)
        if share is None:
            continue
        networks = [ip_network(network) for network in share.networks]
        for node in _nodes(lab, cluster):
            mine = [ip_interface(address) for address in _addresses(lab, node)]
            if not mine or any(each.ip in network for each in mine for network in networks):
                continue
            more = [*share.networks, str(mine[0].network)]
            yield Finding(
                "share-refuses-node",
                "stops",
                f"nfs_shares.{share.id}",
                f"{node} of cluster {cluster.name} has {mine[0].ip}; {share.path} is exported to "
                f"{', '.join(share.networks)} only.",
                fix=Fix(
                    f"export it to {mine[0].network}, too",
                    changes=((f"nfs_shares.{share.id}.networks", more),),
                ),
            )


@rule("exported-to-everybody")
def exports_are_narrow(lab: Lab) -> Iterator[Finding]:
    """An NFS export to more than the house: whoever gets into any of its networks may mount it."""
    for share in every(lab.nfs_shares):
        wide = [net for net in share.networks if not ip_network(net).is_private]
        if wide:
            yield Finding(
                "exported-to-everybody",
                "risks",
                f"nfs_shares.{share.id}.networks",
                f"{share.path} may be mounted from {', '.join(wide)}, which is not the house; NFS "
                "asks for no password.",
                len(wide),
                "networks",
                fix=Fix("the addresses or the network of its clients"),
            )
