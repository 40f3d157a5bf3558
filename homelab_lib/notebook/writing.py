"""A notebook for a runbook: its steps in order, a cell each, with a line or two of prose."""

import json
from collections.abc import Sequence

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from homelab_lib.runbook.step import Runbook

_PARAMETERS = """\
lab: str = {lab}  # the lab's folder; empty: the one in data/
target: str = "twin"  # twin | ssh
mode: str = "apply"  # plan | apply | verify
approve: str = ""  # on real hosts: the digest of the plan you have read
allow_destroy: list = []  # names of what may be destroyed
only: list = []  # names of steps to carry out; empty: all
skip: list = []  # names of steps to leave out
confirm: list = []  # names of manual steps that are done
unknown_releases: list = []  # releases to plan for although the twin does not know them
run_id: str = ""  # continue this run's record
seed: int = 0  # the twin's seed
ssh_config: str = ""  # your SSH configuration; empty: ~/.ssh/config"""

_PLAN = """\
# papermill_description=plan
from homelab_lib import begin

run = begin(
    {name},
    lab=lab,
    target=target,
    mode=mode,
    approve=approve,
    allow_destroy=allow_destroy,
    only=only,
    skip=skip,
    confirm=confirm,
    unknown_releases=unknown_releases,
    run_id=run_id,
    seed=seed,
    ssh_config=ssh_config,
)
run.plan()"""

_ABOUT = """\
Run it as it is and it is **rehearsed**: on a twin of the lab that lives on this machine's \
loopback, answers like the real appliances, and is gone afterwards. Nothing of yours is touched. \
With `target = "ssh"` the same cells work on the real hosts, and there nothing is sent before \
you have read the plan and approved its digest.

If a step can't be brought about, the run stops, says what failed and what to do, and keeps what \
was done. Run the same command again and it goes on from there."""

_OF_THE_PLAN = """\
## The plan

The hosts are looked at, a twin is made of what they say, and the whole runbook is rehearsed on \
it. What the rehearsal sent is the plan: every command, in order. Read it. Its digest is what you \
approve."""

_LOOKING_PARAMETERS = """\
lab: str = {lab}  # the lab's folder; empty: the one in data/
target: str = "twin"  # twin | ssh
only: list = []  # names of looks to take; empty: all
skip: list = []  # names of looks to leave out
run_id: str = ""  # continue this run's record
seed: int = 0  # the twin's seed
ssh_config: str = ""  # your SSH configuration; empty: ~/.ssh/config"""

_LOOKING = """\
# papermill_description=begin
from homelab_lib import begin

run = begin(
    {name},
    mode="verify",
    lab=lab,
    target=target,
    only=only,
    skip=skip,
    run_id=run_id,
    seed=seed,
    ssh_config=ssh_config,
)"""

_ABOUT_LOOKING = """\
A look at everything, and nothing but a look: no change is sent, whoever asks. What a finding is \
about is said with it: *written*, in a host's configuration, or what *runs* just now. Beside each \
stands the runbook, and the step of it, that mends it.

Run it as it is and it looks at a twin on which all runbooks of the lab were carried out. With \
`target = "ssh"` it looks at the real hosts, at what records in `reports/` say was carried out on \
them; where there are none, at all that can be."""

_ABOUT_HOUSE = """\
Every runbook of the lab in order, from bare machines to the end, on one twin: each is planned, \
carried out as planned, and run again, which has to send nothing. Then all of it is looked at. \
Then the twin's clock runs on by weeks, some things decay, and the same look has to find just \
those. Nothing of yours is touched. Each run leaves its record in `reports/`, and \
`reports/index.html` is the page of them all."""

_HOUSE_PARAMETERS = """\
lab: str = {lab}  # the lab's folder; empty: the one in data/
seed: int = 0  # the twin's; it picks what decays
days: float = 40.0  # how long it is left alone"""

_HOUSE = """\
# papermill_description=begin
from homelab_lib.house import House

house = House(lab, seed)
house.books"""

_LATER = (
    ("Is all well?", "look", "house.look()"),
    ("Weeks later", "decay", "house.decay(days)"),
    ("What has decayed?", "look again", "house.look()"),
    ("The page of the house", "page", "house.page()"),
)

_OF_THE_RECORD = """\
## The record

What was planned, sent, found and measured lies in one folder, to be read and to be checked again \
later. In `verify` this cell fails if anything is not as the lab describes it."""

_OF_THE_FINDINGS = """\
## The record

Everything that was looked at lies in one folder. This cell fails if anything is amiss, so that \
whoever runs this at night is woken by it."""


def written(
    runbook: Runbook, *, lab: str = "", goal: str = "", left_out: Sequence[str] = ()
) -> NotebookNode:
    """The notebook of a runbook, for papermill and for JupyterLab.

    Parameters
    ----------
    runbook
        Its steps; each says in a sentence or two what it is for.
    lab
        The lab's folder, as its parameter's default; empty for the one in ``data``.
    goal
        What the phase is to reach.
    left_out
        Keys of what the phase holds, and the runbook does not install.
    """
    head = [f"# {runbook.title}", goal, _ABOUT]
    if left_out:
        named = ", ".join(f"`{key}`" for key in left_out)
        head.append(f"The lab also has {named} in it, which say what runs where.")
    cells = [
        _prose("\n\n".join(part for part in head if part)),
        _code(_PARAMETERS.format(lab=_text(lab)), tags=["parameters"]),
        _prose(_OF_THE_PLAN),
        _code(_PLAN.format(name=_text(runbook.name))),
    ]
    for step in runbook.steps:
        cells.append(_prose(f"## {step.title}\n\n{step.why}".strip()))
        cells.append(_code(f"# papermill_description={step.name}\nrun.step({_text(step.name)})"))
    cells += [_prose(_OF_THE_RECORD), _code("# papermill_description=record\nrun.finish()")]
    return _notebook(cells)


def looking(runbook: Runbook, parts: Sequence[str], *, lab: str = "") -> NotebookNode:
    """The notebook of a look at everything.

    Parameters
    ----------
    runbook
        Its steps, of which none changes anything.
    parts
        The runbooks that are looked at again; empty stands for the looks that belong to none.
    lab
        As `written` has it.
    """
    cells = [
        _prose(f"# {runbook.title}\n\n{_ABOUT_LOOKING}"),
        _code(_LOOKING_PARAMETERS.format(lab=_text(lab)), tags=["parameters"]),
        _code(_LOOKING.format(name=_text(runbook.name))),
    ]
    for part in parts:
        title = f"Is all as `{part}` left it?" if part else "What runs, and for how long yet"
        cells.append(_prose(f"## {title}"))
        name = part or "looks"
        cells.append(_code(f"# papermill_description={name}\nrun.look({_text(part)})"))
    cells += [_prose(_OF_THE_FINDINGS), _code("# papermill_description=record\nrun.finish()")]
    return _notebook(cells)


def whole(title: str, books: Sequence[str], *, lab: str = "") -> NotebookNode:
    """The notebook of a whole house, rehearsed on one twin.

    Parameters
    ----------
    title
        The lab's.
    books
        Its runbooks, in order.
    lab
        As `written` has it.
    """
    cells = [
        _prose(f"# The whole house: {title}\n\n{_ABOUT_HOUSE}"),
        _code(_HOUSE_PARAMETERS.format(lab=_text(lab)), tags=["parameters"]),
        _code(_HOUSE),
    ]
    for book in books:
        cells.append(_prose(f"## {book}"))
        cells.append(_code(f"# papermill_description={book}\nhouse.carry_out({_text(book)})"))
    for title, name, call in _LATER:
        cells += [_prose(f"## {title}"), _code(f"# papermill_description={name}\n{call}")]
    return _notebook(cells)


def _notebook(cells: list[NotebookNode]) -> NotebookNode:
    for number, cell in enumerate(cells, start=1):
        cell["id"] = f"cell-{number:02}"  # the same one each time
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook: NotebookNode = new_notebook(cells=cells, metadata=metadata)
    return notebook


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _prose(text: str) -> NotebookNode:
    cell: NotebookNode = new_markdown_cell(text)
    return cell


def _code(source: str, tags: Sequence[str] = ()) -> NotebookNode:
    metadata = {"tags": list(tags)} if tags else {}
    cell: NotebookNode = new_code_cell(source, metadata=metadata)
    return cell
