"""Runs of sweeps: the same table whatever happens on the way."""

import json

import pytest

from homelab_lib.errors import BadParameter
from homelab_lib.lab import load_lab
from homelab_lib.sweep import run
from homelab_lib.sweep.run import sweep
from homelab_lib.sweep.space import space_of


@pytest.fixture(scope="module")
def space():
    return space_of(load_lab(), load_lab(decisions=False))


@pytest.fixture(scope="module")
def numbers(space):
    return space.sample(300, seed=1)


@pytest.fixture(scope="module")
def table(space, numbers):
    return sweep(space, numbers, progress=False)


def test_rows_are_in_the_order_of_their_numbers(table, numbers):
    assert [row["variant"] for row in table] == numbers


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_chunks_and_order_change_nothing(space, numbers, table, chunk):
    assert sweep(space, reversed(numbers), chunk=chunk, progress=False) == table


@pytest.mark.slow
def test_two_processes_find_the_same(space, numbers, table):
    assert sweep(space, numbers, workers=2, chunk=50, progress=False) == table


def _interrupted(space, numbers, file, monkeypatch, after):
    """A sweep that is interrupted after so many variants."""
    done = []

    class Tired(run.Evaluator):
        def __call__(self, number):
            if len(done) == after:
                raise KeyboardInterrupt
            done.append(number)
            return super().__call__(number)

    with monkeypatch.context() as patch:
        patch.setattr(run, "Evaluator", Tired)
        with pytest.raises(KeyboardInterrupt):
            sweep(space, numbers, file=file, chunk=20, progress=False)


def test_an_interrupted_sweep_goes_on_where_it_stopped(
    space, numbers, table, tmp_path, monkeypatch
):
    file = tmp_path / "sweep.jsonl"
    _interrupted(space, numbers, file, monkeypatch, after=130)
    assert len(file.read_text().splitlines()) == 1 + 120  # whole chunks, and the head
    evaluated = []

    class Counting(run.Evaluator):
        def __call__(self, number):
            evaluated.append(number)
            return super().__call__(number)

    monkeypatch.setattr(run, "Evaluator", Counting)
    assert sweep(space, numbers, file=file, progress=False) == table
    assert len(evaluated) == 180
    assert sweep(space, numbers, file=file, progress=False) == table
    assert len(evaluated) == 180


@pytest.mark.parametrize("cut", [1, 30, 400])
def test_a_line_that_was_cut_off_is_computed_again(space, numbers, table, tmp_path, cut):
    file = tmp_path / "sweep.jsonl"
    sweep(space, numbers, file=file, progress=False)
    file.write_bytes(file.read_bytes()[:-cut])
    assert sweep(space, numbers, file=file, progress=False) == table
    assert len(file.read_text().splitlines()) == 301


def test_a_head_that_was_cut_off_begins_anew(space, numbers, table, tmp_path):
    file = tmp_path / "sweep.jsonl"
    file.write_text('{"sweep": "12')
    assert sweep(space, numbers, file=file, progress=False) == table
    assert json.loads(file.read_text().splitlines()[0]) == {"sweep": space.digest}


@pytest.mark.parametrize(
    "text", ['{"sweep": "another"}\n', "a,b,c\n", "letter to my aunt", '{"sweep": "x"}\n[]\n']
)
def test_another_file_is_left_alone(space, numbers, tmp_path, text):
    file = tmp_path / "mine.txt"
    file.write_text(text)
    with pytest.raises(BadParameter, match="can't go on from the file"):
        sweep(space, numbers, file=file, progress=False)
    assert file.read_text() == text


def test_a_number_outside_of_the_space_is_refused(space):
    with pytest.raises(BadParameter, match="the space has variants 0 to"):
        sweep(space, [len(space)])


def test_progress_is_shown(space, numbers, capsys):
    sweep(space, numbers)
    assert "300/300" in capsys.readouterr().err
