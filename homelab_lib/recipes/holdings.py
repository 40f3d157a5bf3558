"""What each phase of a lab holds, and what of it a runbook can make."""

from collections.abc import Collection, Iterator

from pydantic import BaseModel

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.catalog import Catalog
from homelab_lib.lab.host import LINUX
from homelab_lib.lab.part import Part
from homelab_lib.lab.per_host import every

DESCRIBED = ("services", "models")
"""Keys whose things say what runs where, and not how it is installed: nothing is sent for them."""
_MADE_ON = {
    "pools": ("truenas", *LINUX),
    "datasets": ("truenas", *LINUX),
    "smb_shares": ("truenas", *LINUX),
    "nfs_shares": ("truenas", *LINUX),
}
"""Systems on which things of some keys are made."""
_ON_LINUX = ("groups", "users", "acls", "share_acls")
"""What of a NAS's settings is made on plain Linux."""
_ON_HOSTS = ("datasets", "nas", "smb_shares")
"""What no recipe makes on a VM's plain Linux; of pools and NFS shares their own recipes say so."""
_SHOWN = 6

Place = tuple[str, ...]
_KEPT: dict[int, tuple[Lab, dict[int, list[str]]]] = {}
"""By identity, with the lab, so that nobody else gets its number: each step of a runbook asks."""
_KEPT_LABS = 8


def holdings(lab: Lab) -> dict[int, list[str]]:
    """The things of each phase by their keys in the lab, such as ``clusters.homelab``.

    Parameters
    ----------
    lab
        The lab. A phase that it only names holds nothing.
    """
    if id(lab) not in _KEPT:
        found: dict[int, list[str]] = {phase.number: [] for phase in lab.phases}
        for place, number in _belonging((), lab):
            found.setdefault(number, []).append(".".join(place))
        if len(_KEPT) >= _KEPT_LABS:
            _KEPT.clear()
        _KEPT[id(lab)] = (lab, dict(sorted(found.items())))
    return _KEPT[id(lab)][1]


def _belonging(place: Place, value: object) -> Iterator[tuple[Place, int]]:
    if isinstance(value, Part | Catalog):
        return
    below: list[tuple[object, object]]
    if isinstance(value, BaseModel):
        if isinstance(number := getattr(value, "phase", None), int):
            yield place, number
        below = [(name, getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, tuple):
        below = [(getattr(each, "name", index), each) for index, each in enumerate(value)]
    else:
        return
    for step, each in below:
        yield from _belonging((*place, str(step)), each)


def described(lab: Lab, phase: int) -> list[str]:
    """Things of a phase that only say what is to run where; no runbook installs them yet."""
    held = holdings(lab).get(phase, [])
    return [key for key in held if _room(key) in DESCRIBED and not _is_made(lab, key)]


def refuse_strangers(lab: Lab, phase: int, makes: Collection[str]) -> None:
    """Refuse a phase that has something that no recipe makes.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.
    makes
        Keys whose things some runbook makes.

    Raises
    ------
    BadParameter
        With the keys of what stands in the way, and what to do.
    """
    if strange := strangers(lab, phase, makes):
        raise BadParameter(
            f"phase {phase} of lab {lab.name!r} holds what no recipe makes yet: {_some(strange)}",
            where=strange[0],
            fix="make it by hand and say exists: true of it in place of its phase; runbooks make "
            f"{', '.join(makes)}",
        )


def nothing(
    lab: Lab, phase: int, makes: Collection[str], others: Collection[str] = ()
) -> BadParameter:
    """That a phase has nothing of what a runbook makes, and which of its runbooks do."""
    held = holdings(lab)
    empty = f"has nothing that this runbook makes: {_some(held.get(phase, []))}"
    return BadParameter(
        f"phase {phase} of lab {lab.name!r} {empty if phase in held else 'is not there'}"
        + _all(lab),
        fix=f"name {', '.join(others)}, which has something"
        if others
        else f"name another, or write  phase: {phase}  in what it is to make ({', '.join(makes)})",
    )


def strangers(lab: Lab, phase: int, makes: Collection[str]) -> list[str]:
    """The things of a phase that no recipe makes; datasets are made with the shares on them."""
    shares = [share for share in every(lab.nfs_shares) if share.phase == phase]
    made = {f"datasets.{share.host}.{share.dataset}" for share in shares}
    known = (*makes, *DESCRIBED)
    used = {f"nfs_shares.{c.nfs.share}" for c in lab.clusters.values() if c.nfs is not None}
    held = holdings(lab).get(phase, [])
    strange = [key for key in held if _room(key) not in known and key not in made]
    # What a cluster stands on has a refusal of its own.
    return strange + [key for key in held if _is_elsewhere(lab, key) and key not in used | made]


def _is_elsewhere(lab: Lab, key: str) -> bool:
    """Whether a thing lies on a system on which no recipe makes such."""
    room, _, place = key.partition(".")
    host, _, what = place.partition(".")
    system = lab.system(host) if room in (*_MADE_ON, "nas") else None
    if system is None:
        return False
    if system.kind in LINUX and host not in lab.hosts and room in _ON_HOSTS:
        return True
    if room == "nas":
        return system.kind != "truenas" and not (
            system.kind in LINUX and what.partition(".")[0] in _ON_LINUX
        )
    return system.kind not in _MADE_ON[room]


def to_make(lab: Lab, phase: int, makes: Collection[str]) -> list[str]:
    """The things of a phase that are under one of some keys; of services, those that say how."""
    return [
        key
        for key in holdings(lab).get(phase, [])
        if _room(key) in makes and (_room(key) not in DESCRIBED or _is_made(lab, key))
    ]


def _is_made(lab: Lab, key: str) -> bool:
    room, _, name = key.partition(".")
    return room == "services" and lab.services[name].is_made


def _all(lab: Lab) -> str:
    """The phases and what they hold, a line each."""
    return "".join(f"\n    phase {n}: {_some(keys)}" for n, keys in holdings(lab).items())


def _room(key: str) -> str:
    """What a recipe makes it under: the document's key, but for a NAS's copies to places outside,
    which are made with the other copies."""
    words = key.split(".")
    if words[0] == "nas" and any(
        word in ("cloud_tasks", "cloud_credentials") for word in words[2:3]
    ):
        return "nas.cloud"
    return words[0]


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return (", ".join(keys[:_SHOWN]) or "nothing") + more
