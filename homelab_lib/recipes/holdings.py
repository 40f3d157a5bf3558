"""What each phase of a lab holds, and what of it a runbook can make."""

from collections.abc import Iterator

from pydantic import BaseModel

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.catalog import Catalog
from homelab_lib.lab.part import Part
from homelab_lib.lab.per_host import every

MADE = ("vms", "containers", "clusters", "nfs_shares")
"""Keys of a lab whose things have a recipe, or a refusal of their own."""
DESCRIBED = ("services", "models")
"""Keys whose things say what runs where, and not how it is installed: nothing is sent for them."""
_SHOWN = 6

Place = tuple[str, ...]


def holdings(lab: Lab) -> dict[int, list[str]]:
    """The things of each phase by their keys in the lab, such as ``clusters.homelab``.

    Parameters
    ----------
    lab
        The lab. A phase that it only names holds nothing.
    """
    found: dict[int, list[str]] = {phase.number: [] for phase in lab.phases}
    for place, number in _belonging((), lab):
        found.setdefault(number, []).append(".".join(place))
    return dict(sorted(found.items()))


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
    return [key for key in holdings(lab).get(phase, []) if _room(key) in DESCRIBED]


def made_in(lab: Lab) -> int:
    """The first phase of a lab in which a runbook makes all there is to make.

    Raises
    ------
    BadParameter
        There is none.
    """
    for phase in holdings(lab):
        if _to_make(lab, phase) and not _strange(lab, phase):
            return phase
    raise BadParameter(
        f"lab {lab.name!r} has no phase that a runbook carries out{_all(lab)}",
        fix=f"give {', '.join(MADE)} the number of a phase",
    )


def refuse(lab: Lab, phase: int) -> None:
    """Refuse a phase that has nothing to make, or something that no recipe makes.

    Raises
    ------
    BadParameter
        With the keys of what stands in the way, and what to do.
    """
    held = holdings(lab)
    if strange := _strange(lab, phase):
        raise BadParameter(
            f"phase {phase} of lab {lab.name!r} holds what no recipe makes yet: {_some(strange)}",
            where=strange[0],
            fix="make it by hand and say exists: true of it in place of its phase; runbooks make "
            f"{', '.join(MADE)}",
        )
    if not _to_make(lab, phase):
        empty = f"has nothing that a runbook makes: {_some(held.get(phase, []))}"
        raise BadParameter(
            f"phase {phase} of lab {lab.name!r} {empty if phase in held else 'is not there'}"
            + _all(lab),
            fix=f"name another, or write  phase: {phase}  in what it is to make "
            f"({', '.join(MADE)})",
        )


def _to_make(lab: Lab, phase: int) -> list[str]:
    return [key for key in holdings(lab).get(phase, []) if _room(key) in MADE]


def _strange(lab: Lab, phase: int) -> list[str]:
    """What a phase holds and no recipe makes; a dataset is made with the NFS share on it."""
    shared = {
        f"datasets.{share.host}.{share.dataset}"
        for share in every(lab.nfs_shares)
        if share.phase == phase
    }
    return [
        key
        for key in holdings(lab).get(phase, [])
        if _room(key) not in (*MADE, *DESCRIBED) and key not in shared
    ]


def _all(lab: Lab) -> str:
    """The phases and what they hold, a line each."""
    return "".join(f"\n    phase {n}: {_some(keys)}" for n, keys in holdings(lab).items())


def _room(key: str) -> str:
    return key.partition(".")[0]


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return (", ".join(keys[:_SHOWN]) or "nothing") + more
