"""What becomes of an inspection's signatures under the policies of OPNsense: alert, drop, nothing.

A ruleset's author says what each of its signatures does. A policy changes that for many of them at
once, by ruleset, by what they do so far, and by what their author says of them (severity,
deployment, class). A single signature can be set by hand, and that goes before all policies.

References
----------
OPNsense core 26.7, scripts/suricata/lib/rulecache.py (``list_local_changes``: the enabled policies
in the order of their priority, the first that fits decides) and installRules.py (one that only sets
flowbits keeps its action).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from homelab_lib.models.bounds import FINITE, WHOLE, holds

Action = Literal["alert", "drop", "disable"]


@dataclass(frozen=True)
@holds(number=WHOLE)
class Signature:
    """One rule of a ruleset, as its author wrote it.

    Parameters
    ----------
    number
        Its sid.
    ruleset
        The file that it is in, such as ``emerging-malware.rules``.
    action
        What it does where it is switched on: ``alert``, ``drop``, ``pass``, ``reject``.
    enabled
        Whether its author has switched it on.
    properties
        What its author says of it, by name: ``signature_severity``, ``deployment``, ``classtype``.
    silent
        Whether it only sets flowbits for others (``flowbits:noalert``).
    """

    number: int
    ruleset: str
    action: str = "alert"
    enabled: bool = True
    properties: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    silent: bool = False


@dataclass(frozen=True)
@holds(priority=FINITE)
class Policy:
    """What is done with many signatures at once.

    Parameters
    ----------
    name
        What a person knows it by.
    priority
        The lowest decides first. Of those that are alike, the appliance takes the one whose
        identifier comes first, which nobody chooses; here the one that is given first.
    rulesets, actions, properties
        What it is about: all of it has to fit, one value of each is enough, and empty is all.
        An action is what a signature does so far, ``disable`` if it is switched off.
    new_action
        What becomes of them; ``default``: what their author says, whatever later policies say.
    enabled
        Whether it is in force.
    """

    name: str
    new_action: Literal["default", "alert", "drop", "disable"]
    priority: int = 0
    rulesets: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    properties: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    enabled: bool = True

    def fits(self, signature: Signature) -> bool:
        """Whether it is about a signature."""
        action = signature.action if signature.enabled else "disable"
        return (
            (not self.rulesets or signature.ruleset in self.rulesets)
            and (not self.actions or action in self.actions)
            and all(
                not set(wanted).isdisjoint(signature.properties.get(name, ()))
                for name, wanted in self.properties.items()
            )
        )


@dataclass(frozen=True)
class Decision:
    """What a signature does in the end.

    Parameters
    ----------
    action
        ``alert``, ``drop``, ``disable``, or what else its author chose. In IDS mode, what is to be
        dropped is told, and passes.
    by
        The policy's name; empty where none changed it.
    """

    action: str
    by: str = ""


def decide(
    signature: Signature,
    policies: Iterable[Policy],
    single: Mapping[int, Action] | None = None,
) -> Decision:
    """What a signature does under policies.

    Parameters
    ----------
    signature
        The signature as its author wrote it.
    policies
        All of them, in any order.
    single
        What single signatures do, by their number.
    """
    own = signature.action if signature.enabled else "disable"
    by_hand = (single or {}).get(signature.number)
    if by_hand is not None:
        return Decision(_changed(signature, by_hand))
    for policy in sorted(policies, key=lambda policy: policy.priority):
        if policy.enabled and policy.fits(signature):
            if policy.new_action == "default":
                return Decision(own, policy.name)
            return Decision(_changed(signature, policy.new_action), policy.name)
    return Decision(own)


def _changed(signature: Signature, action: Action) -> str:
    """Switched on or off always; but what only sets flowbits for others never drops."""
    return signature.action if signature.silent and action != "disable" else action
