"""The wires of a lab as the models see them: cables, paths, shares, and who reaches whom."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import TYPE_CHECKING

from homelab_lib.lab import Lab
from homelab_lib.lab.graph import graph_of
from homelab_lib.lab.per_host import at
from homelab_lib.models.flows import max_min_fair
from homelab_lib.models.inspection import REFERENCE_RULES, bps_per_thread
from homelab_lib.models.paths import PathBandwidth, path_bandwidth, widest_routes
from homelab_lib.models.reachability import Reach, vlan_reachability
from homelab_lib.wiring.cables import cable_speed
from homelab_lib.wiring.pcie_tree import leaves

if TYPE_CHECKING:
    import networkx

Pair = tuple[str, str]
_NO_WAY = PathBandwidth(0.0, None, ())


def wired(lab: Lab) -> "networkx.Graph":
    """The lab's graph with true speeds on its cables; a port's limit is its card's slot, and what a
    firewall inspects of what passes."""
    graph = graph_of(lab)
    for cable in lab.cables:
        graph.edges[cable.a, cable.b]["speed_bps"] = cable_speed(lab, cable).speed_bps
    for name, host in lab.hosts.items():
        slots = {leaf.name: leaf.payload for leaf in leaves(lab, name) if leaf.kind == "nic"}
        for port_name, port in host.ports.items():
            device = next((d for d, each in host.devices.items() if each.part is port.part), "")
            payload = slots.get(device)
            if payload is not None:
                graph.nodes[f"{name}.{port_name}"]["bandwidth_bps"] = payload[1] * 1e9
        for port_name, carried in inspected_bps(lab, name).items():
            node = graph.nodes[f"{name}.{port_name}"]
            node["bandwidth_bps"] = min(carried, node.get("bandwidth_bps", carried))
    return graph


def inspected_bps(lab: Lab, host: str) -> dict[str, float]:
    """What passes each port on which a firewall drops what it finds, all flows together [bit/s].

    By as many rules as the reference of `homelab_lib.models.inspection` has; empty where it only
    tells, or its processor is not described.
    """
    wall, machine = lab.firewalls.get(host), lab.hosts[host]
    if wall is None or wall.ids is None or wall.ids.mode != "ips" or machine.threads is None:
        return {}
    looked = {str(each).partition(".")[0] for each in wall.ids.interfaces}
    passes = machine.threads * bps_per_thread(rules=REFERENCE_RULES)
    return {name: passes for name in machine.ports if name in looked}


@dataclass(frozen=True)
class Promise:
    """A connection that the design promises, and what it comes to.

    Parameters
    ----------
    name, a, b
        Which, and between whom.
    claimed_bps
        What is promised [bit/s].
    found
        The widest path that there is.
    inspected
        Whether what holds it down is a firewall that looks at what passes.
    """

    name: str
    a: str
    b: str
    claimed_bps: float
    found: PathBandwidth
    inspected: bool = False

    @property
    def held_by(self) -> str:
        """What holds it down, in words."""
        if not self.found.path:
            return "there is no way"
        neck = self.found.bottleneck
        if self.inspected:
            return f"the inspection at {neck}"
        if neck is None:
            return "nothing"
        return " – ".join(map(str, neck)) if isinstance(neck, tuple) else f"the slot of {neck}"


def _networks(lab: Lab, name: str) -> set[str]:
    """The subnets that a machine has an address in."""
    vm = lab.vms.get(name)
    cidrs = lab.hosts[name].cidrs if vm is None else vm.addresses
    return {str(ip_interface(cidr).network) for cidr in cidrs}


def legs(lab: Lab, a: str, b: str) -> list[Pair]:
    """The way between two machines: straight within a subnet, else by a router that knows both."""
    here, there = _networks(lab, a), _networks(lab, b)
    if here & there or not (here and there):
        return [(a, b)]
    for name in lab.hosts:
        if name not in (a, b) and _networks(lab, name) & here and _networks(lab, name) & there:
            return [(a, name), (name, b)]
    return []


def way(lab: Lab, graph: "networkx.Graph", a: str, b: str) -> PathBandwidth:
    """What the way between two machines carries; a routed one crosses the router's cable twice,
    once in each direction, which a full-duplex link does at full speed both ways."""
    if a not in graph or b not in graph:
        return _NO_WAY
    parts = legs(lab, a, b)
    if not parts or any(end not in graph for leg in parts for end in leg):
        return _NO_WAY
    found = [path_bandwidth(graph, *leg) for leg in parts]
    if not all(part.path for part in found):
        return _NO_WAY
    worst = min(found, key=lambda part: part.bandwidth_bps)
    return PathBandwidth(
        worst.bandwidth_bps, worst.bottleneck, tuple(node for part in found for node in part.path)
    )


def promises(lab: Lab) -> list[Promise]:
    """Every connection of the design's table whose ends are machines."""
    graph = wired(lab)
    looked = {
        f"{name}.{port}": passes
        for name in lab.hosts
        for port, passes in inspected_bps(lab, name).items()
    }
    found = []
    for link in lab.links:
        if link.a not in lab.hosts or link.b not in lab.hosts:
            continue
        best = way(lab, graph, link.a, link.b)
        inspected = looked.get(str(best.bottleneck)) == best.bandwidth_bps
        found.append(Promise(link.name, link.a, link.b, link.claimed_speed_bps, best, inspected))
    return found


def storage_flows(lab: Lab) -> list[Pair]:
    """Who reads from which NAS: cluster nodes their volumes, and hosts that are promised a way."""
    pairs: list[Pair] = []
    for cluster in lab.clusters.values():
        share = cluster.nfs and at(lab.nfs_shares, cluster.nfs.share)
        if share:
            pairs += [(share.host, node) for node in cluster.vms]
    nas = {*lab.nfs_shares, *lab.smb_shares}
    for link in lab.links:
        if link.b in nas and link.a in lab.hosts and not link.direct:
            pairs.append((link.b, link.a))
    return list(dict.fromkeys(pairs))


def fair_shares(lab: Lab, pairs: list[Pair]) -> dict[Pair, float]:
    """What each of several transfers at once gets [bit/s]; 0 where there is no way."""
    graph = wired(lab)
    routes = dict(zip(pairs, widest_routes(graph, pairs), strict=True))
    possible = {pair: route for pair, route in routes.items() if route}
    return dict.fromkeys(pairs, 0.0) | max_min_fair(graph, possible)


def passages(lab: Lab) -> dict[tuple[object, object], Reach]:
    """From which VLAN to which something passes, and by which rule."""
    rules = [
        (rule.name, rule.source, rule.destination, rule.allow, rule.ports) for rule in lab.rules
    ]
    return vlan_reachability(lab.vlans, rules)


@dataclass(frozen=True)
class Loss:
    """What goes when one thing fails.

    Parameters
    ----------
    element
        The cable, switch or host.
    pairs
        Promised connections that have no way any more.
    """

    element: str
    pairs: tuple[Pair, ...]


def losses(lab: Lab) -> list[Loss]:
    """For each cable and switch, the promised connections that fail with it."""
    pairs = [(each.a, each.b) for each in promises(lab) if each.found.path]
    found = []
    for element, graph in _without_one(lab):
        lost = tuple(pair for pair in pairs if not way(lab, graph, *pair).path)
        found.append(Loss(element, lost))
    return found


def _without_one(lab: Lab) -> Iterator[tuple[str, "networkx.Graph"]]:
    for cable in lab.cables:
        graph = wired(lab)
        graph.remove_edge(cable.a, cable.b)
        yield f"cable {cable.name}", graph
    for name in (*lab.switches, *(n for n, h in lab.hosts.items() if h.os.kind == "opnsense")):
        graph = wired(lab)
        graph.remove_node(name)
        yield f"{'switch' if name in lab.switches else 'router'} {name}", graph
