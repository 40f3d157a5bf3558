"""The first command on a connection shows what the login is like; no round trip is spent on that.

A mark is printed right before the command, by the same hands that run it. What stands before the
mark is a login file's talk, which would be taken for an answer ever after; and where no mark comes,
the command was not run: `sudo` refuses, in whatever words, or the login runs no commands at all.

Whatever is sent speaks the language that we parse: ``LC_ALL=C``, before `sudo` and behind it.
"""

import re
import secrets
from dataclasses import dataclass, replace

from homelab_lib.errors import LoginUnusable
from homelab_lib.transport import quoting
from homelab_lib.transport.command import Result
from homelab_lib.transport.endpoint import Endpoint

PINNED = "env LC_ALL=C "
SUDO = f"sudo -n -- {PINNED}"
_SCRIPT = 'printf %s "$0"; exec "$@"'
_SHOWN_CHARACTERS = 300

# sudo's own words come with status 1 and nothing on standard output. It also warns, and goes on.
_SUDO_SAYS = re.compile(r"sudo(-rs)?: |Sorry, (user|try)")
_SUDO_WARNS = re.compile(r"sudo: (unable to resolve host|setrlimit)")
_NO_PROGRAM = 127


@dataclass(frozen=True)
class Opening:
    """How a command is sent.

    Parameters
    ----------
    by_sudo
        Whether as root, by `sudo`.
    mark
        What is printed before the command; empty where the login is known.
    """

    by_sudo: bool
    mark: str = ""

    @classmethod
    def new(cls, by_sudo: bool) -> "Opening":
        return cls(by_sudo, secrets.token_hex(16))

    def line(self, command: str) -> str:
        """What the login shell is to run."""
        begin = f"{PINNED}{SUDO}" if self.by_sudo else PINNED
        if self.mark:
            begin += quoting.join(("/bin/sh", "-c", _SCRIPT, self.mark)) + " "
        return f"{begin}{command}"

    def answer(self, endpoint: Endpoint, result: Result) -> Result:
        """What the command itself said.

        Raises
        ------
        LoginUnusable
            It was not run, or what it printed can't be told from what else is printed there.
        """
        talk, mark, said = result.stdout.partition(self.mark) if self.mark else ("", "", "")
        if self.mark and not mark:
            raise (
                _sudo_refuses(endpoint, result) if self.by_sudo else _runs_nothing(endpoint, result)
            )
        if talk:
            raise _talks(endpoint, talk)
        answer = replace(result, stdout=said) if self.mark else result
        if self.by_sudo and refuses(answer):
            raise _sudo_refuses(endpoint, answer)
        return answer


def refuses(result: Result) -> bool:
    """Whether it was `sudo` that answered, and not the program."""
    said = [line for line in result.stderr.splitlines() if not _SUDO_WARNS.match(line)]
    return (
        result.exit_status == 1
        and not result.stdout
        and bool(said)
        and all(_SUDO_SAYS.match(line) for line in said)
    )


def _said(result: Result) -> str:
    text = (result.stderr.strip() or result.stdout.strip())[-_SHOWN_CHARACTERS:]
    return text or f"nothing, and ended with status {result.exit_status}"


def _sudo_refuses(endpoint: Endpoint, result: Result) -> LoginUnusable:
    host, user, said = endpoint.name, endpoint.user, _said(result)
    where = f"{user}@{endpoint.place}"
    if result.exit_status == _NO_PROGRAM:
        return LoginUnusable(
            f"{host} has no sudo, and {user} is not root\n    {said}",
            where=where,
            fix="install it there (apt-get install sudo), or log in as root",
        )
    if re.search("no new privileges|setuid|owned by uid", said):
        fix = "mend sudo there (apt-get install --reinstall sudo), or log in as root"
    else:
        fix = f"there, with `visudo -f /etc/sudoers.d/{user}`, add the line\n"
        fix += f"    {user} ALL=(ALL) NOPASSWD: ALL"
        if "tty" in said:
            fix += f"\n    Defaults:{user} !requiretty"
    return LoginUnusable(
        f"{host}: {user} may not use sudo without a password for whatever we send\n    {said}",
        where=where,
        fix=fix,
    )


def _runs_nothing(endpoint: Endpoint, result: Result) -> LoginUnusable:
    host, user = endpoint.name, endpoint.user
    return LoginUnusable(
        f"{host} lets {user} in and does not run what it is sent; it says: {_said(result)}",
        where=f"{user}@{endpoint.place}",
        fix=f"see there the login shell in `getent passwd {user}` (chsh -s /bin/sh {user}), and "
        "whether sshd_config or authorized_keys force another command",
    )


def _talks(endpoint: Endpoint, talk: str) -> LoginUnusable:
    host, user = endpoint.name, endpoint.user
    return LoginUnusable(
        f"{host}: a login file of {user} prints something before each command, which can't be "
        f"told from an answer: {talk[:_SHOWN_CHARACTERS]!r}",
        where=f"{user}@{endpoint.place}",
        fix="let it print nothing where nobody sits at a terminal: put `[ -t 1 ] || return` before "
        "that in ~/.bashrc or ~/.zshenv (fish: `isatty stdout; or exit`, csh: `if (! $?prompt) "
        "exit`)",
    )
