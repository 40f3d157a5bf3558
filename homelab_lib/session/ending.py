"""How a run ends: what keeps it from ending well, in words for whoever gave the command."""

from collections.abc import Mapping, Sequence

from homelab_lib.errors import ApprovalMissing, Drift, StepFailed
from homelab_lib.recipes import health
from homelab_lib.runbook.outcome import StepOutcome
from homelab_lib.runbook.plan import Plan
from homelab_lib.views.looks import difference
from homelab_lib.views.plan import headline, what_next


def blocked(plan: Plan) -> StepFailed:
    """That a rehearsal did not get to its end."""
    return StepFailed(
        f"the rehearsal did not get to the end, so this plan can't be carried out:\n"
        f"    {plan.blocked_at}: {plan.blocked}",
        fix="mend that first",
    )


def unfinished(
    selected: Sequence[str], last: Mapping[str, StepOutcome], unseen: Plan | None
) -> StepFailed | None:
    """That steps never ran, or failed or waited when they ran last; None where all is well.

    Parameters
    ----------
    selected
        The steps that were to run.
    last
        What came of each that ran, when it ran last.
    unseen
        The plan, where none of it was sent and it goes only as far as could be looked at: what
        comes after need not run.
    """
    status = {name: last[name].status if name in last else "" for name in selected}
    missing = [name for name, found in status.items() if found in ("", "not reached")]
    if unseen is not None:
        missing = [name for name in missing if unseen.reached(name)]
    failed = [name for name, found in status.items() if found == "failed"]
    waiting = [name for name, found in status.items() if found == "waiting"]
    if not (missing or failed or waiting):
        return None
    told = [f"{', '.join(failed)} failed"] if failed else []
    told += [f"{', '.join(waiting)} waited for a person"] if waiting else []
    told += [f"{', '.join(missing)} never ran"] if missing else []
    return StepFailed(
        f"{' and '.join(told)}, so this run has not come to its end",
        fix='each step of the runbook has its cell: run.step("NAME")',
    )


def drift(runbook: str, drifted: Sequence[StepOutcome], place: str) -> Drift:
    """That hosts are not as the lab describes them.

    Parameters
    ----------
    runbook, drifted
        What was looked at, and the steps in which something differs.
    place
        Where the record lies.
    """
    lines = "\n".join(f"    {outcome.step}: {difference(outcome)}" for outcome in drifted)
    steps = "1 step is" if len(drifted) == 1 else f"{len(drifted)} steps are"
    mends = "mode=plan shows what would mend it"
    if runbook == health.NAME:
        mends = (
            "where RUNBOOK:STEP mends it, its plan (mode=plan) shows how; else what was found says "
            "what to do"
        )
    return Drift(
        f"{steps} not as the lab describes {'it' if len(drifted) == 1 else 'them'}:\n{lines}",
        fix=f"{mends}; the record: {place}",
    )


def not_approved(plan: Plan, place: str) -> ApprovalMissing:
    """That there is something to send, and nobody has approved it."""
    return ApprovalMissing(
        f"nothing was done: {headline(plan)[:-1]}, and nobody has approved it yet",
        fix=f"read {place}/report.html; {what_next(plan, 'ssh', False)}",
    )
