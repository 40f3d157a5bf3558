"""The order of filter rules: ours as the lab has them, and before what would shadow them.

The first quick rule that fits decides, so a rule that lets everything pass (26.7 comes with two of
them for LAN) makes every rule behind it meaningless. Somebody else's rules are never put into
another order; those that are in our way get higher numbers, which the API gives them by itself
when one of ours is moved before them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homelab_lib.control import mark
from homelab_lib.control.opnsense.api import Api, told
from homelab_lib.control.opnsense.families import FILTER_RULE
from homelab_lib.control.opnsense.row import rows
from homelab_lib.runbook.resource import Change, Diff, Host


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
        names = ("uuid", "description", "interface", "action", "quick", "enabled", "sort_order")
        found = [{name: row[name] for name in names} for row in rows(self.api, host, FILTER_RULE)]
        return sorted(found, key=lambda row: row["sort_order"])

    def diff(self, observed: list[dict[str, str]]) -> Diff:
        changes = []
        for chain in self._chains(observed):
            places = {row["uuid"]: at for at, row in enumerate(observed)}
            staying = _ascending([places[row["uuid"]] for row in chain])
            for at, row in enumerate(chain):
                if at not in staying:
                    # Those that go to one place go there in their order, each behind the last: the
                    # firewall makes room there, and not at the very beginning.
                    before = chain[next(other for other in staying if other > at)]
                    changes.append(self._move(row, before, observed))
        return Diff(tuple(changes))

    def _chains(self, order: Sequence[dict[str, str]]) -> list[list[dict[str, str]]]:
        """Rules that have to come one after the other: of each interface ours, and the first of
        somebody else's that has to come after them."""
        ours = {row["description"]: row for row in order}
        chains: dict[str, list[dict[str, str]]] = {}
        for row in (ours[each] for each in self.descriptions if each in ours):
            chains.setdefault(_group(row), []).append(row)
        for group, chain in chains.items():
            last = self._shadowing(order, group, chain)
            if last is not None:
                chain.append(last)
        return list(chains.values())

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

    def _move(
        self,
        first: Mapping[str, str],
        then: Mapping[str, str],
        observed: Sequence[Mapping[str, str]],
    ) -> Change:
        path = f"firewall/filter/moveRuleBefore/{first['uuid']}/{then['uuid']}"
        theirs = [
            f"{row['description']!r} at {row['sort_order']}"
            for row in observed
            if _group(row) == _group(then) and not mark.marks(row["description"], self.lab)
        ]
        renumbers = f"may renumber {', '.join(theirs)}" if theirs else ""
        return Change(
            f"move rule {first['description']!r} before {then['description']!r}",
            self.api.post(path),
            follow=told,
            replaces=renumbers,
            undo=f"POST /api/firewall/filter/moveRuleBefore/{then['uuid']}/{first['uuid']}",
        )


def _group(row: Mapping[str, str]) -> str:
    """Rules that are compared with each other: those of one interface, or the floating ones."""
    interface = row["interface"]
    return interface if interface and "," not in interface else ""


def _ascending(places: Sequence[int]) -> list[int]:
    """Which of them can stay where they are, the last among them: the most that are in order."""
    longest: list[list[int]] = []
    for at, place in enumerate(places):
        before = [each for each in longest if places[each[-1]] < place]
        longest.append([*max(before, key=len, default=[]), at])
    return longest[-1] if longest else []
