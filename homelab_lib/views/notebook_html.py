"""An executed notebook as one page to read: prose and results, no code, nothing fetched."""

import re

import nbformat
from nbconvert import HTMLExporter

from homelab_lib.views.page import page

_NOT_SHOWN = ("application/scrapbook.scrap.json+json", "application/scrapbook.scrap.pandas+json")

# A cell's output may bring what it likes; the page fetches nothing and runs nothing.
_ACTIVE = re.compile(r"<script\b.*?</script\s*>|<(?:link|iframe|base)\b[^>]*>", re.I | re.S)
_POLICY = (
    "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; "
    "style-src 'unsafe-inline'; img-src data:; font-src data:\">"
)


def notebook_html(notebook: nbformat.NotebookNode, title: str = "Notebook") -> str:
    """A self-contained HTML page of a notebook, which a browser shows without any network.

    Parameters
    ----------
    notebook
        The executed notebook.
    title
        The page's title.
    """
    exporter = HTMLExporter(template_name="basic")
    exporter.exclude_input = True
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    shown = nbformat.from_dict(notebook)
    shown.cells = [_without_scraps(cell) for cell in shown.cells]
    body, _ = exporter.from_notebook_node(shown)
    return page(title, _ACTIVE.sub("", body)).replace("<head>", f"<head>{_POLICY}", 1)


def _without_scraps(cell: nbformat.NotebookNode) -> nbformat.NotebookNode:
    if cell.cell_type != "code":
        return cell
    kept = [out for out in cell.outputs if not set(out.get("data", {})) & set(_NOT_SHOWN)]
    # A progress bar is for whoever waits, not for whoever reads.
    kept = [out for out in kept if out.get("name") != "stderr"]
    return nbformat.from_dict(dict(cell) | {"outputs": kept})
