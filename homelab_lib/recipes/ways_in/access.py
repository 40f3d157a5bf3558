"""The ways in from outside: as the design prefers them, and what they leave open."""

from collections.abc import Iterator

from homelab_lib.lab import Lab
from homelab_lib.recipes.firewall import wireguard as firewall_wireguard
from homelab_lib.recipes.ways_in import cloudflare, exposure, tailscale, wireguard
from homelab_lib.runbook.step import Step

MAKES: tuple[str, ...] = ("tailscale", "wireguard", "cloudflare_tunnels")


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The ways in of a phase; none where it has none.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.
    """
    found = [
        *tailscale.steps(lab, phase),
        *wireguard.steps(lab, phase),
        *firewall_wireguard.steps(lab, phase),
        *cloudflare.steps(lab, phase),
    ]
    yield from found
    if found:
        yield exposure.step(lab)
