"""What decays while nobody looks: things that are green when they are made and fail days later.

Each room registers those of its appliance, as it does with surprises. Which happen is drawn by a
seed; what a person has to be told of each stands beside it, so that a look can be held against it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from homelab_lib.twin.surprises import named
from homelab_lib.twin.world import World

Play = Callable[[Any], None]


@dataclass(frozen=True)
class Decay:
    """One thing that goes bad by itself.

    Parameters
    ----------
    name
        Its name, such as ``nas-disk-fails``.
    about
        What happens, in a line.
    fits
        Whether it can happen to a machine.
    play
        Has it happen.
    tells
        Regular expressions of what a look has to find: the first by all means, the others may come
        with it.
    """

    name: str
    about: str
    fits: Callable[[Any], bool]
    play: Play
    tells: tuple[str, ...]


_known: dict[str, Decay] = {}


def decay(
    name: str, *tells: str, on: str = "", fits: Callable[[Any], bool] | None = None
) -> Callable[[Play], Play]:
    """Register a decay; the first line of the function's docstring says what happens.

    Parameters
    ----------
    name, tells, fits
        As `Decay` has them.
    on
        In place of `fits`: a host by its system, such as ``truenas``.
    """

    def is_one(machine: Any) -> bool:
        host = machine.world.lab.hosts.get(machine.name)
        return host is not None and not host.standalone and host.os.kind == on

    def register(play: Play) -> Play:
        about = (play.__doc__ or "").strip().partition("\n")[0]
        _known[name] = Decay(name, about, fits or is_one, play, tells)
        return play

    return register


def known() -> Iterator[Decay]:
    """Every decay that a room plays, by name."""
    return iter(sorted(_known.values(), key=lambda each: each.name))


def named_decay(name: str) -> Decay:
    """The decay of that name."""
    return _known[name]


def drawn(world: World, seed: int, most: int = 3) -> list[tuple[Decay, str]]:
    """What decays, and on which machine: each time another set, no two on one machine.

    Parameters
    ----------
    world, seed
        Where, and what it is drawn by.
    most
        How many at the most.
    """
    rng = Random(seed)
    places = [(each, name) for each in known() for name, machine in world.machines.items()
              if machine.up and each.fits(machine)]  # fmt: skip
    rng.shuffle(places)
    chosen: list[tuple[Decay, str]] = []
    for each, name in places:
        if len(chosen) < most and name not in [n for _, n in chosen]:
            chosen.append((each, name))
    return chosen


# Those of the rooms -----------------------------------------------------------------------------


def _complains(nas: Any, klass: str, text: str) -> None:
    row = {"uuid": f"{klass}-{nas.name}", "klass": klass, "level": "CRITICAL", "text": text}
    nas.alerts.append(row | {"formatted": text, "dismissed": False, "one_shot": False})


@decay("nas-disk-fails", r"disk \w+ \(.+\) calls itself well", r"has no severe alert", on="truenas")
def nas_disk(nas: Any) -> None:
    """A disk of a pool says that it fails."""
    name = next(d for pool in nas.pools.values() for d in pool.disks)
    nas.disks[name].healthy = False
    _complains(nas, "SMARTAttribute", f"Device /dev/{name}: FAILED SMART self-check")


@decay("nas-pool-degraded", r"is whole: it is DEGRADED", r"no severe alert|DEGRADED", on="truenas")
def nas_pool(nas: Any) -> None:
    """A pool goes on with a disk less."""
    pool = next(iter(nas.pools.values()))
    pool.told |= {"status": "DEGRADED", "healthy": False, "status_code": "FAULTED_DEV_R"}
    _complains(nas, "VolumeStatus", f"Pool {pool.name} state is DEGRADED")


def _inspects(machine: Any) -> bool:
    suricata = getattr(machine, "suricata", None)
    return suricata is not None and bool(suricata.runs)


@decay("ids-dies", r"Suricata runs on", fits=_inspects)
def ids_dies(box: Any) -> None:
    """Suricata ends at a night's rule update, and nothing is inspected any more."""
    box.started["ids"] = False


@decay(
    "ips-holds-back",
    r"reaches the internet",
    r"reaches|answers|in the cluster|repository|copy|webhook",
    fits=lambda machine: _inspects(machine) and machine.suricata.mode != "pcap",
)
def ips_holds_back(box: Any) -> None:
    """Suricata runs, and passes on nothing of what waits for it."""
    box.holds_back = "Suricata runs inline and passes nothing on"


@decay("pve-stale-lock", r"is not left locked", r"VM \d+ is locked", on="proxmox")
def stale_lock(node: Any) -> None:
    """A backup was cut off in the night, and its lock stayed."""
    named("stale-guest-lock").play(node)


@decay("pve-disk-fails", r"disk /dev/\S+ \(.+\) calls itself well", on="proxmox")
def node_disk(node: Any) -> None:
    """A disk of the node says that it fails."""
    node.disk_rows[-1]["health"] = "FAILED"


def _is_agent(machine: Any) -> bool:
    unit = getattr(machine, "units", {}).get("k3s-agent")
    return unit is not None


@decay("k3s-agent-killed", r"start k3s-agent", r"not ready", r"pods of|answers", fits=_is_agent)
def agent_killed(machine: Any) -> None:
    """A worker's agent has taken all memory and was killed, and systemd gave it up."""
    machine.run("sudo systemctl stop k3s-agent").finished()
