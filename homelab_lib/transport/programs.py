"""Runs a program of this machine that has nothing to ask us, for no longer than it may take."""

import os
import signal
import subprocess
from collections.abc import Sequence

PATIENCE_S = 30.0  # for a `Match exec` that asks the network, say


def run(words: Sequence[str]) -> "subprocess.CompletedProcess[bytes]":
    """Run it to its end. It gets no input and no terminal.

    Raises
    ------
    OSError
        There is no such program; or it took too long (`TimeoutError`), and was ended with all that
        it had started.
    """
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as ran:
        try:
            out, err = ran.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(ran.pid, signal.SIGKILL)
            raise TimeoutError(f"no end within {PATIENCE_S:g} s") from None
    return subprocess.CompletedProcess(words, ran.returncode, out, err)
