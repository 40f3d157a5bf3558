"""What a network loses when one of its elements fails. All graph questions are offered from here.

A graph is networkx' undirected one, with the attributes of `homelab_lib.lab.graph`; see
`homelab_lib.models.carried` for what limits it. Nodes of kind ``host`` and ``vm`` are ends: they
talk to each other, and nothing passes through them unless they are said to forward. So a host
that hangs on two networks joins them no more than it does in reality. In a graph without kinds
every node is both.

References
----------
J. Hopcroft, R. Tarjan, "Algorithm 447: efficient algorithms for graph manipulation",
Communications of the ACM 16 (1973): cut vertices, bridges and blocks in linear time.
"""

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from homelab_lib.models.blocks import BlockTree
from homelab_lib.models.carried import Edge, Node, checked
from homelab_lib.models.compact import Compact, compact
from homelab_lib.models.flows import max_min_fair
from homelab_lib.models.links import link_speed
from homelab_lib.models.paths import path_bandwidth, widest_routes
from homelab_lib.models.reachability import subnets_without_route, vlan_reachability

if TYPE_CHECKING:
    import networkx

__all__ = [
    "PointOfFailure",
    "link_speed",
    "lost_when",
    "max_min_fair",
    "path_bandwidth",
    "single_points_of_failure",
    "subnets_without_route",
    "vlan_reachability",
    "widest_routes",
]


class PointOfFailure(NamedTuple):
    """An element whose failure parts ends from each other.

    Parameters
    ----------
    element
        The node, or the edge as a pair of nodes.
    kind
        Which of the two it is.
    pairs_lost
        Pairs of ends, both still alive, that its network joins no more.
    """

    element: Node | Edge
    kind: Literal["node", "edge"]
    pairs_lost: int


class _Direct(NamedTuple):
    """Stands for the edge between two ends, which is a network of its own."""

    a: int
    b: int


_Place = int | _Direct


def _networks(net: Compact) -> tuple[dict[_Place, list[_Place]], dict[int, list[_Place]]]:
    """What forwards, with its neighbours; and what hangs on it, with where."""
    core: dict[_Place, list[_Place]] = {}
    doors: dict[int, list[_Place]] = {}
    for node, passes in enumerate(net.passes):
        own: list[_Place] = [other for other in net.near(node) if net.passes[other]]
        if passes:
            core[node] = own
            continue
        doors[node] = own
        for other in net.near(node):
            if not net.passes[other]:
                direct = _Direct(*sorted((node, other)))
                core[direct] = []
                own.append(direct)
    return core, doors


def lost_when(
    graph: "networkx.Graph",
    element: Node | Edge,
    pairs: Iterable[Edge],
    *,
    forwarding: Collection[Node] = (),
) -> list[Edge]:
    """Which pairs are joined, and no more so when an element fails.

    Parameters
    ----------
    graph
        The network. A node fails with all whose ``owner`` it is: a host with its ports, bridges
        and VMs.
    element
        A node, or an edge as a pair of nodes.
    pairs
        Nodes that are to reach each other.
    forwarding
        Hosts and VMs that pass on what is not for them.

    Returns
    -------
    list of tuple
        Pairs that are lost, in their order; those with an end that failed are among them.

    Raises
    ------
    ValueError
        An element or an end that the graph does not have.
    """
    pairs = list(pairs)
    checked(graph, *(end for pair in pairs for end in pair))
    net = compact(graph, forwarding)
    dead: set[int] = set()
    cut: Collection[int] = ()
    if element in graph:
        owned = defaultdict(list)
        for node, owner in enumerate(net.owner):
            if owner is not None:
                owned[owner].append(node)
        waiting = [net.number[element]]
        while waiting:
            here = waiting.pop()
            if here not in dead:
                dead.add(here)
                waiting += owned[net.nodes[here]]
    elif isinstance(element, tuple) and len(element) == 2 and graph.has_edge(*element):
        cut = {net.number[end] for end in element}
    else:
        raise ValueError(f"element is {element!r}; it has to be a node or an edge of the graph")
    ends = [(net.number[a], net.number[b]) for a, b in pairs]
    before, after = _joined(net, ends), _joined(net, ends, dead, cut)
    return [
        pair for pair, was, still in zip(pairs, before, after, strict=True) if was and not still
    ]


def _joined(
    net: Compact,
    pairs: list[tuple[int, int]],
    dead: Collection[int] = (),
    cut: Collection[int] = (),
) -> list[bool]:
    """Whether each pair is joined, by a network or by an edge of its own."""

    def left(node: int) -> Sequence[int]:
        """The neighbours of a node that are still so."""
        near: Sequence[int] = net.near(node)
        if dead:
            near = [other for other in near if other not in dead]
        return [other for other in near if other not in cut] if node in cut else near

    label = array("i", [-1]) * len(net.nodes)
    for start, passes in enumerate(net.passes):
        waiting = [start] if passes and label[start] < 0 and start not in dead else []
        while waiting:
            here = waiting.pop()
            if label[here] < 0:
                label[here] = start
                waiting += [n for n in left(here) if net.passes[n] and label[n] < 0]

    def on(node: int) -> set[int]:
        """The networks that a node is on."""
        return {label[door] for door in ([node] if net.passes[node] else left(node))} - {-1}

    return [
        a not in dead and b not in dead and (a == b or b in left(a) or not on(a).isdisjoint(on(b)))
        for a, b in pairs
    ]


def single_points_of_failure(
    graph: "networkx.Graph", *, forwarding: Collection[Node] = ()
) -> list[PointOfFailure]:
    """Nodes and edges whose failure alone parts ends from each other: cut vertices and bridges.

    Each network, that is all that what forwards joins, is looked at by itself: where two hosts are
    joined by a second network, too, `lost_when` tells. Of a failing node, it alone is taken away.

    Parameters
    ----------
    graph
        The network.
    forwarding
        Hosts and VMs that pass on what is not for them.

    Returns
    -------
    list of PointOfFailure
        Those that part most come first. Exact; linear in nodes and edges, but for hosts with
        several ports where networks are long chains.

    Raises
    ------
    ValueError
        A graph that is directed, or a negative bandwidth.

    References
    ----------
    Hopcroft & Tarjan 1973; pairs are counted on the tree of blocks and cut vertices.
    """
    net = compact(graph, forwarding)
    core, doors = _networks(net)
    tree = BlockTree(core)
    if all(kind is None for _, kind in graph.nodes(data="kind")):
        inside = [node for node, passes in enumerate(net.passes) if passes]
    else:
        inside = [net.number[node] for node in {*forwarding} if node in net.number]
    for node in inside:
        tree.weight[node] += 1
    hanging: list[tuple[int, _Place]] = []
    for node, places in doors.items():
        for group in _by_network(tree, places):
            tree.hang(group)
            if len(group) == 1:
                hanging.append((node, group[0]))
    below = tree.below()
    found = []
    for place in core:
        lost = tree.parted_without(place, below)
        if lost and not isinstance(place, _Direct):  # its edges are counted below
            found.append(PointOfFailure(net.nodes[place], "node", lost))
    for block, (top, under) in tree.bridges():
        apart = below[block]
        lost = apart * (below[tree.root[under]] - apart - tree.across[block])
        if lost:
            found.append(PointOfFailure((net.nodes[top], net.nodes[under]), "edge", lost))
    for node, door in hanging:
        lost = below[tree.root[door]] - 1
        if lost and not (isinstance(door, _Direct) and node != door.a):
            edge = door if isinstance(door, _Direct) else (node, door)
            found.append(PointOfFailure((net.nodes[edge[0]], net.nodes[edge[1]]), "edge", lost))
    return sorted(found, key=lambda each: -each.pairs_lost)


def _by_network(tree: "BlockTree", places: Iterable[_Place]) -> list[list[_Place]]:
    groups = defaultdict(list)
    for place in places:
        groups[tree.root[place]].append(place)
    return list(groups.values())
