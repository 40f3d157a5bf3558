"""The widest path through a network, between two nodes or between many.

A graph here is networkx' undirected one, with the attributes of `homelab_lib.lab.graph`. What a
node or an edge can carry is its ``bandwidth_bps`` [bit/s]; without it a cable has its
``speed_bps``, and anything else no limit. 0, or a cable whose ends agree on no speed, is down.
Nodes of kind ``host`` and ``vm`` are ends: nothing passes through them, unless they are said to
forward.

References
----------
M. Pollack, "The maximum capacity through a network", Operations Research 8 (1960), for the widest
path; T. C. Hu, "The maximum capacity route problem", Operations Research 9 (1961), for all of them
lying on one spanning tree.
"""

import heapq
import math
from collections import deque
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import networkx

Node = Hashable
Edge = tuple[Node, Node]

_ENDS = ("host", "vm", "container")


class PathBandwidth(NamedTuple):
    """The widest path between two nodes.

    Parameters
    ----------
    bandwidth_bps
        What it carries [bit/s]; 0 where there is no path, infinite where nothing has a limit.
    bottleneck
        The first node, or edge as a pair of nodes, that holds it down; None where nothing does.
    path
        Nodes from end to end; of the widest paths one with the fewest. Empty where there is none.
    """

    bandwidth_bps: float
    bottleneck: Node | Edge | None
    path: tuple[Node, ...]


def checked(graph: "networkx.Graph", *nodes: Node) -> None:
    """Refuse a graph of the wrong kind, and nodes that it does not have."""
    if graph.is_directed() or graph.is_multigraph():
        raise ValueError("graph has to be a networkx.Graph: undirected, one edge between two nodes")
    for node in nodes:
        if node not in graph:
            raise ValueError(f"{node!r} is no node of the graph, which has {len(graph)}")


def node_bps(graph: "networkx.Graph", node: Node) -> float:
    """What a node carries [bit/s]."""
    return _limit(node, graph.nodes[node].get("bandwidth_bps"))


def edge_bps(graph: "networkx.Graph", a: Node, b: Node) -> float:
    """What an edge carries, its ends left out [bit/s]."""
    return _edge_limit((a, b), graph.adj[a][b])


def _edge_limit(edge: Edge, facts: Mapping[str, Any]) -> float:
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


def widths(graph: "networkx.Graph") -> dict[Node, dict[Node, float]]:
    """Neighbours of each node, with what edge and both its nodes carry [bit/s]; none that is down.

    Parameters
    ----------
    graph
        The network.
    """
    checked(graph)
    nodes = {
        node: _limit(node, facts.get("bandwidth_bps")) for node, facts in graph.nodes(data=True)
    }
    found: dict[Node, dict[Node, float]] = {}
    for a, others in graph.adjacency():
        found[a] = near = {}
        for b, facts in others.items():
            width = min(_edge_limit((a, b), facts), nodes[a], nodes[b])
            if width > 0 and a != b:
                near[b] = width
    return found


def passing(graph: "networkx.Graph", forwarding: Collection[Node] = ()) -> set[Node]:
    """All nodes that traffic of others passes through."""
    found = {node for node, kind in graph.nodes(data="kind") if kind not in _ENDS}
    return found.union(node for node in forwarding if node in graph)


def path_bandwidth(
    graph: "networkx.Graph", a: Node, b: Node, *, forwarding: Collection[Node] = ()
) -> PathBandwidth:
    """What the best path between two nodes carries, and what holds it down.

    Parameters
    ----------
    graph
        The network; a host's bus is the ``bandwidth_bps`` of the host, a card's that of its port.
    a, b
        The ends. What they carry themselves counts.
    forwarding
        Hosts and VMs that pass on what is not for them: routers, firewalls.

    Returns
    -------
    PathBandwidth
        Raw bandwidth in one direction: what protocols take is not taken off.

    Raises
    ------
    ValueError
        An end that the graph does not have, or a negative bandwidth.

    References
    ----------
    Pollack 1960; Dijkstra's algorithm with the minimum in place of the sum.
    """
    checked(graph, a, b)
    if a == b:
        limit = node_bps(graph, a)
        return PathBandwidth(limit, a if limit < math.inf else None, (a,))
    near, between = widths(graph), passing(graph, forwarding)
    best, done, waiting = {a: math.inf}, set(), [(-math.inf, 0, a)]
    count = 0  # nodes need not have an order
    while waiting:
        width, _, here = heapq.heappop(waiting)
        if here == b:
            break
        if here in done:
            continue
        done.add(here)
        for there, across in near[here].items():
            if there not in between and there != b:
                continue
            through = min(-width, across)
            if through > best.get(there, 0.0):
                best[there], count = through, count + 1
                heapq.heappush(waiting, (-through, count, there))
    if b not in best:
        return PathBandwidth(0.0, None, ())
    path = _fewest(near, a, b, best[b], between)
    return PathBandwidth(best[b], _bottleneck(graph, path, best[b]), path)


def _fewest(
    near: Mapping[Node, Mapping[Node, float]], a: Node, b: Node, width: float, between: set[Node]
) -> tuple[Node, ...]:
    """Of the paths that are so wide one with the fewest nodes."""
    came, waiting = {a: a}, deque([a])
    while b not in came:
        here = waiting.popleft()
        if here != a and here not in between:
            continue
        for there, across in near[here].items():
            if across >= width and there not in came:
                came[there] = here
                waiting.append(there)
    path = [b]
    while path[-1] != a:
        path.append(came[path[-1]])
    return tuple(reversed(path))


def _bottleneck(graph: "networkx.Graph", path: Sequence[Node], width: float) -> Node | Edge | None:
    if width == math.inf:
        return None
    elements: list[tuple[Node | Edge, float]] = [(path[0], node_bps(graph, path[0]))]
    for a, b in pairwise(path):
        elements += [((a, b), edge_bps(graph, a, b)), (b, node_bps(graph, b))]
    return next(element for element, limit in elements if limit == width)


def widest_routes(
    graph: "networkx.Graph", pairs: Iterable[Edge], *, forwarding: Collection[Node] = ()
) -> list[tuple[Node, ...]]:
    """A widest path for each of many pairs: all of them on one spanning tree, as bridges do it.

    Parameters
    ----------
    graph
        The network.
    pairs
        Ends of each path.
    forwarding
        Hosts and VMs that pass on what is not for them.

    Returns
    -------
    list of tuple
        Nodes from end to end, in the order of `pairs`; empty where there is no path.

    Raises
    ------
    ValueError
        An end that the graph does not have, or a negative bandwidth.

    References
    ----------
    Hu 1961: the path on a maximum spanning tree is a widest one. Prim's algorithm; among edges
    that are as wide, the one nearest to the node with most neighbours comes first.
    """
    pairs = list(pairs)
    near = widths(graph)
    checked(graph, *(end for pair in pairs for end in pair))
    between = passing(graph, forwarding)
    parent, depth, root = _spanning_tree(near, between)
    found: list[tuple[Node, ...]] = []
    for a, b in pairs:
        if a == b:
            found.append((a,))
            continue
        doors = [[x] if x in between else [n for n in near[x] if n in between] for x in (a, b)]
        ways = [[a, b]] if b in near[a] else []
        for x in doors[0]:
            for y in doors[1]:
                if root[x] == root[y]:
                    way = _climb(parent, depth, x, y)
                    ways.append([a] * (x != a) + way + [b] * (y != b))
        best = max(ways, key=lambda way: (_width(near, way), -len(way)), default=[])
        found.append(tuple(best))
    return found


def _width(near: Mapping[Node, Mapping[Node, float]], way: Sequence[Node]) -> float:
    return min(near[x][y] for x, y in pairwise(way))


def _spanning_tree(
    near: Mapping[Node, Mapping[Node, float]], between: set[Node]
) -> tuple[dict[Node, Node], dict[Node, int], dict[Node, Node]]:
    """Parent, depth and root of each node that forwards."""
    parent: dict[Node, Node] = {}
    depth: dict[Node, int] = {}
    root: dict[Node, Node] = {}
    count = 0
    for start in sorted((n for n in near if n in between), key=lambda n: -len(near[n])):
        waiting = [] if start in depth else [(-math.inf, 0, 0, start, start)]
        while waiting:
            _, level, _, here, came = heapq.heappop(waiting)
            if here in depth:
                continue
            parent[here], depth[here], root[here] = came, level, start
            for there, across in near[here].items():
                if there in between and there not in depth:
                    count += 1
                    heapq.heappush(waiting, (-across, level + 1, count, there, here))
    return parent, depth, root


def _climb(parent: dict[Node, Node], depth: dict[Node, int], a: Node, b: Node) -> list[Node]:
    """The path between two nodes of one tree."""
    up, down = [a], [b]
    while up[-1] != down[-1]:
        side = up if depth[up[-1]] >= depth[down[-1]] else down
        side.append(parent[side[-1]])
    return up + down[-2::-1]
