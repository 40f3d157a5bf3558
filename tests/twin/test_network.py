"""Whether a packet gets there: wires, VLANs, rules."""

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.twin.built import built
from homelab_lib.twin.network import misfit


@pytest.fixture(scope="module")
def world():
    return built(load_lab(), before_phase=2)


@pytest.mark.parametrize(
    ("source", "address", "port"),
    [
        ("proxmox", "10.0.30.5", 22),  # the same VLAN, by the switch
        ("proxmox", "10.0.60.1", 22),  # the direct link
        ("desktop", "10.0.30.10", 22),  # another VLAN, by the firewall and a rule
        ("desktop", "10.0.30.5", 2049),
        ("truenas", "10.0.30.1", 0),
    ],
)
def test_there_is_a_way(world, source, address, port):
    assert world.reach(world.machines[source], address, port) == ""


@pytest.mark.parametrize(
    ("source", "address", "port", "why"),
    [
        ("pi5", "10.0.30.5", 2049, "no rule that lets VLAN 20 into VLAN 30"),
        ("desktop", "10.0.60.1", 2049, "no way|no route|no link|rule"),
        ("truenas", "10.0.10.50", 22, "no rule that lets VLAN 30 into VLAN 10"),
        ("proxmox", "10.0.30.99", 22, "nobody has 10.0.30.99"),
        ("proxmox", "10.0.30.5", 5432, "refuses connections"),
    ],
)
def test_there_is_none_and_it_says_why(world, source, address, port, why):
    found = world.reach(world.machines[source], address, port)
    assert found
    assert any(part in found for part in why.split("|"))


def test_a_dac_does_not_fit_a_jack():
    lab = load_lab(decisions=False)
    dac = next(cable for cable in lab.cables if cable.name == "dac")
    assert misfit(lab, dac) == ("dac: proxmox.lan10g is RJ45, the plug of a DAC cable is SFP+")
    world = built(lab, before_phase=2)
    assert "dac: proxmox.lan10g is RJ45" in world.reach(world.machines["proxmox"], "10.0.60.1", 22)


def test_the_decision_makes_it_fit():
    lab = load_lab()
    assert [misfit(lab, cable) for cable in lab.cables] == [""] * len(lab.cables)


def test_an_unmanaged_switch_loses_the_firewalls_tags():
    world = built(load_lab(decisions=False), before_phase=2)
    assert "gateway 10.0.30.1 does not answer" in world.internet(world.machines["proxmox"])


def test_a_pulled_cable(world):
    world.network.wires.unplugged.add("truenas-switch")
    try:
        assert "no link" in world.reach(world.machines["proxmox"], "10.0.30.5", 22)
        assert world.reach(world.machines["proxmox"], "10.0.60.1", 22) == ""
    finally:
        world.network.wires.unplugged.clear()


def test_a_router_that_nobody_describes_leads_to_the_internet():
    world = built(load_lab("data/examples/minipc"), before_phase=2)
    assert world.internet(world.machines["mini"]) == ""


def test_a_machine_without_a_cable_is_told_that_it_has_none():
    lab = changed(load_lab("tests/recipes/labs/linux_nas.yaml"), ("cables.box-switch", None))
    world = built(lab, before_phase=7)
    said = world.internet(world.machines["box"])
    assert (
        said == "box's gateway 192.168.1.1 does not answer: the lab has no cable from a port of box"
    )
