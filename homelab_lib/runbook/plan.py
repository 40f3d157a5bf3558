"""A plan is a file: what would be sent, to whom, in which order; bound by a digest.

The digest covers all that a person reads when they approve: every call with its content, what it
would replace or destroy, how it is undone, what the rehearsal found to hold; and for whom it is,
with the key by which each host is known.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any

from homelab_lib.errors import BadParameter, PlanStale
from homelab_lib.runbook.resource import Change, Rollback
from homelab_lib.secret import Mask, Secret
from homelab_lib.transport.call import Call
from homelab_lib.transport.command import Command

FIDELITY = ("recorded", "validator", "source", "documentation", "guessed")
"""What a rehearsal's answer may rest on, the firmest first: a real appliance's own words, the
verdict of its own code, its source, what is written of it, or nothing."""


def _sha256(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


@dataclass(frozen=True)
class PlannedHost:
    """Whom a plan is for.

    Parameters
    ----------
    name
        The machine's name in the lab.
    address, port, user
        Where it is reached, and as whom.
    key
        Fingerprint of its host key; empty for a machine that nobody vouches for yet, since the
        run itself is to make it.
    """

    name: str
    address: str
    port: int
    user: str
    key: str

    def __str__(self) -> str:
        known = self.key or "not there yet"
        return f"{self.name} = {self.user}@{self.address}:{self.port} ({known})"


@dataclass(frozen=True)
class PlannedChange:
    """One change as the rehearsal sent it.

    Parameters
    ----------
    step, host, resource
        Where it belongs.
    summary
        One line for the reader.
    call
        What is sent, as a line.
    content
        What goes with it: ``sha256:…`` of the text, or the name of a secret.
    shows
        The text that goes with it, where it is no secret.
    replaces
        What stands there now, and is replaced.
    destroys
        What it would destroy.
    undo
        How to undo it.
    detached
        Whether it runs as a unit of its own on the host.
    rollback
        How the host undoes it by itself unless it is confirmed; empty where nothing does.
    rests
        What the rehearsal's answer to it rests on: one of `FIDELITY`.
    difference
        What it changes in a text that is there, as a unified diff.
    """

    step: str
    host: str
    resource: str
    summary: str
    call: str
    content: str = ""
    shows: str = ""
    replaces: str = ""
    destroys: tuple[str, ...] = ()
    undo: str = ""
    detached: bool = False
    rollback: str = ""
    rests: str = ""
    difference: str = ""

    @classmethod
    def of(cls, step: str, resource: str, host: str, change: Change, mask: Mask) -> "PlannedChange":
        content, shows = _describe(change.call)
        return cls(
            step=step,
            host=host,
            resource=resource,
            summary=mask(change.summary),
            call=change.call.line,
            content=content,
            shows=mask(shows),
            replaces=mask(change.replaces),
            difference=mask(change.difference),
            destroys=change.destroys,
            undo=mask(change.undo),
            detached=change.detached,
            rollback=_rollback(change.rollback),
        )

    @property
    def reverts_after(self) -> str:
        """The time after which the host undoes it unless it is confirmed, ``90 s``; or nothing."""
        found = re.search(r"(?:^|; )the host undoes it after (\S+ s) unless", self.rollback)
        return found[1] if found else ""

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "PlannedChange":
        """From a plan's file, or from the intent that a journal holds."""
        document = {"difference": ""} | document  # one that was kept before there was this
        known = {each.name: document[each.name] for each in fields(cls)}
        return cls(**known | {"destroys": tuple(known["destroys"])})

    def to_json(self) -> dict[str, Any]:
        """What `from_json` makes it of."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @cached_property
    def identity(self) -> str:
        """What has to be the same for two changes to be the same: where, what is sent with what
        content, and what it finds in its place."""
        essence: list[object] = [self.step, self.host, self.resource, self.call, self.content]
        essence += [_sha256(self.replaces), list(self.destroys), self.rollback]
        return _sha256(json.dumps(essence))[:24]

    def sends_as(self, other: "PlannedChange") -> bool:
        """Whether the same thing is sent, whatever it finds in its place."""
        mine = (self.host, self.resource, self.call, self.content)
        return mine == (other.host, other.resource, other.call, other.content)


def _describe(call: Call) -> tuple[str, str]:
    """What goes with a call: a name for it, and what of it may be shown, secrets by their names."""
    content = call.payload
    if isinstance(content, Secret):
        if isinstance(call, Command) or isinstance(call.body, Secret):
            return str(content), ""
        content = json.dumps(call.body, default=str, ensure_ascii=False)
    if content is None:
        return "", ""
    raw = content.encode() if isinstance(content, str) else content
    return f"sha256:{_sha256(raw)}", raw.decode(errors="replace")


def _rollback(rollback: Rollback | None) -> str:
    if rollback is None:
        return ""
    armed = f"armed by: {rollback.arm.line}; " if rollback.arm else ""
    return (
        f"{armed}the host undoes it after {rollback.within_s:g} s unless a fresh connection "
        f"confirms it by: {rollback.confirm.line}"
    )


@dataclass(frozen=True)
class Plan:
    """What a runbook would do to a lab, as its rehearsal on a twin of the hosts showed.

    Parameters
    ----------
    runbook, lab, lab_digest, target
        What was planned, for which description, against what.
    steps
        The steps it covers, in order.
    hosts
        Whom it is for.
    changes
        Every change, in the order in which the rehearsal sent them.
    checks
        What the rehearsal found to hold afterwards, a line each.
    blocked, blocked_at
        Why the rehearsal did not get to the end, and in which step; such a plan can't be approved.
    unknown_releases
        Releases that it was made for although the twin does not know them: ``proxmox 12.7``.
    unseen, unseen_at
        What nobody could look at yet, and the step that makes it possible: so far the plan goes,
        and it can be approved. What comes after is looked at and planned when that is done.
    took_s
        How long each step took in the rehearsal, on the twin's clock [s]. It is an estimate and no
        part of what is approved.
    asks
        Steps in which the real run stops until a person says that an act is done, which the
        rehearsal took for done. It follows from the runbook and is no part of what is approved.
    """

    runbook: str
    lab: str
    lab_digest: str
    target: str
    steps: tuple[str, ...]
    hosts: tuple[PlannedHost, ...]
    changes: tuple[PlannedChange, ...]
    checks: tuple[str, ...] = ()
    blocked: str = ""
    blocked_at: str = ""
    unknown_releases: tuple[str, ...] = ()
    unseen: str = ""
    unseen_at: str = ""
    took_s: Mapping[str, float] = field(default_factory=dict, compare=False)
    asks: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def digest(self) -> str:
        """A name for all of it: the same plan has the same one.

        It begins with a letter, since papermill takes what looks like a number for one.
        """
        essence = asdict(self)
        del essence["took_s"], essence["asks"]
        for change in essence["changes"]:
            if not change["difference"]:
                del change["difference"]
        if not self.unseen:  # a plan that was made before there was this keeps its name
            del essence["unseen"], essence["unseen_at"]
        return f"p{_sha256(json.dumps(essence, sort_keys=True))[:16]}"

    @cached_property
    def fidelity(self) -> dict[str, int]:
        """How many of its changes rest on what, the firmest first."""
        counts = Counter(change.rests for change in self.changes)
        return {rests: counts[rests] for rests in FIDELITY if counts[rests]}

    def of_step(self, step: str) -> list[PlannedChange]:
        return [change for change in self.changes if change.step == step]

    def reached(self, step: str) -> bool:
        """Whether the rehearsal got to a step at all."""
        end = self.blocked_at or self.unseen_at
        if not end or step not in self.steps:
            return True
        return self.steps.index(step) <= self.steps.index(end)

    def to_json(self) -> str:
        document = {"digest": self.digest, **asdict(self)}
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: str) -> "Plan":
        """Read a plan back.

        Raises
        ------
        BadParameter
            It is no plan.
        PlanStale
            The file is not what its digest says: it was changed after it was made.
        """
        try:
            document = json.loads(text)
            digest = document.pop("digest")
            plan = cls(
                hosts=tuple(PlannedHost(**host) for host in document.pop("hosts")),
                changes=tuple(PlannedChange.from_json(c) for c in document.pop("changes")),
                steps=tuple(document.pop("steps")),
                checks=tuple(document.pop("checks")),
                asks=tuple(document.pop("asks", ())),
                unknown_releases=tuple(document.pop("unknown_releases")),
                **document,
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BadParameter(
                "this is not a plan, or only a part of one",
                where=where,
                fix="make it again with mode=plan",
            ) from None
        if plan.digest != digest:
            raise PlanStale(
                "the plan was changed after it was made",
                where=where,
                fix="make it again with mode=plan and read it before you approve it",
            )
        return plan


def in_order(changes: Sequence[PlannedChange], steps: Sequence[str]) -> tuple[PlannedChange, ...]:
    """By step and host: which of two hosts was the quicker must not make another plan."""
    order = {name: place for place, name in enumerate(steps)}
    return tuple(sorted(changes, key=lambda change: (order[change.step], change.host)))
