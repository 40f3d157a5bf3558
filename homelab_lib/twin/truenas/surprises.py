"""What a NAS does to surprise those who mount from it."""

from collections.abc import Callable
from typing import Any

from homelab_lib.twin.surprises import surprise
from homelab_lib.twin.truenas.nas import TrueNas


def _hinder(nas: TrueNas, why: Callable[[], str]) -> None:
    """Keep everybody from mounting from this NAS while there is a reason."""

    def hindrance(client: Any, server: str, path: str) -> str:
        return why() if nas.world.find_ip(server) is nas else ""

    nas.world.nfs_hindrances.append(hindrance)


@surprise("nfs4-grace", on="truenas")
def grace(nas: TrueNas, *, for_s: float = 90.0) -> None:
    """After its NFS service started, everybody who opens a file waits for the grace period's end.

    Parameters
    ----------
    nas
        Which NAS.
    for_s
        How long from the first mount on [s].
    """
    clock, until = nas.world.clock, [0.0]

    def why() -> str:
        until[0] = until[0] or clock.now() + for_s
        return "Connection timed out" if clock.now() < until[0] else ""

    _hinder(nas, why)


@surprise("exports-drop-names", on="truenas")
def dropped_export(nas: TrueNas) -> None:
    """A name among a share's clients did not resolve at the boot: its export is not there, and its
    row looks well.

    Parameters
    ----------
    nas
        Which NAS.
    """
    _hinder(nas, lambda: "access denied by server while mounting")


@surprise("nfs-stale", on="truenas")
def stale(nas: TrueNas) -> None:
    """The dataset was made anew under those who have it mounted: what they hold leads nowhere.

    Parameters
    ----------
    nas
        Which NAS.
    """
    _hinder(nas, lambda: "Stale file handle")
