"""The audit as text: a table for the terminal, JSON for programs, Markdown for a page.

The JSON is an object with ``schema`` (1), ``lab`` (the lab's name), ``findings`` and ``claims``::

    {"schema": 1, "lab": "homelab",
     "findings": [{"rule", "severity", "subject", "says", "number", "unit", "evidence", "fix",
                   "assumed"}],
     "claims": [{"claim", "section", "quote", "verdict", "says", "number", "unit",
                 "decided", "findings", "fix"}]}

``number`` is null where nothing was computed; ``fix`` is null, or ``{"title", "low_usd",
"high_usd", "changes"}`` with ``changes`` a list of ``{"path", "value"}``. Keys are never taken
away or given another sense within a schema number; more may come.
"""

import json
from collections import Counter
from collections.abc import Sequence
from textwrap import wrap

from homelab_lib.audit.finding import Finding, Fix, Judgement
from homelab_lib.lab.lab import Lab

SCHEMA = 1
_WIDTH = 100


def _fix(fix: Fix | None) -> dict[str, object] | None:
    if fix is None:
        return None
    return {
        "title": fix.title,
        "low_usd": fix.low_usd,
        "high_usd": fix.high_usd,
        "changes": [{"path": path, "value": value} for path, value in fix.changes],
    }


def as_json(lab: Lab, findings: Sequence[Finding], judgements: Sequence[Judgement]) -> str:
    """The audit for programs; the shape stands in the module's description.

    Parameters
    ----------
    lab
        The lab.
    findings, judgements
        Of `homelab_lib.audit.run.findings` and `homelab_lib.audit.ledger.judge`.
    """
    document = {
        "schema": SCHEMA,
        "lab": lab.name,
        "findings": [
            {
                "rule": each.rule,
                "severity": each.severity,
                "subject": each.subject,
                "says": each.says,
                "number": each.number,
                "unit": each.unit,
                "evidence": list(each.evidence),
                "fix": _fix(each.fix),
                "assumed": list(each.assumed),
            }
            for each in findings
        ],
        "claims": [
            {
                "claim": each.claim,
                "section": each.section,
                "quote": each.quote,
                "verdict": each.verdict,
                "says": each.says,
                "number": each.number,
                "unit": each.unit,
                "decided": list(each.decided),
                "findings": list(each.findings),
                "fix": _fix(each.fix),
            }
            for each in judgements
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    """What a fix puts into the lab, as JSON has it."""
    return value.item() if hasattr(value, "item") else str(value)


def summary(findings: Sequence[Finding], judgements: Sequence[Judgement]) -> str:
    """How many there are of each kind, in a line."""
    severities = Counter(each.severity for each in findings)
    verdicts = Counter(each.verdict for each in judgements)
    found = ", ".join(f"{count} {name}" for name, count in severities.items()) or "none"
    held = ", ".join(f"{count} {name}" for name, count in verdicts.most_common()) or "none"
    return f"Findings: {found}. Claims: {held}."


def as_table(lab: Lab, findings: Sequence[Finding], judgements: Sequence[Judgement]) -> str:
    """The audit for a terminal of 100 columns."""
    lines = [lab.title, *wrap(summary(findings, judgements), _WIDTH), ""]
    for each in findings:
        lines += _entry(each.severity, f"{each.rule}: {each.subject}", each.told, each.fix)
    if judgements:
        lines.append("")
    for judged in judgements:
        says = f"{judged.says} [{', '.join(judged.decided)}]"
        lines += _entry(judged.verdict, judged.quote, says, judged.fix)
    return "\n".join(lines).rstrip()


def _entry(mark: str, title: str, says: str, fix: Fix | None) -> list[str]:
    lines = wrap(title, _WIDTH - 17)
    head, rest = (lines[0], lines[1:]) if lines else ("", [])
    body = rest + [f"  {line}" for line in wrap(says, _WIDTH - 19)]
    if fix is not None:
        body += [f"  {line}" for line in wrap(f"Fix: {fix.title}{_price(fix)}", _WIDTH - 19)]
    return [f"{mark:<16} {head}", *(f"{'':<16} {line}" for line in body)]


def _price(fix: Fix) -> str:
    if not fix.high_usd:
        return ""
    low, high = fix.low_usd, fix.high_usd
    return f" (${low:g})" if low == high else f" (${low:g}–{high:g})"


def as_markdown(lab: Lab, findings: Sequence[Finding], judgements: Sequence[Judgement]) -> str:
    """The audit as two Markdown tables."""
    lines = [f"# {lab.title}", "", summary(findings, judgements), ""]
    if findings:
        lines += ["## Findings", "", "| | Rule | About | What is the matter | Cheapest fix |"]
        lines.append("|---|---|---|---|---|")
        for each in findings:
            cells = (each.severity, each.rule, f"`{each.subject}`", each.told, _cell(each.fix))
            lines.append(_row(cells))
        lines.append("")
    if judgements:
        lines += ["## Claims", "", "| Verdict | By | Section | The design says | And | Fix |"]
        lines.append("|---|---|---|---|---|---|")
        for judged in judgements:
            by = ", ".join(judged.decided)
            lines.append(
                _row((judged.verdict, by, judged.section, judged.quote, judged.says,
                      _cell(judged.fix)))
            )  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def _cell(fix: Fix | None) -> str:
    return "" if fix is None else f"{fix.title}{_price(fix)}"


def _row(cells: Sequence[str]) -> str:
    safe = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(safe)} |"
