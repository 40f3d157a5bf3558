"""All rules on one lab."""

from collections.abc import Iterator
from dataclasses import replace

from homelab_lib.audit.assumptions import assumptions
from homelab_lib.audit.finding import Finding
from homelab_lib.audit.rules import (
    RULES,
    Rule,
    backups,
    budget,
    cabling,
    clusters,
    compute,
    exports,
    firmware,
    fitting,
    graphics,
    internet,
    models,
    network,
    pcie,
    pooled,
    power,
    project,
    releases,
    room,
    speed,
    storage,
    switches,
)
from homelab_lib.lab.lab import Lab

SUBJECTS = (
    cabling,
    switches,
    network,
    internet,
    exports,
    pcie,
    fitting,
    compute,
    power,
    clusters,
    models,
    pooled,
    storage,
    room,
    speed,
    backups,
    firmware,
    graphics,
    releases,
    project,
    budget,
)
"""The modules with rules."""

BROKEN = "rule-broke"
"""Stands in a finding's ``rule`` where a rule could not be carried out."""

_SEVERITIES = ("stops", "risks", "costs", "note")


def findings(lab: Lab) -> list[Finding]:
    """What all rules have to say of a lab.

    Parameters
    ----------
    lab
        The lab, as written or with its decisions.

    Returns
    -------
    list of Finding
        The gravest first; then by rule and by place in the description. The same lab gives the
        same list. A rule that fails does not take the others along: it leaves one finding of
        rule ``rule-broke`` that names it.
    """
    names = sorted(RULES)
    found = [finding for name in names for finding in _said(name, RULES[name], lab)]
    return sorted(found, key=lambda finding: _SEVERITIES.index(finding.severity))


def _said(name: str, rule: Rule, lab: Lab) -> Iterator[Finding]:
    try:
        for finding in rule(lab):
            own = assumptions(lab, [finding.subject]) if finding.severity == "stops" else ()
            yield replace(finding, assumed=tuple(dict.fromkeys((*finding.assumed, *own))))
    except Exception as error:
        what = f"The rule {name} could not be carried out: {type(error).__name__}: {error}"
        yield Finding(BROKEN, "note", name, what)
