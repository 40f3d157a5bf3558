"""Notebooks in JupyterLab, as whoever opens them meets them: Run All, and a slider is moved."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
_LONG_MS = 45_000
_DONE = """() => {
  const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
  const texts = prompts.map(e => e.textContent);  // empty where the code is hidden
  return !texts.some(t => t.includes('*')) && /\\d/.test(texts[texts.length - 1]);
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab over copies of the notebooks: its address."""
    folder = tmp_path_factory.mktemp("lab")
    for name in ("00_overview", "01_storage", "07_audit"):
        shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", folder)
    shutil.copy(ROOT / "runbooks" / "phase2.ipynb", folder)
    for file in folder.glob("*.ipynb"):  # what a cell has shown, it has shown in this run
        notebook = nbformat.read(file, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, file)
    sliders = (folder / "01_storage.ipynb").read_text()
    (folder / "01_storage.ipynb").write_text(sliders.replace("bool = False", "bool = True"))
    log = folder / "jupyter.log"
    settings = folder / "settings"
    settings.mkdir()
    # An output that lies below is rendered at once, and no news of Jupyter are fetched.
    overrides = {
        "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
        "@jupyterlab/apputils-extension:notification": {
            "fetchNews": "false", "checkForUpdates": False},
    }  # fmt: skip
    (settings / "overrides.json").write_text(json.dumps(overrides))
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "HOMELAB_REPORTS": str(folder / "reports"),
        "HOMELAB_STATE": str(folder / "state"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    words = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", "--log-level=INFO",
             "--IdentityProvider.token=", f"--LabApp.app_settings_dir={settings}"]  # fmt: skip
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *words],
            cwd=folder, env=environment, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        yield _address(log, server)
    finally:
        server.terminate()
        server.wait(30)


def _address(log: Path, server: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        if found:
            return found[0]
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture
def run_all(chromium, lab):
    """Opens a notebook, runs all of it, and gives the page."""
    shown = chromium.new_page(viewport={"width": 1280, "height": 900})

    def run(name: str):
        shown.goto(f"{lab}/lab/tree/{name}.ipynb?reset")
        shown.locator(".jp-CodeCell").first.wait_for(timeout=_LONG_MS)
        shown.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=_LONG_MS)
        shown.get_by_text("Run", exact=True).first.click()
        shown.get_by_text("Run All Cells", exact=True).click()
        shown.wait_for_function(_DONE, timeout=_LONG_MS)
        return shown

    yield run
    shown.close()


@pytest.mark.parametrize("name", ["00_overview", "01_storage", "07_audit", "phase2"])
def test_all_cells_run_and_nothing_is_said_on_stderr(run_all, name):
    shown = run_all(name)
    assert shown.locator(".jp-RenderedText[data-mime-type*='error']").count() == 0
    assert shown.locator(".jp-RenderedText[data-mime-type*='stderr']").all_inner_texts() == []
    if name == "phase2":
        assert "changes sent (rehearsed)" in shown.locator(".jp-Notebook").inner_text()
        news = shown.get_by_text("rehearsing", exact=False)
        assert news.count() == 0, "a card has taken the place of the news"


def test_a_slider_that_is_moved_changes_its_table(run_all):
    shown = run_all("01_storage")
    handle = shown.locator(".widget-slider .noUi-handle")
    handle.scroll_into_view_if_needed()
    table = shown.locator(".widget-output table")
    table.wait_for(timeout=_LONG_MS)
    before = table.inner_text()
    assert "3.00%" in before
    handle.focus()
    for _ in range(5):
        shown.keyboard.press("ArrowRight")
    shown.wait_for_function(
        "before => document.querySelector('.widget-output table')?.innerText !== before",
        arg=before, timeout=_LONG_MS,
    )  # fmt: skip
    assert "3.00%" not in table.inner_text()
    label = shown.locator(".widget-slider .widget-label")
    assert label.evaluate("e => e.scrollWidth <= e.clientWidth"), "the label is cut"
