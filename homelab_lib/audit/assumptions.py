"""What a finding rests on that nobody said: values that whoever wrote the lab down made up."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from homelab_lib.audit.paths import walk
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.part import Part


def assumptions(lab: Lab, paths: Iterable[str]) -> tuple[str, ...]:
    """Why something at these places of a lab is made up, each once.

    Parameters
    ----------
    lab
        The lab.
    paths
        Dotted paths: ``hosts.proxmox.devices.gpu1``; what leads nowhere counts for nothing.
    """
    found: dict[str, None] = {}
    for path in paths:
        for place, value in _record(lab, path):
            if why := getattr(value, "assumed", ""):
                found[f"{place}: {why}"] = None
    return tuple(found)


def _record(lab: Lab, path: str) -> list[tuple[str, Any]]:
    """The record at a path, or the nearest around it; of a list each of its entries."""
    value: Any = lab
    walked: list[str] = []
    nearest: tuple[str, Any] = ("", None)
    try:
        for _, step, value in walk(lab, path):
            walked.append(step)
            if isinstance(value, BaseModel) and not isinstance(value, Part):
                nearest = (".".join(walked), value)
    except LookupError:
        return []
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [(f"{path}.{index}", each) for index, each in enumerate(value)]
    return [nearest] if not isinstance(value, Mapping) else []
