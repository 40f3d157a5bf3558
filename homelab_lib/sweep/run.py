"""Runs a sweep: here, on several processes, or on a Dask cluster; continued where it stopped.

Each variant has a number, and its row depends on nothing but the space and that number. So the
order in which chunks come back, the number of workers, an interruption and a worker that died
halfway change nothing in the table.
"""

import os
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import as_completed as completed_here
from contextlib import closing
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from homelab_lib.errors import BadParameter
from homelab_lib.sweep.evaluate import Evaluator, Row
from homelab_lib.sweep.saved import Saved
from homelab_lib.sweep.space import Space

CHUNK = 250
_WORTH_A_PROCESS = 20_000  # variants; below that, starting Python again takes longer than they do

Chunk = list[int]


def sweep(
    space: Space,
    numbers: Iterable[int] | None = None,
    *,
    file: str | Path | None = None,
    workers: int | None = None,
    scheduler: str = "",
    chunk: int = CHUNK,
    progress: bool = True,
) -> list[Row]:
    """The rows of the variants, in the order of their numbers.

    Parameters
    ----------
    space
        The space.
    numbers
        Which variants: `space.sample(1000)`. None: all.
    file
        Where rows are kept as they come (JSON lines). If it is there, what it holds is not
        computed again. None: nothing is kept.
    workers
        Processes on this machine. None: one, or as many as there are cores where it pays.
    scheduler
        Address of a Dask scheduler, ``tcp://host:8786``; empty: this machine. The workers need
        this library in the same version. Needs the extra `cluster`.
    chunk
        Variants that a worker is sent at a time.
    progress
        Show a bar.

    Raises
    ------
    BadParameter
        The file is of another sweep, a number is outside of the space, or `dask.distributed` is
        not installed.
    KeyboardInterrupt
        Interrupted; with a `file`, the same call goes on where it stopped.
    """
    wanted = sorted(set(space.grid() if numbers is None else numbers))
    if wanted and not 0 <= wanted[0] <= wanted[-1] < len(space):
        raise BadParameter(f"the space has variants 0 to {len(space) - 1}")
    if chunk < 1 or (workers is not None and workers < 1):
        raise BadParameter(f"chunk is {chunk}, workers {workers}; both have to be at least 1")
    rows: dict[int, Row] = {}
    with Saved.open(file, space.digest) as saved:
        rows.update((n, saved.rows[n]) for n in wanted if n in saved.rows)
        left = [number for number in wanted if number not in rows]
        chunks = [left[at : at + chunk] for at in range(0, len(left), chunk)]
        bar = tqdm(total=len(wanted), initial=len(rows), unit=" variants", disable=not progress)
        with bar, closing(_results(space, chunks, workers, scheduler)) as results:
            for found in results:
                saved.add(found)
                rows.update((row["variant"], row) for row in found)
                bar.update(len(found))
    return [rows[number] for number in wanted]


def _results(
    space: Space, chunks: Sequence[Chunk], workers: int | None, scheduler: str
) -> Generator[list[Row]]:
    if scheduler:
        return _on_cluster(space, chunks, scheduler)
    if workers is None:
        pays = sum(map(len, chunks)) >= _WORTH_A_PROCESS
        workers = (os.cpu_count() or 1) if pays else 1
    if workers == 1:
        return _in_this_process(space, chunks)
    return _in_processes(space, chunks, workers)


def _in_this_process(space: Space, chunks: Sequence[Chunk]) -> Generator[list[Row]]:
    evaluator = Evaluator(space)
    for numbers in chunks:
        yield [evaluator(number) for number in numbers]


_evaluator: Evaluator | None = None
"""Of a worker process: what it keeps from one chunk to the next."""


def _begin_worker(space: Space) -> None:
    global _evaluator
    _evaluator = Evaluator(space)


def _chunk_of_worker(numbers: Chunk) -> list[Row]:
    assert _evaluator is not None
    return [_evaluator(number) for number in numbers]


def _in_processes(space: Space, chunks: Sequence[Chunk], workers: int) -> Generator[list[Row]]:
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_begin_worker, initargs=(space,)
    )
    try:
        for future in completed_here([pool.submit(_chunk_of_worker, each) for each in chunks]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


@lru_cache(maxsize=4)
def _evaluator_by(digest: str) -> list[Evaluator]:
    """A place in each worker for the evaluator of a space."""
    return []


def _chunk_on_cluster(space: Space, digest: str, numbers: Chunk) -> list[Row]:
    place = _evaluator_by(digest)
    if not place:
        place.append(Evaluator(space))
    return [place[0](number) for number in numbers]


def _on_cluster(space: Space, chunks: Sequence[Chunk], scheduler: str) -> Generator[list[Row]]:
    """A chunk whose worker dies is sent to another one by the scheduler."""
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise BadParameter(
            "dask.distributed is not installed", fix="pip install 'homelab[cluster]'"
        ) from None
    with Client(scheduler, set_as_default=False) as client:
        digest = space.digest
        shared = client.scatter(space, broadcast=True)
        futures = [
            client.submit(_chunk_on_cluster, shared, digest, numbers, pure=False, retries=2)
            for numbers in chunks
        ]
        try:
            for future in as_completed(futures, loop=client.loop):
                yield future.result()
        finally:
            client.cancel(futures)
