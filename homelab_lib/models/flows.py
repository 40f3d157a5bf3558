"""What flows get that share links, hosts and radio.

References
----------
D. Bertsekas, R. Gallager, "Data Networks", 2nd ed., §6.5.2.
"""

import heapq
import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from homelab_lib.models.carried import Edge, Node, checked, edge_bps, node_bps
from homelab_lib.models.paths import widest_routes

if TYPE_CHECKING:
    import networkx

Flow = TypeVar("Flow", bound=Hashable)

_SHARED_MEDIA = ("WiFi",)


def max_min_fair(
    graph: "networkx.Graph",
    flows: Mapping[Flow, Sequence[Node]],
    *,
    demands_bps: Mapping[Flow, float] | None = None,
    forwarding: Collection[Node] = (),
) -> dict[Flow, float]:
    """What each of several flows gets: none can have more but at the cost of one that has less.

    Edges carry their bandwidth in each direction, radio (``medium`` ``WiFi``) in both together; a
    node carries its own into it and out of it, and what passes through counts on both sides. So is
    TCP's ideal, with the same delay everywhere; real flows are less equal.

    Parameters
    ----------
    graph
        The network.
    flows
        By name, the path from sender to receiver, node by node; or its two ends, which are then
        joined as `widest_routes` does.
    demands_bps
        What a flow takes at most [bit/s]; those that are not named take what they get.
    forwarding
        Hosts and VMs that pass on what is not for them; for flows given by their ends.

    Returns
    -------
    dict
        Rate of each flow [bit/s]: 0 where there is no path, infinite where nothing limits it.

    Raises
    ------
    ValueError
        A path that the graph does not have, a negative demand, or one of no flow.

    References
    ----------
    Bertsekas & Gallager, §6.5.2: progressive filling. All rates rise together; where a link is
    full, its flows stay.
    """
    checked(graph)
    demands = dict(demands_bps or {})
    for name, demand in demands.items():
        if name not in flows or not demand >= 0:
            raise ValueError(f"demands_bps of {name!r} is {demand}; a flow's, and 0 or above")
    routed = _routed(graph, flows, forwarding)
    rates = [math.inf if routed[name] else 0.0 for name in flows]
    capacity: list[float] = []  # of each thing that holds flows down
    users: list[list[int]] = []
    uses: list[list[int]] = []
    number: dict[Hashable, int] = {}
    steps: dict[Edge, tuple[int, ...]] = {}

    def numbered(limits: Mapping[Hashable, float]) -> tuple[int, ...]:
        for key, limit in limits.items():
            if number.setdefault(key, len(capacity)) == len(capacity):
                capacity.append(limit)
                users.append([])
        return tuple([number[key] for key in limits])

    for flow, name in enumerate(flows):
        own: list[int] = []
        for step in pairwise(routed[name]):
            if step not in steps:
                steps[step] = numbered(_limited(graph, *step))
            own += steps[step]
        if routed[name] and name in demands:
            own += numbered({("demand", name): float(demands[name])})
        uses.append([*dict.fromkeys(own)])
        for place in uses[-1]:
            users[place].append(flow)
    left = [len(each) for each in users]  # of its flows those that still rise
    waiting = [(capacity[place] / left[place], place) for place in range(len(users))]
    heapq.heapify(waiting)
    held = [False] * len(rates)
    while waiting:
        level, place = heapq.heappop(waiting)
        if not left[place]:
            continue
        now = max(capacity[place], 0.0) / left[place]
        if now > level and waiting and now > waiting[0][0]:
            heapq.heappush(waiting, (now, place))  # its users were held back elsewhere
            continue
        for flow in users[place]:
            if not held[flow]:
                held[flow], rates[flow] = True, now
                for other in uses[flow]:
                    capacity[other] -= now
                    left[other] -= 1
    return dict(zip(flows, rates, strict=True))


def _routed(
    graph: "networkx.Graph", flows: Mapping[Flow, Sequence[Node]], forwarding: Collection[Node]
) -> dict[Flow, tuple[Node, ...]]:
    routed: dict[Flow, tuple[Node, ...]] = {}
    open_: list[Flow] = []
    for name, path in flows.items():
        if len(path) < 2:
            raise ValueError(f"flow {name!r} has a path of {len(path)} nodes; it has two ends")
        checked(graph, *path)
        if len(path) == 2 and not graph.has_edge(*path):
            open_.append(name)
            continue
        for a, b in pairwise(path):
            if not graph.has_edge(a, b):
                raise ValueError(f"flow {name!r} goes from {a!r} to {b!r}, which nothing joins")
        routed[name] = tuple(path)
    if open_:
        ways = widest_routes(
            graph, [(flows[name][0], flows[name][1]) for name in open_], forwarding=forwarding
        )
        routed |= zip(open_, ways, strict=True)
    return routed


def _limited(graph: "networkx.Graph", a: Node, b: Node) -> dict[Hashable, float]:
    """What a flow uses from one node to the next, as far as it has a limit [bit/s]."""
    shared = graph.adj[a][b].get("medium") in _SHARED_MEDIA
    edge = ("radio", frozenset((a, b))) if shared else ("cable", a, b)
    found = {
        edge: edge_bps(graph, a, b),
        ("out", a): node_bps(graph, a),
        ("in", b): node_bps(graph, b),
    }
    return {key: limit for key, limit in found.items() if limit < math.inf}
