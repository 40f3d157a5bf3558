"""The same answer with sliders and without."""

import pytest

from homelab_lib.views.slider import ask


def show(price, duty):
    return f"{price} {duty}"


AXES = {"price": (0.0, 1.0, 0.01, 0.17), "duty": (0.0, 1.0, 0.05, 0.1)}


def test_without_a_front_end_it_is_the_answer():
    assert ask(show, sliders=False, **AXES) == "0.17 0.1"


def test_with_sliders_it_begins_with_the_same_answer():
    widget = ask(show, sliders=True, **AXES)
    assert [child.value for child in widget.children[:2]] == [0.17, 0.1]


def test_a_slider_that_is_moved_shows_the_new_answer(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    widget = ask(show, sliders=True, **AXES)
    widget.update()
    assert set(shown) == {"0.17 0.1"}
    widget.children[0].value = 0.5
    assert shown[-1] == "0.5 0.1"


def test_a_first_value_outside_of_its_range():
    with pytest.raises(ValueError, match="price begins with 7"):
        ask(show, sliders=False, price=(0.0, 1.0, 0.01, 7.0))
