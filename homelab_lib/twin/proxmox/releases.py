"""The releases of Proxmox VE that a twin can be: what each calls itself.

Sources: `pveversion` of machines with each, as their owners published it.
"""

from dataclasses import dataclass

from homelab_lib.lab.releases import series_of


@dataclass(frozen=True)
class Release:
    """A release.

    Parameters
    ----------
    version, commit
        What `pveversion` prints: ``9.1.4``, and the commit it was built from.
    kernel
        The kernel that comes with it.
    qemu
        The QEMU that comes with it; a VM's configuration keeps by which it was made.
    """

    version: str
    commit: str
    kernel: str
    qemu: str


RELEASES = {
    "8.4": Release("8.4.18", "40eb4ac16f053344", "6.8.12-20-pve", "9.2.0"),
    "9.1": Release("9.1.4", "5ac30304265fbd8e", "6.17.4-2-pve", "10.1.2"),
    "9.2": Release("9.2.2", "b9984c6d90a4bd80", "7.0.2-6-pve", "11.0.0"),
}
"""By series; within one, nothing that we use changes."""

DEFAULT = "9.1"


def series(version: str) -> str:
    """The series that a version is of: ``9.1`` for ``9.1.4``."""
    return series_of("proxmox", version).name


def release(version: str) -> Release:
    """What comes with a version; with one that nobody knows, what comes with the newest."""
    return RELEASES.get(series(version), RELEASES[max(RELEASES)])
