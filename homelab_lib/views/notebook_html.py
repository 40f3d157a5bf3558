"""An executed notebook as one page to read: prose and results, no code, nothing fetched."""

import nbformat
from nbconvert import HTMLExporter

from homelab_lib.views.page import page

_NOT_SHOWN = ("application/scrapbook.scrap.json+json", "application/scrapbook.scrap.pandas+json")


def notebook_html(notebook: nbformat.NotebookNode, title: str) -> str:
    """A self-contained HTML page of a notebook.

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
    return page(title, body)


def _without_scraps(cell: nbformat.NotebookNode) -> nbformat.NotebookNode:
    if cell.cell_type != "code":
        return cell
    kept = [out for out in cell.outputs if not set(out.get("data", {})) & set(_NOT_SHOWN)]
    # A progress bar is for whoever waits, not for whoever reads.
    kept = [out for out in kept if out.get("name") != "stderr"]
    return nbformat.from_dict(dict(cell) | {"outputs": kept})
