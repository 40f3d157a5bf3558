"""The audit's checks: each judges a claim of the design from the lab, the models and the findings.

A check is general: what it looks at stands in the claim's ``about``. The modules beside this one
hold the checks, by subject; `homelab_lib.audit.ledger` brings them together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from homelab_lib.audit.finding import Finding, Fix, Ground, Verdict
from homelab_lib.lab.lab import Lab

About = Mapping[str, Any]
"""What a claim tells its check: the ``about`` of the ledger."""


@dataclass(frozen=True)
class Outcome:
    """What a check has to say.

    Parameters
    ----------
    verdict
        Whether the claim holds.
    says
        Why, in a sentence, with the number.
    number, unit
        What was computed.
    rules
        Rules whose findings decided.
    fix
        The cheapest way out, where it does not hold.
    decided
        What the verdict rests on; empty: what its check rests on.
    """

    verdict: Verdict
    says: str
    number: float | None = None
    unit: str = ""
    rules: tuple[str, ...] = ()
    fix: Fix | None = None
    decided: tuple[Ground, ...] = ()


class CannotTell(Exception):
    """The lab lacks what a check needs; its text says what."""


Check = Callable[[Lab, About, Sequence[Finding]], Outcome]

CHECKS: dict[str, Check] = {}
"""Every check by its name, in the order of definition."""


def check(name: str, by: Ground = "model") -> Callable[[Check], Check]:
    """Marks a function as the check `name`.

    Parameters
    ----------
    name
        What claims give as ``check``: ``pool-usable``.
    by
        What its verdicts rest on, where it does not say it each time.

    Raises
    ------
    ValueError
        Another check has the name.
    """

    def register(function: Check) -> Check:
        if name in CHECKS:
            raise ValueError(f"there are two checks called {name!r}")

        @wraps(function)
        def decided(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
            outcome = function(lab, about, findings)
            return outcome if outcome.decided else replace(outcome, decided=(by,))

        CHECKS[name] = decided
        return function

    return register


def wanted(about: About, key: str) -> Any:
    """What a claim has to tell its check.

    Raises
    ------
    CannotTell
        It does not.
    """
    if key not in about:
        raise CannotTell(f"the claim does not say {key!r}")
    return about[key]
