"""The same sweep on a real Dask cluster, with a worker that dies in the middle."""

import os
import signal
import time

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.sweep.run import sweep
from homelab_lib.sweep.space import space_of

distributed = pytest.importorskip(
    "distributed", reason="dask.distributed is not installed: pip install 'homelab[cluster]'"
)

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def cluster():
    from distributed import LocalCluster

    # A nanny would start the worker that we kill again; the sweep must do without it.
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as there:
        yield there


def test_a_worker_that_dies_changes_nothing(cluster, tmp_path, monkeypatch):
    space = space_of(load_lab(), load_lab(decisions=False))
    numbers = space.sample(4000, seed=3)
    expected = sweep(space, numbers, progress=False)
    pids = [worker.pid for worker in cluster.workers.values()]
    assert len(set(pids) - {os.getpid()}) == 2
    killed = []

    from homelab_lib.sweep.saved import Saved

    add = Saved.add

    def add_and_kill(self, rows):
        add(self, rows)
        if not killed:
            killed.append(pids[0])
            os.kill(pids[0], signal.SIGKILL)

    monkeypatch.setattr(Saved, "add", add_and_kill)
    file = tmp_path / "sweep.jsonl"
    found = sweep(
        space, numbers, file=file, scheduler=cluster.scheduler_address, chunk=40, progress=False
    )
    assert killed
    assert found == expected
    assert len(file.read_text().splitlines()) == 1 + len(numbers)


def test_an_interrupted_sweep_goes_on_elsewhere(cluster, tmp_path, monkeypatch):
    from homelab_lib.sweep.saved import Saved

    space = space_of(load_lab())
    numbers = space.sample(500, seed=4)
    file = tmp_path / "sweep.jsonl"
    add = Saved.add

    def add_and_stop(self, rows):
        add(self, rows)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Saved, "add", add_and_stop)
        with pytest.raises(KeyboardInterrupt):
            sweep(
                space, numbers, file=file, scheduler=cluster.scheduler_address, chunk=20,
                progress=False,
            )  # fmt: skip
    assert len(file.read_text().splitlines()) == 21
    began = time.monotonic()
    assert sweep(space, numbers, file=file, progress=False) == sweep(space, numbers, progress=False)
    assert time.monotonic() - began < 60
