"""A network in numbers: what questions of a whole graph walk through.

A graph of names keeps a dictionary for each node and each edge, and from some thousand hosts on it
fits no cache any more: each look is a wait for memory. So what is asked is read once, in the
graph's order, and the way goes on over rows of numbers that lie side by side.
"""

from array import array
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from homelab_lib.models.carried import ENDS, Node, checked, edge_limit, node_limit

if TYPE_CHECKING:
    import networkx


class Compact(NamedTuple):
    """A network's nodes by number, and what joins them; nothing of it that is down.

    Parameters
    ----------
    nodes
        Their names, in the order of the graph.
    number
        The place of each in it.
    passes
        Whether traffic of others passes through a node.
    owner
        Whose each is, as the graph has it; None where it says nothing.
    first
        Where a node's neighbours begin in `other`; one more than there are nodes.
    other, width
        The neighbours of all nodes, one node after another, and what the edge and both its nodes
        carry [bit/s].
    """

    nodes: list[Node]
    number: dict[Node, int]
    passes: bytearray
    owner: list[Node | None]
    first: "array[int]"
    other: "array[int]"
    width: "array[float]"

    def near(self, node: int) -> "array[int]":
        """The neighbours of a node."""
        return self.other[self.first[node] : self.first[node + 1]]

    def across(self, node: int) -> "array[float]":
        """What the way to each neighbour carries [bit/s]."""
        return self.width[self.first[node] : self.first[node + 1]]

    def to(self, node: int, neighbour: int) -> float:
        """What the way to a neighbour carries [bit/s]."""
        return self.width[self.other.index(neighbour, self.first[node], self.first[node + 1])]

    def doors(self, node: int) -> Sequence[int]:
        """Where a node is on networks: itself if it passes traffic on, else its neighbours."""
        return [node] if self.passes[node] else [n for n in self.near(node) if self.passes[n]]


def compact(graph: "networkx.Graph", forwarding: Collection[Node] = ()) -> Compact:
    """A network in numbers.

    Parameters
    ----------
    graph
        The network.
    forwarding
        Hosts and VMs that pass on what is not for them.

    Raises
    ------
    ValueError
        A graph that is directed, or a negative bandwidth.
    """
    checked(graph)
    limits, passes, owner = array("d"), bytearray(), []
    for node, facts in graph.nodes(data=True):
        limits.append(node_limit(node, facts))
        passes.append(facts.get("kind") not in ENDS)
        owner.append(facts.get("owner"))
    nodes = list(graph)
    number = {node: place for place, node in enumerate(nodes)}
    for node in forwarding:
        if node in number:
            passes[number[node]] = True
    first, other, width = array("i", [0]), array("i"), array("d")
    seen: dict[int, float] = {}  # an edge is read at one of its ends, and known at the other
    for here, (a, others) in enumerate(graph.adjacency()):
        for b, facts in others.items():
            there = number[b]
            across = seen.pop(id(facts), -1.0)
            if across < 0:
                across = min(edge_limit((a, b), facts), limits[here], limits[there])
                seen[id(facts)] = across
            if across > 0 and here != there:
                other.append(there)
                width.append(across)
        first.append(len(other))
    return Compact(nodes, number, passes, owner, first, other, width)
