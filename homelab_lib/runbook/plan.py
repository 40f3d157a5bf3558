"""A plan is a file: what would be sent, to which host, in which order; bound by a digest."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from homelab_lib.errors import BadParameter, PlanStale
from homelab_lib.runbook.resource import Change
from homelab_lib.secret import Mask, Secret


@dataclass(frozen=True)
class PlannedChange:
    """One command as the rehearsal sent it.

    Parameters
    ----------
    step, host, resource
        Where it belongs.
    summary
        One line for the reader.
    command
        The quoted words.
    stdin
        What goes to standard input: ``sha256:…`` of the text, or the name of a secret.
    shows
        The text that goes to standard input, where it is no secret.
    destroys
        What it would destroy.
    undo
        How to undo it.
    detached
        Whether it runs as a unit of its own on the host.
    repairs
        Whether it clears away what our own broken-off attempt left.
    """

    step: str
    host: str
    resource: str
    summary: str
    command: str
    stdin: str = ""
    shows: str = ""
    destroys: tuple[str, ...] = ()
    undo: str = ""
    detached: bool = False
    repairs: bool = False

    @classmethod
    def of(cls, step: str, resource: str, host: str, change: Change, mask: Mask) -> "PlannedChange":
        stdin, shows = _describe(change.command.stdin)
        return cls(
            step=step,
            host=host,
            resource=resource,
            summary=mask(change.summary),
            command=change.command.line,
            stdin=stdin,
            shows=mask(shows),
            destroys=change.destroys,
            undo=mask(change.undo),
            detached=change.detached,
            repairs=change.repairs,
        )

    @classmethod
    def from_intent(cls, intent: dict[str, Any]) -> "PlannedChange":
        """The change that a journal's intent recorded."""
        names = {name: intent[name] for name in cls.__dataclass_fields__}
        return cls(**names | {"destroys": tuple(intent["destroys"])})

    @property
    def identity(self) -> tuple[str, ...]:
        """What has to be the same for two changes to be the same."""
        return (self.step, self.host, self.resource, self.command, self.stdin, *self.destroys)


def _describe(stdin: str | bytes | Secret | None) -> tuple[str, str]:
    if stdin is None:
        return "", ""
    if isinstance(stdin, Secret):
        return str(stdin), ""
    raw = stdin.encode() if isinstance(stdin, str) else stdin
    return f"sha256:{hashlib.sha256(raw).hexdigest()}", raw.decode(errors="replace")


@dataclass(frozen=True)
class Plan:
    """What a runbook would do to a lab, as its rehearsal on a twin of the hosts showed.

    Parameters
    ----------
    runbook, lab, lab_digest, target
        What was planned, for which description, against what.
    steps
        The steps it covers, in order.
    changes
        Every changing command, in the order in which the rehearsal sent them.
    checks
        What the rehearsal found to hold afterwards, a line each.
    blocked
        Why the rehearsal did not get to the end; such a plan can't be approved.
    """

    runbook: str
    lab: str
    lab_digest: str
    target: str
    steps: tuple[str, ...]
    changes: tuple[PlannedChange, ...]
    checks: tuple[str, ...] = ()
    blocked: str = ""

    @property
    def digest(self) -> str:
        """A name for everything that matters: the same plan has the same one.

        It begins with a letter, since papermill takes what looks like a number for one.
        """
        essence = [self.runbook, self.lab, self.lab_digest, self.target, self.steps]
        essence += [[c.identity for c in self.changes], self.blocked]
        return f"p{hashlib.sha256(json.dumps(essence).encode()).hexdigest()[:12]}"

    def of_step(self, step: str) -> list[PlannedChange]:
        return [change for change in self.changes if change.step == step]

    def to_json(self) -> str:
        document = {"digest": self.digest, **asdict(self)}
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: str) -> "Plan":
        """Read a plan back.

        Raises
        ------
        PlanStale
            When the file is not what its digest says: it was changed after it was made.
        """
        try:
            document: dict[str, Any] = json.loads(text)
            digest = document.pop("digest")
            changes = document.pop("changes")
            for key in ("steps", "checks"):
                document[key] = tuple(document[key])
            plan = cls(
                changes=tuple(
                    PlannedChange(**c | {"destroys": tuple(c["destroys"])}) for c in changes
                ),
                **document,
            )
        except (ValueError, KeyError, TypeError):
            raise BadParameter("this is not a plan", where=where) from None
        if plan.digest != digest:
            raise PlanStale(
                "the plan was changed after it was made",
                where=where,
                fix="make it again with mode=plan and read it before you approve it",
            )
        return plan


def save(plan: Plan, folder: Path) -> Path:
    """Keep a plan under its digest, where a later ``approve`` finds it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{plan.digest}.json"
    file.write_text(plan.to_json())
    return file


def load(digest: str, folder: Path) -> Plan:
    """The plan that was approved.

    Raises
    ------
    BadParameter
        No plan of that digest was made here.
    """
    file = folder / f"{digest}.json"
    if not digest.isalnum() or not file.exists():
        raise BadParameter(
            f"there is no plan {digest!r} for this lab",
            fix="run with mode=plan, read the plan, then approve the digest it shows",
        )
    return Plan.from_json(file.read_text(), where=str(file))


def assert_covers(approved: Plan, fresh: Plan, sent: Iterable[tuple[str, ...]]) -> None:
    """Refuse an approval that no longer fits.

    What is still to be done (`fresh`, made a moment ago) has to be what was approved, less what
    the journal says was sent under this very approval. So a run that died is continued under
    its own approval, and a host that somebody else changed is not.

    Parameters
    ----------
    approved, fresh
        The plan the person read, and the plan as it would be made now.
    sent
        The identities of the changes that runs under this approval sent, done or unknown.

    Raises
    ------
    PlanStale
        With the lines that differ.
    """
    if fresh.digest == approved.digest:
        return
    for title, old, new in (
        ("runbook", approved.runbook, fresh.runbook),
        ("lab", approved.lab, fresh.lab),
        ("lab's description", approved.lab_digest, fresh.lab_digest),
        ("selection of steps", approved.steps, fresh.steps),
    ):
        if old != new:
            raise PlanStale(f"the {title} is not the one that was planned", fix=_AGAIN)
    already = set(sent)
    wanted = list(approved.changes)
    differences = []
    for change in fresh.changes:
        if change.identity in {c.identity for c in wanted}:
            wanted = [c for c in wanted if c.identity != change.identity]
        elif not change.repairs:
            differences.append(f"+ {change.host}: {change.summary}")
    # Of what we have begun to make, the rest may have come by itself: a VM starts with its host.
    begun = {identity[1:3] for identity in already}
    differences += [
        f"- {change.host}: {change.summary}"
        for change in wanted
        if change.identity not in already and (change.host, change.resource) not in begun
    ]
    if fresh.blocked:
        differences.append(f"! {fresh.blocked}")
    if differences:
        lines = "\n    ".join(differences)
        raise PlanStale(f"the hosts are not as they were planned for:\n    {lines}", fix=_AGAIN)


_AGAIN = "run with mode=plan again, read it, and approve the new digest"
