"""A run as tidy tables: a row each for steps, changes and numbers, with the run in every row.

So the tables of many runs (`notebook.record.read_notebooks`) can be laid one under the other, and
compared by run, target, mode and evidence.
"""

from typing import Any

Rows = list[dict[str, Any]]

_RUN = ("run_id", "runbook", "lab", "target", "mode", "evidence", "plan", "started")


def frames(summary: dict[str, Any]) -> dict[str, Rows]:
    """The tables ``steps``, ``changes`` and ``numbers``.

    Parameters
    ----------
    summary
        A run's ``summary.json``. Times are seconds since the run's begin on the target's clock.
    """
    run = {key: summary[key] or "" for key in _RUN}
    steps: Rows = []
    changes: Rows = []
    numbers: Rows = []
    for step in summary["steps"]:
        own = run | {"step": step["step"]}
        steps.append(
            own
            | {
                "title": step["title"],
                "status": step["status"],
                "changes_sent": step["changes_sent"],
                "checks": len(step["checks"]),
                "start_s": round(step["start_s"], 3),
                "duration_s": round(step["end_s"] - step["start_s"], 3),
            }
        )
        changes += [
            own
            | {
                "host": resource["host"],
                "resource": resource["name"],
                "summary": sent["summary"],
                "outcome": sent["outcome"],
                "start_s": round(sent["start_s"], 3),
                "duration_s": round(sent["end_s"] - sent["start_s"], 3),
            }
            for resource in step["resources"]
            for sent in resource["sent"]
        ]
        numbers += [
            own | {key: number[key] for key in ("name", "value", "unit", "predicted")}
            for number in step["measurements"]
        ]
    return {"steps": steps, "changes": changes, "numbers": numbers}
