"""Circles of switches, in which a broadcast never dies.

References
----------
IEEE 802.1D (spanning tree: an Ethernet frame has no hop limit, so no circle may be left closed);
IEEE 802.1AX (link aggregation: several cables are one link).
"""

from collections.abc import Iterator

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import rule
from homelab_lib.lab.lab import Lab


@rule("switch-loop")
def switches_in_a_circle(lab: Lab) -> Iterator[Finding]:
    """Cables that close a circle of switches, which somebody has to cut or to bundle."""
    joined: dict[str, list[str]] = {name: [] for name in lab.switches}
    for cable in lab.cables:
        a, b = (end.partition(".")[0] for end in (cable.a, cable.b))
        if a not in joined or b not in joined:
            continue
        circle = _way(joined, a, b)
        if not circle:
            joined[a].append(b)
            joined[b].append(a)
            continue
        titles = " and ".join(lab.switches[name].title for name in circle)
        if any(lab.switches[name].managed for name in circle):
            yield Finding(
                "switch-loop",
                "risks",
                f"cables.{cable.name}",
                f"This cable closes a circle over {titles}. Nothing says that spanning tree is on, "
                "or that the cables are one LAG: without either each broadcast goes round for "
                "ever. With spanning tree one of the cables stands idle until another fails.",
                fix=Fix("a LAG (LACP) at both ends, or spanning tree on in each managed switch"),
            )
        else:
            yield Finding(
                "switch-loop",
                "stops",
                f"cables.{cable.name}",
                f"This cable closes a circle over {titles}. None of them is managed, so none "
                "speaks spanning tree or LACP: the first broadcast goes round for ever, and "
                "nothing else passes (IEEE 802.1D, 802.1AX).",
                fix=Fix("unplug it", changes=((f"cables.{cable.name}", None),)),
            )


def _way(joined: dict[str, list[str]], start: str, goal: str) -> tuple[str, ...]:
    """The switches from one to another, over the fewest; empty where nothing joins them."""
    came, waiting = {start: start}, [start]
    for here in waiting:
        for peer in joined[here]:
            if peer not in came:
                came[peer] = here
                waiting.append(peer)
    if goal not in came:
        return ()
    way = [goal]
    while way[-1] != start:
        way.append(came[way[-1]])
    return tuple(reversed(way))
