"""One page for the house: every task of the design with what came of it, and what is left to do.

Made from the lab and the records of its runs alone, so that it can be made again at any time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from homelab_lib import durable
from homelab_lib.errors import HomelabError
from homelab_lib.lab import Lab
from homelab_lib.lab.coverage import Coverage
from homelab_lib.lab.project import Task
from homelab_lib.runbook.kept import KeptRun
from homelab_lib.runbook.outcome import StepOutcome
from homelab_lib.runbook.plan import FIDELITY
from homelab_lib.units import format_quantity, format_seconds
from homelab_lib.views.achieved import RANK, Done, Found
from homelab_lib.views.coverage import coverage
from homelab_lib.views.looks import findings, mends
from homelab_lib.views.page import marked_up, page
from homelab_lib.views.report import outcome_of
from homelab_lib.views.sales import sales_list


def write_house(
    lab: Lab, reports: Path, runs: Sequence[KeptRun], manual: Mapping[str, str]
) -> Path:
    """Make ``index.html`` in the folder of the records.

    Parameters
    ----------
    lab, reports, runs
        The lab, the folder, and the lab's runs, the oldest first.
    manual
        By ``runbook:step``, what only a person can do.

    Raises
    ------
    HomelabError
        It can't be written.
    """
    file = reports / "index.html"
    text = page(lab.title, house_body(lab, runs, manual, reports))
    try:
        durable.private_folder(reports)
        durable.replace(file, text, mode=durable.PRIVATE)
    except OSError as error:
        raise HomelabError(
            f"the page can't be written: {error.strerror}", where=str(file)
        ) from None
    return file


def house_body(lab: Lab, runs: Sequence[KeptRun], manual: Mapping[str, str], reports: Path) -> str:
    """What stands on the page; see `write_house`."""
    found = Found.of(runs)
    tables = {
        phase.number: [_task_row(task, found, reports) for task in _leaves(phase.tasks)]
        for phase in lab.phases
    }
    states = [row.state for rows in tables.values() for row in rows]
    counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
    told = f"{len(states)} tasks: {counts}." if states else "No tasks are written down."
    parts = [
        f"<h1>{escape(lab.title)}</h1>",
        f"<p>{escape(lab.purpose)}</p><p><b>{escape(told)}</b> "
        "What is <i>rehearsed</i> was done on a twin, <i>measured</i> on the real hosts; what a "
        "rehearsal rests on stands beside it.</p>",
    ]
    for phase in lab.phases:
        rows = [row.cells for row in tables[phase.number]]
        parts.append(f"<h2>Phase {phase.number}: {escape(phase.title)}</h2>"
                     f"<p class='quiet'>{escape(phase.goal)}</p>")  # fmt: skip
        if rows:
            parts.append(marked_up(("task", "state", "rests on", "when", "steps"), rows))
    parts.append("<h2>What a person still has to do</h2>" + _left(found, manual))
    parts.append("<h2>Predicted, and found</h2>" + _numbers(found))
    parts.append("<h2>How long it took</h2>" + _durations(found))
    parts.append("<h2>The last look at everything</h2>" + _health(runs, reports))
    if lab.sales:
        parts.append("<h2>Before something is sold</h2>" + sales_list(lab))
    parts.append(coverage(lab))
    parts.append("<h2>Runs</h2>" + _runs(runs, reports))
    return "\n".join(parts)


def _leaves(tasks: Iterable[Task]) -> Iterator[Task]:
    for task in tasks:
        if task.tasks:
            yield from _leaves(task.tasks)
        else:
            yield task


@dataclass(frozen=True)
class _Row:
    state: str
    cells: tuple[str, ...]


def _task_row(task: Task, found: Found, reports: Path) -> _Row:
    covered = task.covered or Coverage(left_out="no step is about it yet")
    done = {name: found.steps.get(name) for name in covered.steps}
    had = [each for each in done.values() if each is not None]
    state = _state(task, covered, done)
    rests = sorted({each.rests for each in had if each.rests}, key=FIDELITY.index)
    when = max((str(each.run["ended"])[:10] for each in had), default="")
    steps = ", ".join(_link(name, each, reports) for name, each in done.items())
    about = f"<br><span class='quiet'>{escape(covered.left_out)}</span>" if covered.left_out else ""
    cells = (
        f"<b>{escape(task.title)}</b>{about}",
        f"<span class='{state.partition(' ')[0]}'>{escape(state)}</span>",
        _whole(rests[-1] if rests else ""),
        _whole(when),
        steps,
    )
    return _Row(state, cells)


def _state(task: Task, covered: Coverage, done: Mapping[str, Done | None]) -> str:
    """One word or two for how far a task is."""
    if task.done:
        return "ticked off"
    if not done:
        return "judged by a model" if covered.models else "open"
    had = [each for each in done.values() if each is not None]
    if not had:
        return "not run"
    if len(had) < len(done):
        return "partly done"
    return min((each.evidence for each in had), key=RANK.__getitem__)


def _link(name: str, done: Done | None, reports: Path) -> str:
    if done is None:
        return f"<span class='quiet'>{escape(name)}</span>"
    return f"<a href='{escape(_page_of(done.run, reports))}'>{escape(name)}</a>"


def _page_of(run: KeptRun, reports: Path) -> str:
    return f"{run.folder.relative_to(reports)}/report.html"


def _left(found: Found, manual: Mapping[str, str]) -> str:
    """What only a person can do: done where a run on the real hosts got past it."""
    items = []
    for name, ask in manual.items():
        done = found.steps.get(name)
        if done is None or done.evidence != "measured":
            items.append(f"<li>☐ {_asked(ask)} <span class='quiet'>({escape(name)})</span></li>")
    listed = f"<ul class='plain'>{''.join(items)}</ul>"
    return listed if items else "<p>Nothing that a runbook knows of.</p>"


def _asked(ask: str) -> str:
    """What is asked, its boxes to be ticked a line each."""
    head, *boxes = (escape(part.strip()).replace("\n", "<br>") for part in ask.split("[ ] "))
    items = "".join(f"<li>☐ {box}</li>" for box in boxes)
    return head + (f"<ul class='plain inner'>{items}</ul>" if items else "")


def _numbers(found: Found) -> str:
    rows = []
    for name, done in found.steps.items():
        for number in done.step["measurements"]:
            value, predicted, unit = number["value"], number["predicted"], number["unit"]
            error = f"{(value - predicted) / predicted:+z.1%}" if predicted else ""
            said = "" if predicted is None else format_quantity(predicted, unit)
            got = format_quantity(value, unit)
            pill = _pill(done.evidence)
            cells = (escape(number["name"]), escape(said), escape(got), error, pill, escape(name))
            rows.append(cells)
    head = ("what", "predicted", "found", "error", "evidence", "step")
    return marked_up(head, rows) if rows else "<p>No run has measured anything yet.</p>"


def _durations(found: Found) -> str:
    sums: dict[tuple[str, str], list[float]] = {}
    for name, done in found.steps.items():
        took_s = done.step["end_s"] - done.step["start_s"]
        sums.setdefault((name.partition(":")[0], done.evidence), []).append(took_s)
    rows = [
        (escape(book), str(len(took)), format_seconds(sum(took)), _pill(evidence))
        for (book, evidence), took in sums.items()
    ]
    head = ("runbook", "steps", "took", "evidence")
    return marked_up(head, rows) if rows else "<p>Nothing ran.</p>"


def _health(runs: Sequence[KeptRun], reports: Path) -> str:
    looks = [run for run in runs if run["runbook"] == "health"]
    if not looks:
        return "<p>Nobody has looked yet: <code>runbooks/health.ipynb</code>.</p>"
    last = looks[-1]
    amiss = [outcome_of(step) for step in last["steps"] if step["status"] == "drift"]
    head = (
        f"<p><a href='{escape(_page_of(last, reports))}'>{escape(str(last['ended'])[:10])}</a>, "
        f"{escape(last['evidence'])}: {len(last['steps']) - len(amiss)} of {len(last['steps'])} "
        "looks found all well.</p>"
    )
    items = "".join(f"<li>▲ {escape(each.title)}{_found(each)}</li>" for each in amiss)
    return head + (f"<ul class='plain'>{items}</ul>" if items else "")


def _found(outcome: StepOutcome) -> str:
    """What was found in a step, and what mends it."""
    told = [text for _, text in findings(outcome)]
    told += [said] if (said := mends(outcome)) else []
    return f"<br><span class='quiet'>{'<br>'.join(map(escape, told))}</span>"


def _runs(runs: Sequence[KeptRun], reports: Path) -> str:
    rows = [
        (
            f"<a href='{escape(_page_of(run, reports))}'>{escape(run['runbook'])}</a>",
            escape(str(run["ended"])[:16].replace("T", " ")),
            escape(f"{run['mode']}, {run['status']}"),
            str(run["changes_sent"]),
            _pill(run["evidence"]),
        )
        for run in reversed(runs)
    ]  # fmt: skip
    return marked_up(("run", "ended", "how", "changes", "evidence"), rows)


def _whole(word: str) -> str:
    """A word that no narrow column breaks."""
    return f"<span class='whole'>{escape(word)}</span>" if word else ""


def _pill(evidence: str) -> str:
    """How something was come by."""
    return f"<span class='{escape(evidence)}'>{escape(evidence)}</span>"
