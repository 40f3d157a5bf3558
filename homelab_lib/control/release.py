"""The release of an appliance: by it we choose among its ways of saying things."""

import re

from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Host

Release = tuple[int, int]
"""``(26, 7)``."""


def release_in(said: str, host: Host, *, product: str, known: str, line: str) -> Release:
    """The release that an appliance names.

    Parameters
    ----------
    said, line
        What it printed, and what it was asked.
    product, known
        What it should be, and the releases of it that we know, for people.

    Raises
    ------
    StepFailed
        It names none.
    """
    number = re.search(r"\b(\d+)\.(\d+)", said)
    if number is None:
        raise StepFailed(
            f"{host.name} names no release of {product}: {host.cut(said.strip(), 60)!r}",
            where=host.name,
            fix=f"look at `{line}`; releases {known} are known",
        )
    return int(number[1]), int(number[2])
