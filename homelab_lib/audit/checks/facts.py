"""Checks that look things up: facts of the lab, findings of rules, other sentences."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from homelab_lib.audit.assumptions import assumptions
from homelab_lib.audit.checks import CHECKS, About, CannotTell, Outcome, check, wanted
from homelab_lib.audit.finding import Finding, Ground, Verdict
from homelab_lib.audit.paths import walk
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.part import Part
from homelab_lib.units import BINARY, DECIMAL, RATES, format_bps, format_bytes, format_ibytes

_UNITS: dict[str, float] = {**DECIMAL, **BINARY, **RATES, "W": 1.0}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z/]+)")
_TOLERANCE = 0.01
_WORST = ("fails", "contradicts", "untestable-here", "holds-if", "holds", "as-written")
"""What is known counts before what is only written twice."""


def quantity(value: object) -> Any:
    """A number from text such as ``128 GiB``; anything else as it is.

    Parameters
    ----------
    value
        What a claim's ``about`` has.
    """
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    return float(match[1]) * _UNITS[match[2]] if match and match[2] in _UNITS else value


def follow(lab: Lab, path: str) -> tuple[Any, str | None]:
    """What stands at a dotted path, and how well it is known.

    Parameters
    ----------
    lab
        The lab.
    path
        Fields, keys, names or indexes of a list, joined by dots.

    Returns
    -------
    tuple
        The value, and the status that the catalog gives the last fact of a part on the way:
        ``verified``, ``derived``, ``unverified``, or nothing; None where no part is on the way.

    Raises
    ------
    CannotTell
        The path leads nowhere.
    """
    try:
        way = list(walk(lab, path))
    except LookupError as error:
        raise CannotTell(f"the lab has no {path} (nothing at {error.args[0]!r})") from None
    known = [holder.status.get(step, "") for holder, step, _ in way if isinstance(holder, Part)]
    return way[-1][2], known[-1] if known else None


def shown(value: Any, like: object = None) -> str:
    """A value as a person reads it, in the kind of unit that `like` is written in."""
    match = _QUANTITY.fullmatch(like) if isinstance(like, str) else None
    if match and isinstance(value, int | float):
        if match[2] in BINARY:
            return format_ibytes(value)
        if match[2] in DECIMAL:
            return format_bytes(value)
        if match[2] in RATES:
            return format_bps(value)
        return f"{value:g} {match[2]}"
    if isinstance(value, Part):
        return value.title
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(map(str, value))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(shown(each) for each in value)
    return str(value)


def _same(found: Any, said: Any) -> bool:
    if isinstance(said, list | tuple):
        pairs = list(zip(found, said, strict=False))
        return len(found) == len(said) and all(_same(a, quantity(b)) for a, b in pairs)
    if isinstance(found, Part):
        return found.id == said
    if isinstance(found, int | float) and isinstance(said, int | float):
        return abs(found - said) <= _TOLERANCE * abs(said)
    return str(found) == str(said)


@check("fact")
def fact(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """A path of the lab ``is`` something (quantities within 1 %), ``has`` it, or has ``count``.

    What the catalog calls unverified makes the outcome ``holds-if``; what the lab says, and no
    part does, is ``as-written``.
    """
    path = wanted(about, "path")
    value, status = follow(lab, path)
    reads = shown(value, about.get("is"))
    if "has" in about:
        words = [value] if isinstance(value, str) else [shown(each) for each in value]
        agrees = any(about["has"] in word for word in words)
    elif "count" in about:
        agrees, reads = len(value) == about["count"], f"{len(value)} ({reads})"
    else:
        agrees = _same(value, quantity(wanted(about, "is")))
    number = float(value) if isinstance(value, int | float) else None
    says = f"{path} is {reads}" + (f" ({status})." if status else ".")
    decided: tuple[Ground, ...] = ("transcription",) if status is None else ("catalog",)
    made_up = assumptions(lab, [path]) if status is None else ()
    says += "".join(f" Assumed: {why}" for why in made_up)
    if not agrees:
        because = about.get("because", "")
        return Outcome("fails", f"{says} {because}".strip(), number, decided=decided)
    if status == "unverified":
        says = f"If the catalog is right, which has it unverified: {path} is {reads}."
        return Outcome("holds-if", says, number, decided=decided)
    verdict: Verdict = "as-written" if status is None else "holds"
    return Outcome(verdict, says, number, decided=decided)


@check("rule", by="rule")
def rule(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """Findings of one of ``rules`` about ``subject`` (a path, or how paths begin) decide.

    The verdict is ``verdict`` where there are any (``fails`` unless said), else ``holds``, or
    ``settled``, where the words stay wrong though the lab does otherwise now. What the subject
    names, or ``needs``, has to be there for the lack of findings to mean anything.
    """
    rules = wanted(about, "rules")
    found = matching(findings, rules, about.get("subject", ""))
    if not found:
        taken = _decisions(lab, rules)
        if "settled" in about and taken:
            return Outcome(about["settled"], f"Settled: {taken}.", rules=tuple(rules))
        for path in (about.get("needs"), about.get("subject")):
            if path:
                _present(lab, path)
        where = f" about {about['subject']}" if "subject" in about else ""
        return Outcome("holds", f"No finding of {', '.join(rules)}{where}.", rules=tuple(rules))
    first = found[0]
    says = " ".join(dict.fromkeys(each.says for each in found))
    if "because" in about:
        says = f"{says} {about['because']}"
    verdict = about.get("verdict", "fails")
    if verdict == "holds-if":
        says = f"If this is settled: {says}"
    names = tuple(dict.fromkeys(each.rule for each in found))
    return Outcome(verdict, says, first.number, first.unit, names, first.fix)


def matching(findings: Sequence[Finding], rules: Sequence[str], subject: str = "") -> list[Finding]:
    """Findings of these rules about a subject, or about anything below it."""
    return [
        each
        for each in findings
        if each.rule in rules
        and (not subject or each.subject == subject or each.subject.startswith(f"{subject}."))
    ]


@check("contradicts", by="document")
def contradicts(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """Another sentence, ``other``, of section ``where``, says something else.

    With ``rules`` it is settled once these find nothing about ``subject``: then this side of it
    has the verdict ``settled`` (``holds`` unless said).
    """
    says = f"Elsewhere ({wanted(about, 'where')}): “{wanted(about, 'other')}”."
    rules = about.get("rules", ())
    found = matching(findings, rules, about.get("subject", ""))
    if found:
        names = tuple(dict.fromkeys(each.rule for each in found))
        return Outcome("contradicts", f"{says} {found[0].says}", rules=names, fix=found[0].fix)
    if not rules:
        return Outcome("contradicts", f"{says} {about.get('because', '')}".strip())
    taken = _decisions(lab, rules)
    if not taken and "subject" in about:
        _present(lab, about["subject"])
    says += f" Settled: {taken}." if taken else " The lab has it one way only."
    return Outcome(about.get("settled", "holds"), says, rules=tuple(rules))


def _decisions(lab: Lab, rules: Sequence[str]) -> str:
    """Titles of the decisions that answer one of these rules."""
    return "; ".join(each.title for each in lab.decisions if set(each.answers) & set(rules))


def _present(lab: Lab, path: str) -> None:
    value, _ = follow(lab, path)
    if isinstance(value, Sequence | Mapping) and not value:
        raise CannotTell(f"the lab has no {path}")


@check("untestable", by="machine")
def untestable(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """Only the real machine can tell; ``command`` settles it."""
    note = about.get("because", "")
    return Outcome("untestable-here", f"{note} Settled by: {wanted(about, 'command')}".strip())


@check("absent", by="transcription")
def absent(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """Nothing in the lab is planned under any of these ``words``: services, or software."""
    words = [word.casefold() for word in wanted(about, "words")]
    planned = [service.title for service in lab.services.values()]
    planned += [name for host in lab.hosts.values() for name in host.software]
    there = [name for name in planned if any(word in name.casefold() for word in words)]
    if there:
        return Outcome("fails", f"The lab plans {', '.join(there)}.", float(len(there)))
    return Outcome("as-written", f"The lab plans none. {about.get('because', '')}".strip(), 0.0)


@check("hosts-with", by="transcription")
def hosts_with(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """The lab has ``count`` hosts whose system is ``os``."""
    names = [name for name, host in lab.hosts.items() if host.os.kind == wanted(about, "os")]
    verdict: Verdict = "as-written" if len(names) == wanted(about, "count") else "fails"
    says = f"{len(names)} with {about['os']}: {', '.join(names) or 'none'}."
    return Outcome(verdict, says, float(len(names)), "hosts")


@check("all-of")
def all_of(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """Several checks; the worst verdict counts, and what it was for is said first."""
    outcomes = []
    for item in wanted(about, "all"):
        name = wanted(item, "check")
        if name not in CHECKS:
            raise CannotTell(f"there is no check {name!r}")
        try:
            outcomes.append(CHECKS[name](lab, item, findings))
        except CannotTell as missing:
            outcomes.append(Outcome("untestable-here", f"{missing}.", decided=("machine",)))
    if not outcomes:
        raise CannotTell("the claim names no checks")
    outcomes.sort(key=lambda outcome: _WORST.index(outcome.verdict))
    worst = outcomes[0]
    fine = ("holds", "as-written")
    told = [each for each in outcomes if each.verdict not in fine] or outcomes
    decided = tuple(dict.fromkeys(ground for each in told for ground in each.decided))
    rules = tuple(dict.fromkeys(name for each in told for name in each.rules))
    says = " ".join(dict.fromkeys(each.says for each in told))
    return Outcome(worst.verdict, says, worst.number, worst.unit, rules, worst.fix, decided)
