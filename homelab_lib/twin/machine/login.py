"""What a login gives: an environment, and a shell that reads the line."""

import re
import shlex

from homelab_lib.twin.machine.grammar import RESERVED
from homelab_lib.twin.machine.program import Call, Pipe, Reply
from homelab_lib.twin.machine.shell import Shell
from homelab_lib.twin.machine.shell_builtins import BUILTINS
from homelab_lib.twin.machine.shell_state import Computer

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NEEDS_A_SHELL = RESERVED | BUILTINS.keys()
_PLAIN = re.compile(r"[\w@%+=:,./ -]+")


def environment(user: str, home: str) -> dict[str, str]:
    """Whose login it is, and where programs are found."""
    return {"HOME": home, "LOGNAME": user, "PATH": _PATH, "SHELL": "/bin/bash", "USER": user}


def run(computer: Computer, user: str, home: str, line: str, stdin: bytes) -> Reply:
    """What the login shell makes of a line.

    One plain command is run as it is: it may be killed half-way, which a script here never is.
    """
    call = Call((), Pipe(stdin), user, environment(user, home), home)
    words = simple(line)
    if words is not None:
        return computer.call(call.other(*words))
    shell = Shell.begun(computer, call)
    shell.escapes = False  # it is bash
    return shell.run(line)


def simple(line: str) -> tuple[str, ...] | None:
    """The words of a line that is one plain command; None where it takes a shell."""
    if _PLAIN.fullmatch(line):
        words = line.split()
    else:
        try:
            words = shlex.split(line)
        except ValueError:
            return None
        # Words quoted as `shlex` quotes them need no shell, whatever they hold.
        if shlex.join(words) != line:
            return None
    if not words or "=" in words[0] or words[0] in _NEEDS_A_SHELL or not words[0]:
        return None
    return tuple(words)
