"""What a person approved: kept under its digest, and held against what is to be done now."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from homelab_lib import durable
from homelab_lib.errors import BadParameter, HomelabError, PlanStale
from homelab_lib.regular_file import read_ours
from homelab_lib.runbook.journal import Journal, intents
from homelab_lib.runbook.plan import Plan, PlannedChange, PlannedHost

_DIGEST = re.compile(r"p[0-9a-f]{16}")
_AGAIN = "make a new plan (mode=plan), read it, and approve its digest"


@dataclass(frozen=True)
class Covered:
    """How what is still to be done differs from an approved plan, within its approval.

    Parameters
    ----------
    besides
        Changes (by identity) that clear up after our own attempt that was cut off, or send again
        what was approved and sent, where it now takes nobody's place: a restart in between undid
        a part.
    gone
        Changes (by identity) that are not needed any more, since what we had begun came by itself.
    """

    besides: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


def save(plan: Plan, folder: Path) -> Path:
    """Keep a plan under its digest, where a later ``approve`` finds it.

    Raises
    ------
    HomelabError
        It can't be written.
    """
    file = folder / f"{plan.digest}.json"
    try:
        durable.private_folder(folder)
        durable.replace(file, plan.to_json(), mode=durable.PRIVATE)
    except OSError as error:
        raise HomelabError(
            f"the plan can't be kept: {error.strerror}",
            where=str(file),
            fix="make room there, or name another folder in HOMELAB_STATE",
        ) from None
    return file


def load(digest: str, folder: Path) -> Plan:
    """The plan that was approved.

    Raises
    ------
    BadParameter
        No plan of that digest was made here, or its file is broken.
    PlanStale
        The file was changed after it was made.
    Unreadable
        There is no file of that name, but something else.
    """
    file = folder / f"{digest}.json"
    if not _DIGEST.fullmatch(digest) or not file.exists():
        raise BadParameter(
            f"there is no plan {digest[:80]!r} for this lab",
            fix="make a plan (mode=plan), read it, then approve the digest it shows",
        )
    text = read_ours(file).decode(errors="replace")
    plan = Plan.from_json(text, where=str(file))
    if plan.digest != digest:
        raise PlanStale("the plan under this name is another one", where=str(file), fix=_AGAIN)
    return plan


def assert_covers(
    approved: Plan, fresh: Plan, journal: Journal, allow_destroy: frozenset[str]
) -> "Covered":
    """Refuse an approval that no longer fits.

    What is still to be done (`fresh`, made a moment ago) has to be what was approved, less what
    the journal of this very approval says was sent. So a run that died is continued under its own
    approval, and a host that somebody else changed is not.

    Parameters
    ----------
    approved, fresh
        The plan the person read, and the plan as it would be made now.
    journal
        What was sent under this approval.
    allow_destroy
        What the person names as free to be destroyed.

    Returns
    -------
    Covered
        What differs from the plan, and is covered by the approval all the same.

    Raises
    ------
    PlanStale
        With all lines that differ.
    """
    sent = Counter(each["id"] for each in intents(journal.events) if each["outcome"] == "done")
    if fresh.digest == approved.digest and not sent:
        return Covered()
    _same_undertaking(approved, fresh)
    if approved.blocked:
        raise PlanStale(
            "the plan under this name did not get to its end, and can't be carried out:\n"
            f"    {approved.blocked_at}: {approved.blocked}",
            fix=_AGAIN,
        )
    left = Counter(change.identity for change in approved.changes) - sent
    differences: list[str] = []
    besides: list[str] = []
    gone: list[str] = []
    done = [each for each in approved.changes if sent[each.identity]]
    for change in fresh.changes:
        if left[change.identity]:
            left[change.identity] -= 1
        elif _again(change, done):
            besides.append(change.identity)
        elif not (change.destroys and journal.begun(change.host, change.resource)):
            differences.append(f"+ {change.host}: {change.summary}{_from(change)}")
        elif set(change.destroys) <= allow_destroy:
            besides.append(change.identity)
        else:
            names = ", ".join(f'"{name}"' for name in change.destroys)
            differences.append(
                f"+ {change.host}: {change.summary}\n      what our own attempt left; if it may be "
                f"cleared away, name it: allow_destroy=[{names}]"
            )
    for change in approved.changes:
        # Of what we have begun to make, the rest may have come by itself: a VM starts with its
        # host.
        missing = left[change.identity] > 0
        left[change.identity] -= 1
        if missing and _not_looked_at_yet(change, fresh):
            continue
        if missing and not journal.touched(change.host, change.resource):
            differences.append(f"- {change.host}: {change.summary}")
        elif missing and journal.outcome(change.identity) != "done":
            gone.append(change.identity)
    if fresh.blocked:
        differences.append(f"! {fresh.blocked_at}: {fresh.blocked}")
    if differences:
        lines = "\n    ".join(differences)
        raise PlanStale(f"the hosts are not as they were planned for:\n    {lines}", fix=_AGAIN)
    return Covered(tuple(besides), tuple(gone))


def assert_carried_out(approved: Plan, fresh: Plan) -> None:
    """Refuse to send anything under an approval that was carried out to its end.

    Parameters
    ----------
    approved, fresh
        The plan the person read, all of which was done, and the plan as it would be made now.

    Raises
    ------
    PlanStale
        It is for something else, or there is something to send again.
    """
    _same_undertaking(approved, fresh)
    lines = [f"+ {change.host}: {change.summary}{_from(change)}" for change in fresh.changes]
    lines += [f"! {fresh.blocked_at}: {fresh.blocked}"] if fresh.blocked else []
    if lines:
        told = "\n    ".join(lines)
        raise PlanStale(
            "this plan was carried out, and since then the hosts are not as it left them:\n"
            f"    {told}",
            fix=_AGAIN,
        )


def _same_undertaking(approved: Plan, fresh: Plan) -> None:
    """Both plans are of one runbook for one lab, and for the very same hosts."""
    for title, old, new in (
        ("runbook", approved.runbook, fresh.runbook),
        ("target", approved.target, fresh.target),
        ("lab", approved.lab, fresh.lab),
        ("lab's description", approved.lab_digest, fresh.lab_digest),
        ("selection of steps", approved.steps, fresh.steps),
    ):
        if old != new:
            raise PlanStale(f"the {title} is not the one that was planned", fix=_AGAIN)
    _same_hosts(approved.hosts, fresh.hosts)


def _again(change: PlannedChange, done: Sequence[PlannedChange]) -> bool:
    """Whether a change sends no more than what was approved and sent: it destroys nothing, and what
    it replaces is nothing, or what it was approved to replace."""
    return not change.destroys and any(
        change.identity == each.identity
        or (
            not change.replaces
            and change.step == each.step
            and change.rollback == each.rollback
            and change.sends_as(each)
        )
        for each in done
    )


def _not_looked_at_yet(change: PlannedChange, fresh: Plan) -> bool:
    """Whether a change comes after the point up to which anything could be looked at: then nobody
    knows whether it is needed, and this run does not get there."""
    if not fresh.unseen:
        return False
    return fresh.steps.index(change.step) >= fresh.steps.index(fresh.unseen_at)


def _from(change: PlannedChange) -> str:
    return f"\n      in place of: {change.replaces}" if change.replaces else ""


def _same_hosts(planned: tuple[PlannedHost, ...], found: tuple[PlannedHost, ...]) -> None:
    """The hosts are those that the plan is for; one that it makes may have come to be."""
    now = {host.name: host for host in found}
    differences = []
    for host in planned:
        other = now.pop(host.name, None)
        if other == host or (other and not host.key and _at_one_place(host, other)):
            continue
        differences.append(f"planned for: {host}\n    now:         {other or 'none'}")
    differences += [f"planned for: none\n    now:         {host}" for host in now.values()]
    if differences:
        lines = "\n    ".join(differences)
        raise PlanStale(f"this plan is for other hosts:\n    {lines}", fix=_AGAIN)


def _at_one_place(a: PlannedHost, b: PlannedHost) -> bool:
    return (a.address, a.port, a.user) == (b.address, b.port, b.user)
