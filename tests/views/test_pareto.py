"""A sweep in a table and a picture: the same numbers in both, and the lab's own design marked."""

import re

import pytest

from homelab_lib.views import pareto


def design(variant, cost, tokens, *ruled_out):
    return {
        "variant": variant, "pool": f"pool {variant}", "link": "a cable", "cards": "no card",
        "supply_w": 750, "serving": "no model", "cost_usd": cost, "power_w": 100.0,
        "usable_bytes": 2**40, "loss_probability": 1e-3, "storage_path_bps": 1e9,
        "tokens_per_s": tokens, "limited_by": "the wire", "ruled_out": list(ruled_out),
    }  # fmt: skip


BUILT = [
    design(0, 900.0, 90.0),
    design(1, 500.0, 50.0),
    design(2, 700.0, 40.0),
    design(3, 500.0, 50.0),
]
FRONT = [0, 1, 3]


def texts(drawing):
    return re.findall(r"<text[^>]*>([^<]*)</text>", drawing.document)


def test_a_row_of_the_table_has_the_number_that_its_point_has():
    table = pareto.front_table(BUILT, FRONT, own=0)
    assert list(table.index) == [1, 2]
    assert list(table["pool"]) == ["pool 1", "pool 0"]
    assert list(table["also"]) == ["1 more", ""]
    assert list(table["yours"]) == ["", "★ yours"]
    shown = texts(pareto.pareto(BUILT, FRONT, yours=BUILT[0]))
    beside = [text for text in shown if text in ("1", "2", "3")]
    assert sorted(beside) == ["1"] * 4 + ["2"] * 4, "each of the front, once in each panel"


def test_your_own_that_is_beaten_is_in_the_table_and_in_the_picture():
    table = pareto.front_table(BUILT, FRONT, own=2)
    assert table.loc[2, "yours"] == "★ yours"
    assert "yours" in texts(pareto.pareto(BUILT, FRONT, yours=BUILT[2]))


@pytest.mark.parametrize("known", [True, False])
def test_your_own_that_is_ruled_out_is_hollow_or_not_there_to_be_drawn(known):
    own = design(9, 800.0, 80.0, "the plug does not fit")
    own |= {} if known else dict.fromkeys(("cost_usd", "usable_bytes", "loss_probability",
                                           "storage_path_bps", "tokens_per_s"))  # fmt: skip
    shown = texts(pareto.pareto(BUILT, FRONT, yours=own))
    assert ("yours, which is ruled out" in shown) is known
    assert "is ruled out: the plug does not fit" in pareto.own_design([*BUILT, own], 9, FRONT)


def test_no_choice_is_broken_over_two_lines_of_the_list():
    said = pareto.told({"cards": ["no card", "two cards: a VM each, 16 GiB a card"]})
    assert said.splitlines() == [
        "- **cards**: 2",
        "    - no card",
        "    - two cards: a VM each, 16 GiB a card",
    ]
