"""After a start that we caused: what runs on a machine, compared with what is written on it.

A host may say that all is well and have left half of it behind: services that are enabled and
stopped, storages that are not there, guests that did not come up with it. Each control room says
how that is told on its appliance.
"""

import posixpath
from collections.abc import Callable, Iterator

from homelab_lib.runbook.patience import Patience
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check

_WHOLE_S = 60.0  # what a machine that is up is given to start all that starts with it

Comparison = Callable[[Host], Iterator[Check]]

_comparisons: list[tuple[str, Comparison]] = []


def declare(program: str, comparison: Comparison) -> None:
    """Say how it is told whether a machine has come up whole.

    Parameters
    ----------
    program
        Where this program is, the comparison can be made.
    comparison
        Looks, and yields what has to hold.
    """
    _comparisons.append((program, comparison))


def compare(host: Host) -> Iterator[Check]:
    """Compare what runs on a host with what is written there, as far as any room knows how."""
    programs = sorted({program for program, _ in _comparisons})
    shown = host.read("which", *programs, ok=None).stdout
    there = {posixpath.basename(line.strip()) for line in shown.splitlines()}
    for program, comparison in _comparisons:
        if program in there:
            yield from comparison(host)


def whole(host: Host, patience: Patience) -> list[Check]:
    """Compare a machine that came up a moment ago, again and again until all holds or its time is
    up."""
    checks: list[Check] = []
    for _ in patience.looks(_WHOLE_S):
        checks = list(compare(host))
        if all(check.holds for check in checks):
            break
    return checks
