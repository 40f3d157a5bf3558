"""What a lab's cards have of memory, in the words of the drivers in the machines that use them."""

from collections.abc import Iterator, Sequence

from homelab_lib.control.linux.card_memory import CardMemory, amd_memory, nvidia_memory
from homelab_lib.control.linux.pci import cards
from homelab_lib.recipes.graphics.placed import PlacedCard
from homelab_lib.runbook.resource import Host


def told(host: Host, found: Sequence[PlacedCard]) -> Iterator[tuple[PlacedCard, CardMemory | None]]:
    """Each card with what its driver tells of it; None where it tells nothing of that one.

    By what the card is: a driver may have others, such as the graphics of a processor. Of several
    alike the first in the lab is the first on the bus.

    Parameters
    ----------
    host, found
        A machine, and its cards in the lab.
    """
    bus = sorted((each.slot, each.id) for each in cards(host))
    for vendor in dict.fromkeys(card.part.vendor for card in found):
        ask = nvidia_memory if vendor == "NVIDIA" else amd_memory
        left = {each.slot: each for each in ask(host)}
        for card in found:
            if card.part.vendor == vendor:
                slots = (slot for slot, id_ in bus if id_ in card.part.pci_ids and slot in left)
                slot = next(slots, None)
                yield card, left.pop(slot) if slot is not None else None
