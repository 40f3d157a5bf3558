"""The kernel of a runbook: interrupted at work, given time to clear up, never left behind."""

import os
import signal
import sys
import tempfile
from contextlib import suppress
from typing import Any

from jupyter_core.utils import run_sync
from papermill.clientwrap import PapermillNotebookClient

from homelab_lib.views.progress import MIME, Screen

PATIENCE_S = 20.0  # for a cell to end after it was interrupted
_REPLY_S = 1.0  # for the kernel's word that it did


class KernelClient(PapermillNotebookClient):
    """Papermill's client, which knows when the kernel is at work on a cell.

    An idle kernel ignores an interrupt, and one that starts dies of it. So an interrupt that
    comes between a cell's being sent and its beginning waits until it begins.

    Source: nbclient 0.11, `client.py`; jupyter_client 8.10, `manager.py`, `connect.py`.
    """

    at_work = False
    screen: Screen | None = None
    """Shows the news of a run; they are no output of a cell."""
    _sockets: tempfile.TemporaryDirectory[str] | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._of_news: set[str | None] = set()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the kernel lives)
        self._told_bytes: int | None = None

    def create_kernel_manager(self) -> Any:
        """A manager whose kernel is spoken to over sockets in a folder of its own.

        Over TCP the ports are chosen, let go, and taken up by the kernel a second later: another
        kernel that starts just then may have one of them.
        """
        manager = super().create_kernel_manager()
        if os.name == "posix":
            # A socket's path may have 107 bytes, which leaves no room for a folder of one's own.
            self._sockets = tempfile.TemporaryDirectory(prefix="kernel-", dir="/tmp")
            manager.transport, manager.ip = "ipc", f"{self._sockets.name}/channel"
        return manager

    def start_new_kernel(self, **kwargs: Any) -> None:
        """Start it; what it says that is no output of a cell is kept until it has ended."""
        super().start_new_kernel(stderr=self._said, **kwargs)

    def _cleanup_kernel(self) -> None:
        # A kernel that is asked to go may stumble over its own closed sockets: that is no news.
        if self._told_bytes is None and self.km is not None and run_sync(self.km.is_alive)():
            self._told_bytes = os.fstat(self._said.fileno()).st_size
        super()._cleanup_kernel()

    def process_message(self, msg: dict[str, Any], *args: Any, **options: Any) -> Any:
        if msg["msg_type"] in ("display_data", "update_display_data"):
            news = msg["content"]["data"].get(MIME)
            place = (msg["content"].get("transient") or {}).get("display_id")
            if news is not None:
                self._of_news.add(place)
                if self.screen is not None:
                    self.screen.show(news)
                return None
            if place in self._of_news:  # the card in their place is what the cell has shown
                self._of_news.discard(place)
                msg = msg | {"msg_type": "display_data"}
                msg["header"] = msg["header"] | {"msg_type": "display_data"}
        if msg["msg_type"] == "execute_input":
            self.at_work = True
            if self.nb_man.interrupted_by:
                self.interrupt()
        elif msg["msg_type"] == "status" and msg["content"]["execution_state"] == "idle":
            self.at_work = False
            if self.nb_man.interrupted_by:
                # The cell has ended. One that was hit before its first line gets no reply: don't
                # wait for it. (Only the main thread hears of signals, so this is it.)
                signal.setitimer(signal.ITIMER_REAL, _REPLY_S)
        return super().process_message(msg, *args, **options)

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the cell that runs."""
        kernel = getattr(getattr(self.km, "provisioner", None), "pid", None)
        if kernel is not None:
            with suppress(ProcessLookupError):
                os.kill(kernel, signal.SIGINT)

    async def _async_handle_timeout(self, timeout: int, cell: Any = None) -> Any:
        # nbclient now shuts the kernel down, which begins with an interrupt; half of this time
        # is for the cell to clear up.
        self.km.shutdown_wait_time = 2 * PATIENCE_S
        return await super()._async_handle_timeout(timeout, cell)

    def no_kernel_left(self) -> None:
        """End a kernel that nbclient forgets: one whose start was broken off."""
        if self.km is not None and self.km.has_kernel:
            run_sync(self.km.shutdown_kernel)(now=True)
        if self._sockets is not None:
            self._sockets.cleanup()
        with self._said:
            self._said.seek(0)
            said = self._said.read(self._told_bytes)
        print(said.decode(errors="replace"), end="", file=sys.stderr)
