"""A guide to a runbook, for whoever wants to read it, or do it by hand: steps, reasons, commands.

What it shows is what the rehearsal sent. So it can't be out of date: it is written anew.
"""

import re
from collections.abc import Collection, Iterator, Sequence

from homelab_lib.runbook.plan import Plan, PlannedChange
from homelab_lib.runbook.step import Runbook, Step


def guide(title: str, chapters: Sequence[tuple[Runbook, Plan]], about: Collection[str]) -> str:
    """Some runbooks as a page of Markdown.

    Parameters
    ----------
    title
        Of the page.
    chapters
        Runbooks, each with its plan.
    about
        A host by the names that steps and plans give it; empty for all hosts.
    """
    parts = [f"# {title}", _head(chapters, about)]
    number = 0
    for runbook, plan in chapters:
        if len(chapters) > 1:
            parts.append(f"## {runbook.title}")
        for step in _about(runbook, plan, about):
            number += 1
            parts += _step(number, step, plan, about, level=2 + (len(chapters) > 1))
    return "\n\n".join(parts) + "\n"


def _head(chapters: Sequence[tuple[Runbook, Plan]], about: Collection[str]) -> str:
    books = ", ".join(f"`{runbook.name}`" for runbook, _ in chapters)
    of = f", as far as it is about {max(about, key=len)}" if about else ""
    return (
        f"What {books} does{of}, in order, as its rehearsal on a twin of the lab sent it. The "
        "runbook does more than these commands: it looks before each, sends only what is not so "
        "yet, and looks again. Names of secrets (`env:…`, `file:…`) stand where the secrets go."
    )


def _about(runbook: Runbook, plan: Plan, about: Collection[str]) -> list[Step]:
    """The steps that a host has part in: those that send to it or name it, and what these need
    or what needs these."""
    if not about:
        return list(runbook.steps)
    sent = {change.step for change in plan.changes if change.host in about}
    found = {
        step.name
        for step in runbook.steps
        if step.name in sent or any(name in step.title for name in about)
    }
    by_name = {step.name: step for step in runbook.steps}
    waiting = list(found)
    while waiting:
        name = waiting.pop()
        needs = set(by_name[name].needs) & by_name.keys()
        joined = needs | {step.name for step in runbook.steps if name in step.needs}
        waiting += joined - found
        found |= joined
    return [step for step in runbook.steps if step.name in found]


def _step(number: int, step: Step, plan: Plan, about: Collection[str], level: int) -> Iterator[str]:
    yield f"{'#' * level} {number}. {step.title}"
    if step.why:
        yield step.why
    if step.manual is not None:
        yield f"**By hand:** {_by_hand(step.manual.ask)}"
    changes = [c for c in plan.of_step(step.name) if not about or c.host in about]
    yield from (_change(change, named=not about) for change in changes)
    if not changes and step.manual is None:
        yield "*Nothing is sent here; it is looked at.*"


def _by_hand(ask: str) -> str:
    """What a person is asked, its list as one of Markdown's and its table as it stands."""
    head, *lines = ask.splitlines()
    if not lines:
        return head
    if all(line.lstrip().startswith("[ ]") for line in lines):
        return "\n".join([head, "", *(re.sub(r"^\s*\[ \]", "- [ ]", line) for line in lines)])
    return "\n".join([head, "", *_fenced("\n".join(line.strip() for line in lines))])


def _change(change: PlannedChange, *, named: bool) -> str:
    where = f" ({change.host})" if named else ""
    lines = [f"- {_upper(change.summary)}{where}", ""]
    call = change.call.removesuffix(change.shows).rstrip() if change.shows else change.call
    if not (change.shows and call.startswith("sh -c")):  # how a file is written is no matter here
        call += f" < {change.content}" if change.content and not change.shows else ""
        lines += _fenced(call)
    if change.shows.strip(" {}[]\n"):
        lines += ["", *_fenced(change.shows)]
    if change.rollback:
        lines += [
            "",
            "The host undoes it by itself, unless a fresh connection confirms it.",
        ]
    if change.undo:
        lines += ["", f"Undo: {change.undo}"]
    return "\n".join(f"  {line}" if line and index else line for index, line in enumerate(lines))


def _fenced(text: str) -> list[str]:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, *text.rstrip("\n").splitlines(), fence]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
