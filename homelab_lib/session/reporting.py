"""How a run's record is closed: its summary, what was observed, its page, the notebook's scraps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib import paths
from homelab_lib.runbook import record as records
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.outcome import StepOutcome
from homelab_lib.runbook.plan import Plan
from homelab_lib.secret import Mask
from homelab_lib.views.frames import frames
from homelab_lib.views.report import write_report
from homelab_lib.views.scrap import glue

_KEPT = (
    "plan.json",
    "before.json",
    "after.json",
    "summary.json",
    "timeline.svg",
    "report.html",
)


@dataclass(frozen=True)
class Reporter:
    """Writes what a run leaves.

    Parameters
    ----------
    record, journal, mask
        The record's folder, its journal, and what is blotted out of texts.
    head
        What is known of the run from its begin: run_id, runbook, title, lab, target, mode, approve,
        started.
    """

    record: records.Record
    journal: Journal
    mask: Mask
    head: dict[str, Any]

    @property
    def place(self) -> str:
        """Where the record lies, for a person."""
        return paths.shown(self.record.folder)

    def keep_plan(self, plan: Plan) -> None:
        self.record.write("plan.json", plan.to_json())

    def conclude(
        self,
        status: str,
        *,
        outcomes: Sequence[StepOutcome],
        plan: Plan | None,
        evidence: str,
        ended: str,
        error: str = "",
    ) -> None:
        """Write the summary and the page; called once a run has come to any end.

        Parameters
        ----------
        status
            How it ended: ``completed``, ``planned``, ``drift``, ``waiting``, ``failed`` …
        outcomes, plan
            What came of its steps, and the plan it went by.
        evidence
            ``rehearsed`` or ``measured``.
        ended
            The time of day, as ISO text.
        error
            Why it stopped.
        """
        for moment in ("before", "after"):
            document = records.states(outcomes, moment)
            self.record.write_json(f"{moment}.json", document, self.mask)
        self.journal.append("end", status=status, evidence=evidence, error=error, ended=ended)
        summary = records.summary(
            head=self.head | {"status": status, "ended": ended, "error": error},
            plan=plan,
            outcomes=outcomes,
            evidence=evidence,
            journal=self.journal,
        )
        self.record.write_json("summary.json", summary, self.mask)
        write_report(self.record.folder)
        records.seal(self.journal, self.record.folder, _KEPT)
        for name, rows in frames(self.mask.clean(summary)).items():
            if rows:
                glue(name, rows, frame=True)
        glue("record", {"path": self.place, "status": status})

    def glue_step(self, outcome: StepOutcome, evidence: str) -> None:
        """Leave a step's outcome in the executed notebook."""
        numbers = {
            number.name: {
                "value": number.value,
                "unit": number.unit,
                "evidence": evidence,
                "predicted": number.predicted,
            }
            for number in outcome.measurements
        }
        glue(
            f"step {outcome.step}",
            {
                "status": outcome.status,
                "changes": len(outcome.sent),
                "checks": {self.mask(check.title): check.holds for check in outcome.checks},
                "numbers": numbers,
            },
        )
