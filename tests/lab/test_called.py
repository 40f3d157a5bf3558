"""What a person calls parts."""

import pytest

from homelab_lib.lab.called import short, told_apart


@pytest.mark.parametrize(
    ("title", "said"),
    [("NVIDIA GeForce RTX 4070 Ti Super", "RTX 4070 Ti Super"), ("NVIDIA L4", "L4"),
     ("AMD Radeon RX 7900 XT", "RX 7900 XT"), ("Intel Arc B580", "Arc B580"),
     ("Intel X710-DA2", "Intel X710-DA2"), ("AMD Instinct MI50", "AMD Instinct MI50"),
     ("Marvell (Aquantia) AQC113, on board", "Marvell AQC113, on board")],
)  # fmt: skip
def test_a_maker_is_left_out_where_the_model_says_whose_it_is(title, said):
    assert short(title) == said


def test_two_of_a_kind_are_told_apart_and_nothing_else_is():
    titles = {"a.gpu1": "AMD Radeon RX 7600", "a.gpu2": "AMD Radeon RX 7600", "b.gpu": "NVIDIA L4"}
    called = told_apart(titles)
    assert called == {"a.gpu1": "RX 7600 (a.gpu1)", "a.gpu2": "RX 7600 (a.gpu2)", "b.gpu": "L4"}
