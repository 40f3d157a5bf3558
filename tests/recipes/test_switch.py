"""A switch's port table, who is heard in which VLAN, and how fast cables come up."""

from dataclasses import replace

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.recipes.hardware import switch
from homelab_lib.wiring.switching import port_table, spare_ports
from recipes.bench import Bench

LAB = load_lab()
AS_WRITTEN = load_lab(decisions=False)


def with_port(lab, name, **changes):
    """The lab with a port of its switch set up otherwise."""
    there = lab.switches["switch"]
    port = there.ports[name].model_copy(update=changes)
    other = there.model_copy(update={"ports": there.ports | {name: port}})
    return lab.model_copy(update={"switches": {"switch": other}})


def bench(lab=LAB):
    return Bench(lab, switch.steps(lab, 1), phase=2)  # the firewall comes before the switch


def test_as_described_all_of_it_holds():
    there = bench()
    assert there.stops() == ("", "")
    assert there.wire.sent == [], "a person sets it up, and nobody else"


def test_the_table_says_what_a_person_types():
    ask = next(s for s in switch.steps(LAB, 1) if s.name == "switch").manual.ask
    assert "p4     untagged 1, tagged 10, 20, 30, 40, 2.5 Gb/s: firewall.lan" in ask
    assert "p3     untagged 10, 2.5 Gb/s: desktop.lan" in ask
    assert "leave p8 untagged in the management VLAN until all is verified" in ask
    rows = port_table(LAB, LAB.switches["switch"])
    assert [row.port for row in rows] == [f"p{number}" for number in range(1, 9)]


def test_who_is_heard_in_which_vlan():
    outcome = bench().step("switch")
    said = outcome.checks[0].says
    assert "VLAN 40: nobody; join it, and see that you get 10.0.40.0/24" in said
    assert "VLAN 10: 10.0.10.50" in said, "the desktop is there"


def test_an_address_that_dhcp_has_lent_is_told():
    there = bench()
    phone = replace(there.world.machines["desktop"].interfaces[0], cidr="10.0.10.150/24")
    there.world.machines["desktop"].interfaces.append(phone)
    assert "10.0.10.150, by DHCP" in there.step("switch").checks[0].says


def test_the_design_as_written_stops_with_the_audits_words():
    where, said = bench(AS_WRITTEN).stops()
    assert where == "ports"
    assert "5 VLANs (1, 10, 20, 30, 40) meet on" in said
    assert "which knows none: all of it is one network" in said


def test_a_dac_in_a_jack_stops_at_the_cables():
    steps = [step for step in switch.steps(AS_WRITTEN, 1) if step.name == "cables"]
    where, said = Bench(AS_WRITTEN, steps, phase=2).stops()
    assert where == "cables"
    assert "cable dac fits proxmox.lan10g and truenas.sfp" in said
    assert "is RJ45, the plug of a DAC cable is" in said


def test_a_port_in_another_vlan_than_its_machine():
    where, said = bench(with_port(LAB, "p3", vlan=40)).stops()
    assert where == "ports"
    assert "switch.p3 carries VLAN 40 untagged" in said
    assert "10 untagged" in said


def test_no_port_left_for_whoever_sets_it_up():
    lab = LAB
    for name in spare_ports(LAB, LAB.switches["switch"]):
        lab = with_port(lab, name, vlan=20)
    where, said = bench(lab).stops()
    assert where == "ports"
    assert "every port is taken" in said


def test_a_machine_whose_frames_go_nowhere():
    there = bench()
    there.world.network.wires.unplugged.add("desktop-switch")
    where, said = there.stops()
    assert where == "switch"
    assert "port p3 of switch is to carry VLAN 10 untagged" in said


@pytest.mark.parametrize(("speed", "words"), [("1000", "1 Gb/s; both ends do 2.5 Gb/s"),
                                              ("-1", "it is down")])  # fmt: skip
def test_a_cable_that_came_up_slower_is_told_with_the_number(speed, words):
    there = bench()
    nas = there.world.machines["truenas"]
    nas.files.put("/sys/class/net/enp1s0/speed", f"{speed}\n")
    where, said = there.stops()
    assert where == "cables"
    assert "truenas.lan1" in said
    assert words in said


def test_a_lab_without_a_switch_has_its_cables_only():
    lab = LAB.model_copy(update={"switches": {}, "cables": LAB.cables[:1]})
    assert [step.name for step in switch.steps(lab, 1)] == ["cables"]
    assert list(switch.steps(lab, 2)) == []
