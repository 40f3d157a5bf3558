"""A connection through a program: ProxyCommand.

Source: ssh_config(5), ProxyCommand; ``ssh_proxy_connect`` in OpenSSH's sshconnect.c.
"""

import os
import signal
import socket
import subprocess
import threading
from collections import deque
from contextlib import suppress

_ENDING_S = 1.0  # for the program, once it was told to go
_LINES, _LINE_BYTES = 5, 500  # of what it complains


class Piped(socket.socket):
    """Our end of what the program carries. With it the program goes."""

    _program: "subprocess.Popen[bytes]"
    _listener: threading.Thread
    _complaints: deque[bytes]

    @classmethod
    def through(cls, command: str) -> "Piped":
        """Start the program by the person's shell, as `ssh` does. It has no terminal to ask at.

        Raises
        ------
        OSError
            There is no such shell.
        """
        ours, theirs = socket.socketpair()
        with ours, theirs:
            program = subprocess.Popen(
                [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            link = cls(fileno=ours.detach())
        link._program = program
        link._complaints = deque(maxlen=_LINES)
        link._listener = threading.Thread(target=link._listen, daemon=True)
        link._listener.start()
        return link

    def _listen(self) -> None:
        stderr = self._program.stderr
        assert stderr is not None
        with stderr:
            while line := stderr.readline(_LINE_BYTES):
                self._complaints.append(line)

    def complaint(self) -> str:
        """What the program says besides, in a line; empty while there is nothing."""
        with suppress(subprocess.TimeoutExpired):
            self._program.wait(_ENDING_S)  # it may be about to say it
            self._listener.join(_ENDING_S)
        lines = (line.decode(errors="replace").strip() for line in self._complaints)
        return "; ".join(line for line in lines if line)

    def close(self) -> None:
        """Hang up, and see the program gone."""
        super().close()
        for blow in (signal.SIGHUP, signal.SIGKILL):
            if self._program.poll() is None:  # else its number may be another's by now
                with suppress(ProcessLookupError):
                    os.killpg(self._program.pid, blow)
            with suppress(subprocess.TimeoutExpired):
                self._program.wait(_ENDING_S)
        self._listener.join(_ENDING_S)
