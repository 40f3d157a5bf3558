"""The few verbs of a runbook notebook: `begin`, then `plan`, `step` by step, and `finish`."""

import atexit
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from homelab_lib import paths
from homelab_lib.errors import BadParameter, HomelabError, Unseen
from homelab_lib.lab import load_lab
from homelab_lib.recipes import health, named
from homelab_lib.runbook import lock
from homelab_lib.runbook import record as records
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.history import History
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.outcome import StepOutcome
from homelab_lib.runbook.plan import Plan
from homelab_lib.secret import Mask
from homelab_lib.session import asked, ending, opening
from homelab_lib.session.approving import Approving
from homelab_lib.session.planning import Undertaking, foretold
from homelab_lib.session.rehearsed import before
from homelab_lib.session.reporting import Reporter
from homelab_lib.target import SshTarget, TwinTarget
from homelab_lib.target.twin import Target
from homelab_lib.views.cards import Card, note_card, step_card, step_line
from homelab_lib.views.looks import looks_card
from homelab_lib.views.plan import plan_card, what_next
from homelab_lib.views.progress import StepNews

Mode = Literal["plan", "apply", "verify"]
TargetName = Literal["twin", "ssh"]


def _wall() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Run:
    """One run of a runbook on a lab.

    Parameters
    ----------
    name
        The runbook: that of a phase of the lab, such as ``phase2``; or ``health``, which only
        looks.
    lab
        The lab's folder or file; empty for the one that is shipped.
    target
        ``twin``: the embedded rehearsal. ``ssh``: the real hosts.
    mode
        ``plan`` shows what would be sent; ``apply`` sends it; ``verify`` fails on drift.
    approve
        On real hosts: the digest of the plan to carry out. Empty: stop after the plan.
    allow_destroy
        Names of what may be destroyed.
    only, skip
        Names of steps to carry out, or to leave out.
    confirm
        Names of manual steps that are done; a twin takes all of them for done.
    unknown_releases
        Releases to plan for although the twin does not know them: ``proxmox 12.7``.
    run_id
        Continue that run's record. Without it a run that died under the same approval is
        continued by itself; one that ended well is not, not even where it is named.
    seed
        The twin's seed.
    ssh_config
        The SSH configuration; empty for ``~/.ssh/config``.
    on
        A twin that stands already; none: a new one, on which what comes before the runbook was
        rehearsed.
    """

    def __init__(
        self,
        name: str,
        *,
        lab: str = "",
        target: TargetName = "twin",
        mode: Mode = "apply",
        approve: str = "",
        allow_destroy: Sequence[str] = (),
        only: Sequence[str] = (),
        skip: Sequence[str] = (),
        confirm: Sequence[str] = (),
        unknown_releases: Sequence[str] = (),
        run_id: str = "",
        seed: int = 0,
        ssh_config: str = "",
        on: TwinTarget | None = None,
        wall: Callable[[], str] = _wall,
    ) -> None:
        asked.one_of("target", target, get_args(TargetName))
        asked.one_of("mode", mode, get_args(Mode) if name != health.NAME else ("verify",))
        self.lab = load_lab(paths.locate(lab) if lab else paths.data())
        self.mode: Mode = mode
        self.approve = approve
        self.outcomes: list[StepOutcome] = []
        self._wall = wall
        self._mask = Mask()
        self._plan: Plan | None = None
        self._engine: Engine | None = None
        self._stack = ExitStack()
        self._status, self._closed = "running", False
        atexit.register(self.close)
        try:
            self._open(name, target, run_id, seed, ssh_config, on)
            self.selected = asked.selected(self.runbook, asked.names(only), asked.names(skip))
            asked.known(self.runbook, asked.names(confirm))
            self._work = Undertaking(
                self.lab,
                self.runbook,
                self._target,
                self._journal,
                self._mask,
                frozenset(asked.names(allow_destroy)),
                frozenset(asked.names(confirm)),
                frozenset(asked.names(unknown_releases)),
            )
        except BaseException:
            self.close()
            raise

    def _open(
        self, name: str, target: str, run_id: str, seed: int, ssh_config: str, on: TwinTarget | None
    ) -> None:
        changing = self.mode == "apply" and (target == "twin" or bool(self.approve))
        what = named(name) if name != health.NAME else None
        asked.expect_a_record(run_id)  # before earlier runbooks are rehearsed, which takes its time
        self._state = paths.state(self.lab.name)
        self._history = History(self._state)
        if target == "ssh":
            doing = f"{name} {self.mode}"
            self._stack.enter_context(lock.held(self._state, alone=changing, what=doing))
        self._target: Target
        if on is not None:
            self._target = on.reopened(allow_changes=changing)
        elif target == "twin":
            with StepNews("begin") as news:
                twin = before(self.lab, what, seed=seed, note=news.note)
            self._target = twin.reopened(allow_changes=changing)
        else:
            self._target = SshTarget(self.lab, ssh_config, allow_changes=changing)
        self._stack.callback(self._target.close)
        self.runbook = opening.composed(self.lab, self._target, what)
        public = (name, self.lab.name, *self.lab.hosts, *self.lab.vms, *self.runbook.names)
        self._mask.public.update(public)
        under = self._history if target == "ssh" and changing else None
        self._carried_out = bool(under and under.carried_out(self.approve))
        day = self._wall()[:10]
        self.record = opening.record_of(name, target, run_id, under, self.approve, day)
        head = {
            "runbook": name,
            "lab": self.lab.name,
            "target": target,
            "mode": self.mode,
            "approve": self.approve,
        }
        self._journal = Journal(self.record.journal, mask=self._mask, wall=self._wall)
        records.assert_same_run(self._journal, head, where=str(self.record.folder))
        self._journal.append("run", **head)
        if isinstance(self._target, SshTarget):
            self._journal.append("logins", by=self._target.logins)
        if target == "ssh" and changing:
            self._history.add(self.record.folder, self.approve)
        about = {"run_id": self.record.run_id, "title": self.runbook.title, "started": self._wall()}
        self._reporter = Reporter(self.record, self._journal, self._mask, about | head)

    # ------------------------------------------------------------ three verbs

    def plan(self) -> Card:
        """Make the plan: rehearse the whole runbook on a twin of the hosts as they are now.

        On real hosts with ``approve`` given, the approved plan has to fit what the hosts say.
        """
        self._assert_open()
        if self.mode == "verify":
            return note_card("verify looks at the hosts and sends nothing; there is no plan.")
        place = None
        if self._plan is None:  # a run has one plan
            try:
                with StepNews("plan") as news:
                    self._make_plan(lambda host, text: news.note(host, self._mask(text)))
                place = news.place
            except BaseException as error:
                self._broken_off(error, "refused")
                self._plan = None  # what was refused is not carried out by the next cell
                raise
        assert self._plan is not None
        following = what_next(self._plan, self._target.name, self._sends)
        return self._masked(plan_card(self._plan, approval=following), place)

    def _make_plan(self, note: Callable[[str, str], None]) -> None:
        if self._sends and self._target.name == "ssh":
            self._work.await_hosts(lambda text: note("", text))
        plan = self._plan = self._work.rehearse(self.selected, note)
        approving = Approving(
            self._work,
            self._state / "plans",
            self.approve,
            self._sends,
            self._carried_out,
            self._reporter.keep_plan,
        )
        approving.hold(plan)

    def step(self, name: str) -> Card:
        """Carry out one step, or show what it would do; again, where its cell is run again."""
        self._assert_open()
        if self.mode != "verify" and self._plan is None:
            self.plan()
        step = self.runbook[name]
        with StepNews(name) as news:
            if name not in self.selected:
                outcome = StepOutcome(name, step.title, "skipped")
            elif self.mode == "verify" or self._sends:
                outcome = self._carry_out(name, news)
                news.done(f"{name}: {self._mask(step_line(outcome, self.evidence))}")
            else:
                assert self._plan is not None
                outcome = foretold(self._plan, name, step.title)
        self._keep(outcome)
        self._reporter.glue_step(outcome, self.evidence)
        return self._masked(step_card(outcome, evidence=self.evidence), news.place)

    def look(self, part: str) -> Card:
        """Look again at all that a runbook makes, or at what none of them asks.

        Parameters
        ----------
        part
            The runbook, such as ``phase2``; empty for the looks that are `health`'s own.
        """
        names = [name for name in self.runbook.names if health.part_of(name) == part]
        with StepNews(part or "looks") as news:
            for name in names:
                self.step(name)
        found = [outcome for outcome in self.outcomes if outcome.step in names]
        return self._masked(looks_card(part, found, evidence=self.evidence), news.place)

    def finish(self) -> Card:
        """Close the record, and say where it lies.

        Raises
        ------
        ApprovalMissing
            In ``apply`` on real hosts, when there is something to send and no plan was approved.
        Drift
            In ``verify``, when hosts are not as the lab describes them.
        StepFailed
            Steps that were selected never ran, or failed; or, in ``plan``, the rehearsal did not
            get to the end.
        """
        plan = self._plan
        if plan is not None and plan.blocked:
            error = ending.blocked(plan)
            self._broken_off(error, "blocked")
            raise error
        last = {outcome.step: outcome for outcome in self.outcomes}
        unseen = plan if plan is not None and plan.unseen and not self._sends else None
        if (undone := ending.unfinished(self.selected, last, unseen)) is not None:
            waits = any(outcome.status == "waiting" for outcome in last.values())
            self._broken_off(undone, "waiting" if waits else "failed")
            raise undone
        drifted = [outcome for outcome in last.values() if outcome.status == "drift"]
        if drifted:
            self._conclude("drift")
            raise ending.drift(self.runbook.name, drifted, self._reporter.place)
        self._conclude("completed" if self._sends or self.mode == "verify" else "planned")
        if plan is not None and plan.changes and self.mode == "apply" and not self._sends:
            raise ending.not_approved(plan, self._reporter.place)
        sent = sum(len(outcome.sent) for outcome in self.outcomes)
        return note_card(
            f"{self.runbook.title}: {self._status}, {sent} changes sent ({self.evidence}). "
            f"Record: {self._reporter.place}"
        )

    def conclude(self) -> None:
        """Close the record as `finish` does; what was found is the caller's to judge."""
        drifted = any(outcome.status == "drift" for outcome in self.outcomes)
        self._conclude("drift" if drifted else "completed")

    # ------------------------------------------------------------------ parts

    def _assert_open(self) -> None:
        if self._closed:
            raise BadParameter(
                "this run was closed, and with it the lab's lock was given back",
                fix="begin another one; it goes on where this one stopped",
            )

    def _keep(self, outcome: StepOutcome) -> None:
        """Keep what came of a step; that it had not been reached before is no news any more."""
        stale = (outcome.step, "not reached")
        self.outcomes[:] = [o for o in self.outcomes if (o.step, o.status) != stale]
        self.outcomes.append(outcome)

    @property
    def evidence(self) -> str:
        """``rehearsed`` or ``measured``."""
        return self._target.evidence

    @property
    def _sends(self) -> bool:
        return self.mode == "apply" and (self._target.name == "twin" or bool(self.approve))

    def _masked(self, card: Card, place: Any = None) -> Card:
        """A card as it may stay in a notebook, in the place of what was told meanwhile."""
        return Card(self._mask(card.html), self._mask(card.text), card.about, place)

    def _carry_out(self, name: str, news: StepNews) -> StepOutcome:
        if self._engine is None:
            mode: Literal["apply", "verify"] = "verify" if self.mode == "verify" else "apply"
            self._engine = self._work.engine(mode, self._plan)
        engine = self._engine
        engine.sender.progress = lambda step, host, text: news(step, host, self._mask(text))
        try:
            return engine.run_step(name)
        except BaseException as error:
            if isinstance(error, HomelabError) and self.runbook.name == health.NAME:
                return _unseen(engine.outcomes[name])
            outcome = engine.outcomes[name]
            self._keep(outcome)
            self._broken_off(error, "stopped" if isinstance(error, Unseen) else outcome.status)
            raise

    def _broken_off(self, error: BaseException, status: str) -> None:
        """The run ends here, and leaves a page that says why."""
        if not isinstance(error, Exception):
            status = "interrupted"
        reached = {outcome.step for outcome in self.outcomes}
        self.outcomes += [
            StepOutcome(name, self.runbook[name].title, "not reached")
            for name in self.selected
            if name not in reached
        ]
        try:
            self._conclude(status, error=str(error))
            also = f"record: {self._reporter.place}"
        except HomelabError as second:
            also = second.what
        if isinstance(error, HomelabError):
            error.what = self._mask(error.what)
            error.fix = self._mask(f"{error.fix}\n  {also}".strip())

    def _conclude(self, status: str, error: str = "") -> None:
        self._status = status
        self._reporter.conclude(
            status,
            outcomes=self.outcomes,
            plan=self._plan,
            evidence=self.evidence,
            ended=self._wall(),
            error=error,
        )

    def close(self) -> None:
        """Let go of connections, the twin and the lab's lock."""
        self._closed = True
        atexit.unregister(self.close)
        self._stack.close()


def _unseen(outcome: StepOutcome) -> StepOutcome:
    """One host that can't be looked at hides no other: it is found to be amiss."""
    outcome.status = "drift"
    return outcome


def begin(name: str, **parameters: Any) -> Run:
    """Begin a run of the runbook `name`; the parameters are those of `Run`."""
    return Run(name, **parameters)
