"""The ledger of claims: every testable sentence of the design, judged."""

from collections.abc import Sequence

from homelab_lib.audit.checks import (
    CHECKS,
    CannotTell,
    Outcome,
    budgets,
    clusters,
    facts,
    graphics,
    links,
    network,
    storage,
)
from homelab_lib.audit.finding import Finding, Judgement
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.project import Claim

SUBJECTS = (facts, storage, links, network, graphics, budgets, clusters)
"""The modules with checks."""


def judge(lab: Lab, findings: Sequence[Finding]) -> list[Judgement]:
    """What comes of each claim of a lab.

    Parameters
    ----------
    lab
        The lab, as written or with its decisions.
    findings
        What the rules found on the same lab: `homelab_lib.audit.run.findings`.

    Returns
    -------
    list of Judgement
        One for each claim, in the ledger's order. A check that lacks what it needs says
        ``untestable-here`` and what is missing; one that breaks says so, and the others go on.
    """
    return [_judged(lab, claim, findings) for claim in lab.claims]


def _judged(lab: Lab, claim: Claim, findings: Sequence[Finding]) -> Judgement:
    outcome = _outcome(lab, claim, findings)
    there = {finding.rule for finding in findings}
    return Judgement(
        claim=claim.name,
        section=claim.section,
        quote=claim.quote,
        verdict=outcome.verdict,
        says=outcome.says,
        number=outcome.number,
        unit=outcome.unit,
        decided=outcome.decided or ("machine",),
        findings=tuple(name for name in outcome.rules if name in there),
        fix=outcome.fix if outcome.verdict not in ("holds", "as-written") else None,
    )


def _outcome(lab: Lab, claim: Claim, findings: Sequence[Finding]) -> Outcome:
    if claim.check not in CHECKS:
        return Outcome("untestable-here", f"There is no check {claim.check!r}.")
    try:
        return CHECKS[claim.check](lab, claim.about, findings)
    except CannotTell as missing:
        return Outcome("untestable-here", f"Can't be judged: {missing}.")
    except Exception as error:
        what = f"The check {claim.check} broke: {type(error).__name__}: {error}"
        return Outcome("untestable-here", what)
