"""What a Proxmox node says of the cluster that it is in; see pvecm(1), and the API's
``/cluster/status``: a row of type ``cluster`` only in one, and one of type ``node`` for each."""

from dataclasses import dataclass

from homelab_lib.answers import Shape
from homelab_lib.control.proxmox.api import api
from homelab_lib.runbook.resource import Host

_ROWS: Shape = [{"type": str, "name": str, "quorate?": (int, bool), "online?": (int, bool)}]


@dataclass(frozen=True)
class Membership:
    """A node's view of its cluster.

    Parameters
    ----------
    name
        The cluster; empty where the node is in none.
    quorate
        Whether those that see each other have a majority.
    nodes
        Its nodes by name, with whether each is online.
    """

    name: str
    quorate: bool
    nodes: dict[str, bool]


def membership(host: Host) -> Membership:
    """Ask a node for its cluster.

    Raises
    ------
    NotUnderstood
        It answers in another shape.
    """
    rows = api(host, "/cluster/status", shape=_ROWS)
    whole_one = next((row for row in rows if row["type"] == "cluster"), None)
    nodes = {row["name"]: bool(row.get("online")) for row in rows if row["type"] == "node"}
    if whole_one is None:
        return Membership("", False, nodes)
    return Membership(whole_one["name"], bool(whole_one.get("quorate")), nodes)
