"""What a look at everything has found, as a person reads it."""

from collections.abc import Iterator, Sequence
from html import escape

from homelab_lib.runbook.outcome import StepOutcome
from homelab_lib.views.cards import Card


def findings(outcome: StepOutcome) -> list[tuple[str, str]]:
    """What is wrong in a step: whether that is ``written`` or ``runs``, and what it is; or why it
    could not be looked at, which is neither."""
    found = [(each.looks_at, text) for each in outcome.resources for text in each.wants]
    for check in outcome.checks:
        if not check.holds:
            said = f"{check.title}: {check.says}" if check.says else check.title
            found.append((check.looks_at, said))
    return found or [("", outcome.note or "it is not as described")]


def difference(outcome: StepOutcome) -> str:
    """What a step that drifted is not, in one line."""
    return "; ".join(text for _, text in findings(outcome))


def looks_card(part: str, outcomes: Sequence[StepOutcome], *, evidence: str) -> Card:
    """What came of looking: what is amiss first, and what mends it.

    Parameters
    ----------
    part
        The runbook that was looked at again; empty for the looks that belong to none.
    outcomes
        What came of its steps.
    evidence
        ``rehearsed`` or ``measured``.
    """
    amiss = [each for each in outcomes if each.status == "drift"]
    seen = [each for each in outcomes if each.status in ("drift", "already")]
    title = part or "What runs"
    counts = f"{len(seen) - len(amiss)} of {len(seen)} looks find all well ({evidence})"
    lines = [f"{'▲' if amiss else '●'} {title}: {counts}"]
    lines += [f"  {line}" for each in amiss for line in _told(each)]
    rows = "".join(
        f"<tr><td>▲</td><td>{escape(each.title)}</td>"
        f"<td>{'<br>'.join(escape(line) for line in _lines(each))}</td>"
        f"<td>{escape(mends(each))}</td>"
        "</tr>"
        for each in amiss
    )
    head = "<tr><th></th><th>what</th><th>found</th><th>what mends it</th></tr>"
    table = f"<table>{head}{rows}</table>" if rows else ""
    well = "".join(
        f"<li>{escape(each.title)}{_held(each)}</li>" for each in seen if each.status != "drift"
    )
    folded = f"<details><summary>what was found well</summary><ul>{well}</ul></details>"
    told = f"<h4>{escape(title)}</h4><p>{escape(counts)}</p>"
    html = f"<div class='homelab'>{told}{table}{folded}</div>"
    return Card(html, "\n".join(lines), tuple(outcomes))


def _told(outcome: StepOutcome) -> Iterator[str]:
    yield f"▲ {outcome.title}"
    yield from (f"    {line}" for line in _lines(outcome))
    if said := mends(outcome):
        yield f"    {said}"


def _lines(outcome: StepOutcome) -> list[str]:
    return [f"{looks_at}: {text}" if looks_at else text for looks_at, text in findings(outcome)]


def _held(outcome: StepOutcome) -> str:
    """What was found of it, where it says anything."""
    said = [f"{c.title}: {c.says}" if c.says else c.title for c in outcome.checks]
    return f"<br><span class='quiet'>{escape('; '.join(said))}</span>" if said else ""


def mends(outcome: StepOutcome) -> str:
    """The runbook and step that mend what a look at a runbook's step finds, or that they only find
    it, and the finding itself has to say what mends it; empty for looks that belong to none."""
    book, _, name = outcome.step.rpartition(":")
    if not book:
        return ""
    if mendable(outcome):
        return f"mended by {book}, step {name}"
    return f"found by {book}, step {name}, which sends nothing against it"


def mendable(outcome: StepOutcome) -> bool:
    """Whether a step would send something against what was found in it."""
    return any(each.status == "drift" and each.mendable for each in outcome.resources)
