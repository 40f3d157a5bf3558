"""A rule is put before another, and renumbered for it."""

from homelab_lib.twin.opnsense.api import Action
from homelab_lib.twin.opnsense.controllers import answers
from homelab_lib.twin.opnsense.controllers.answers import Answer
from homelab_lib.twin.opnsense.errors import Refused, Unexpected
from homelab_lib.twin.opnsense.nodes import Box
from homelab_lib.twin.opnsense.order import natural
from homelab_lib.twin.opnsense.visit import Visit

FILTER = ("Firewall.Filter", "rule", "rules.rule")
_STEP = 50


def move(model: tuple[str, str, str]) -> Action:
    """Put a rule before another; the numbers of others may change by it."""

    def action(visit: Visit, selected: str, target: str) -> Answer:
        if not visit.is_post:
            return {"status": "error", "message": "Invalid request method"}
        tree = visit.tree(model[0])
        rows = tree.at(model[2])
        mine, its = rows.get(selected), rows.get(target)
        of_filter = model is FILTER
        title = "Filter" if of_filter else ""
        if mine is None or its is None:
            raise Refused(
                "Either source or destination is not a rule managed with this component",
                title,
                level="warning" if of_filter else "error",
            )
        ordered = sorted(rows.rows(), key=lambda row: natural(row["sequence"].value))
        if of_filter:
            _may_move(mine, its)
            group = its["prio_group"].value
            ordered = [row for row in ordered if row["prio_group"].value == group]
        number = _room_before(ordered, its)
        if number is not None:
            mine["sequence"].set(str(number))
            wrong = tree.messages()
            if wrong:
                raise Unexpected(wrong[0].text)
            answers.store(visit, tree)
        return {"status": "ok"}

    return action


def _may_move(mine: Box, its: Box) -> None:
    called = {"2": "Floating", "3": "Group", "4": "Interface"}
    if mine["prio_group"].value != its["prio_group"].value:
        kinds = [called.get(row["prio_group"].value[:1], "Unknown") for row in (mine, its)]
        raise Refused(
            f"Cannot move '{kinds[0]} Rule' before '{kinds[1]} Rule'.", "Filter", level="warning"
        )
    if mine is its:
        raise Refused("Cannot move to the same spot.", "Filter", level="warning")


def _room_before(ordered: list[Box], target: Box) -> int | None:
    """The number for what goes before `target`; those behind make room where there is none."""
    number: int | None = None
    before: Box | None = None
    for row in ordered:
        here = row["sequence"].int()
        if row is target:
            last = before["sequence"].int() if before else 1
            if here - last > 2:
                return (here - last) // 2 + last
            number = last + _STEP if before else 1
            row["sequence"].set(str(number + _STEP))
        elif number is not None and before is not None and here < before["sequence"].int():
            row["sequence"].set(str(before["sequence"].int() + _STEP))
        before = row
    return number
