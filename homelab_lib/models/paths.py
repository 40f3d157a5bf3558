"""The widest path through a network, between two nodes or between many.

What a node or an edge can carry is said in `homelab_lib.models.carried`.

References
----------
M. Pollack, "The maximum capacity through a network", Operations Research 8 (1960), for the widest
path; T. C. Hu, "The maximum capacity route problem", Operations Research 9 (1961), for all of them
lying on one spanning tree; I. Pohl, "Bi-directional search", Machine Intelligence 6 (1971).
"""

import heapq
import math
from array import array
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from homelab_lib.models.carried import ENDS, Edge, Node, checked, edge_bps, edge_limit, node_bps
from homelab_lib.models.compact import Compact, compact

if TYPE_CHECKING:
    import networkx


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
        An end that the graph does not have, or a negative bandwidth where the search comes by.

    References
    ----------
    Pollack 1960, by thresholds: where nothing so wide leads from one end to the other, all that
    could is as wide at most as the widest edge out of what was reached. The search is Pohl's, from
    both ends, and looks at no more of the graph than it needs.
    """
    checked(graph, a, b)
    if a == b:
        limit = node_bps(graph, a)
        return PathBandwidth(limit, a if limit < math.inf else None, (a,))
    width = math.inf
    while width > 0:
        path, narrower = _fewest(graph, (a, b), width, {*forwarding})
        if path:
            return PathBandwidth(width, _bottleneck(graph, path, width), path)
        width = narrower
    return PathBandwidth(0.0, None, ())


def _fewest(
    graph: "networkx.Graph", ends: Edge, width: float, forwarding: set[Node]
) -> tuple[tuple[Node, ...], float]:
    """Of the paths that are so wide one with the fewest nodes; where there is none, how wide one
    can be at most."""
    came: tuple[dict[Node, Node], ...] = tuple({end: end} for end in ends)
    fronts, narrower = [[end] for end in ends], [0.0, 0.0]
    while True:
        side = int(len(fronts[1]) < len(fronts[0]))
        mine, theirs, reached = came[side], came[1 - side], []
        for here in fronts[side]:
            for there, across in _ways(graph, here, ends[1 - side], forwarding):
                if across < width:
                    narrower[side] = max(narrower[side], across)
                elif there not in mine:
                    mine[there] = here
                    reached.append(there)
                    if there in theirs:  # as near to them as all that they reached last
                        return _back(came[0], there)[::-1] + _back(came[1], there)[1:], width
        if not reached:
            return (), narrower[side]
        fronts[side] = reached


def _ways(
    graph: "networkx.Graph", here: Node, to: Node, forwarding: set[Node]
) -> Iterator[tuple[Node, float]]:
    """Where a path can go on, and what edge and both nodes carry [bit/s]."""
    own = node_bps(graph, here)
    for there, facts in graph.adj[here].items():
        passes = graph.nodes[there].get("kind") not in ENDS or there in forwarding
        if passes or there == to:
            yield there, min(own, edge_limit((here, there), facts), node_bps(graph, there))


def _back(came: dict[Node, Node], node: Node) -> tuple[Node, ...]:
    """The way back to where a search began."""
    way = [node]
    while came[way[-1]] != way[-1]:
        way.append(came[way[-1]])
    return tuple(way)


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
    net = compact(graph, forwarding)
    checked(graph, *(end for pair in pairs for end in pair))
    tree = _spanning_tree(net)
    found: list[tuple[Node, ...]] = []
    for pair in pairs:
        a, b = (net.number[end] for end in pair)
        if a == b:
            found.append((pair[0],))
            continue
        ways = [(net.to(a, b), [a, b])] if b in net.near(a) else []
        for x in net.doors(a):
            for y in net.doors(b):
                if tree.root[x] == tree.root[y]:
                    width, way = tree.climb(x, y)
                    if x != a:
                        width, way = min(width, net.to(a, x)), [a, *way]
                    if y != b:
                        width, way = min(width, net.to(b, y)), [*way, b]
                    ways.append((width, way))
        _, best = max(ways, key=lambda each: (each[0], -len(each[1])), default=(0.0, []))
        found.append(tuple([net.nodes[node] for node in best]))
    return found


class _Tree(NamedTuple):
    """A spanning tree of each network: by node its parent, what the way there carries [bit/s], how
    deep it lies, and the root; -1 for the root of what is on none."""

    parent: "array[int]"
    width: "array[float]"
    depth: "array[int]"
    root: "array[int]"

    def climb(self, a: int, b: int) -> tuple[float, list[int]]:
        """The path between two nodes of one tree, and what it carries [bit/s]."""
        up, down, width = [a], [b], math.inf
        while up[-1] != down[-1]:
            side = up if self.depth[up[-1]] >= self.depth[down[-1]] else down
            width = min(width, self.width[side[-1]])
            side.append(self.parent[side[-1]])
        return width, up + down[-2::-1]


def _spanning_tree(net: Compact) -> _Tree:
    count = len(net.nodes)
    none = array("i", [-1]) * count
    tree = _Tree(none[:], array("d", [math.inf]) * count, array("i", [0]) * count, none)
    starts = [node for node in range(count) if net.passes[node]]
    for start in sorted(starts, key=lambda n: net.first[n] - net.first[n + 1]):
        if tree.root[start] >= 0:
            continue
        # Widths and levels are few: those alike wait in a row of their own, in the order they came.
        keys = [(-math.inf, 0)]
        waiting = {keys[0]: deque([(start, start)])}
        while keys:
            width, level = key = keys[0]
            if not (row := waiting[key]):
                heapq.heappop(keys)
                del waiting[key]
                continue
            here, came = row.popleft()
            if tree.root[here] >= 0:
                continue
            tree.parent[here], tree.width[here] = came, -width
            tree.depth[here], tree.root[here] = level, start
            for there, across in zip(net.near(here), net.across(here), strict=True):
                if net.passes[there] and tree.root[there] < 0:
                    key = (-across, level + 1)
                    if key not in waiting:
                        waiting[key] = deque()
                        heapq.heappush(keys, key)
                    waiting[key].append((there, here))
    return tree
