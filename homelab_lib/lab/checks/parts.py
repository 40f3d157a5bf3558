"""The catalog: references among parts."""

from collections.abc import Iterator

from homelab_lib.lab.catalog import Catalog
from homelab_lib.lab.checks.fault import Fault, each_known, twice, unknown
from homelab_lib.lab.platforms import BoardPart


def faults(catalog: Catalog) -> Iterator[Fault]:
    kinds = list(Catalog.model_fields)
    names = (((kind, name), name) for kind in kinds for name in catalog.kind(kind))
    yield from twice(names, "the part name")
    for kind, boards in (("boards", catalog.boards), ("systems", catalog.systems)):
        for name, board in boards.items():
            yield from _board((kind, name), board, catalog)


def _board(path: tuple[str, ...], board: BoardPart, catalog: Catalog) -> Iterator[Fault]:
    if board.cpu is not None and board.cpu not in catalog.cpus:
        yield unknown((*path, "cpu"), board.cpu, catalog.cpus, "processor")
    processors = {f"cpu{number}" for number in range(1, board.sockets + 1)}
    above = {"cpu", *(processors if board.sockets > 1 else ()), *board.uplinks}
    for nic, uplink in board.nics.items():
        if nic not in catalog.nics:
            yield unknown((*path, "nics", nic), nic, catalog.nics, "network chip")
        if uplink is not None and uplink not in above:
            yield unknown((*path, "nics", nic), uplink, above, "uplink")
    for name, slot in board.slots.items():
        here = (*path, "slots", name)
        if slot.uplink is not None and slot.uplink not in above:
            yield unknown((*here, "uplink"), slot.uplink, above, "uplink")
        yield from each_known((*here, "shares_with"), slot.shares_with, board.slots, "slot")
    for name, uplink_ in board.uplinks.items():
        if uplink_.upstream not in above - {name}:
            here = (*path, "uplinks", name, "upstream")
            yield unknown(here, uplink_.upstream, above - {name}, "uplink")
