"""Clusters: of Proxmox hosts and of Kubernetes servers, and who may fail of them."""

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


@rule("etcd-without-majority")
def etcd_odd(lab: Lab) -> Iterator[Finding]:
    """An even number of servers: one more than needed, and no more of them may fail."""
    for cluster in lab.clusters.values():
        count = len(cluster.servers)
        if count % 2 == 0:
            yield Finding(
                "etcd-without-majority",
                "risks",
                f"clusters.{cluster.name}.servers",
                f"Cluster {cluster.name} has {count} servers. etcd works while more than half of "
                f"them do, so that {count // 2 - 1} may fail: as many as of {count - 1}.",
                count // 2 - 1,
                "servers",
                ("etcd FAQ, Why an odd number of cluster members?",),
                Fix(f"{count - 1} servers, or {count + 1}"),
            )
