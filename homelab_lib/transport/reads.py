"""What counts as reading.

`plan` and `verify` send only calls typed ``read``. So that a slip of ours can't type a change as
one, the word has to be earned: the program, its sub-command and every option must be listed. What
nobody has listed is not known to be harmless. Programs that any Unix has are in `unix_reads`;
each control room declares those of its appliance.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from homelab_lib.transport.options import Judge
from homelab_lib.transport.unix_reads import PROGRAMS

ServiceJudge = Callable[[str, str, Mapping[str, str]], bool]
"""Of method, path and query."""

# Where the system keeps its programs. What lies elsewhere may be anything by the same name.
_SYSTEM_FOLDERS = ("/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin", "/usr/local/sbin")
_LOGIN_FILE = re.compile(r"AWS_SHARED_CREDENTIALS_FILE=/[\w./-]+", re.ASCII)


def _env(words: Sequence[str]) -> bool:
    """A reader that is to speak the language which we parse, or to find its login in a file,
    and nothing else of an environment."""
    return (
        len(words) > 1
        and (words[0] == "LC_ALL=C" or _LOGIN_FILE.fullmatch(words[0]) is not None)
        and reads_only(words[1:])
    )


def _runuser(words: Sequence[str]) -> bool:
    """A reader with the rights of a user, started without a shell."""
    match words:
        case ["-u", _, "--", program, *rest]:
            return reads_only([program, *rest])
    return False


_programs: dict[str, Judge] = {**PROGRAMS, "env": _env, "runuser": _runuser}
_services: dict[str, ServiceJudge] = {}


def declare(program: str, judge: Judge) -> None:
    """Say which calls of a program only read.

    Parameters
    ----------
    program
        Its name, without a folder.
    judge
        Is given the words after it; `Allowed`, or a function.

    Raises
    ------
    ValueError
        Somebody has declared it already: two words on one program are one too many.
    """
    if program in _programs:
        raise ValueError(f"{program} is declared already")
    _programs[program] = judge


def declare_service(name: str, judge: ServiceJudge) -> None:
    """Say which requests to a kind of HTTPS service only read.

    Parameters
    ----------
    name
        As `Request.service` has it.
    judge
        Is given method, path and query.
    """
    if name in _services:
        raise ValueError(f"{name} is declared already")
    _services[name] = judge


def reads_only(argv: Sequence[str]) -> bool:
    """Whether `argv` is known to leave its host as it was."""
    folder, slash, program = argv[0].rpartition("/")
    judge = _programs.get(program)
    return judge is not None and (not slash or folder in _SYSTEM_FOLDERS) and judge(argv[1:])


def only_asks(service: str, method: str, path: str, query: Mapping[str, str]) -> bool:
    """Whether a request is known to leave its host as it was."""
    judge = _services.get(service)
    return judge is not None and judge(method, path, query)
