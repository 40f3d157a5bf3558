"""The wires as the audit sees them."""

from pathlib import Path

import pytest

from homelab_lib.audit import facts_network as facts
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.wiring.cables import cable_speed

WRITTEN, LAB = load_lab(decisions=False), load_lab()
MINI = load_lab(Path(__file__).resolve().parents[2] / "data" / "examples" / "minipc")


def by_name(items):
    return {each.name: each for each in items}


def test_the_dac_comes_up_at_nothing_and_the_decision_at_ten():
    assert cable_speed(WRITTEN, WRITTEN.cables[0]).speed_bps == 0
    assert "SFP+" in cable_speed(WRITTEN, WRITTEN.cables[0]).reason
    assert cable_speed(LAB, LAB.cables[0]).speed_bps == 10e9


def test_the_storage_link_is_held_by_the_cards_slot():
    promise = by_name(facts.promises(LAB))["proxmox-truenas"]
    assert promise.found.bandwidth_bps == pytest.approx(7.42e9, rel=1e-3), "its ceiling"
    assert promise.held_by == "the slot of truenas.sfp"
    as_written = by_name(facts.promises(WRITTEN))["proxmox-truenas"]
    assert as_written.found.bandwidth_bps == 2.5e9, "by way of the switch, since the DAC is down"


def test_between_vlans_the_way_leads_over_the_router():
    assert facts.legs(LAB, "desktop", "truenas") == [
        ("desktop", "firewall"),
        ("firewall", "truenas"),
    ]
    assert facts.legs(LAB, "proxmox", "truenas") == [("proxmox", "truenas")]
    cut = {loss.element: loss.pairs for loss in facts.losses(LAB)}
    assert ("desktop", "truenas") in cut["cable firewall-switch"]
    assert ("desktop", "truenas") in cut["router firewall"]
    assert ("proxmox", "truenas") not in cut["switch switch"], "the direct link stays"


def test_the_shares_add_up_to_what_there_is():
    pairs = facts.storage_flows(LAB)
    together = facts.fair_shares(LAB, pairs)
    assert sum(together.values()) == pytest.approx(2.5e9)
    assert len(set(together.values())) == 1


def test_one_switch_port_and_no_promises():
    assert facts.promises(MINI) == []
    assert facts.storage_flows(MINI) == []
    assert all(loss.pairs == () for loss in facts.losses(MINI))


def test_the_guests_get_nowhere_but_out():
    passages = facts.passages(LAB)
    assert [to for (source, to), reach in passages.items() if source == 40 and reach.allowed] == [
        "internet"
    ]


def _to_proxmox(changes):
    found = facts.promises(changed(LAB, *changes))
    return next(each for each in found if (each.a, each.b) == ("desktop", "proxmox"))


def test_a_firewall_that_drops_what_it_finds_holds_down_what_crosses_it():
    """A slow processor that inspects inline, and one that only tells."""
    slow = [("hosts.firewall.cpu", "core-i3-n305"), ("hosts.firewall.board", None)]
    way = next(
        p for p in facts.promises(changed(LAB, *slow)) if (p.a, p.b) == ("desktop", "proxmox")
    )
    passes = facts.inspected_bps(changed(LAB, *slow), "firewall")["lan"]
    assert passes == pytest.approx(8 * 0.6 * 0.83e9)
    assert way.found.bandwidth_bps == min(passes, 2.5e9)
    tells = [*slow, ("firewalls.firewall.ids.mode", "ids")]
    assert facts.inspected_bps(changed(LAB, *tells), "firewall") == {}
    four = [*slow, ("hosts.firewall.cpu", "intel-n100")]
    held = next(
        p for p in facts.promises(changed(LAB, *four)) if (p.a, p.b) == ("desktop", "proxmox")
    )
    assert held.found.bandwidth_bps == pytest.approx(4 * 0.6 * 0.83e9)
    assert held.held_by == "the inspection at firewall.lan"
