"""What can go wrong, said to a person: what, where, and what to do next."""

from collections.abc import Sequence

from homelab_lib.printable import printable


class HomelabError(Exception):
    """Base of every error a user can cause or meet.

    Parameters
    ----------
    what
        One sentence: what happened.
    where
        ``file:line``, ``host`` or ``host:step``; empty where there is no place.
    fix
        What the person can do next; a command where there is one.

    What a host said may be in any of these; as text, nothing in it moves a terminal.
    """

    exit_status = 1
    """How a command ends that meets it."""

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.fix:
            lines.append(f"  next:  {self.fix}")
        return printable("\n".join(lines))

    def _render_traceback_(self) -> list[str]:
        """IPython calls this instead of printing a traceback: the message is the whole story."""
        return [f"{type(self).__name__}: {self}"]


class Several(HomelabError):
    """An error that may have many reasons, so that nobody meets them one by one.

    Parameters
    ----------
    problems
        Each of them in a line; empty where `what` says it all.
    """

    def __init__(self, what: str, *, problems: Sequence[str] = (), where: str = "", fix: str = ""):
        super().__init__(what, where=where, fix=fix)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(printable(f"- {p}") for p in self.problems)])


class LabError(Several):
    """The lab's description is not right; every problem found is in ``problems``."""


class BadParameter(Several):
    """A parameter of a runbook or a command has a value it can't have."""


class Unreadable(HomelabError):
    """A file, or what a host has in one, can't be read as what it should be."""


class SecretUnresolved(HomelabError):
    """A secret reference (``env:``, ``file:``, ``keyring:``) leads nowhere."""


class Refused(HomelabError):
    """We could do it, and won't: a safety promise stands against it."""


class UnknownRelease(HomelabError):
    """A host runs, or is to run, a release of which nobody here can say what its calls mean."""


class Unreachable(HomelabError):
    """No connection to a host: address, port, time-out or refusal."""


class NotListening(Unreachable):
    """The host is there, and nothing listens at a port of its own."""


class TooSlow(HomelabError):
    """A host let us in, and a look there did not come to its end within its time."""


class HostKeyRefused(HomelabError):
    """The host's key is unknown or is not the one that is pinned."""


class CertificateRefused(HostKeyRefused):
    """The certificate of a host's HTTPS service is unknown or is not the one that is pinned."""


class AuthenticationRefused(HomelabError):
    """The host answered and did not let us in.

    Parameters
    ----------
    says
        The host's own words, where it has any: "System is booting up. …"; in `what`, too.
    """

    def __init__(self, what: str, *, says: str = "", where: str = "", fix: str = ""):
        super().__init__(what, where=where, fix=fix)
        self.says = says


class LoginUnusable(AuthenticationRefused):
    """The host let us in, and what is sent there is not run as it has to be."""


class OutcomeUnknown(HomelabError):
    """A command was sent and the link, or the time, ran out before its result came.

    Neither success nor failure: only the next look at the host decides.
    """


class NotSent(HomelabError):
    """It was to follow on something that failed, or never got an answer; it was not run."""


class StepFailed(HomelabError):
    """A step did not reach what it wants; the run stops here."""


class PersonNeeded(StepFailed):
    """A step waits for what only a person can do; nothing went wrong."""


class NotUnderstood(StepFailed):
    """A host answered in another shape than what we can read."""


class NotYet(StepFailed):
    """A host went on answering "not yet" until the time for that was up."""


class Stopped(StepFailed):
    """Work on this host was broken off because another host's failed or the person said stop."""


class Unseen(HomelabError):
    """What comes next depends on what nobody has looked at: the plan ends here, for now."""


class PlanStale(HomelabError):
    """The approved plan no longer fits what the hosts say."""


class PlanDiffers(HomelabError):
    """What is about to be sent is not what the plan foretold."""


class ApprovalMissing(HomelabError):
    """There is something to send to real hosts, and nobody has approved it: nothing was sent."""

    exit_status = 3


class Drift(HomelabError):
    """``verify`` found hosts that are not as the lab describes them."""

    exit_status = 4


class Locked(HomelabError):
    """Another run is at work on this lab."""
