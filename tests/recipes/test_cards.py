"""Cards of the shipped lab beside what `lspci` tells of them: a link that came up narrow."""

import pytest

from homelab_lib import paths
from homelab_lib.control.linux.pci import Card, Link
from homelab_lib.errors import BadParameter
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes.graphics import drivers
from homelab_lib.recipes.graphics.cards import fitted, foretold, link_measures, links

LAB = load_lab()
B580 = Card("0000:03:00.0", "8086:e20b", "0300", "Arc B580", "xe", link=Link(8, 2))
NIC = Card("0000:05:00.0", "8086:10fb", "0200", "82599ES", "ixgbe", link=Link(5, 2))
OTHER = Card("0000:00:02.0", "8086:46d0", "0300", "Alder Lake-N [UHD Graphics]", "i915")


def failing(*found):
    return [check for check in links(LAB, "truenas", found) if not check.holds]


def test_what_the_models_foretell_of_a_split_slot():
    assert foretold(LAB, "truenas")["b580"] == Link(8, 2)
    assert foretold(LAB, "truenas")["nic10g"] == Link(5, 2)  # PCI Express 2.0 in a slot of 3.0


def test_cards_as_foretold():
    assert failing(B580, NIC, OTHER) == []
    assert fitted(LAB, "truenas", [NIC, B580]) == {"b580": B580, "nic10g": NIC}


def test_two_lanes_foretold_and_one_there_is_told_with_the_number():
    narrow = Card(B580.slot, B580.id, B580.class_code, B580.title, link=Link(8, 1))
    [check] = failing(narrow, NIC)
    assert "x1 at 8 GT/s; x2 at 8 GT/s was foretold: 50% of it" in check.says
    rows = {m.name: (m.value, m.predicted) for m in link_measures(LAB, "truenas", [narrow])}
    assert rows["link width of truenas.b580"] == (1, 2)


@pytest.mark.parametrize(("card", "faults"), [(B580, 0), (NIC, 1)])
def test_only_a_graphics_card_may_idle_slowly(card, faults):
    slow = Card(card.slot, card.id, card.class_code, card.title, link=Link(2.5, 2))
    others = [each for each in (B580, NIC) if each is not card]
    assert len(failing(slow, *others)) == faults


def test_a_card_that_is_not_there():
    [check] = failing(NIC, OTHER)
    assert "8086:e20b" in check.says


def test_alike_cards_go_by_their_order_on_the_bus():
    again = Card("0000:02:00.0", "8086:e20b", "0300", "Arc B580", "xe", link=Link(8, 2))
    audio = Card("0000:02:00.1", "8086:e20b", "0403", "no function of its own")
    assert fitted(LAB, "truenas", [B580, audio, again])["b580"] is again


def test_only_a_cluster_s_nodes_need_nvidia_s_toolkit():
    """A VM by itself computes with the driver alone."""
    without = ("nvidia_driver.toolkit", None)
    with pytest.raises(BadParameter, match="where the container toolkit is from"):
        list(drivers.steps(changed(LAB, without), 3))
    alone = load_lab(paths.root() / "tests/recipes/labs/cards.yaml")
    assert [step.name for step in drivers.steps(alone, 2)] == ["drivers"]
