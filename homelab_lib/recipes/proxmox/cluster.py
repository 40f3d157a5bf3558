"""Proxmox hosts that become one cluster: by a person's hand, and looked at by each node.

Joining throws away what a node had of its own configuration, and there is no way back but a new
installation; so no runbook does it. What it asks for is written out, and the nodes say whether it
came about. Source: Proxmox VE Administration Guide, Cluster Manager; pvecm(1).
"""

from collections.abc import Iterator
from functools import partial

from homelab_lib.control.proxmox.cluster import membership
from homelab_lib.lab import Lab
from homelab_lib.lab.power import ProxmoxCluster
from homelab_lib.runbook.step import Check, Context, Manual, Step

MAKES = ("proxmox_clusters",)


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """A step for each cluster of Proxmox hosts that a phase makes.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.
    """
    for name, cluster in lab.proxmox_clusters.items():
        if cluster.phase != phase or cluster.exists:
            continue
        yield Step(
            f"cluster-{name}",
            f"Join {', '.join(cluster.nodes)} to cluster {name}",
            why="A node that joins gives up what it has of its own configuration, its guests' "
            "among it, and only a new installation brings it out again. So this is done by hand, "
            "on nodes that have no guests yet; afterwards each of them is asked whom it sees, and "
            "whether they are a majority.",
            manual=Manual(
                _ask(lab, cluster),
                verify=partial(_joined, lab, cluster),
                rehearsed=True,
            ),
        )


def _links(lab: Lab, cluster: ProxmoxCluster, node: str) -> tuple[str, ...]:
    """The addresses of a node by which Corosync speaks."""
    ssh = lab.hosts[node].ssh
    return cluster.links.get(node) or ((ssh.address,) if ssh else (node,))


def _ask(lab: Lab, cluster: ProxmoxCluster) -> str:
    first, *others = cluster.nodes

    def links(node: str) -> str:
        return "".join(f" --link{n} {ip}" for n, ip in enumerate(_links(lab, cluster, node)))

    lines = [f"on {first}: pvecm create {cluster.name}{links(first)}"]
    meets = _links(lab, cluster, first)[0]
    lines += [f"on {node}, which has no guests: pvecm add {meets}{links(node)}" for node in others]
    if cluster.qdevice:
        known = lab.hosts.get(cluster.qdevice)
        address = known.ssh.address if known and known.ssh else cluster.qdevice
        lines.append(
            f"corosync-qnetd on {cluster.qdevice}, corosync-qdevice on every node, and on {first}: "
            f"pvecm qdevice setup {address}"
        )
    return f"make cluster {cluster.name}, one after the other:\n" + "\n".join(
        f"    {line}" for line in lines
    )


def _joined(lab: Lab, cluster: ProxmoxCluster, ctx: Context) -> Check:
    """Each node is in the cluster, sees all others, and is in the majority."""
    title = f"cluster {cluster.name} has {', '.join(cluster.nodes)} and a majority"
    wanted = {lab.hosts[name].os.node or name for name in cluster.nodes}
    wrong = []
    for name in cluster.nodes:
        found = membership(ctx.host(name))
        online = {node for node, there in found.nodes.items() if there}
        if not found.name:
            wrong.append(f"{name} is in no cluster")
        elif found.name != cluster.name:
            wrong.append(f"{name} is in cluster {found.name}")
        elif strangers := set(found.nodes) - wanted:
            wrong.append(f"{name} sees {', '.join(sorted(strangers))}, which the lab does not have")
        elif lacking := wanted - online:
            wrong.append(f"{name} does not see {', '.join(sorted(lacking))}")
        elif not found.quorate:
            wrong.append(f"{name} is in no majority")
    return Check(title, not wrong, "; ".join(wrong) or "each node sees all others")
