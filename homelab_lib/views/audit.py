"""The audit for people: findings and judgements as coloured tables."""

from collections import Counter
from collections.abc import Sequence
from html import escape

from homelab_lib.audit.finding import Finding, Judgement
from homelab_lib.audit.run import findings
from homelab_lib.lab import Lab
from homelab_lib.lab.changes import changed
from homelab_lib.lab.project import Decision
from homelab_lib.views.cards import Card, fold
from homelab_lib.views.style import BAD, BUSY, GOOD, QUIET, SOFT, WARN

_SEVERITY = {"stops": BAD, "risks": WARN, "costs": BUSY, "note": QUIET}
_VERDICT = {
    "holds": GOOD,
    "as-written": QUIET,
    "holds-if": BUSY,
    "fails": BAD,
    "contradicts": WARN,
    "untestable-here": SOFT,
}
_ORDER = {name: place for place, name in enumerate(_SEVERITY)}


def _mark(text: str, colour: str) -> str:
    return f"<b style='color:{colour}'>{escape(text)}</b>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already."""
    top = "".join(f"<th style='text-align:left'>{escape(word)}</th>" for word in head)
    style = "text-align:left;vertical-align:top"
    body = "".join(
        "<tr>" + "".join(f"<td style='{style}'>{cell}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def findings_table(findings: Sequence[Finding]) -> Card:
    """What the rules found, the worst first.

    Parameters
    ----------
    findings
        As `homelab_lib.audit.run.findings` gives them.
    """
    ordered = sorted(findings, key=lambda f: (_ORDER[f.severity], f.rule, f.subject))
    rows = [
        [
            _mark(each.severity, _SEVERITY[each.severity]),
            escape(each.rule),
            f"<code>{escape(each.subject)}</code>",
            escape(each.told),
            _fix(each),
        ]
        for each in ordered
    ]
    text = "\n".join(f"{f.severity:>6}  {f.rule}: {f.subject}: {f.told}" for f in ordered)
    return Card(_table(("", "rule", "about", "what is the matter", "cheapest fix"), rows), text)


def by_host(findings: Sequence[Finding]) -> Card:
    """What the rules found, folded: a count of each kind on top, then a fold for each part of the
    lab, those with what stops the build open.

    Parameters
    ----------
    findings
        As `homelab_lib.audit.run.findings` gives them.
    """
    counts = Counter(str(finding.severity) for finding in findings)
    told = " · ".join(
        f"{_mark(str(counts[each]), colour)} {each}" for each, colour in _SEVERITY.items()
    )
    groups: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=lambda f: (_ORDER[f.severity], f.subject)):
        groups.setdefault(_part_of(finding.subject), []).append(finding)
    folds = "".join(
        fold(
            f"<b>{escape(part)}</b>: {_counted(own)}",
            findings_table(own).html,
            is_open=any(each.severity == "stops" for each in own),
        )
        for part, own in groups.items()
    )
    lines = [f"{part}: {len(own)}" for part, own in groups.items()]
    return Card(f"<p>{told}</p>{folds}", "\n".join(lines))


def _part_of(subject: str) -> str:
    """The host, or whatever else of the lab a finding is about, without its place within."""
    kind, _, rest = subject.partition(".")
    return rest.split(".")[0] if kind in ("hosts", "pools") and rest else kind or "the lab"


def _counted(findings: Sequence[Finding]) -> str:
    counts = Counter(str(finding.severity) for finding in findings)
    return ", ".join(f"{counts[each]} {each}" for each in _SEVERITY if counts[each])


def claims(judgements: Sequence[Judgement]) -> Card:
    """Each claim with its verdict, folded by verdict; what holds is shut.

    Parameters
    ----------
    judgements
        As `homelab_lib.audit.ledger.judge` gives them.
    """
    order = ("fails", "contradicts", "holds-if", "untestable-here", "as-written", "holds")
    groups = {name: [j for j in judgements if j.verdict == name] for name in order}
    folds = "".join(
        fold(
            f"{_mark(name, _VERDICT[name])}: {len(own)}",
            judgements_table(own).html,
            is_open=name == "fails",
        )
        for name, own in groups.items()
        if own
    )
    return Card(folds, "\n".join(f"{name}: {len(own)}" for name, own in groups.items() if own))


def _fix(finding: Finding | Judgement) -> str:
    if finding.fix is None:
        return "–"
    low, high = finding.fix.low_usd, finding.fix.high_usd
    price = "" if not high else f" (${low:.0f}–{high:.0f})" if low != high else f" (${low:.0f})"
    return escape(finding.fix.title + price)


def judgements_table(judgements: Sequence[Judgement]) -> Card:
    """Each claim of the design with its verdict, in the document's order.

    Parameters
    ----------
    judgements
        As `homelab_lib.audit.ledger.judge` gives them.
    """
    rows = [
        [
            _mark(each.verdict, _VERDICT[each.verdict]),
            escape(", ".join(each.decided)),
            escape(each.section),
            f"<q>{escape(each.quote)}</q>",
            escape(each.says),
            _fix(each),
        ]
        for each in judgements
    ]
    text = "\n".join(f"{j.verdict:>15}  {j.quote}: {j.says}" for j in judgements)
    return Card(_table(("verdict", "by", "section", "the design says", "and", "fix"), rows), text)


def side_by_side(as_written: Sequence[Finding], decided: Sequence[Finding]) -> Card:
    """How many findings each rule has on the design as written, and with its decisions."""
    rules = sorted({f.rule for f in (*as_written, *decided)})
    rows, lines = [], []
    for rule in rules:
        before = sum(f.rule == rule for f in as_written)
        after = sum(f.rule == rule for f in decided)
        colour = GOOD if after < before else WARN if after > before else QUIET
        rows.append([escape(rule), str(before), _mark(str(after), colour)])
        lines.append(f"{rule}: {before} as written, {after} decided")
    return Card(_table(("rule", "as written", "decided"), rows), "\n".join(lines))


def decisions_table(
    decisions: Sequence[Decision], as_written: Sequence[Finding], decided: Sequence[Finding]
) -> Card:
    """Each decision beside the findings that it answers.

    Parameters
    ----------
    decisions
        The lab's decisions.
    as_written, decided
        What the audit finds without and with them.
    """
    rows, lines = [], []
    for decision in decisions:
        for rule in decision.answers:
            there = [f.says for f in as_written if f.rule == rule]
            left = sum(f.rule == rule for f in decided)
            colour = WARN if left else GOOD
            state = f"{left} left" if left else "answered"
            rows.append(
                [escape(decision.title), escape(rule), escape("; ".join(there) or "–"),
                 _mark(state, colour)]
            )  # fmt: skip
            lines.append(f"{decision.id} answers {rule}: {state}")
    head = ("decision", "answers", "which says", "")
    return Card(_table(head, rows), "\n".join(lines) or "no decisions")


def tried(lab: Lab, found: Sequence[Finding]) -> Card:
    """Each fix that can be made in the description, made on a copy, and what that changes.

    Parameters
    ----------
    lab
        The lab.
    found
        What the audit finds in it.
    """
    rows, lines = [], []
    known = {(f.rule, f.subject) for f in found}
    for finding in found:
        if finding.fix is None or not finding.fix.changes:
            continue
        then = {(f.rule, f.subject) for f in findings(changed(lab, *finding.fix.changes))}
        mended = sorted({f"{rule}: {subject}" for rule, subject in known - then})
        broken = sorted({f"{rule}: {subject}" for rule, subject in then - known})
        rows.append(
            [escape(finding.rule), escape(finding.fix.title), "<br>".join(map(escape, mended)),
             "<br>".join(map(escape, broken)) or "nothing"]
        )  # fmt: skip
        lines.append(f"{finding.fix.title}: mends {len(mended)}, breaks {len(broken)}")
    head = ("finding", "fix", "mends", "breaks")
    return Card(_table(head, rows), "\n".join(lines) or "no fix can be tried here")
