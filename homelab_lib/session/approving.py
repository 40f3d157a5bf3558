"""The plan of a run, and whether what was approved covers it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from homelab_lib.errors import StepFailed
from homelab_lib.runbook import approval
from homelab_lib.runbook.plan import Plan
from homelab_lib.session.planning import Undertaking
from homelab_lib.target.twin import SshTarget


@dataclass(frozen=True)
class Approving:
    """What a run's plan is held against.

    Parameters
    ----------
    work
        What the run works with.
    folder
        Where plans are kept.
    digest
        Of the plan that was approved; empty for none.
    sends
        Whether this run sends anything.
    carried_out
        Whether an earlier run has carried that plan out, and its record is not gone on with.
    keep
        Keeps the plan in the record, and does so before anything is refused.
    """

    work: Undertaking
    folder: Path
    digest: str
    sends: bool
    carried_out: bool
    keep: Callable[[Plan], None]

    def hold(self, plan: Plan) -> None:
        """See that a plan that was made a moment ago may be carried out, and write down by what.

        Raises
        ------
        BadParameter, PlanStale
            It was not approved, or the approved one does not fit the hosts any more.
        StepFailed
            Its rehearsal did not get to the end.
        """
        target, journal = self.work.target, self.work.journal
        approved = plan
        if isinstance(target, SshTarget):
            target.meet(dict.fromkeys(change.host for change in plan.changes))
            approval.save(plan, self.folder)
            if self.sends:
                approved = approval.load(self.digest, self.folder)
        if self.sends and self.carried_out:
            self.keep(plan)
            approval.assert_carried_out(approved, plan)
            approved = plan  # nothing is left of the other one
        else:
            self.keep(approved)
        covered = approval.Covered()
        if self.sends:
            if plan.blocked:
                raise StepFailed(
                    f"the rehearsal did not get to the end: {plan.blocked_at}: {plan.blocked}"
                )
            covered = approval.assert_covers(approved, plan, journal, self.work.allow_destroy)
        journal.append(
            "plan",
            digest=approved.digest,
            fresh=plan.digest,
            changes=len(plan.changes),
            besides=covered.besides,
            gone=covered.gone,
            twin=target.evidence == "rehearsed",
        )
