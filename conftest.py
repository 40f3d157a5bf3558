"""Guards for notebooks under nbval, which passes what was stripped and looks at no error."""

import json
from pathlib import Path

import pytest


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> None:
    """A notebook that is to be compared has to have something to compare."""
    if file_path.suffix != ".ipynb" or not parent.config.getoption("--nbval", default=False):
        return
    faults = notebook_faults(json.loads(file_path.read_text(encoding="utf-8")))
    if faults:
        raise pytest.UsageError(f"{file_path}: {'; '.join(faults)}. Run `make notebooks`.")


def notebook_faults(notebook: dict) -> list[str]:
    """Why nbval would pass a notebook without having compared it."""
    cells = [
        c for c in notebook["cells"] if c["cell_type"] == "code" and "".join(c["source"]).strip()
    ]
    faults = []
    if not cells:
        faults.append("it has no code")
    if any(cell.get("execution_count") is None for cell in cells):
        faults.append("some of its cells were never run")
    if cells and not any(cell["outputs"] for cell in cells):
        faults.append("its outputs were stripped")
    if any(out["output_type"] == "error" for cell in cells for out in cell["outputs"]):
        faults.append("it was stored with an error")
    ignored = [c for c in cells if "NBVAL_IGNORE_OUTPUT" in "".join(c["source"])]
    if len(ignored) > len(cells) // 2:
        faults.append("most of its outputs are ignored")
    return faults
