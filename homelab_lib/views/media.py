"""Films and packets for people: what was promised of engines, links and threads, and what it asks.

Where a lab promises nothing of the kind, the table says so.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from homelab_lib.audit import facts_media as facts
from homelab_lib.lab import Lab
from homelab_lib.lab.called import short
from homelab_lib.models import inspection
from homelab_lib.models.inspection import MANY_RULES
from homelab_lib.units import format_bps
from homelab_lib.views.budgets import inspection_curve
from homelab_lib.views.missing import Missing
from homelab_lib.views.style import Drawing

if TYPE_CHECKING:
    import pandas as pd

_PIXELS_4K = 3840 * 2160


def _frame(rows: Sequence[Mapping[str, object]], missing: str) -> "pd.DataFrame | Missing":
    import pandas as pd

    return pd.DataFrame(rows).set_index("device") if rows else Missing(missing)


def _called(lab: Lab, place: str) -> str:
    """A device by its title, and on which host it is."""
    host, _, name = place.partition(".")
    machine = lab.hosts.get(host)
    if machine is None:
        return place
    device = machine.devices.get(name)
    return f"{short(device.part.title) if device else machine.processor} ({host})"


def codecs(lab: Lab) -> "pd.DataFrame | Missing":
    """Each promised codec beside what the device's maker says."""
    rows = [
        {
            "device": _called(lab, device),
            "codec": codec,
            "the design says": said,
            "the catalog says": known,
        }
        for device, codec, said, known in facts.codec_faults(lab)
    ]
    return _frame(rows, "This lab promises no codecs.")


def streams(lab: Lab) -> "pd.DataFrame | Missing":
    """What the promised streams ask of each engine."""
    rows = [
        {
            "device": _called(lab, row.device),
            "promise": f"{row.says} {row.scenario}",
            "engines": row.engines,
            "million pixels/s for each": round(row.pixels_per_s / 1e6),
            "that is 4K frames/s": round(row.pixels_per_s / _PIXELS_4K),
        }
        for row in facts.stream_facts(lab)
    ]
    return _frame(rows, "This lab promises no streams.")


def links(lab: Lab) -> "pd.DataFrame | Missing":
    """What the promised streams ask of each card's link."""
    rows = [
        {
            "device": _called(lab, row.device),
            "promise": f"{row.says} {row.scenario}",
            "link carries": format_bps(carries),
            "all on the card": format_bps(row.link_bps),
            "raw frames": format_bps(row.raw_bps),
            "raw frames fit": "yes" if row.raw_bps <= carries else "no",
        }
        for row in facts.stream_facts(lab)
        if (carries := facts.card_link_bps(lab, row.device)) is not None
    ]
    return _frame(rows, "No card with a link of its own has a promise to keep.")


def inspected(lab: Lab) -> Drawing | Missing:
    """What the firewall's threads inspect by the number of rules, and what its ports let pass."""
    if not lab.inspection:
        return Missing("This lab promises no inspection.")
    firewall = lab.inspection[0].host
    threads = lab.hosts[firewall].threads or 0
    rates = [(n, threads * inspection.bps_per_thread(rules=n)) for n in range(0, 40_001, 1_000)]
    _, ways = facts.inspection_bounds(lab, firewall, MANY_RULES)
    return inspection_curve(rates, ways, [(row.internet_bps, row.says) for row in lab.inspection])


def inspection_promises(lab: Lab) -> str:
    """Whether each promised speed is within what passes, as a list in Markdown."""
    lines = []
    for row in lab.inspection:
        bound, _ = facts.inspection_bounds(lab, row.host, MANY_RULES)
        holds = bound.throughput_bps >= row.internet_bps
        lines.append(
            f"- {'✓' if holds else '✕'} {format_bps(row.internet_bps)}, “{row.says}”: "
            f"**{'within' if holds else 'beyond'}** {format_bps(bound.throughput_bps)}, which is "
            f"what {bound.limited_by} lets pass"
        )
    return "\n".join(lines) or "This lab promises no inspection."


def single_flow(rules: Sequence[int] = (5_000, 15_000, MANY_RULES)) -> "pd.DataFrame":
    """What one thread inspects, and so one flow gets, by the number of rules."""
    import pandas as pd

    rows = [
        {"rules": f"{n:,}", "a single flow": format_bps(inspection.bps_per_thread(rules=n))}
        for n in rules
    ]
    return pd.DataFrame(rows).set_index("rules")
