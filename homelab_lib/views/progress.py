"""A bar for the step at work, gone when the step is done."""

import sys
from collections.abc import Callable
from types import TracebackType

from tqdm import tqdm

from homelab_lib.printable import printable


class StepBar:
    """Shows how many of a step's foretold changes were sent, and what is being waited for.

    Parameters
    ----------
    step
        The step's name.
    expected
        How many changes the plan has for it.
    sent
        Gives how many changes were sent in this run.
    """

    def __init__(self, step: str, expected: int, sent: Callable[[], int]) -> None:
        self._sent, self._before = sent, sent()
        self._bar = tqdm(
            total=expected or None, desc=step, leave=False, file=sys.stderr, dynamic_ncols=True
        )
        self._last = ""

    def __call__(self, step: str, host: str, text: str) -> None:
        """The engine's `progress`: `step` is empty for news of work that is going on."""
        line = printable(f"{host}: {text}", one_line=True)
        if line != self._last:
            self._bar.n = self._sent() - self._before
            self._bar.set_postfix_str(line[:70])
            self._last = line

    def __enter__(self) -> "StepBar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()
