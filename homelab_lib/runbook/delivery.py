"""How one change gets to its host, and how its end is heard of."""

from collections.abc import Callable
from dataclasses import dataclass

from homelab_lib.errors import (
    AuthenticationRefused,
    HomelabError,
    HostKeyRefused,
    OutcomeUnknown,
    StepFailed,
)
from homelab_lib.runbook import busy, detached
from homelab_lib.runbook.clock import Clock
from homelab_lib.runbook.host import Link, ReadingHost
from homelab_lib.runbook.patience import pauses
from homelab_lib.runbook.resource import Change, Rollback
from homelab_lib.secret import Mask
from homelab_lib.transport.command import Command, Result

_MARGIN = 0.8  # of a rollback's time, for confirming it


@dataclass(frozen=True)
class Courier:
    """Carries changes over a link.

    Parameters
    ----------
    link, clock, mask
        What carries calls, the target's clock, what is blotted out of what hosts say.
    note
        Told (host, text) while work goes on.
    """

    link: Link
    clock: Clock
    mask: Mask
    note: Callable[[str, str], None]

    def deliver(self, change: Change, host: ReadingHost, *, resume: bool) -> Result:
        """Send a change and hear of its end.

        Parameters
        ----------
        resume
            Whether this very change was sent before, and nobody heard what came of it.

        Raises
        ------
        OutcomeUnknown
            Neither its success nor its failure was heard of.
        StepFailed
            The host's own work on it failed, or the host undid it.
        HomelabError
            It was not sent.
        """
        if change.rollback is not None:
            answer = self._under_timer(change, change.rollback, host)
        elif change.detached and isinstance(change.call, Command):
            answer = detached.run(
                self.link,
                host.name,
                change.call,
                sleep=self.clock.sleep,
                now=self.clock.now,
                resume=resume,
                note=lambda text: self.note(host.name, text),
            )
        else:
            answer = self.link.run(host.name, change.call)
        if answer.ok and change.follow is not None:
            return self._follow(change, host, answer)
        return answer

    def _follow(self, change: Change, host: ReadingHost, answer: Result) -> Result:
        """Ask after work that the appliance goes on with, until it is done. That it can't be asked
        for a while ends nothing. Where it failed and that means "not yet", that is the answer."""
        assert change.follow is not None
        until, pause, said = self.clock.now() + change.call.timeout_s, pauses(), ""
        while True:
            try:
                progress = change.follow(host, answer)
            except (HostKeyRefused, AuthenticationRefused) as error:
                raise OutcomeUnknown(error.what, where=error.where, fix=error.fix) from None
            except HomelabError as error:
                said = error.what
            else:
                if progress.done:
                    break
                said = progress.note
                self.note(host.name, progress.note)
            if self.clock.now() >= until:
                raise OutcomeUnknown(
                    f"still at it after {change.call.timeout_s:.0f} s: {said}", where=host.name
                )
            self.clock.sleep(next(pause))
        ended = Result(1, answer.stdout, progress.error) if progress.error else answer
        if progress.error and busy.meaning(change.call, ended) is None:
            raise StepFailed(
                f"{host.name}: {self.mask(progress.error)}\n    {self.mask(change.call.line)}",
                where=host.name,
                fix="mend what it complains of, then run the same command line again",
            )
        return ended

    def _under_timer(self, change: Change, rollback: Rollback, host: ReadingHost) -> Result:
        """A change to the path by which we came: armed and seen armed, sent, and confirmed over a
        fresh connection. Whatever goes wrong, the host undoes it."""
        begun = self.clock.now()
        if rollback.arm is not None:
            armed = self.link.run(host.name, rollback.arm)
            if not armed.ok or not rollback.armed(host):
                raise StepFailed(
                    f"{host.name}: the undo of this change could not be armed, so it was not "
                    f"sent: {change.summary}\n    {self.mask(rollback.arm.line)}\n"
                    f"    {self.mask(armed.stderr or armed.stdout).strip()}",
                    where=host.name,
                    fix="without it, a mistake would lock us out; mend what it complains of",
                )
        sent_at = self.clock.now()
        if rollback.arm is not None and sent_at - begun > rollback.within_s / 2:
            # This program was stopped for a while (Ctrl-Z, a computer that slept): what was seen
            # armed may have run out.
            raise StepFailed(
                f"{host.name}: the undo of this change was armed {sent_at - begun:.0f} s ago and "
                f"may have run out, so it was not sent: {change.summary}",
                where=host.name,
                fix="run the same command again, and let it go on",
            )
        answer: Result | None = None
        try:
            answer = self.link.run(host.name, change.call)
        except OutcomeUnknown:
            self.note(host.name, "the link dropped, as it may; coming back")
        if answer is not None and not answer.ok:
            return answer
        until, pause, why = sent_at + rollback.within_s * _MARGIN, pauses(), ""
        reached = False
        while self.clock.now() < until:
            try:
                self.link.reconnect(host.name)
                if rollback.arm is None and not rollback.armed(host):
                    raise OutcomeUnknown(
                        f"{host.name}: its undo is not armed: {change.summary}", where=host.name
                    )
                confirmed = self.link.run(host.name, rollback.confirm)
                reached = True
                if confirmed.ok:
                    return answer or Result(0, "", "")
                why = (confirmed.stderr or confirmed.stdout).strip()
            except OutcomeUnknown:
                raise
            except HomelabError as error:
                reached, why = False, error.what
            self.clock.sleep(next(pause))
        if reached:
            raise StepFailed(
                f"{host.name} is reached, and does not keep: {change.summary}\n    {why}",
                where=host.name,
                fix="it has gone back to what it was, or does so by itself; then run the same "
                "command again",
            )
        left_s = max(sent_at + rollback.within_s - self.clock.now(), 0.0)
        raise StepFailed(
            f"{host.name} was not reached any more after: {change.summary}\n    {why}\n"
            f"    it undoes that by itself, in {left_s:.0f} s at the latest",
            where=host.name,
            fix="wait for that, then look at why the new path does not lead to the host; its "
            "console is the last way",
        )
