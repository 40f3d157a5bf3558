"""What is written into a firewall's configuration, and then applied: the shape of such a step."""

from collections.abc import Iterator, Sequence
from typing import Any

from homelab_lib.control.opnsense.revert import Aside
from homelab_lib.control.opnsense.row import Row
from homelab_lib.runbook.resource import Host, Resource
from homelab_lib.runbook.step import Check, Wanted


def written(host: Host, aside: Aside, resources: Sequence[Resource]) -> Iterator[Wanted]:
    """What is wanted, with the configuration laid aside before the first of it is written.

    Parameters
    ----------
    host
        The firewall, to look at.
    aside
        Laid aside, where anything is to be written.
    resources
        What is to be written.
    """
    diffs = [
        each.diff(found) for each, found in zip(resources, _seen(host, resources), strict=True)
    ]
    writes = any(diff.changes for diff in diffs) and not any(diff.conflict for diff in diffs)
    yield [aside, *resources] if writes else list(resources)


def stands(host: Host, resources: Sequence[Resource]) -> Check:
    """Whether what was written is still there: a firewall that nobody confirmed anything to takes
    it back, and what lay aside is gone then as it is when all was applied."""
    found = zip(resources, _seen(host, resources), strict=True)
    gone = [each.name for each, seen in found if not each.diff(seen).clean]
    says = f"not any more: {', '.join(gone)}; run the same command again" if gone else ""
    return Check("what was written stands", not gone, says, looks_at="written")


def _seen(host: Host, resources: Sequence[Resource]) -> list[Any]:
    """What each finds; rows by one search of each family."""
    rows = [each for each in resources if isinstance(each, Row)]
    found = iter(Row.observe_together(host, rows))
    return [next(found) if isinstance(each, Row) else each.observe(host) for each in resources]
