"""Graph questions against brute force on small networks, and against cases made by hand."""

import gc
import math
from itertools import combinations, pairwise

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homelab_lib.models import topology
from homelab_lib.models.links import End, Module
from homelab_lib.models.reachability import Verdict

G = 10**9


@st.composite
def networks(draw, kinds=("switch", "switch", "host")):
    """A small network with limits here and there."""
    n = draw(st.integers(2, 8))
    graph = networkx.Graph()
    for node in range(n):
        limit = draw(st.sampled_from([None, None, 1, 2, 5]))
        graph.add_node(node, kind=draw(st.sampled_from(kinds)), bandwidth_bps=limit)
    for a, b in combinations(range(n), 2):
        if draw(st.integers(0, 2)) == 0:
            graph.add_edge(a, b, bandwidth_bps=draw(st.sampled_from([None, 0, 1, 2, 3, 4, 5])))
    return graph


def limit(graph, *element) -> float:
    facts = graph.edges[element] if len(element) == 2 else graph.nodes[element[0]]
    found = facts.get("bandwidth_bps")
    return math.inf if found is None else found


def all_paths(graph, a, b):
    """Every simple path through what forwards."""
    middle = [n for n in graph if graph.nodes[n]["kind"] == "switch"]
    yield from networkx.all_simple_paths(graph.subgraph({a, b, *middle}), a, b)


def width(graph, path) -> float:
    return min(
        [limit(graph, n) for n in path] + [limit(graph, *edge) for edge in pairwise(path)],
    )


# Paths -------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(networks())
def test_the_widest_path_is_the_best_of_all(graph):
    pairs = list(combinations(graph, 2))
    routes = topology.widest_routes(graph, pairs)
    for (a, b), route in zip(pairs, routes, strict=True):
        paths = list(all_paths(graph, a, b))
        best = max((width(graph, path) for path in paths), default=0.0)
        found = topology.path_bandwidth(graph, a, b)
        assert found.bandwidth_bps == best
        assert bool(route) == bool(found.path) == (best > 0)
        if not best:
            continue
        assert (route[0], route[-1]) == (a, b)
        assert width(graph, found.path) == width(graph, route) == best
        assert list(route) in paths
        shortest = min(len(p) for p in paths if width(graph, p) == best)
        assert len(found.path) == shortest
        if best < math.inf:
            neck = found.bottleneck
            assert limit(graph, *(neck if isinstance(neck, tuple) else (neck,))) == best


def lab() -> networkx.Graph:
    """Two hosts on a 2.5 Gb/s switch and on a 10 Gb/s cable of their own, and a desktop."""
    graph = networkx.Graph()
    for name, ports in {"nas": 2, "vmhost": 2, "desktop": 1}.items():
        graph.add_node(name, kind="host")
        for number in range(ports):
            port = f"{name}.p{number}"
            graph.add_node(port, kind="port", owner=name)
            graph.add_edge(name, port, kind=f"port of {name}")
    graph.add_node("switch", kind="switch")
    for number, name in enumerate(("nas", "vmhost", "desktop")):
        graph.add_node(f"switch.p{number}", kind="port", owner="switch")
        graph.add_edge("switch", f"switch.p{number}", kind="port of switch")
        graph.add_edge(f"switch.p{number}", f"{name}.p0", kind="cable", speed_bps=2.5 * G)
    graph.add_edge("nas.p1", "vmhost.p1", kind="cable", speed_bps=10 * G)
    graph.add_node("vmhost:br", kind="bridge", owner="vmhost")
    graph.add_edge("vmhost:br", "vmhost.p0", kind="bridge member")
    graph.add_node("vm", kind="vm", owner="vmhost")
    graph.add_edge("vm", "vmhost:br", kind="virtual port")
    return graph


def test_the_bus_holds_a_direct_link_down():
    graph = lab()
    direct = topology.path_bandwidth(graph, "nas", "vmhost")
    assert direct == (10 * G, ("nas.p1", "vmhost.p1"), ("nas", "nas.p1", "vmhost.p1", "vmhost"))
    graph.nodes["nas.p1"]["bandwidth_bps"] = 8 * G
    assert topology.path_bandwidth(graph, "nas", "vmhost")[:2] == (8 * G, "nas.p1")
    graph.nodes["nas"]["bandwidth_bps"] = 2 * G
    assert topology.path_bandwidth(graph, "nas", "vmhost")[:2] == (2 * G, "nas")


def test_a_host_passes_nothing_on_unless_it_is_said_to():
    graph = lab()
    graph.edges["switch.p0", "nas.p0"]["speed_bps"] = None  # no common speed: it stays down
    assert topology.path_bandwidth(graph, "desktop", "nas").bandwidth_bps == 0
    way = topology.path_bandwidth(graph, "desktop", "nas", forwarding=["vmhost"])
    assert way.bandwidth_bps == 2.5 * G
    assert "vmhost" in way.path
    assert topology.path_bandwidth(graph, "nas", "nas") == (math.inf, None, ("nas",))


@settings(deadline=None, max_examples=200)
@given(networks())
def test_a_host_that_forwards_is_to_others_as_a_switch(graph):
    router = next((n for n in graph if graph.nodes[n]["kind"] == "host"), None)
    if router is None:
        return
    switched = graph.copy()
    switched.nodes[router]["kind"] = "switch"
    pairs = list(combinations(graph, 2))
    forwarding = [router, "no such host"]
    for a, b in pairs:
        found = topology.path_bandwidth(graph, a, b, forwarding=forwarding)
        assert found == topology.path_bandwidth(switched, a, b)
    for ask in (topology.widest_routes, lambda *given, **more: topology.lost_when(
        given[0], router, given[1], **more
    )):  # fmt: skip
        assert ask(graph, pairs, forwarding=forwarding) == ask(switched, pairs)


# Shares ------------------------------------------------------------------------------------------


def resources(graph, path):
    """What a path uses: cables by direction, nodes by side."""
    for a, b in pairwise(path):
        yield (a, b), limit(graph, a, b)
        yield ("out", a), limit(graph, a)
        yield ("in", b), limit(graph, b)


@settings(deadline=None, max_examples=300)
@given(graph=networks(), data=st.data())
def test_no_flow_can_have_more_but_at_the_cost_of_a_smaller_one(graph, data):
    flows, demands = {}, {}
    for number in range(data.draw(st.integers(1, 6))):
        ends = data.draw(st.permutations(sorted(graph)))[:2]
        paths = sorted(all_paths(graph, *ends))
        if paths:
            flows[number] = data.draw(st.sampled_from(paths))
            if data.draw(st.booleans()):
                demands[number] = data.draw(st.sampled_from([0, 0.5, 1, 3]))
    rates = topology.max_min_fair(graph, flows, demands_bps=demands)
    load: dict = {}
    for name, path in flows.items():
        for key, _ in resources(graph, path):
            load.setdefault(key, []).append(rates[name])
    for name, path in flows.items():
        own = dict(resources(graph, path))
        assert all(sum(load[key]) <= own[key] + 1e-9 for key in own)
        full = [key for key in own if own[key] < math.inf and sum(load[key]) >= own[key] - 1e-9]
        if name in demands and rates[name] == pytest.approx(demands[name]):
            continue
        if rates[name] == math.inf:
            assert not any(limit_ < math.inf for limit_ in own.values())
        else:  # it has a bottleneck of its own, on which none has more
            assert any(rates[name] >= max(load[key]) - 1e-9 for key in full)


def test_the_example_of_the_book():
    """Bertsekas & Gallager, figure 6.33 in kind: one flow over a chain, and one on each link."""
    graph = networkx.path_graph(4)
    networkx.set_edge_attributes(graph, {(0, 1): 1.0, (1, 2): 1.0, (2, 3): 2.0}, "bandwidth_bps")
    flows = {"long": (0, 1, 2, 3), "a": (0, 1), "b": (1, 2), "b2": (1, 2), "c": (2, 3)}
    rates = topology.max_min_fair(graph, flows)
    third = 1 / 3
    expected = {"long": third, "a": 2 * third, "b": third, "b2": third, "c": 2 - third}
    assert rates == pytest.approx(expected)
    rates = topology.max_min_fair(graph, flows, demands_bps={"b2": 0.1})
    assert rates["long"] == pytest.approx(0.45)


def test_cables_carry_both_directions_and_radio_one():
    graph = networkx.Graph()
    graph.add_edge("a", "b", kind="cable", medium="Cat6", speed_bps=G)
    flows = {"there": ("a", "b"), "back": ("b", "a")}
    assert topology.max_min_fair(graph, flows) == {"there": G, "back": G}
    graph.edges["a", "b"]["medium"] = "WiFi"
    assert topology.max_min_fair(graph, flows) == {"there": G / 2, "back": G / 2}


def test_flows_by_their_ends_find_their_way():
    graph = lab()
    flows = {"backup": ("nas", "vmhost"), "files": ("desktop", "nas"), "none": ("desktop", "x")}
    graph.add_node("x", kind="host")
    rates = topology.max_min_fair(graph, flows)
    assert rates == {"backup": 10 * G, "files": 2.5 * G, "none": 0}


# Failures ----------------------------------------------------------------------------------------


def plain(graph, found):
    return {(frozenset(p.element) if p.kind == "edge" else p.element): p.pairs_lost for p in found}


def by_force(graph, ends, passing):
    """Per network: without each element, which pairs of ends have no path."""
    up = networkx.Graph()
    up.add_nodes_from(n for n in graph if limit(graph, n))
    up.add_edges_from(e for e in graph.edges if limit(graph, *e) and set(e) <= set(up))
    found = {}
    for a, b in up.edges:
        if a not in passing and b not in passing:
            found[frozenset((a, b))] = 1
    for core in networkx.connected_components(up.subgraph(passing)):
        touching = [e for e in ends if e in core or any(n in core for n in up.adj.get(e, ()))]

        def lost(graph, alive, core=core):
            count = 0
            for a, b in combinations(alive, 2):
                part = networkx.Graph(graph.subgraph({a, b, *core}))
                if not {a, b} & core and part.has_edge(a, b):
                    part.remove_edge(a, b)  # a network of its own
                count += not networkx.has_path(part, a, b)
            return count

        for x in core:
            rest = networkx.Graph(up)
            rest.remove_node(x)
            found[x] = lost(rest, [e for e in touching if e != x], core - {x})
        for a, b in up.edges:
            if a in core or b in core:
                rest = networkx.Graph(up)
                rest.remove_edge(a, b)
                found[frozenset((a, b))] = lost(rest, touching)
    return {element: count for element, count in found.items() if count}


@settings(deadline=None, max_examples=400)
@given(networks(kinds=("switch", "host")))
def test_single_points_of_failure_by_force(graph):
    hosts = [n for n in graph if graph.nodes[n]["kind"] == "host"]
    passing = set(graph) - set(hosts)
    found = topology.single_points_of_failure(graph)
    assert plain(graph, found) == by_force(graph, hosts, passing)
    assert [p.pairs_lost for p in found] == sorted((p.pairs_lost for p in found), reverse=True)
    if hosts:
        router = hosts[0]
        found = topology.single_points_of_failure(graph, forwarding=[router])
        assert plain(graph, found) == by_force(graph, hosts, passing | {router})


@settings(deadline=None, max_examples=200)
@given(networks(kinds=("switch",)))
def test_without_kinds_they_are_cut_vertices_and_bridges(graph):
    for node in graph:
        del graph.nodes[node]["kind"]
        graph.nodes[node]["bandwidth_bps"] = None
    graph.remove_edges_from([e for e in graph.edges if not limit(graph, *e)])
    found = plain(graph, topology.single_points_of_failure(graph))
    cuts = set(networkx.articulation_points(graph))
    assert set(found) == cuts | {frozenset(edge) for edge in networkx.bridges(graph)}


@settings(deadline=None, max_examples=300)
@given(networks())
@pytest.mark.slow
def test_lost_when_by_force(graph):
    pairs = list(combinations(graph, 2))

    def joined(graph, a, b):
        if a not in graph or b not in graph:
            return False
        return any(width(graph, path) > 0 for path in all_paths(graph, a, b))

    before = [pair for pair in pairs if joined(graph, *pair)]
    for element in [*graph, *graph.edges]:
        rest = networkx.Graph(graph)
        if isinstance(element, tuple):
            rest.remove_edge(*element)
        else:
            rest.remove_node(element)
        expected = [pair for pair in before if not joined(rest, *pair)]
        assert topology.lost_when(graph, element, pairs) == expected


def test_a_direct_cable_does_not_make_the_switch_dispensable():
    graph = lab()
    found = plain(graph, topology.single_points_of_failure(graph))
    assert found["switch"] == 5  # four ends, of which vm and vmhost meet in a port
    assert found["vmhost.p0"] == 5  # all but nas to desktop
    assert found[frozenset(("nas.p1", "vmhost.p1"))] == 1
    pairs = list(combinations(["nas", "vmhost", "desktop", "vm"], 2))
    lost = topology.lost_when(graph, "switch", pairs)
    assert ("nas", "vmhost") not in lost
    assert len(lost) == 4
    assert ("desktop", "vm") in topology.lost_when(graph, "vmhost", pairs)  # its VM goes with it
    assert topology.lost_when(graph, ("nas.p1", "vmhost.p1"), pairs) == []


# Cables ------------------------------------------------------------------------------------------

RJ45 = End("RJ45", (10 * G, 5 * G, 2.5 * G, G), name="proxmox.lan1")
SFP = End("SFP+", (10 * G, G), name="truenas.sfp")
COPPER = Module("SFP+", "RJ45", (10 * G, 5 * G, 2.5 * G), ("Cat6A",))
OPTICS = Module("SFP+", "LC", (10 * G,), ("OM3", "OM4"))


def test_a_dac_does_not_go_into_a_jack():
    found = topology.link_speed(RJ45, SFP, "DAC")
    assert found[:2] == (0, "fit")
    assert "proxmox.lan1 is RJ45" in found.reason


def test_a_module_makes_it_fit():
    cage = End("SFP+", (10 * G, G), COPPER, name="truenas.sfp")
    assert topology.link_speed(RJ45, cage, "Cat6A", length_m=20) == (10 * G, "both", "")
    assert "does not drive Cat6" in topology.link_speed(RJ45, cage, "Cat6").reason
    fibre = End("SFP+", (10 * G,), OPTICS)
    assert topology.link_speed(fibre, fibre, "OM3", length_m=250).speed_bps == 10 * G
    assert topology.link_speed(fibre, fibre, "OM3", length_m=350)[:2] == (0, "medium")
    wrong = End("SFP", (G,), OPTICS)
    assert "does not go into the SFP" in topology.link_speed(wrong, fibre, "OM3").reason


@pytest.mark.parametrize(
    ("medium", "length_m", "gbps", "limited_by"),
    [
        ("Cat5e", 10, 5, "medium"),
        ("Cat6", 50, 10, "both"),
        ("Cat6", 60, 5, "medium"),
        ("Cat6A", 100, 10, "both"),
        ("Cat6A", 120, 0, "medium"),
        ("Cat6", None, 10, "both"),
    ],
)
def test_reach_by_speed(medium, length_m, gbps, limited_by):
    found = topology.link_speed(RJ45, RJ45, medium, length_m=length_m)
    assert found[:2] == (gbps * G, limited_by)


def test_who_holds_a_link_down():
    slow = End("RJ45", (G,), name="pi5.lan")
    assert topology.link_speed(slow, RJ45, "Cat6") == (G, "a", "pi5.lan does at most 1 Gb/s")
    odd = topology.link_speed(End("SFP28", (25 * G, G)), End("SFP+", (10 * G, G)), "DAC")
    assert odd[:2] == (G, "both")
    none = topology.link_speed(End("SFP28", (25 * G,)), SFP, "DAC")
    assert none[:2] == (0, "fit")
    assert "agree on no speed" in none.reason
    short = topology.link_speed(SFP, SFP, "DAC", length_m=2, reach_m={10 * G: 1, G: 3})
    assert short[:2] == (G, "medium")
    assert topology.link_speed(SFP, SFP, "DAC", plugs=("SFP+", "QSFP+"))[1] == "fit"


# Networks ----------------------------------------------------------------------------------------

RULES = [
    ("no-ssh", 10, 30, False, ("tcp/22",)),
    ("family-servers", 10, 30, True, ()),
    ("nfs", 20, 30, True, ("tcp/2049", "udp/8000-8010")),
    ("out", "any", "internet", True, ()),
    ("late", 20, 30, True, ()),
    ("shut", 40, "any", False, ()),
]


def test_the_first_rule_that_fits_decides():
    reach = topology.vlan_reachability([10, 20, 30, 40], RULES)
    assert len(reach) == 5 * 4
    assert reach[10, 30].on("tcp/22") == Verdict(False, "no-ssh", ("tcp/22",))
    assert reach[10, 30].on("tcp/443").rule == "family-servers"
    assert reach[20, 30].on("udp/8005").rule == "nfs"
    assert reach[20, 30].on("icmp").rule == "late"
    assert reach[40, "internet"].on("tcp/443").rule == "out"
    assert not reach[40, 10].allowed
    with pytest.raises(ValueError, match="ask for each port"):
        reach[10, 30].on("tcp/20-23")
    assert reach[30, 10].verdicts == (Verdict(False, None),)


@pytest.mark.parametrize(
    ("refused", "allowed", "passes"),
    [
        ((), (), False),
        (("tcp/1-20",), ("tcp/5",), False),
        (("tcp/5",), ("tcp/1-20",), True),
        (("tcp/11-20", "tcp/1-10"), ("tcp/5-15",), False),
        (("tcp/1-10", "udp/11-20"), ("tcp/5-15",), True),
        (("tcp/1-10", "tcp/12-20"), ("tcp/5-15",), True),
    ],
)
def test_what_is_refused_first_stays_refused(refused, allowed, passes):
    rules = [("a", 1, 2, False, refused), ("b", 1, 2, True, allowed)]
    assert topology.vlan_reachability([1, 2], rules)[1, 2].allowed is passes


network_names = st.sampled_from([1, 2, 3, "any", "internet"])


@given(
    st.lists(
        st.tuples(
            st.text(max_size=2),
            network_names,
            network_names,
            st.booleans(),
            st.sampled_from([(), ("tcp/1",), ("tcp/2", "icmp")]),
        ),
        max_size=8,
    )
)
def test_reachability_by_force(rules):
    reach = topology.vlan_reachability([1, 2, 3], rules)
    for (source, destination), found in reach.items():
        for port in ("tcp/1", "tcp/2", "icmp", "udp/9"):
            expected = (False, None)
            for name, s, d, allow, ports in rules:
                if s in (source, "any") and d in (destination, "any") and (
                    not ports or port in ports
                ):  # fmt: skip
                    expected = (allow, name)
                    break
            verdict = found.on(port)
            assert (verdict.allow, verdict.rule) == expected
        ports = ("tcp/1", "tcp/2", "icmp", "udp/9")
        assert found.allowed == any(found.on(port).allow for port in ports)


def test_subnets_that_lead_nowhere():
    subnets = {
        1: ("10.0.1.0/24", "10.0.1.1"),
        10: ("10.0.10.0/24", None),
        20: ("10.0.20.0/24", "10.0.21.1"),
        30: ("10.0.30.0/24", "10.0.30.1"),
        40: ("10.0.1.128/25", "10.0.1.1"),
        50: ("fd00::/64", "fd00::1"),
    }
    found = topology.subnets_without_route(subnets, ["10.0.1.1/24", "fd00::1/64"])
    assert list(found) == [1, 10, 20, 30, 40]
    assert "overlaps" in found[1]
    assert "no gateway" in found[10]
    assert "not in" in found[20]
    assert "no machine" in found[30]


# What can't be -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda g: topology.path_bandwidth(g, "nas", "moon"), "'moon' is no node"),
        (lambda g: topology.path_bandwidth(networkx.DiGraph(g), "nas", "vm"), "undirected"),
        (lambda g: topology.lost_when(g, "moon", []), "element is 'moon'"),
        (lambda g: topology.lost_when(g, ("nas", "vm"), []), "element is"),
        (lambda g: topology.max_min_fair(g, {"f": ("nas",)}), "two ends"),
        (lambda g: topology.max_min_fair(g, {"f": ("nas", "vm", "nas")}), "nothing joins"),
        (lambda g: topology.max_min_fair(g, {}, demands_bps={"f": 1}), "demands_bps"),
        (lambda g: topology.link_speed(RJ45, SFP, "string"), "medium is 'string'"),
        (lambda g: topology.link_speed(RJ45, SFP, "DAC", length_m=-1), "length_m is -1"),
        (lambda g: topology.link_speed(RJ45, End("SFP+", ()), "DAC"), "speeds_bps"),
        (lambda g: topology.vlan_reachability([1], [("r", 2, 1, True, ())]), "source of rule 'r'"),
        (lambda g: topology.vlan_reachability([1], [("r", 1, 1, True, ("x",))]), "port is 'x'"),
        (lambda g: topology.subnets_without_route({1: ("moon", None)}, []), "moon"),
    ],
)
def test_what_can_not_be_is_refused(ask, said):
    with pytest.raises(ValueError, match=said):
        ask(lab())


def test_a_negative_bandwidth_is_refused():
    graph = lab()
    graph.nodes["nas"]["bandwidth_bps"] = -1
    with pytest.raises(ValueError, match="bandwidth_bps of 'nas' is -1"):
        topology.single_points_of_failure(graph)


# Time --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", [True, False])
def test_garbage_is_collected_afterwards_as_before(on):
    """Also where a question was refused: a program that goes on must not run full."""
    was = gc.isenabled()
    (gc.enable if on else gc.disable)()
    try:
        topology.single_points_of_failure(lab())
        with pytest.raises(ValueError, match="no node"):
            topology.path_bandwidth(lab(), "nas", "nobody")
        assert gc.isenabled() == on
    finally:
        (gc.enable if was else gc.disable)()
