"""Memory modules in a machine, and what its firmware tells of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from homelab_lib.lab.host import Host


@dataclass
class Module:
    """A memory module.

    Parameters
    ----------
    place
        What the board calls its slot.
    size_bytes
        Its size [bytes].
    type, form
        ``DDR5``, ``DIMM``.
    rated_mtps, speed_mtps
        What it could do, and what it is set to [MT/s]; 0: the firmware doesn't say.
    """

    place: str
    size_bytes: int
    type: str
    form: str
    rated_mtps: int
    speed_mtps: int


def fitted(host: Host) -> Iterator[Module]:
    """The modules of a host, at the best speed that is known of its board with so many."""
    count = sum(each.count for each in host.memory)
    board = host.board.memory_speeds if host.board else ()
    known = [each.speed_mtps for each in board if each.modules == count]
    number = 0
    for each in host.memory:
        form = {"SO-DIMM": "SODIMM", "soldered": "Row Of Chips"}.get(each.part.form, "DIMM")
        rated = each.part.speed_mtps or 0
        for _ in range(each.count):
            place = f"DIMM {number % 2 if count > 2 else 0}"
            channel = chr(ord("A") + (number // 2 if count > 2 else number) % 8)
            yield Module(
                f"{channel}-{place}",
                each.part.capacity_bytes,
                each.part.type,
                form,
                rated,
                min(max(known), rated) if known and rated else rated,
            )
            number += 1
