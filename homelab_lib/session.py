"""The few verbs of a runbook notebook: `begin`, then `plan`, `step` by step, and `finish`."""

import atexit
import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from homelab_lib import paths
from homelab_lib.errors import BadParameter, Drift, HomelabError, StepFailed, Unreachable
from homelab_lib.lab import load_lab
from homelab_lib.phases import recipe
from homelab_lib.runbook import lock
from homelab_lib.runbook import plan as plans
from homelab_lib.runbook import record as records
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.history import History
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.outcome import StepOutcome
from homelab_lib.runbook.plan import Plan, PlannedChange
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook
from homelab_lib.secret import Mask
from homelab_lib.target import SshTarget, Target, TwinTarget, rehearsal
from homelab_lib.transport.command import read
from homelab_lib.views.cards import Card, note_card, plan_card, step_card
from homelab_lib.views.progress import StepBar
from homelab_lib.views.report import write_report
from homelab_lib.views.scrap import glue

Mode = Literal["plan", "apply", "verify"]
TargetName = Literal["twin", "ssh"]


_RESTART_S = 300.0  # a server with much memory takes minutes to start


def _wall() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Run:
    """One run of a runbook on a lab.

    Parameters
    ----------
    name
        The runbook: ``phase2``.
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
        Names of manual steps that are done.
    run_id
        Continue that run's record. Without it a run that died under the same approval is
        continued by itself.
    seed
        The twin's seed.
    ssh_config
        The SSH configuration; empty for ``~/.ssh/config``.
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
        run_id: str = "",
        seed: int = 0,
        ssh_config: str = "",
        wall: Callable[[], str] = _wall,
    ) -> None:
        _one_of("target", target, get_args(TargetName))
        _one_of("mode", mode, get_args(Mode))
        self.lab = load_lab(paths.locate(lab) if lab else paths.data())
        self.mode: Mode = mode
        self.approve = approve
        self.outcomes: list[StepOutcome] = []
        self._wall = wall
        self._mask = Mask()
        self._engine: Engine | None = None
        self._stack = ExitStack()
        self._status = "running"
        atexit.register(self.close)
        try:
            self._open(name, target, run_id, seed, ssh_config)
            self.runbook: Runbook = recipe(name).build(self.lab, self._target.public_key)
            self.selected = _select(self.runbook, _names(only), _names(skip))
        except BaseException:
            self.close()
            raise
        self._allow_destroy = frozenset(_names(allow_destroy))
        self._confirm = frozenset(_names(confirm))

    def _open(self, name: str, target: str, run_id: str, seed: int, ssh_config: str) -> None:
        changing = self.mode == "apply" and (target == "twin" or bool(self.approve))
        self._state = paths.state(self.lab.name)
        self._history = History(self._state)
        if target == "ssh":
            self._stack.enter_context(
                lock.held(self._state, alone=changing, what=f"{name} {self.mode}")
            )
        self.record = self._record(name, target, run_id)
        self._target: Target
        if target == "twin":
            self._target = TwinTarget.before_phase(
                self.lab, recipe(name).phase, seed=seed, allow_changes=changing
            )
        else:
            self._target = SshTarget(self.lab, ssh_config, allow_changes=changing)
        self._stack.callback(self._target.close)
        self._journal = Journal(self.record.journal, mask=self._mask, wall=self._wall)
        self._started = self._wall()
        self._journal.append("run", runbook=name, lab=self.lab.name, target=target, mode=self.mode)
        if target == "ssh" and changing:
            self._history.add(self.record.folder, self.approve)

    # ------------------------------------------------------------ three verbs

    def plan(self) -> Card:
        """Make the plan: rehearse the whole runbook on a twin of the hosts as they are now.

        On real hosts with ``approve`` given, the approved plan has to fit what the hosts say.
        """
        if self.mode == "verify":
            return note_card("verify looks at the hosts and sends nothing; there is no plan.")
        if self._sends and self._target.name == "ssh":
            self._await_hosts(self._history.hosts_of(self.approve))
        plan = self._rehearse()
        self._journal.append("plan", digest=plan.digest, changes=len(plan.changes))
        approved = plan
        if self._target.name == "ssh":
            plans.save(plan, self._state / "plans")
            if self._sends:
                approved = plans.load(self.approve, self._state / "plans")
                self._not_blocked(plan)
                plans.assert_covers(approved, plan, self._history.sent_under(self.approve))
        self.record.write("plan.json", approved.to_json())
        self._plan = plan
        if self._sends:
            self._not_blocked(plan)
        return plan_card(plan, approval=self._what_next(plan))

    def step(self, name: str) -> Card:
        """Carry out one step, or show what it would do."""
        if self.mode != "verify" and not hasattr(self, "_plan"):
            self.plan()
        step = self.runbook[name]
        if name not in self.selected:
            outcome = StepOutcome(name, step.title, "skipped")
        elif self.mode == "verify" or self._sends:
            outcome = self._carry_out(name)
        else:
            outcome = StepOutcome(name, step.title, planned=self._plan.of_step(name))
            outcome.status = "planned" if outcome.planned else "already"
        self.outcomes.append(outcome)
        self._glue_step(outcome)
        return step_card(outcome, evidence=self.evidence)

    def finish(self) -> Card:
        """Close the record, and say where it lies.

        Raises
        ------
        Drift
            In ``verify``, when hosts are not as the lab describes them.
        StepFailed
            In ``plan``, when the rehearsal did not get to the end.
        """
        drifted = [o for o in self.outcomes if o.status == "drift"]
        blocked = "" if self.mode == "verify" else self._plan.blocked
        if drifted:
            self._conclude("drift")
            lines = "\n".join(
                f"    {o.step}: {'; '.join(w for r in o.resources for w in r.wants) or o.note}"
                for o in drifted
            )
            raise Drift(
                f"{len(drifted)} steps are not as the lab describes them:\n{lines}",
                fix=f"mode=plan shows what would mend it; the record: {self._place}",
            )
        if blocked:
            self._conclude("blocked")
            raise StepFailed(
                f"the rehearsal did not get to the end, so this plan can't be carried out:\n"
                f"    {blocked}",
                fix=f"mend that first; the record: {self._place}",
            )
        self._conclude("completed" if self._sends or self.mode == "verify" else "planned")
        sent = sum(len(outcome.sent) for outcome in self.outcomes)
        return note_card(
            f"{self.runbook.title}: {self._status}, {sent} changes sent ({self.evidence}). "
            f"Record: {self._place}"
        )

    # ------------------------------------------------------------------ parts

    def _not_blocked(self, plan: Plan) -> None:
        if plan.blocked:
            raise StepFailed(f"the rehearsal did not get to the end: {plan.blocked}")

    def _await_hosts(self, names: Sequence[str]) -> None:
        """Where a run is continued, hosts that it worked on may be restarting: give them time."""
        clock = self._target.clock
        until = clock.now() + _RESTART_S
        for name in names:
            while True:
                try:
                    self._target.link.run(name, read("true"))
                    break
                except Unreachable:
                    if clock.now() >= until:
                        raise
                    clock.sleep(5.0)

    @property
    def evidence(self) -> str:
        """``rehearsed`` or ``measured``."""
        return self._target.evidence

    @property
    def _place(self) -> str:
        """Where the record lies, for a person."""
        return paths.shown(self.record.folder)

    @property
    def _sends(self) -> bool:
        return self.mode == "apply" and (self._target.name == "twin" or bool(self.approve))

    def _rehearse(self) -> Plan:
        """Run the whole runbook on a twin seeded with what the hosts say."""
        key = next(iter(self.lab.vms), "")
        twin = rehearsal(self._target, public_key=self._target.public_key(key))
        try:
            engine = self._new_engine(twin, Journal(None, mask=self._mask, wall=self._wall), None)
            blocked, checks = "", []
            for name in self.selected:
                try:
                    outcome = engine.run_step(name)
                except HomelabError as error:
                    blocked = f"{name}: {error}"
                    break
                checks += [f"{name}: {check.title}" for check in outcome.checks]
            return Plan(
                runbook=self.runbook.name,
                lab=self.lab.name,
                lab_digest=self.lab.digest,
                target=self._target.name,
                steps=self.selected,
                changes=self._in_order(engine.sender.sent),
                checks=tuple(checks),
                blocked=blocked,
            )
        finally:
            twin.close()

    def _in_order(self, sent: Sequence[PlannedChange]) -> tuple[PlannedChange, ...]:
        """By step and host: which of two hosts was the quicker must not make another plan."""
        order = {name: place for place, name in enumerate(self.selected)}
        return tuple(sorted(sent, key=lambda change: (order[change.step], change.host)))

    def _new_engine(self, target: Target, journal: Journal, plan: Plan | None) -> Engine:
        history: Sequence[dict[str, Any]] = ()
        if self._target.name == "ssh":  # what this run's own journal holds, the sender reads there
            own = self.record.folder if journal is self._journal else None
            history = self._history.intents(but=own)
        sender = Sender(
            target.link,
            target.clock,
            journal,
            self._mask,
            plan,
            allow_destroy=self._allow_destroy,
            history=history,
        )
        mode: Literal["apply", "verify"] = "verify" if self.mode == "verify" else "apply"
        return Engine(self.runbook, mode, sender, trust=target.trust, confirm=self._confirm)

    def _carry_out(self, name: str) -> StepOutcome:
        if self._engine is None:
            plan = None if self.mode == "verify" else self._plan
            self._engine = self._new_engine(self._target, self._journal, plan)
        engine = self._engine
        expected = 0 if self.mode == "verify" else len(self._plan.of_step(name))
        with StepBar(name, expected, lambda: len(engine.sender.sent)) as bar:
            engine.sender.progress = bar
            try:
                return engine.run_step(name)
            except BaseException as error:
                self.outcomes.append(engine.outcomes[name])
                interrupted = not isinstance(error, Exception)
                self._conclude("interrupted" if interrupted else "failed", error=str(error))
                if isinstance(error, HomelabError):
                    error.fix = f"{error.fix}\n  record: {self._place}".strip()
                raise

    def _what_next(self, plan: Plan) -> str:
        if self._sends:
            return "" if self._target.name == "twin" else "Approved; it is carried out now."
        if plan.blocked:
            return "This plan can't be approved."
        if self._target.name == "twin":
            return "Nothing was sent. mode=apply carries it out on the twin."
        return f'Nothing was sent. To carry it out: mode=apply approve="{plan.digest}"'

    def _conclude(self, status: str, error: str = "") -> None:
        """Write the summary and the report; called once a run has come to any end."""
        self._status = status
        self._journal.append("end", status=status)
        head = {
            "run_id": self.record.run_id,
            "runbook": self.runbook.name,
            "title": self.runbook.title,
            "lab": self.lab.name,
            "target": self._target.name,
            "mode": self.mode,
            "status": status,
            "approve": self.approve,
            "started": self._started,
            "ended": self._wall(),
            "error": self._mask(error),
        }
        summary = records.summary(
            head=head,
            plan=getattr(self, "_plan", None),
            outcomes=self.outcomes,
            evidence=self.evidence,
            journal_head=self._journal.head,
        )
        for moment in ("before", "after"):
            document = records.states(self.outcomes, moment)
            self.record.write_json(f"{moment}.json", document, self._mask)
        self.record.write_json("summary.json", summary, self._mask)
        write_report(self.record.folder)
        glue("steps", [_row(step) for step in summary["steps"]], frame=True)
        glue("record", {"path": self._place, "status": status})

    def _glue_step(self, outcome: StepOutcome) -> None:
        glue(
            f"step {outcome.step}",
            {
                "status": outcome.status,
                "changes": len(outcome.sent),
                "checks": {check.title: check.holds for check in outcome.checks},
                "numbers": {
                    number.name: {
                        "value": number.value,
                        "unit": number.unit,
                        "evidence": self.evidence,
                        "predicted": number.predicted,
                    }
                    for number in outcome.measurements
                },
            },
        )

    def close(self) -> None:
        """Let go of connections, the twin and the lab's lock."""
        atexit.unregister(self.close)
        self._stack.close()

    def _record(self, name: str, target: str, run_id: str) -> records.Record:
        if run_id:
            return records.find(paths.reports(), run_id)
        if target == "ssh" and self.mode == "apply" and self.approve:
            earlier = self._history.record_of(self.approve)
            if earlier is not None:
                return records.Record(earlier)
        folder = f"{self._wall()[:10]}_{name}_{target}_r{secrets.token_hex(3)}"
        return records.Record(paths.reports() / folder)


def _one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise BadParameter(f"{name} is {value!r}", fix=f"write one of: {', '.join(allowed)}")


def _names(given: Sequence[str] | str) -> list[str]:
    """A list of names; papermill's ``-p only image,machines`` gives them as one text."""
    if isinstance(given, str):
        return [name.strip() for name in given.split(",") if name.strip()]
    return list(given)


def _select(runbook: Runbook, only: Sequence[str], skip: Sequence[str]) -> tuple[str, ...]:
    for name in (*only, *skip):
        runbook[name]  # an unknown name is an error, not an empty selection
    return tuple(n for n in runbook.names if (not only or n in only) and n not in skip)


def _row(step: dict[str, Any]) -> dict[str, Any]:
    """A step as a row of the table that `scrapbook` gives back as a data frame."""
    return {
        "step": step["step"],
        "title": step["title"],
        "status": step["status"],
        "changes_sent": step["changes_sent"],
        "checks": len(step["checks"]),
        "duration_s": round(step["end_s"] - step["start_s"], 3),
    }


def begin(name: str, **parameters: Any) -> Run:
    """Begin a run of the runbook `name`; the parameters are those of `Run`."""
    return Run(name, **parameters)
