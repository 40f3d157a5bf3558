"""What a person calls the parts of a lab: "RTX 4070 Ti Super", and not ``proxmox.gpu1``."""

import re
from collections import Counter
from collections.abc import Mapping

from homelab_lib.lab.lab import Lab

# Whose chip it is: the model's own name says so, too.
_MAKER = re.compile(r"^(NVIDIA GeForce|NVIDIA|AMD Radeon|Intel(?= Arc)) ")


def short(title: str) -> str:
    """A part's title without its maker and what stands in brackets behind it.

    ``NVIDIA GeForce RTX 4070 Ti Super`` is ``RTX 4070 Ti Super``.
    """
    return _MAKER.sub("", re.sub(r" \([^)]*\)", "", title))


def told_apart(titles: Mapping[str, str]) -> dict[str, str]:
    """What each of several parts is called; with its own name behind it where two are alike.

    Parameters
    ----------
    titles
        The title of each part, by its name in the lab.
    """
    named = {name: short(title) for name, title in titles.items()}
    often = Counter(named.values())
    return {n: f"{title} ({n})" if often[title] > 1 else title for n, title in named.items()}


def devices(lab: Lab) -> dict[str, str]:
    """What each card and adapter of a lab is called, by ``host.device``."""
    return told_apart(
        {
            f"{host.name}.{name}": device.part.title
            for host in lab.hosts.values()
            for name, device in host.devices.items()
        }
    )
