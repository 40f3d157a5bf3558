"""The cards of a machine as the lab has them beside those that are in it."""

from collections.abc import Iterator, Sequence

from homelab_lib.control.linux.pci import Card, Link
from homelab_lib.lab import Lab
from homelab_lib.models.pcie import lane_gtps
from homelab_lib.runbook.step import Check, Measurement
from homelab_lib.wiring.pcie_tree import leaves


def fitted(lab: Lab, host: str, found: Sequence[Card]) -> dict[str, Card | None]:
    """The card that each device of the lab is; None for one that is not seen.

    Of several alike the first in the lab is the first on the bus. A device whose part has no
    identity in the catalog can't be told from others, and is left out.

    Parameters
    ----------
    lab, host
        The lab, and which of its hosts.
    found
        What `lspci` told there.
    """
    left = sorted((card for card in found if card.slot.endswith(".0")), key=lambda c: c.slot)
    seen: dict[str, Card | None] = {}
    for name, device in lab.hosts[host].devices.items():
        ids = getattr(device.part, "pci_ids", ())
        if ids:
            seen[name] = next((card for card in left if card.id in ids), None)
            left = [card for card in left if card is not seen[name]]
    return seen


def foretold(lab: Lab, host: str) -> dict[str, Link]:
    """The links that the devices of a host train to, as far as slots and parts are known."""
    return {
        leaf.name: Link(lane_gtps(leaf.gets.gen), leaf.gets.lanes)
        for leaf in leaves(lab, host)
        if leaf.gets is not None
    }


def links(lab: Lab, host: str, found: Sequence[Card]) -> Iterator[Check]:
    """Each device is there, and its link to the slot as wide and fast as was foretold.

    A graphics card that has nothing to do runs at less than it could; its rate alone is no fault.
    """
    wanted = foretold(lab, host)
    for name, card in fitted(lab, host, found).items():
        part = lab.hosts[host].devices[name].part
        title = f"{name} of {host} is there: {part.title}"
        if card is None:
            ids = ", ".join(getattr(part, "pci_ids", ()))
            yield Check(title, False, f"none of {ids} on the bus; is it seated, and powered?")
            continue
        yield Check(title, True, f"{card.id} in {card.slot}")
        link, aim = card.link, wanted.get(name)
        if link is None or aim is None:
            continue
        slower = link.speed_gtps < aim.speed_gtps and not card.graphics
        says = f"{link}; {aim} was foretold"
        if link.lanes < aim.lanes:
            says += f": {link.lanes / aim.lanes:.0%} of it. Reseat card, adapter and cable; then "
            says += "look how the firmware splits the slot's lanes"
        elif slower:
            says += ". Reseat it; then look what generation the firmware allows the slot"
        fits = link.lanes >= aim.lanes and not slower
        yield Check(f"{name} of {host} has the link that was foretold", fits, says)


def link_measures(lab: Lab, host: str, found: Sequence[Card]) -> Iterator[Measurement]:
    """Width and rate of each device's link, beside what was foretold."""
    wanted = foretold(lab, host)
    for name, card in fitted(lab, host, found).items():
        if card is None or card.link is None:
            continue
        aim, whose = wanted.get(name), f"{host}.{name}"
        lanes = float(aim.lanes) if aim else None
        rate = aim.speed_gtps if aim else None
        yield Measurement(f"link width of {whose}", card.link.lanes, "lanes", lanes)
        yield Measurement(f"link rate of {whose}", card.link.speed_gtps, "GT/s", rate)
