"""The audit's own fixes carried out: what has to change so that a rule has nothing more to say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from homelab_lib.audit.finding import Finding
from homelab_lib.audit.rules import RULES
from homelab_lib.audit.run import findings
from homelab_lib.errors import BadParameter, LabError
from homelab_lib.lab.changes import changed
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.near import near


@dataclass(frozen=True)
class Cure:
    """A decision that answers a rule.

    Parameters
    ----------
    rule
        Whose findings it answers.
    answered
        These findings.
    changes
        Dotted path and new value.
    left
        What the rule still says afterwards, for want of a fix that can be written down.
    new
        What other rules say only afterwards; nothing that stops.
    """

    rule: str
    answered: tuple[Finding, ...]
    changes: tuple[tuple[str, object], ...]
    left: tuple[Finding, ...]
    new: tuple[Finding, ...]

    @property
    def title(self) -> str:
        """What is done, in a line."""
        done = [finding.fix.title for finding in self.answered if finding.fix]
        return "; ".join(dict.fromkeys(done))

    @property
    def decision(self) -> dict[str, object]:
        """As it is written into a lab: keys of `homelab_lib.lab.project.Decision`."""
        low = sum(each.fix.low_usd for each in self.answered if each.fix)
        high = sum(each.fix.high_usd for each in self.answered if each.fix)
        found: dict[str, object] = {
            "id": self.rule,
            "title": self.title,
            "reason": self.reason,
            "answers": [self.rule],
            "changes": [{"path": path, "value": value} for path, value in self.changes],
        }
        if high:
            found["cost"] = {"low_usd": low, "high_usd": high, "approximate": True}
        return found

    @property
    def reason(self) -> str:
        """What was the matter."""
        return " ".join(finding.says for finding in self.answered)


def curable(lab: Lab) -> list[str]:
    """The rules that say something of a lab whose fix can be written into it."""
    return sorted({each.rule for each in findings(lab) if each.fix and each.fix.changes})


def cure(lab: Lab, rule: str) -> Cure:
    """The fixes of all that a rule says of a lab, each tried before the next is looked for.

    Parameters
    ----------
    lab
        The lab, with the decisions that it has.
    rule
        The rule's name.

    Raises
    ------
    BadParameter
        There is no such rule, it says nothing, or none of its fixes can be written down; or a fix
        does not cure, or breaks something else.
    """
    if rule not in RULES:
        named = ", ".join(curable(lab))
        able = f"one of {named}" if named else "no rule has a fix to write into this lab"
        raise BadParameter(f"there is no rule {rule!r}{near(rule, RULES)}", fix=able)
    now, changes, answered = lab, dict[str, object](), list[Finding]()
    while found := _first(RULES[rule](now), answered):
        assert found.fix is not None
        try:
            after = changed(now, *found.fix.changes)
        except LabError as error:
            raise _not_so(found, f"it can't be made: {error}") from None
        if any(each.subject == found.subject for each in RULES[rule](after)):
            raise _not_so(found, "the rule says the same afterwards")
        now = after
        changes |= dict(found.fix.changes)
        answered.append(found)
    left = tuple(RULES[rule](now))
    if not answered:
        raise _nothing(rule, left)
    before = {(each.rule, each.subject) for each in findings(lab)}
    new = tuple(f for f in findings(now) if f.rule != rule and (f.rule, f.subject) not in before)
    for each in new:
        if each.severity == "stops":
            raise _not_so(answered[0], f"then {each.rule} says of {each.subject}: {each.says}")
    return Cure(rule, tuple(answered), tuple(changes.items()), left, new)


def _first(found: Iterable[Finding], done: Sequence[Finding]) -> Finding | None:
    """The first finding with a fix that can be written down and was not tried yet."""
    tried = {each.subject for each in done}
    for each in found:
        if each.fix and each.fix.changes and each.subject not in tried:
            return each
    return None


def _not_so(finding: Finding, why: str) -> BadParameter:
    fix = finding.fix.title if finding.fix else ""
    return BadParameter(
        f"the fix of {finding.rule} ({fix}) is no cure: {why}",
        where=finding.subject,
        fix="decide it yourself, under decisions: in the lab",
    )


def _nothing(rule: str, left: Sequence[Finding]) -> BadParameter:
    if not left:
        return BadParameter(f"{rule} has nothing to say of this lab", fix="homelab audit lists all")
    told = "; ".join(each.fix.title for each in left if each.fix) or "none is known"
    return BadParameter(
        f"{rule} has no fix that can be written down",
        where=left[0].subject,
        fix=f"what it advises: {told}. Write what you choose under decisions: in the lab",
    )
