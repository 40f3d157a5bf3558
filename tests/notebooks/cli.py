"""Runs papermill as a person runs it, on small notebooks."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = """
count: int = 3  # how many
name: str = "a"  # what it is called
mode: str = "plan"  # plan | apply | verify; what to do
only: list = []  # names
"""
# The same as `papermill --engine runbook` where the package is not installed.
_REGISTERING = (
    "from papermill.engines import papermill_engines; from papermill.cli import papermill;"
    "from homelab_lib.papermill_engine import RunbookEngine;"
    "papermill_engines.register('runbook', RunbookEngine); papermill()"
)


def written(path: Path, *cells: str) -> Path:
    """A notebook of cells after a parameters cell."""
    first = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    nb = new_notebook(cells=[first, *map(new_code_cell, cells)])
    nb.metadata.kernelspec = {"name": "python3", "display_name": "Python", "language": "python"}
    path.parent.mkdir(exist_ok=True)
    nbformat.write(nb, path)
    return path


@dataclass
class Papermill:
    """A run under way; its output lies beside the notebook."""

    notebook: Path
    process: subprocess.Popen[str]
    stderr: str = ""

    @property
    def out(self) -> Path:
        return self.notebook.with_name("out.ipynb")

    @property
    def returncode(self) -> int:
        return self.process.returncode

    def ended(self) -> "Papermill":
        _, self.stderr = self.process.communicate(timeout=50)
        return self

    def begun(self, marker: Path) -> "Papermill":
        """Waits until a file is there."""
        until = time.monotonic() + 50
        while not marker.exists() and self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        assert marker.exists(), self.ended().stderr
        return self

    def cells(self) -> list[Any]:
        """The cells of the output, without papermill's own."""
        cells = nbformat.read(self.out, as_version=4).cells
        return [c for c in cells if "papermill-error-cell-tag" not in c.metadata.get("tags", ())]

    def statuses(self) -> list[str]:
        return [cell.metadata.papermill.status for cell in self.cells()]

    def facts(self) -> dict[str, Any]:
        return json.loads(self.out.read_text())["metadata"]["papermill"]

    def kernels(self) -> list[str]:
        """Kernels of this run that are alive, by their connection file."""
        found = []
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has ended meanwhile
                found.append(file.read_bytes().decode(errors="replace"))
        return [line for line in found if str(self.notebook.parent / "runtime") in line]


def papermill(
    notebook: Path, *options: str, out: Path | None = None, shows: bool = False
) -> Papermill:
    """Start it; options follow the paths. `shows`: with the news of its way."""
    installed = any(e.name == "runbook" for e in entry_points(group="papermill.engine"))
    how = ["-m", "papermill"] if installed else ["-c", _REGISTERING]
    quiet = [] if shows else ["--no-progress-bar"]
    line = [sys.executable, *how, "--engine", "runbook", *quiet, str(notebook)]
    (notebook.parent / "runtime").mkdir(exist_ok=True)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(notebook.parent / "runtime"),  # where the connection file is written
    }
    process = subprocess.Popen(
        [*line, str(out or notebook.with_name("out.ipynb")), *options],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    return Papermill(notebook, process)
