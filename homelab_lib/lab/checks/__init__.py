"""Cross-references of a lab: what each record says must fit what the others say.

Only contradictions within the description stand here. Whether the lab would work (a cable that
doesn't fit its port, memory sold twice) is the audit's to say.
"""

from collections.abc import Iterator

from homelab_lib.lab.catalog import Catalog
from homelab_lib.lab.checks import (
    backups,
    compute,
    firewall,
    guests,
    hardware,
    linux_nas,
    naming,
    nas,
    network,
    parts,
    pools,
    power,
    project,
    remote,
    storage,
    truenas,
    ways,
)
from homelab_lib.lab.checks.fault import Fault
from homelab_lib.lab.lab import Lab

_OF_LAB = (
    hardware.faults,
    network.faults,
    pools.faults,
    storage.faults,
    guests.faults,
    compute.faults,
    firewall.faults,
    naming.faults,
    remote.faults,
    nas.faults,
    truenas.faults,
    linux_nas.faults,
    power.faults,
    project.faults,
    backups.faults,
    ways.faults,
)


def catalog_faults(catalog: Catalog) -> Iterator[Fault]:
    """Contradictions within a catalog."""
    yield from parts.faults(catalog)


def lab_faults(lab: Lab) -> Iterator[Fault]:
    """Contradictions within a lab."""
    for faults in _OF_LAB:
        yield from faults(lab)
