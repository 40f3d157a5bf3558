"""The ways in from outside, in the order of the design's preference, and what they leave open."""

from collections.abc import Iterator

from homelab_lib.lab import Lab
from homelab_lib.recipes import tailscale
from homelab_lib.runbook.step import Step

MAKES: tuple[str, ...] = ("tailscale",)


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The ways in of a phase.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.
    """
    yield from tailscale.steps(lab, phase)
