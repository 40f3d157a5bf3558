"""observe → diff → apply → observe, until it is as desired or time is out."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from homelab_lib.errors import StepFailed, Unreachable
from homelab_lib.runbook.host import ReadingHost
from homelab_lib.runbook.outcome import ResourceOutcome
from homelab_lib.runbook.resource import Change, Resource
from homelab_lib.runbook.sender import PATIENCE, PAUSE_S, Sender
from homelab_lib.transport.command import Command

_GRACE_S = 15.0  # a command whose reply was lost may still be at work
_LOST_REPLIES = 3


UNSEEN: Any = object()


def look(
    step: str,
    resource: Resource,
    host: ReadingHost,
    sender: Sender,
    result: ResourceOutcome,
    seen: Any = UNSEEN,
) -> None:
    """Observe and compare; sends nothing. What was `seen` already is not looked at again."""
    result.before = result.after = resource.observe(host) if seen is UNSEEN else seen
    diff = resource.diff(result.after)
    if not diff.clean:
        result.status = "drift"
        result.wants = [change.summary for change in diff.changes]
        result.wants += [text for text in (diff.waiting, diff.conflict) if text]
    sender.journal.append(
        "looked", step=step, host=host.name, resource=resource.name, wants=result.wants
    )


def converge(
    step: str,
    resource: Resource,
    host: ReadingHost,
    sender: Sender,
    result: ResourceOutcome,
    seen: Any = UNSEEN,
) -> None:
    """Send what is missing, and wait until the host says that it is there.

    What was `seen` already is not looked at again before something was sent.

    A change is sent once: if the host goes on wanting it after it was done, that is waited for.
    Where the reply was lost the host is looked at, and only if nothing came of the change is it
    sent again.

    Raises
    ------
    StepFailed
        Something else has the place, the host refused, or it did not become so in time.
    """
    clock = sender.clock
    tried: set[Command] = set()
    deadline: float | None = None
    lost, pause = 0, PAUSE_S[0]
    while True:
        observed = _observe(resource, host, sender, deadline) if seen is UNSEEN else seen
        seen = UNSEEN
        diff = resource.diff(observed)
        if deadline is None:
            deadline = clock.now() + resource.timeout_s
            result.before = observed
            sender.journal.append(
                "observed", step=step, host=host.name, resource=resource.name, state=observed
            )
            there = " is there" if diff.clean else ""
            sender.progress(step, host.name, f"{resource.name}{there}")
        if diff.conflict:
            raise StepFailed(diff.conflict, where=f"{host.name}: {resource.name}")
        if diff.clean:
            result.after = observed
            return
        fresh = [change for change in diff.changes if change.command not in tried]
        for change in fresh:
            result.status = "changed"
            sent = sender.send(step, resource, change, host)
            result.sent.append(sent)
            if sent.outcome == "unknown":
                lost += 1
                if lost > _LOST_REPLIES:
                    raise StepFailed(
                        f"the reply was lost {lost} times: {change.summary}",
                        where=f"{host.name}:{step}",
                        fix="see to the link, then run the same command again",
                    )
                _await_news(resource, change, host, sender)
                break
            tried.add(change.command)
        if fresh:
            deadline, pause = clock.now() + resource.timeout_s, PAUSE_S[0]
            continue
        if clock.now() >= deadline:
            missing = diff.waiting or "; ".join(change.summary for change in diff.changes)
            raise StepFailed(
                f"{resource.name} is not as it should be after {resource.timeout_s:.0f} s: "
                f"{missing}",
                where=f"{host.name}:{step}",
                fix="look at the host; running the same command again goes on from here",
            )
        sender.progress(step, host.name, diff.waiting or f"waiting for {resource.name}")
        clock.sleep(pause)
        pause = min(pause * PATIENCE, PAUSE_S[1])


def seen_together(resources: Sequence[Resource], host: ReadingHost) -> list[Any]:
    """First looks at resources that stand side by side and can be looked at by few commands."""
    looks: list[Any] = []
    for kind, group in groupby(resources, type):
        members = list(group)
        together = getattr(kind, "observe_together", None)
        if together is None or len(members) == 1:
            looks += [UNSEEN] * len(members)
        else:
            looks += together(host, members)
    return looks


def _observe(resource: Resource, host: ReadingHost, sender: Sender, deadline: float | None) -> Any:
    """Look; a host that restarts on our account is given until the deadline to answer."""
    pause = 1.0
    while True:
        try:
            return resource.observe(host)
        except Unreachable:
            if deadline is None or sender.clock.now() >= deadline or sender.stop.is_set():
                raise
            sender.clock.sleep(pause)
            pause = min(pause * PATIENCE, PAUSE_S[1])


def _await_news(resource: Resource, change: Change, host: ReadingHost, sender: Sender) -> None:
    """After a lost reply, give what was sent the time to show."""
    until = sender.clock.now() + _GRACE_S
    while sender.clock.now() < until:
        wanted = resource.diff(_observe(resource, host, sender, until)).changes
        if change.command not in {other.command for other in wanted}:
            return
        sender.clock.sleep(1.0)
