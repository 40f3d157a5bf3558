"""The order of filter rules: ours as the lab has them, and before what would shadow them.

The first quick rule that fits decides, so a rule that lets everything pass (26.7 comes with two of
them for LAN) makes every rule behind it meaningless. Somebody else's rules are never put into
another order; one that has no room for ours before it gets a higher number, with those behind it,
which the API gives them by itself when one of ours is moved before it. All other numbers are ours:
the API's own, where it moves several, can be the same for two rules.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from homelab_lib.control import mark
from homelab_lib.control.opnsense.api import Api, told
from homelab_lib.control.opnsense.families import FILTER_RULE
from homelab_lib.control.opnsense.row import rows
from homelab_lib.runbook.resource import Change, Diff, Host

_FIRST, _STEP = 1000, 10


@dataclass(frozen=True)
class RuleOrder:
    """Our filter rules, in this order and before others that would shadow them.

    Parameters
    ----------
    api, lab
        The firewall, and the lab they belong to.
    descriptions
        Our rules' descriptions, in order.
    """

    api: Api
    lab: str
    descriptions: tuple[str, ...]
    timeout_s: float = 5.0

    @property
    def host(self) -> str:
        return self.api.host

    @property
    def name(self) -> str:
        return "order of the filter rules"

    def observe(self, host: Host) -> list[dict[str, str]]:
        """All rules in the order in which they are looked at."""
        names = ("uuid", "description", "interface", "action", "quick", "enabled", "sequence")
        found = sorted(rows(self.api, host, FILTER_RULE), key=lambda row: row["sort_order"])
        return [{name: row[name] for name in names} for row in found]

    def diff(self, observed: list[dict[str, str]]) -> Diff:
        changes = []
        for ours, then in self._chains(observed):
            line = [*ours, then] if then is not None else ours
            if all(_number(a) < _number(b) for a, b in pairwise(line)):
                continue
            below = _number(then) if then is not None else None
            if then is not None and below is not None and below <= len(ours):
                # No room before it. The firewall makes some, and ours get their numbers then.
                changes.append(self._move(ours[0], then, observed))
                continue
            for row, number in zip(ours, self._numbers(ours, below), strict=True):
                if _number(row) != number:
                    changes.append(self._renumber(row, number))
        return Diff(tuple(changes))

    def _numbers(self, ours: Sequence[Mapping[str, str]], below: int | None) -> list[int]:
        """Numbers of our own for rules, one after the other."""
        if below is None:
            return [sequence(self.descriptions.index(row["description"])) for row in ours]
        step = (below - 1) // len(ours)
        return [step * at for at in range(1, len(ours) + 1)]

    def _chains(
        self, order: Sequence[dict[str, str]]
    ) -> list[tuple[list[dict[str, str]], dict[str, str] | None]]:
        """Of each interface our rules, one after the other, and the first of somebody else's that
        has to come after them."""
        ours = {row["description"]: row for row in order}
        chains: dict[str, list[dict[str, str]]] = {}
        for row in (ours[each] for each in self.descriptions if each in ours):
            chains.setdefault(_group(row), []).append(row)
        return [(chain, self._shadowing(order, group, chain)) for group, chain in chains.items()]

    def _shadowing(
        self, order: Sequence[dict[str, str]], group: str, chain: Sequence[dict[str, str]]
    ) -> dict[str, str] | None:
        """The first rule of somebody else's that decides otherwise than one of ours does."""
        actions = {row["action"] for row in chain}
        for row in order:
            theirs = _group(row) == group and not mark.marks(row["description"], self.lab)
            decides = row["enabled"] == row["quick"] == "1"
            if theirs and decides and actions - {row["action"]}:
                return row
        return None

    def _renumber(self, row: Mapping[str, str], number: int) -> Change:
        path = f"firewall/filter/setRule/{row['uuid']}"
        was = {"rule": {"sequence": row["sequence"]}}
        return Change(
            f"give rule {row['description']!r} the sequence {number}",
            self.api.post(path, {"rule": {"sequence": str(number)}}),
            follow=told,
            replaces=f"sequence {row['sequence']}",
            undo=f"POST /api/{path} {json.dumps(was)}",
        )

    def _move(
        self,
        first: Mapping[str, str],
        then: Mapping[str, str],
        observed: Sequence[Mapping[str, str]],
    ) -> Change:
        path = f"firewall/filter/moveRuleBefore/{first['uuid']}/{then['uuid']}"
        theirs = [
            f"{row['description']!r} at {row['sequence']}"
            for row in observed
            if _group(row) == _group(then) and not mark.marks(row["description"], self.lab)
        ]
        return Change(
            f"move rule {first['description']!r} before {then['description']!r}",
            self.api.post(path),
            follow=told,
            replaces=f"may renumber {', '.join(theirs)}",
            undo=f"POST /api/firewall/filter/moveRuleBefore/{then['uuid']}/{first['uuid']}",
        )


def sequence(place: int) -> int:
    """The number that the rule at a place of ours gets when it is made."""
    return _FIRST + place * _STEP


def _number(row: Mapping[str, str]) -> int:
    return int(row["sequence"] or 1)


def _group(row: Mapping[str, str]) -> str:
    """Rules that are compared with each other: those of one interface, or the floating ones."""
    interface = row["interface"]
    return interface if interface and "," not in interface else ""
