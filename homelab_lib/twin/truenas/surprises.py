"""What a NAS does to surprise those who set it up, look at it, or mount from it."""

from collections.abc import Callable
from typing import Any

from homelab_lib.twin.machine.program import Call, Reply
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


@surprise("middleware-starting", on="truenas")
def starting(nas: TrueNas, *, for_s: float = 60.0) -> None:
    """It lets one in, and its middleware does not answer yet.

    Parameters
    ----------
    nas
        Which NAS.
    for_s
        How long from the first call on [s].
    """
    said = "Failed to run middleware call. Daemon not running?\n"
    _instead(nas, "midclt", Reply(1, stderr=said), for_s)


@surprise("auth-rate-limit", on="truenas")
def logins_used_up(nas: TrueNas, *, count: int = 21) -> None:
    """Somebody logs in by websocket again and again: nobody comes in that way any more, and by the
    local socket one does.

    Parameters
    ----------
    nas
        Which NAS.
    count
        How often within a minute.
    """
    for _ in range(count):
        nas.run("midclt -u ws://127.0.0.1/api/current -U exporter -P none ping").finished()


@surprise("smartctl-bitmask", on="truenas")
def past(nas: TrueNas, *, bits: int = 32 | 64) -> None:
    """A disk is well and has a past: `smartctl` tells all of it, and ends with another status
    than 0.

    Parameters
    ----------
    nas
        Which NAS; the first disk of its first pool.
    bits
        Of the status.
    """
    pool = next(iter(nas.pools.values()))
    nas.disks[next(iter(pool.disks))].past = bits


@surprise("ups-stale", on="truenas")
def ups_stale(nas: TrueNas, *, for_s: float = 45.0) -> None:
    """The driver of the UPS has lost it for a while, as when its USB is enumerated anew.

    Parameters
    ----------
    nas
        Which NAS.
    for_s
        How long from the first question on [s].
    """
    said = "Init SSL without certificate database\nError: Data stale\n"
    _instead(nas, "upsc", Reply(1, stderr=said), for_s)


def _instead(nas: TrueNas, program: str, reply: Reply, for_s: float) -> None:
    """Have a program answer otherwise for a while, from its first call on."""
    clock, until = nas.world.clock, list[float]()

    def answers(call: Call, go: Callable[[], Reply]) -> Reply | None:
        if call.argv[0] != program:
            return None
        if not until:
            until.append(clock.now() + for_s)
        return reply if clock.now() < until[0] else None

    nas.instead.append(answers)
