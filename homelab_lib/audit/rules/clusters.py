"""Proxmox clusters that lose their majority with one node."""

from collections.abc import Iterator

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import rule
from homelab_lib.lab.lab import Lab


@rule("cluster-without-majority")
def majority(lab: Lab) -> Iterator[Finding]:
    """A cluster in which no node may fail: of two nodes, one alone is no majority."""
    for name, cluster in lab.proxmox_clusters.items():
        if len(cluster.nodes) < 2 or cluster.failures > 0:
            continue
        path = f"proxmox_clusters.{name}"
        others = [host for host in lab.hosts if host not in cluster.nodes]
        yield Finding(
            "cluster-without-majority",
            "risks",
            path,
            f"When one of {' and '.join(cluster.nodes)} fails, the rest of cluster {name} has no "
            f"majority of its {cluster.votes} votes: VMs can be neither started nor changed.",
            cluster.failures,
            "nodes that may fail",
            ("Proxmox VE Administration Guide, Corosync External Vote Support",),
            Fix(
                f"a quorum device on {others[0]}" if others else "a quorum device, or a third node",
                changes=((f"{path}.qdevice", others[0]),) if others else (),
            ),
        )
