"""How a host that is to be set up is reached, and what its port to the internet is in."""

import pytest

from homelab_lib.errors import LabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed

LAB = load_lab()
PROXMOX = load_lab("tests/recipes/labs/proxmox.yaml")
TAGGED = [
    ("hosts.hyper.ports.slow.address", None),
    ("hosts.hyper.ports.slow.vlan", None),
    ("hosts.hyper.ports.slow.tagged", [30]),
    ("hosts.hyper.ports.slow.addresses", {30: "10.0.30.10/24"}),
]


def refused(lab, *changes):
    with pytest.raises(LabError) as caught:
        changed(lab, *changes)
    return "\n".join(caught.value.problems)


def test_a_host_whose_only_address_is_tagged_has_no_way_in():
    said = refused(PROXMOX, *TAGGED)
    assert "hosts.hyper.ssh.address: nobody gets in before phase 1 has set it up" in said
    assert "with tag 30 only" in said


def test_one_that_stands_already_may_be_reached_so():
    changed(PROXMOX, *TAGGED, ("hosts.hyper.phase", None))


def test_a_port_to_the_internet_is_in_no_vlan():
    gate = next(host for host in LAB.hosts.values() if host.os.kind == "opnsense")
    wan = next(name for name, port in gate.ports.items() if port.automatic)
    place = f"hosts.{gate.name}.ports.{wan}.vlan"
    assert "it asks others for its address" in refused(LAB, (place, 30))
    line = {"provider": {"port": f"{gate.name}.{wan}"}}
    said = refused(LAB, (place, 30), ("internet", line))
    assert "a line to the internet arrives at this port, and VLAN 30 is a network of the" in said
