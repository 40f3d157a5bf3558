"""The audit's rules: each one a function of a lab, kept under the name that decisions answer.

A rule is general: it asks what a part or a record says of itself, never what it is called. The
modules beside this one hold the rules, by subject; `homelab_lib.audit.run` brings them together.
"""

from collections.abc import Callable, Iterator

from homelab_lib.audit.finding import Finding
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.part import Part

Rule = Callable[[Lab], Iterator[Finding]]

RULES: dict[str, Rule] = {}
"""Every rule by its name, in the order of definition."""


def rule(name: str) -> Callable[[Rule], Rule]:
    """Marks a function as the rule `name`.

    Parameters
    ----------
    name
        What its findings carry as ``rule``: ``cable-does-not-fit``.

    Raises
    ------
    ValueError
        Another rule has the name.
    """

    def register(function: Rule) -> Rule:
        if name in RULES:
            raise ValueError(f"there are two rules called {name!r}")
        RULES[name] = function
        return function

    return register


def fact(part: Part, says: str) -> str:
    """What a data sheet says, with where that is from, as a line of evidence."""
    return f"{part.title}: {says} [{'; '.join(part.sources)}]"
