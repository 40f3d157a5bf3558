"""A papermill engine whose record is true.

Papermill's own engine calls cells that never ran completed when the kernel dies, time runs out or
somebody presses Ctrl-C; it runs notebooks with parameters they don't have; and it writes over the
output file in place. ``papermill --engine runbook IN.ipynb OUT.ipynb`` does none of this.

Source: papermill 2.7, `engines.py` and `execute.py`; nbclient 0.11, `client.py`.
"""

import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
import nbformat
from papermill.engines import NBClientEngine, NotebookExecutionManager
from papermill.iorw import papermill_io
from papermill.log import logger

from homelab_lib.durable import replace
from homelab_lib.errors import HomelabError
from homelab_lib.notebook import record
from homelab_lib.notebook.client import PATIENCE_S, KernelClient
from homelab_lib.notebook.closing import by_papermill, closing
from homelab_lib.notebook.ending import raise_for_errors
from homelab_lib.notebook.parameters import declared, problems, runbook_of
from homelab_lib.printable import printable, without_colours
from homelab_lib.views.progress import Screen

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrueManager(NotebookExecutionManager):
    """Says of a cell what happened to it."""

    interrupted_by = ""
    _saves_soon = False  # the file is written by the next code cell's beginning, or at the end
    client: KernelClient | None = None
    screen: Screen | None = None

    def cell_start(self, cell: Any, cell_index: int | None = None, **options: Any) -> None:
        if self.interrupted_by:  # also where the cell before took the interrupt for itself
            raise KeyboardInterrupt
        self._saves_soon = cell.cell_type != "code"
        super().cell_start(cell, cell_index, **options)

    def save(self, **options: Any) -> None:
        """Write the file. Papermill does twice for each cell, prose too: as often as there are
        code cells says the same, and a long notebook takes seconds less."""
        if not self._saves_soon:
            super().save(**options)

    def cell_complete(self, cell: Any, cell_index: int | None = None, **options: Any) -> None:
        if cell.metadata.papermill["status"] == self.PENDING:
            return  # it never started
        if self.interrupted_by:  # the cell has ended; now the kernel's own end gets its time
            signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
        broken_off = sys.exc_info()[0]  # it is called while an exception passes through
        self._saves_soon = True
        super().cell_complete(cell, cell_index=cell_index, **options)
        by = self.interrupted_by or (broken_off.__name__ if broken_off else "")
        if not by:
            return
        cell.metadata.papermill.update(status="interrupted", exception=True)
        self.nb.metadata.papermill.update(exception=True, interrupted_by=by)
        self._saves_soon = False
        self.save()

    def notebook_complete(self, **options: Any) -> None:
        self._saves_soon = False
        before = [cell.metadata.papermill["status"] for cell in self.nb.cells]
        super().notebook_complete(**options)
        for cell, status in zip(self.nb.cells, before, strict=True):
            cell.metadata.papermill["status"] = status
        if self.interrupted_by and self.PENDING in before:
            self.nb.metadata.papermill.update(exception=True, interrupted_by=self.interrupted_by)
        self.save()

    def autosave_cell(self) -> None:
        """Save in the midst of a cell; that it can't be done is no reason to cut the cell off."""
        try:
            super().autosave_cell()
        except click.ClickException as error:
            self.last_save_time = self.now()
            print(error.format_message(), file=sys.stderr)


class RunbookEngine(NBClientEngine):
    """Runs a runbook's notebook."""

    @classmethod
    def execute_notebook(
        cls,
        nb: nbformat.NotebookNode,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: Any = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        says_closing: bool = True,
        **options: Any,
    ) -> nbformat.NotebookNode:
        """Run all cells; see papermill's `Engine.execute_notebook`.

        Parameters
        ----------
        progress_bar
            Whether a run's news are shown on stderr, in place of papermill's bar of cells.
        says_closing
            Whether the run's last lines are printed; who does it himself has it False.

        Raises
        ------
        click.ClickException
            The parameters are wrong: no kernel was started and no file written. Or a cell failed:
            it tells what the cell's error says. Or a cell left by ``sys.exit(0)``, which papermill
            takes for a good end.
        SystemExit
            A signal stopped the run: 128 and its number, as a shell has it.
        """
        gc.set_threshold(100_000)  # what is read stays to the end
        _refuse_wrong_parameters(nb, options.get("input_path"))
        _write_whole_files()
        os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # papermill's command does
        manager = TrueManager(
            nb,
            output_path=output_path,
            progress_bar=False,
            log_output=log_output,
            autosave_cell_every=autosave_cell_every,
        )
        source = str(options.get("input_path") or "")
        options.setdefault("extra_arguments", ["--log-level=ERROR"])
        manager.screen = Screen(sys.stderr) if progress_bar else None
        with _signals_go_to(manager):
            manager.notebook_start()
            try:
                cls.execute_managed_notebook(manager, kernel_name, log_output=log_output, **options)
            except KeyboardInterrupt:
                if not manager.interrupted_by:
                    raise
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                if manager.screen is not None:
                    manager.screen.close()
                try:
                    _make_printable(manager.nb)
                    manager.notebook_complete()
                finally:
                    record.keep(manager.nb)
        if by := manager.interrupted_by:
            print(f"stopped by {by}; {_what_ran(manager.nb)}", file=sys.stderr)
            print("  next:  run the same command again: it looks at what is done, and goes on",
                  file=sys.stderr)  # fmt: skip
            raise SystemExit(128 + signal.Signals[by])
        if _left_early(manager.nb):
            raise click.ClickException(f"a cell left by sys.exit; {_what_ran(manager.nb)}")
        raise_for_errors(manager.nb, output_path, "papermill" if says_closing else None)
        if says_closing:
            _say_closing(manager.nb, source, output_path)
        return manager.nb

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: TrueManager,
        kernel_name: str,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        **options: Any,
    ) -> None:
        """Run the cells in a kernel that hears of our signals."""
        for unused in ("input_path", "timeout", "startup_timeout"):
            options.pop(unused, None)
        client = KernelClient(
            nb_man,
            timeout=execution_timeout,
            startup_timeout=start_timeout,
            kernel_name=kernel_name,
            log=logger,
            log_output=log_output,
            stdout_file=stdout_file,
            stderr_file=stderr_file,
            **options,
        )
        nb_man.client = client
        client.screen = nb_man.screen
        try:
            client.execute()
        finally:
            client.no_kernel_left()


def _refuse_wrong_parameters(nb: nbformat.NotebookNode, path: Any) -> None:
    given = nb.metadata.papermill.get("parameters", {})
    try:
        wrong = problems(declared(nb), given) if given else []
    except SyntaxError as error:
        wrong = [f"the `parameters` cell is not plain Python: line {error.lineno}: {error.msg}"]
    if wrong:
        ask = f"  next:  papermill --help-notebook {path}" if path else ""
        raise click.ClickException("\n".join([*wrong, ask]).rstrip())
    if not runbook_of(nb):
        return
    # The whole library: papermill loads this module at each start, whatever it is to run.
    from homelab_lib.notebook import preflight

    try:
        preflight.refuse(nb, given)
    except HomelabError as error:
        raise click.ClickException(str(error)) from None


def _say_closing(nb: nbformat.NotebookNode, source: str, output_path: str | None) -> None:
    folder = record.folder_of(nb)
    if folder is None:
        return
    given = nb.metadata.papermill.get("parameters", {})
    told = closing(folder, by_papermill(source or "RUNBOOK", output_path or "OUT", given))
    if told:
        print(told, flush=True)


def _make_printable(nb: nbformat.NotebookNode) -> None:
    """Papermill prints the error that ended a run as it stands; what a host said may be in it."""
    for cell in nb.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                output.evalue = printable(output.evalue)
                output.traceback = [printable(without_colours(line)) for line in output.traceback]


def _what_ran(nb: nbformat.NotebookNode) -> str:
    """Which code cell was the last to begin, and how many were not run."""
    status = [c.metadata.papermill["status"] for c in nb.cells if c.cell_type == "code"]
    waiting = status.count(NotebookExecutionManager.PENDING)
    return (
        f"code cell {len(status) - waiting} of {len(status)} was the last; {waiting} were not run"
    )


def _left_early(nb: nbformat.NotebookNode) -> bool:
    """Whether a cell ended the run by what papermill takes for success."""
    return any(
        output.output_type == "error"
        and output.ename == "SystemExit"
        and output.evalue in ("", "0", "None")
        for cell in nb.cells
        if cell.metadata.papermill["status"] == NotebookExecutionManager.FAILED
        for output in cell.get("outputs", ())
    )


@contextmanager
def _signals_go_to(manager: TrueManager) -> Iterator[None]:
    """Ctrl-C and SIGTERM interrupt the cell, so that it can end as it should: the journal gets its
    last line, nothing is sent any more, and no other cell begins. Only the second one, or a cell
    that does not end in time, breaks the run off."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals come to the main thread; whoever called us has it
        return

    def broken_off(*_: Any) -> None:
        raise KeyboardInterrupt

    def interrupted(number: int, _: Any) -> None:
        manager.interrupted_by = signal.Signals(number).name
        for each in _SIGNALS:
            signal.signal(each, broken_off)
        if manager.client is not None and manager.client.at_work:
            manager.client.interrupt()
        signal.signal(signal.SIGALRM, broken_off)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)

    before = {each: signal.signal(each, interrupted) for each in _SIGNALS}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for each, handler in before.items():
            signal.signal(each, handler)


def _write_whole_files() -> None:
    """Have papermill write local files whole or not at all."""
    handler = papermill_io.get_handler("notebook.ipynb")
    handler.write = partial(_write, handler)


def _write(handler: Any, text: str, path: str) -> None:
    target = Path(handler._cwd or ".", path)
    if not target.parent.is_dir():
        raise click.ClickException(f"there is no folder {target.parent} to write {target.name} to")
    try:
        replace(target, text)
    except OSError as error:
        raise click.ClickException(f"{target} can't be written: {error.strerror}") from None
