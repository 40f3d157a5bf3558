"""The graph questions on a made-up lab of 100 to 10,000 hosts: seconds of the
processor, the best of three rounds, and whether it is linear.

Racks of 40 hosts with two switches each; every other host hangs on both, every fifth has a bridge
with two VMs; two switches join the racks; hosts 0 and 1, 2 and 3 … have a direct cable. Attributes
are those of `homelab_lib.lab.graph.graph_of`.

Run it with ``python benchmarks/topology.py``.
"""

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import networkx

sys.path.insert(0, str(Path(__file__).parents[1]))

from homelab_lib.models import topology
from homelab_lib.models.links import End

RESULTS = Path(__file__).with_name("results") / "topology.json"
HOSTS = (100, 1000, 10_000)
RACK = 40
ROUNDS = 3
G = 10**9


def lab_like(hosts: int) -> networkx.Graph:
    """A network of so many hosts, as `homelab_lib.lab.graph` would give it."""
    graph = networkx.Graph(name=f"{hosts} hosts")

    def port(owner: str, kind: str) -> str:
        name = f"{owner}.p{len(graph.adj[owner])}"
        graph.add_node(name, kind="port", owner=owner, connector="SFP+", mtu=1500)
        graph.add_edge(owner, name, kind=f"port of {kind}")
        return name

    def cable(a: str, b: str, speed_bps: float) -> None:
        graph.add_edge(a, b, kind="cable", medium="DAC", speed_bps=speed_bps)

    for core in ("core0", "core1"):
        graph.add_node(core, kind="switch")
    cable(port("core0", "switch"), port("core1", "switch"), 100 * G)
    for rack in range(-(-hosts // RACK)):
        for side in range(2):
            top = f"rack{rack}-{side}"
            graph.add_node(top, kind="switch")
            for core in ("core0", "core1")[: 2 - rack % 2]:  # every other rack has one uplink
                cable(port(top, "switch"), port(core, "switch"), 40 * G)
    for number in range(hosts):
        name = f"host{number}"
        graph.add_node(name, kind="host", bandwidth_bps=(None, 8 * G)[number % 3 == 0])
        own = [port(name, "host") for _ in range(1 + number % 2)]
        for side, each in enumerate(own):
            cable(each, port(f"rack{number // RACK}-{side}", "switch"), (10 * G, 2.5 * G)[side])
        if number % 5 == 0:
            bridge = f"{name}:vmbr0"
            graph.add_node(bridge, kind="bridge", owner=name)
            graph.add_edge(own[0], bridge, kind="bridge member")
            for vm in range(2):
                graph.add_node(f"{name}-vm{vm}", kind="vm", owner=name)
                graph.add_edge(f"{name}-vm{vm}", bridge, kind="virtual port")
        if number % 2:
            cable(port(name, "host"), port(f"host{number - 1}", "host"), 25 * G)
    return graph


def questions(graph: networkx.Graph, hosts: int) -> dict[str, Callable[[], object]]:
    """What is asked, by name."""
    random = Random(1)
    pairs = [tuple(f"host{random.randrange(hosts)}" for _ in range(2)) for _ in range(hosts)]
    flows = {number: pair for number, pair in enumerate(pairs) if len(set(pair)) == 2}
    vlans = list(range(1, 65))
    rules = [
        (f"rule{n}", random.choice(vlans), random.choice([*vlans, "any"]), n % 3 > 0, ())
        for n in range(hosts)
    ]
    bases = [f"10.{n // 256}.{n % 256}" for n in range(4094)]
    subnets = {n: (f"{base}.0/24", f"{base}.1") for n, base in enumerate(bases)}
    ends = [End("SFP+", (10 * G, G), name=f"host{number}.p0") for number in range(hosts)]
    return {
        "link_speed, every host": lambda: [
            topology.link_speed(end, ends[0], "DAC", length_m=2) for end in ends
        ],
        "path_bandwidth, one pair": lambda: topology.path_bandwidth(
            graph, "host0", f"host{hosts - 2}"
        ),
        "widest_routes, a pair per host": lambda: topology.widest_routes(graph, pairs),
        "max_min_fair, a flow per host": lambda: topology.max_min_fair(graph, flows),
        "single_points_of_failure": lambda: topology.single_points_of_failure(graph),
        "lost_when core0, a pair per host": lambda: topology.lost_when(graph, "core0", pairs),
        "vlan_reachability, 64 VLANs, a rule per host": lambda: topology.vlan_reachability(
            vlans, rules
        ),
        "subnets_without_route, 4094": lambda: topology.subnets_without_route(
            subnets, (gateway for _, gateway in subnets.values())
        ),
    }


def _taken_s(ask: Callable[[], object]) -> float:
    begun = time.process_time()
    ask()
    return time.process_time() - begun


def main() -> None:
    """Measure, print, and keep the results."""
    gc.set_threshold(100_000)  # as commands and notebooks have it
    rows: dict[str, dict[int, float]] = {}
    sizes = {}
    for hosts in HOSTS:
        graph = lab_like(hosts)
        sizes[hosts] = (len(graph), graph.number_of_edges())
        for name, ask in questions(graph, hosts).items():
            rows.setdefault(name, {})[hosts] = min(_taken_s(ask) for _ in range(ROUNDS))
    print(f"{'seconds, hosts:':46}" + "".join(f"{hosts:>10,}" for hosts in HOSTS))
    print(f"{'nodes and edges':46}" + "".join(f"{sum(sizes[hosts]):>10,}" for hosts in HOSTS))
    for name, taken in rows.items():
        growth = taken[HOSTS[-1]] / taken[HOSTS[-2]]
        print(f"{name:46}" + "".join(f"{taken[n]:>10.3f}" for n in HOSTS) + f"{growth:>9.1f}x")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"seconds": rows, "nodes_edges": sizes}, indent=1) + "\n")


if __name__ == "__main__":
    main()
