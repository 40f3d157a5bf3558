"""The topology: what hangs on what, and how fast."""

import networkx
import pytest

from homelab_lib import paths
from homelab_lib.lab import load_lab
from homelab_lib.lab.graph import graph_of


@pytest.fixture(scope="module")
def graph():
    return graph_of(load_lab(paths.data() / "examples" / "minipc"))


def of_kind(graph, kind):
    return [name for name, data in graph.nodes(data=True) if data["kind"] == kind]


def test_every_thing_is_a_node_in_the_order_of_the_description(graph):
    assert of_kind(graph, "host") == ["mini"]
    assert of_kind(graph, "switch") == ["switch"]
    assert of_kind(graph, "vm") == ["play"]
    assert of_kind(graph, "bridge") == ["mini:vmbr0"]
    assert of_kind(graph, "port")[:3] == ["mini.lan1", "mini.lan2", "switch.p1"]


def test_a_vm_reaches_the_switch_through_its_hosts_bridge(graph):
    assert networkx.shortest_path(graph, "play", "switch") == [
        "play",
        "mini:vmbr0",
        "mini.lan1",
        "switch.p1",
        "switch",
    ]


def test_a_cable_knows_the_highest_common_speed(graph):
    cable = graph.edges["mini.lan1", "switch.p1"]
    assert cable["kind"] == "cable"
    assert cable["medium"] == "Cat6"
    assert cable["length_m"] == 1
    assert cable["speed_bps"] == 1_000_000_000
    assert graph.nodes["mini.lan1"]["untagged"] == 1


def test_two_loads_give_the_same_graph():
    folder = paths.data() / "examples" / "minipc"
    first, second = graph_of(load_lab(folder)), graph_of(load_lab(folder))
    assert list(first.nodes(data=True)) == list(second.nodes(data=True))
    assert list(first.edges(data=True)) == list(second.edges(data=True))


def test_a_switch_without_vlans_lets_all_of_them_through(tmp_path):
    text = (paths.data() / "examples" / "minipc" / "lab.yaml").read_text()
    text = text.replace("vlans:\n", "vlans:\n  2: {name: two, purpose: x, subnet: 10.0.2.0/24}\n")
    text = text.replace("vlan: 1\n        bridge", "vlan: 1\n        tagged: [2]\n        bridge")
    parts = (paths.data() / "examples" / "minipc" / "catalog" / "parts.yaml").read_text()
    (tmp_path / "catalog").mkdir()
    (tmp_path / "lab.yaml").write_text(text)
    (tmp_path / "catalog" / "parts.yaml").write_text(parts)
    assert graph_of(load_lab(tmp_path)).edges["mini.lan1", "switch.p1"]["tagged"] == (2,)
    managed = parts.replace("managed: false", "managed: true")
    (tmp_path / "catalog" / "parts.yaml").write_text(managed)
    assert graph_of(load_lab(tmp_path)).edges["mini.lan1", "switch.p1"]["tagged"] == ()
