"""What the nodes and edges of a network carry, and which of them pass traffic on.

A graph here is networkx' undirected one, with the attributes of `homelab_lib.lab.graph`. What a
node or an edge can carry is its ``bandwidth_bps`` [bit/s]; without it a cable has its
``speed_bps``, and anything else no limit. 0, or a cable whose ends agree on no speed, is down.
Nodes of kind ``host``, ``vm`` and ``container`` are ends: nothing passes through them, unless they
are said to forward.
"""

import math
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import networkx

Node = Hashable
Edge = tuple[Node, Node]

ENDS = ("host", "vm", "container")


def checked(graph: "networkx.Graph", *nodes: Node) -> None:
    """Refuse a graph of the wrong kind, and nodes that it does not have."""
    if graph.is_directed() or graph.is_multigraph():
        raise ValueError("graph has to be a networkx.Graph: undirected, one edge between two nodes")
    for node in nodes:
        if node not in graph:
            raise ValueError(f"{node!r} is no node of the graph, which has {len(graph)}")


def node_bps(graph: "networkx.Graph", node: Node) -> float:
    """What a node carries [bit/s]."""
    return node_limit(node, graph.nodes[node])


def edge_bps(graph: "networkx.Graph", a: Node, b: Node) -> float:
    """What an edge carries, its ends left out [bit/s]."""
    return edge_limit((a, b), graph.adj[a][b])


def node_limit(node: Node, facts: Mapping[str, Any]) -> float:
    """What a node with these attributes carries [bit/s]."""
    return _limit(node, facts.get("bandwidth_bps"))


def edge_limit(edge: Edge, facts: Mapping[str, Any]) -> float:
    """What an edge with these attributes carries, its ends left out [bit/s]."""
    given = facts.get("bandwidth_bps")
    if given is None and "speed_bps" in facts:
        given = facts["speed_bps"] or 0.0
    return _limit(edge, given)


def _limit(element: Node | Edge, given: float | None) -> float:
    if given is None:
        return math.inf
    if not given >= 0:
        raise ValueError(f"bandwidth_bps of {element!r} is {given}; it can't be below 0")
    return float(given)
