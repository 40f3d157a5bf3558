"""What counts as "not yet".

A server that starts, a lock that somebody holds, a login that is refused while the system boots:
such an answer is neither yes nor no, and it passes. So that no failure is taken for one, the words
have to be declared: each control room has a table of what its product's programs say then, and
what that means. What nobody has declared is an answer.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from homelab_lib.errors import AuthenticationRefused
from homelab_lib.transport.call import Call
from homelab_lib.transport.command import Result
from homelab_lib.transport.request import Request

LOGIN = "login"
"""Under this name stands what a host says to whoever logs in."""

_SHOWN = 240  # characters of an answer that are shown


@dataclass(frozen=True)
class NotNow:
    """One answer that means "not yet".

    Parameters
    ----------
    says
        A regular expression for what is printed.
    means
        In a few words for a person: ``the API server is starting``.
    source
        Where that is known from.
    undone
        Whether a change with this answer was not carried out at all, so that it may be sent again;
        else only a look at the host can tell.
    succeeds
        Whether the program ends with 0 all the same, as `curl` does with an error page.
    """

    says: str
    means: str
    source: str = ""
    undone: bool = False
    succeeds: bool = False


_answers: dict[tuple[str, ...], list[NotNow]] = {}


def declare(calls: str, *answers: NotNow) -> None:
    """Say which answers of a program mean "not yet".

    Parameters
    ----------
    calls
        The words that its calls begin with, several calls after commas: ``apt-get, apt``,
        ``qm guest exec``; a service's name for requests; `LOGIN` for logins.
    answers
        What it may say.
    """
    for call in calls.split(","):
        _answers.setdefault(tuple(call.split()), []).extend(answers)


def declared() -> Iterator[tuple[str, NotNow]]:
    """Every answer that was declared, with the words that its calls begin with."""
    for words, answers in sorted(_answers.items()):
        for answer in answers:
            yield " ".join(words), answer


def meaning(call: Call, result: Result) -> NotNow | None:
    """What a call's answer means if it means "not yet"; None where it is an answer."""
    words = _words(call)
    said = f"{result.stderr}\n{result.stdout}"
    for length in range(len(words), 0, -1):
        for answer in _answers.get(tuple(words[:length]), ()):
            if answer.succeeds == result.ok and re.search(answer.says, said):
                return answer
    return None


def refused_for_now(error: AuthenticationRefused) -> NotNow | None:
    """What a refused login means if it means "not yet"; None where we are not wanted."""
    answers = _answers.get((LOGIN,), ())
    return next((each for each in answers if re.search(each.says, error.what)), None)


def told(call: Call, result: Result) -> str:
    """The last of what a host answered, in a line; nothing where that may be a secret."""
    if call.secret_output:
        return ""
    return line(result.stderr.strip() or result.stdout)


def line(text: str) -> str:
    """The end of a text, in a line."""
    return " ".join(text.split())[-_SHOWN:]


def _words(call: Call) -> Sequence[str]:
    """A call's words from its program on, without what only sets its surroundings."""
    if isinstance(call, Request):
        return [call.service]
    words = list(call.argv)
    while words:
        match words:
            case ["env", *rest]:
                words = rest
                while words and "=" in words[0]:
                    words = words[1:]
            case ["runuser", "-u", _, "--", *rest]:
                words = rest
            case ["k3s", "kubectl", *rest]:
                words = ["kubectl", *rest]
            case [program, *rest]:
                return [posixpath.basename(program), *rest]
    return words
