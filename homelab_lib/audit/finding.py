"""What the audit says of one thing."""

from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["holds", "as-written", "holds-if", "fails", "contradicts", "untestable-here"]
"""``as-written``: the lab says so too, and nothing else does. ``holds-if``: see what it says."""
Ground = Literal["model", "rule", "catalog", "document", "transcription", "machine"]
"""What decides a claim: a computation, a rule's findings, a part's facts, another sentence of the
document, the lab's own words for the same thing, or nothing but the real machine."""

Severity = Literal["stops", "costs", "risks", "note"]
"""``stops``: it can't be built or won't work. ``costs``: it works, and worse or dearer than said.
``risks``: data, safety or uptime. ``note``: worth knowing."""


@dataclass(frozen=True)
class Fix:
    """The cheapest way out.

    Parameters
    ----------
    title
        What to do, in a line.
    low_usd, high_usd
        What it costs [US dollars]; zero for nothing.
    changes
        The same as corrections of the lab: dotted path and new value, as in a decision. Empty
        where it can't be said so.
    """

    title: str
    low_usd: float = 0.0
    high_usd: float = 0.0
    changes: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class Finding:
    """One thing that a rule, or a claim's check, has to say.

    Parameters
    ----------
    rule
        The rule's name: ``cable-fit``; a decision answers findings by this name.
    severity
        How much it matters.
    subject
        What it is about, as a path in the lab: ``cables.dac``, ``vms.k3s-gpu1``.
    says
        What is the matter, in a sentence, with the number.
    number, unit
        The computed number and its unit, where there is one.
    evidence
        What it was computed from: facts with their sources.
    fix
        The cheapest way out, where the audit knows one.
    assumed
        What it rests on that somebody invented who wrote the lab down, and why.
    refused
        Whether a runbook refuses to make it so.
    """

    rule: str
    severity: Severity
    subject: str
    says: str
    number: float | None = None
    unit: str = ""
    evidence: tuple[str, ...] = ()
    fix: Fix | None = None
    assumed: tuple[str, ...] = ()
    refused: bool = False

    @property
    def told(self) -> str:
        """What it says, and what of it nobody said."""
        return self.says + "".join(f" Assumed: {why}" for why in self.assumed)


@dataclass(frozen=True)
class Judgement:
    """What came of one claim.

    Parameters
    ----------
    claim
        Its name in the ledger.
    section, quote
        Where the document says it, and its words.
    verdict
        Whether it holds.
    says
        Why, with the number; for ``holds-if`` the assumption, for ``contradicts`` the other
        quote, for ``untestable-here`` the command that would settle it.
    number, unit
        What was computed.
    decided
        What the verdict rests on.
    findings
        Rules whose findings belong to it.
    fix
        The cheapest way out, where it does not hold.
    """

    claim: str
    section: str
    quote: str
    verdict: Verdict
    says: str
    number: float | None = None
    unit: str = ""
    decided: tuple[Ground, ...] = ()
    findings: tuple[str, ...] = field(default=())
    fix: Fix | None = None
