"""The executed notebook joins the record, however the run ended, and is a page without network."""

import json
import os
import re
import shutil
import stat
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from homelab_lib.durable import replace as write
from homelab_lib.notebook import record
from homelab_lib.views.notebook_html import notebook_html
from notebooks.cli import papermill, written


def _scrap(data) -> dict:
    scrap = {"name": "record", "data": data, "encoder": "json", "version": 1}
    return {"application/scrapbook.scrap.json+json": scrap}


def _gluing(folder) -> str:
    return (
        "from IPython.display import display\n"
        f"display({_scrap({'path': str(folder), 'status': 'completed'})!r}, raw=True)\n"
        "print('for the reader')"
    )


def test_the_notebook_joins_its_record_after_success_and_failure(tmp_path):
    endings = {"well": "'at the end'", "badly": "1 / 0"}
    runs = {}
    for name, cell in endings.items():
        (tmp_path / name / "record").mkdir(parents=True)
        cells = (_gluing(tmp_path / name / "record"), cell)
        runs[name] = papermill(written(tmp_path / name / "in.ipynb", *cells))
    for name, ran in runs.items():
        assert ran.ended().returncode == (name == "badly"), ran.stderr
        kept = ran.notebook.parent / "record"
        statuses = [
            cell["metadata"]["papermill"]["status"]
            for cell in json.loads((kept / "notebook.ipynb").read_text())["cells"]
        ]
        assert statuses == ran.statuses()
        page = (kept / "notebook.html").read_text()
        assert "for the reader" in page
        assert "from IPython" not in page, "the page is without code"
    assert "ZeroDivisionError" in page


@pytest.mark.sample
def test_a_record_that_is_gone_does_not_fail_the_run(tmp_path):
    """Long, for its kernel; what is said is held below."""
    ran = papermill(written(tmp_path / "in.ipynb", _gluing(tmp_path / "nowhere"))).ended()
    assert ran.returncode == 0
    assert "could not be put into" in ran.stderr


def _executed(*outputs) -> nbformat.NotebookNode:
    return new_notebook(cells=[new_code_cell("1", outputs=list(outputs))])


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_record_that_is_read_only_is_said(tmp_path, capsys):
    tmp_path.chmod(0o555)
    record.keep(_executed(new_output("display_data", _scrap({"path": str(tmp_path)}))))
    assert "Permission denied" in capsys.readouterr().err


@pytest.mark.parametrize("data", ["text", {}, {"path": 3}, {"path": "a\0b"}, None])
def test_a_record_that_is_none_is_said(data, capsys):
    record.keep(_executed(new_output("display_data", _scrap(data))))
    assert "could not be put into its record" in capsys.readouterr().err


def test_the_last_record_counts(tmp_path):
    scraps = [new_output("display_data", _scrap({"path": str(tmp_path / n)})) for n in "ab"]
    assert record.folder_of(_executed(*scraps)) == tmp_path / "b"


def test_the_frames_of_many_runs_go_one_under_the_other(tmp_path):
    kept = Path(__file__).resolve().parents[2] / "reports" / "example" / "notebook.ipynb"
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        shutil.copy(kept, tmp_path / run)
    runs = record.read_notebooks(tmp_path)
    assert list(runs) == ["one", "two"]
    for name, column in (("steps", "duration_s"), ("changes", "outcome"), ("numbers", "value")):
        frames = [run.scraps[name].data for run in runs.values()]
        assert len(frames) == 2
        assert {"run_id", "evidence", "mode", "plan", column} <= set(frames[0].columns)


def test_the_page_fetches_nothing_whatever_a_cell_has_shown():
    shown = (
        "<b>kept</b><script src='https://cdn.example/x.js'></script>"
        "<script>alert(1)</script><link rel='stylesheet' href='http://cdn.example/x.css'>"
        "<iframe src='https://example.org'></iframe>"
    )
    nb = _executed(new_output("display_data", {"text/html": shown}))
    nb.cells.append(new_markdown_cell("$x^2$ and ![](https://example.org/x.png)"))
    page = notebook_html(nb)
    assert "<b>kept</b>" in page
    assert not re.search(r"<(script|link|iframe|base)\b", page)
    assert "default-src 'none'" in page, "a browser is told to fetch nothing, images included"


# ------------------------------------------------------------------ files


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    file = tmp_path / "a"
    write(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write(file, "new \ud800")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_a_link_and_a_mode_a_mode(tmp_path):
    file, link = tmp_path / "a", tmp_path / "b"
    file.write_text("old")
    file.chmod(0o600)
    link.symlink_to(file)
    write(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(pipe, "new")
    assert os.read(reader, 9) == b"new"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
