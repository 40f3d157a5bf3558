"""The network for people: cables, paths, shares, rules, and what fails with what."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from homelab_lib.audit import facts_network as facts
from homelab_lib.lab import Lab
from homelab_lib.models.ethernet import tcp_bytes_per_s
from homelab_lib.units import format_bps, format_bytes
from homelab_lib.views.missing import Missing
from homelab_lib.views.style import (
    BUSY,
    GOOD,
    HATCH,
    PALE,
    QUIET,
    WARN,
    Drawing,
    house_style,
    svg,
)
from homelab_lib.wiring.cables import cable_mtu, cable_speed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.patches import Rectangle


def _frame(
    rows: Sequence[Mapping[str, object]], index: str, missing: str
) -> "pd.DataFrame | Missing":
    import pandas as pd

    return pd.DataFrame(rows).set_index(index) if rows else Missing(missing)


def cables(lab: Lab) -> "pd.DataFrame | Missing":
    """What each cable comes up at, why it isn't more, and what TCP carries over it."""
    rows = []
    for cable in lab.cables:
        found = cable_speed(lab, cable)
        rows.append(
            {
                "cable": cable.name,
                "from": cable.a,
                "to": cable.b,
                "medium": cable.medium,
                "comes up at": format_bps(found.speed_bps) if found.speed_bps else "nothing",
                "because": found.reason or "–",
                "TCP carries": _carried(found.speed_bps, cable_mtu(lab, cable) or 1500),
            }
        )
    return _frame(rows, "cable", "No cable is described.")


def _carried(speed_bps: float, mtu: int) -> str:
    if not speed_bps:
        return "nothing"
    return f"{format_bytes(tcp_bytes_per_s(speed_bps, mtu))}/s (MTU {mtu})"


def promises(lab: Lab) -> "pd.DataFrame | Missing":
    """The design's promised connections, and what they come to."""
    rows = [
        {
            "connection": f"{each.a} ↔ {each.b}",
            "promised": format_bps(each.claimed_bps),
            "predicted": format_bps(each.found.bandwidth_bps) if each.found.path else "none",
            "held by": each.held_by,
        }
        for each in facts.promises(lab)
    ]
    return _frame(rows, "connection", "The design promises no connection.")


def shares(lab: Lab) -> Drawing:
    """What each reader of the NAS gets when all of them read at once.

    Parameters
    ----------
    lab
        The lab.
    """
    from matplotlib.figure import Figure

    pairs = facts.storage_flows(lab)
    alone = {pair: facts.fair_shares(lab, [pair])[pair] / 1e9 for pair in pairs}
    together = {pair: rate / 1e9 for pair, rate in facts.fair_shares(lab, pairs).items()}
    with house_style():
        figure = Figure(figsize=(7.0, 0.5 * max(len(pairs), 1) + 1.1))
        axes = figure.subplots()
        axes.set_title("Reading from the NAS, alone and all at once")
        names = [f"{nas} → {reader}" for nas, reader in pairs]
        axes.barh(names, [alone[p] for p in pairs], color=PALE[GOOD], height=0.6, label="alone")
        axes.barh(names, [together[p] for p in pairs], color=BUSY, height=0.32, label="all at once")
        for place, pair in enumerate(pairs):
            text = f"{together[pair]:.2f} of {alone[pair]:.2f} Gb/s"
            axes.annotate(text, (alone[pair], place), xytext=(4, 0), textcoords="offset points",
                          va="center", fontsize=7)  # fmt: skip
        axes.invert_yaxis()
        axes.margins(x=0.28)
        axes.set_xlabel("Gb/s on the wire")
        axes.legend(frameon=False, fontsize=7, ncols=2, loc="upper right", bbox_to_anchor=(1, 1.16))
        return Drawing(svg(figure), "shares of the storage network")


def passages(lab: Lab) -> Drawing:
    """From which VLAN to which something may pass, with the rule that decides.

    Parameters
    ----------
    lab
        The lab.
    """
    from matplotlib.figure import Figure

    found = facts.passages(lab)
    sources = list(lab.vlans)
    targets: list[object] = [*lab.vlans, "internet"]
    with house_style():
        figure = Figure(figsize=(1.35 * len(targets) + 1.6, 0.55 * len(sources) + 1.2))
        axes = figure.subplots()
        axes.set_title("From the row into the column")
        for row, source in enumerate(sources):
            for column, target in enumerate(targets):
                reach = found.get((source, target))
                allowed = source == target or (reach is not None and reach.allowed)
                rule = "" if source == target or reach is None else reach.verdicts[0].rule or ""
                colour = QUIET if source == target else GOOD if allowed else WARN
                axes.add_patch(_cell(column, row, colour))
                text = f"✓ {_broken(rule)}" if allowed else "✕ refused"
                text = "same network" if source == target else text
                axes.annotate(text, (column, row), ha="center", va="center", fontsize=7,
                              bbox={"fc": PALE[colour], "lw": 0, "pad": 1.5})  # fmt: skip
        axes.set_xticks(range(len(targets)), [_label(lab, each) for each in targets], fontsize=7)
        axes.set_yticks(range(len(sources)), [_label(lab, each) for each in sources], fontsize=7)
        axes.set_xlim(-0.5, len(targets) - 0.5)
        axes.set_ylim(len(sources) - 0.5, -0.5)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        return Drawing(svg(figure), "passages between VLANs")


def _cell(column: int, row: int, colour: str) -> "Rectangle":
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, fc=PALE[colour], ec=colour, lw=0.6,
                     hatch=HATCH[colour])  # fmt: skip


def _broken(rule: str) -> str:
    """The name of a rule in lines that a cell has room for."""
    return "\n".join(wrap(rule, 17))


def _label(lab: Lab, network: object) -> str:
    return f"{network} {lab.vlans[network].name}" if network in lab.vlans else str(network)


def losses(lab: Lab) -> "pd.DataFrame | Missing":
    """What fails with each cable and switch."""
    rows = [
        {
            "when this fails": each.element,
            "these are cut": "; ".join(f"{a} ↔ {b}" for a, b in each.pairs) or "nothing promised",
        }
        for each in facts.losses(lab)
    ]
    return _frame(
        rows,
        "when this fails",
        "No cable and no switch is described.",
    )
