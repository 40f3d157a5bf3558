"""Moved as the API moves rules, ours come to stand in their order and before what shadows them."""

from itertools import combinations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.control.opnsense.api import Api
from homelab_lib.control.opnsense.order import RuleOrder
from homelab_lib.secret import Secret

MARK = "; policy; homelab: attic"
NAMES = tuple(f"rule-{at}{MARK}" for at in range(6))
STEP = 50


@st.composite
def boxes(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Our rules in any order among those of others, as they are kept: each with its sequence."""
    ours = [
        {"description": name, "interface": draw(st.sampled_from(["lan", "opt1", "lan,opt1"])),
         "action": draw(st.sampled_from(["pass", "block"]))}
        for name in draw(st.permutations(NAMES))
    ]  # fmt: skip
    theirs = [
        {"description": f"theirs {at}", "interface": draw(st.sampled_from(["lan", "opt1", ""])),
         "action": "pass"}
        for at in range(draw(st.integers(0, 3)))
    ]  # fmt: skip
    numbers = draw(st.lists(st.integers(1, 2000), min_size=9, max_size=9, unique=True))
    kept = draw(st.permutations(ours + theirs))
    return [
        row | {"uuid": f"id-{at}", "sequence": number, "quick": "1", "enabled": "1"}
        for at, (row, number) in enumerate(zip(kept, numbers, strict=False))
    ]


def _group(row: dict[str, Any]) -> int:
    return 400_000 if row["interface"] and "," not in row["interface"] else 200_000


def _listed(box: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the search lists them."""
    told = [row | {"sequence": str(row["sequence"])} for row in box]
    return sorted(told, key=lambda row: (_group(row), int(row["sequence"])))


def _move(box: list[dict[str, Any]], moved: str, target: str) -> None:
    """opnsense/core, FilterController::moveRuleBeforeAction."""
    by_id = {row["uuid"]: row for row in box}
    group = _group(by_id[target])
    assert _group(by_id[moved]) == group, "a floating rule can't be moved before another kind"
    new, prev = None, None
    for row in sorted((r for r in box if _group(r) == group), key=lambda r: r["sequence"]):
        if row["uuid"] == target:
            before = prev["sequence"] if prev else 1
            distance = row["sequence"] - before
            if distance > 2:
                new = distance // 2 + before
                break
            new = 1 if prev is None else before + STEP
            row["sequence"] = new + STEP
        elif new is not None and prev is not None and row["sequence"] < prev["sequence"]:
            row["sequence"] = prev["sequence"] + STEP
        prev = row
    assert new is not None
    by_id[moved]["sequence"] = new


@given(boxes())
def test_moved_once_they_stand_as_they_should(box: list[dict[str, Any]]) -> None:
    secret = Secret("x", lambda: "nobody asks")
    order = RuleOrder(Api("firewall", secret, secret), "attic", NAMES)
    theirs = [row["description"] for row in _listed(box) if "theirs" in row["description"]]
    for _ in range(3):  # first room is made, then numbers are given
        for change in order.diff(_listed(box)).changes:
            _, _, _, _, action, moved, *target = change.call.path.split("/")
            if action == "setRule":
                row = next(each for each in box if each["uuid"] == moved)
                row["sequence"] = int(change.call.body["rule"]["sequence"])
                assert "theirs" not in row["description"]
            else:
                _move(box, moved, *target)
    assert order.diff(_listed(box)).clean
    listed = _listed(box)
    for name, after in combinations(NAMES, 2):
        one, other = (next(row for row in listed if row["description"] == n) for n in (name, after))
        if one["interface"] == other["interface"]:
            assert listed.index(one) < listed.index(other)
    for group in (200_000, 400_000):
        left = [r["description"] for r in _listed(box) if _group(r) == group]
        assert [name for name in left if "theirs" in name] == [
            name for name in theirs if name in left
        ], "somebody else's rules changed places among themselves"
