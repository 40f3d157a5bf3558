"""What a network loses when one of its elements fails. All graph questions are offered from here.

A graph is networkx' undirected one, with the attributes of `homelab_lib.lab.graph`; see
`homelab_lib.models.paths` for what limits it. Nodes of kind ``host`` and ``vm`` are ends: they
talk to each other, and nothing passes through them unless they are said to forward. So a host
that hangs on two networks joins them no more than it does in reality. In a graph without kinds
every node is both.

References
----------
J. Hopcroft, R. Tarjan, "Algorithm 447: efficient algorithms for graph manipulation",
Communications of the ACM 16 (1973): cut vertices, bridges and blocks in linear time.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from homelab_lib.models.blocks import BlockTree
from homelab_lib.models.flows import max_min_fair
from homelab_lib.models.links import link_speed
from homelab_lib.models.paths import (
    Edge,
    Node,
    checked,
    passing,
    path_bandwidth,
    widest_routes,
    widths,
)
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

    a: Node
    b: Node


def _networks(
    graph: "networkx.Graph",
    near: Mapping[Node, Collection[Node]],
    forwarding: Collection[Node],
) -> tuple[dict[Node, list[Node]], dict[Node, list[Node]], list[Node]]:
    """What forwards, with its neighbours; what hangs on it, with where; and the ends."""
    core: dict[Node, list[Node]] = {}
    doors: dict[Node, list[Node]] = {}
    between = passing(graph, forwarding)
    for node in graph:
        (core if node in between else doors)[node] = []
    for node in graph:
        own = core[node] if node in between else doors[node]
        for other in near[node]:
            if other in between:
                own.append(other)
            elif node not in between:
                direct = _Direct(other, node)
                if direct not in core:
                    direct = _Direct(node, other)
                    core[direct] = []
                own.append(direct)
    ends = list(doors) if any("kind" in graph.nodes[node] for node in graph) else graph
    ends = [*dict.fromkeys([*ends, *(n for n in forwarding if n in core)])]
    return core, doors, ends


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
    dead: set[Node] = set()
    cut: Collection[Node] = ()
    if element in graph:
        owned = defaultdict(list)
        for node, owner in graph.nodes(data="owner"):
            owned[owner].append(node)
        waiting = [element]
        while waiting:
            here = waiting.pop()
            if here not in dead:
                dead.add(here)
                waiting += owned[here]
    elif isinstance(element, tuple) and len(element) == 2 and graph.has_edge(*element):
        cut = element
    else:
        raise ValueError(f"element is {element!r}; it has to be a node or an edge of the graph")
    near, between = widths(graph), passing(graph, forwarding)
    before = _joined(near, between, pairs)
    after = _joined(near, between, pairs, dead, cut)
    return [
        pair for pair, was, still in zip(pairs, before, after, strict=True) if was and not still
    ]


def _joined(
    near: Mapping[Node, Collection[Node]],
    between: Collection[Node],
    pairs: list[Edge],
    dead: Collection[Node] = (),
    cut: Collection[Node] = (),
) -> list[bool]:
    """Whether each pair is joined, by a network or by an edge of its own."""

    def left(node: Node) -> Iterator[Node]:
        """The neighbours of a node that are still so."""
        for other in near[node]:
            if other not in dead and not (cut and node in cut and other in cut):
                yield other

    label: dict[Node, Node] = {}
    for start in near:
        waiting = [start] if start in between and start not in label and start not in dead else []
        while waiting:
            here = waiting.pop()
            if here not in label:
                label[here] = start
                waiting += (n for n in left(here) if n in between and n not in label)

    def on(node: Node) -> set[Node]:
        """The networks that a node is on."""
        doors = (node,) if node in between else left(node)
        return {label[door] for door in doors if door in between}

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
    core, doors, ends = _networks(graph, widths(graph), forwarding)
    tree = BlockTree(core)
    for node in ends:
        if node in core:
            tree.weight[node] += 1
    hanging: list[tuple[Node, Node]] = []
    for node, places in doors.items():
        for group in _by_network(tree, places):
            tree.hang(group)
            if len(group) == 1:
                hanging.append((node, group[0]))
    below = tree.below()
    found = []
    for node in core:
        lost = tree.parted_without(node, below)
        if isinstance(node, _Direct):
            continue  # its edges are counted below
        if lost:
            found.append(PointOfFailure(node, "node", lost))
    for block, (top, under) in tree.bridges():
        inside = below[block]
        lost = inside * (below[tree.root[under]] - inside - tree.across[block])
        if lost:
            found.append(PointOfFailure((top, under), "edge", lost))
    for node, door in hanging:
        lost = below[tree.root[door]] - 1
        if lost and not (isinstance(door, _Direct) and node != door.a):
            edge = (door.a, door.b) if isinstance(door, _Direct) else (node, door)
            found.append(PointOfFailure(edge, "edge", lost))
    return sorted(found, key=lambda each: -each.pairs_lost)


def _by_network(tree: "BlockTree", places: Iterable[Node]) -> list[list[Node]]:
    groups = defaultdict(list)
    for place in places:
        groups[tree.root[place]].append(place)
    return list(groups.values())
