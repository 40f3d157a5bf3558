"""What makes clusters fit for daily use: ingress and certificates, monitoring, GitOps, and data
that go to another storage class."""

from collections.abc import Iterator

from homelab_lib.lab import Lab
from homelab_lib.recipes.kubernetes import certificates, gitops, ingress, monitoring, moves
from homelab_lib.runbook.step import Step

MAKES = ("services",)


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The steps for the clusters whose services belong to a phase.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        Something can't be made: its key and what to do.
    """
    parts = (
        ingress.steps,
        certificates.steps,
        monitoring.steps,
        certificates.trusting,
        moves.steps,
        gitops.steps,
    )
    for cluster in lab.clusters.values():
        end = f"-{cluster.name}" if len(lab.clusters) > 1 else ""
        for part in parts:
            yield from part(lab, cluster, phase, end)
