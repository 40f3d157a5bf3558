"""What a run is at, on a terminal and in a log."""

import io

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from homelab_lib.views.cards import Card
from homelab_lib.views.progress import Screen
from notebooks.cli import papermill


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_log_has_one_line_for_each_wait_and_says_how_long_it_took(clock):
    log = io.StringIO()
    screen = Screen(log, clock)
    for _ in range(20):
        screen.news("machines", "nas", "it does not answer yet")
        clock.now += 3.0
    screen.news("machines", "nas", "make tank")
    screen.news("machines", "nas", "")
    screen.done("machines: ● done (60 s)")
    screen.close()
    assert log.getvalue().splitlines() == [
        "machines: nas: it does not answer yet",
        "machines: nas: it does not answer yet: took 1 min 0 s",
        "machines: nas: make tank",
        "machines: ● done (60 s)",
    ]


def test_a_terminal_has_one_line_that_is_gone_in_the_end(clock, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    screen = Screen(terminal, clock)
    screen.news("machines", "nas", "x" * 300)
    assert len(terminal.getvalue().rpartition("\r")[2].removesuffix("\x1b[K")) < 80
    screen.close()
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert "\n" not in terminal.getvalue()


def test_a_host_does_not_move_the_terminal(clock):
    log = io.StringIO()
    Screen(log, clock).news("machines", "nas", "x\x1b]0;title\x07\ny")
    assert log.getvalue() == "machines: nas: x\\x1b]0;title\\x07\\ny\n"


def test_whoever_looked_on_may_leave(clock):
    log = io.StringIO()
    screen = Screen(log, clock)
    log.close()
    screen.news("machines", "nas", "make tank")
    screen.close()


_STEP = """\
from homelab_lib.views.cards import note_card
from homelab_lib.views.progress import StepNews

with StepNews("machines") as news:
    for number in range(50):
        news("machines", "nas", f"make {number}")
    with StepNews("inner") as inner:
        inner.note("nas", "within")
    news.done("machines: all made")
note_card("the card", place=news.place)"""


@pytest.mark.sample
def test_the_news_of_a_run_are_shown_and_its_card_is_all_that_stays(tmp_path):
    notebook = new_notebook(cells=[new_code_cell(_STEP)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "P", "language": "python"}
    nbformat.write(notebook, tmp_path / "in.ipynb")
    ran = papermill(tmp_path / "in.ipynb", shows=True).ended()
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("machines: nas: make") == 50
    assert "inner: nas: within" in ran.stderr
    assert ran.stderr.splitlines()[-1] == "machines: all made"
    [output] = ran.cells()[-1].outputs
    assert output.data["text/plain"] == "the card"
    assert set(output.data) == {"text/html", "text/plain"}


def test_a_card_that_is_shown_again_stands_where_it_is_asked_for():
    class Display:
        shown = 0

        def update(self, bundle, raw):
            self.shown += 1

    place = Display()
    card = Card("<p>a</p>", "a", place=place)
    card._ipython_display_()
    assert place.shown == 1
    with pytest.raises(NotImplementedError):
        card._ipython_display_()
