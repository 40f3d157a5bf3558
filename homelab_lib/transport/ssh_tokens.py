"""``%h``, ``${HOME}`` and ``~`` in the values of an SSH configuration.

Source: ssh_config(5), TOKENS and ENVIRONMENT VARIABLES.
"""

import hashlib
import os
import pwd
import re

from homelab_lib.errors import BadParameter
from homelab_lib.transport.ssh_said import Said, home, local_user

_JUMP_IN_HASH = (9, 6)  # since then a jump host is part of %C
_MARK = re.compile(r"%(?P<token>.?)|\$\{(?P<name>[^}]*)(?P<end>\}?)", re.DOTALL)
_HOP = re.compile(
    r"(?:ssh://)?(?:(?P<user>.+)@)?(?P<host>\[[^]]+\]|[^:\[\]@/\s]+)(?::(?P<port>\d+))?/?"
)

CONNECTION = "hknpr"  # what a ProxyCommand and a ProxyJump may name
ALL = "CLdhijklnpru"


def tokens(said: Said) -> dict[str, str]:
    """What each token stands for, by its letter."""
    here = os.uname().nodename
    host, port = said.one("hostname", said.asked.host), said.one("port", "22")
    user = said.one("user", local_user())
    last = _HOP.fullmatch(said.one("proxyjump", "none").rpartition(",")[2].strip())
    jump = last["host"].strip("[]") if last and last["host"].lower() != "none" else ""
    hashed = here + host + port + user + (jump if said.version >= _JUMP_IN_HASH else "")
    return {
        "C": hashlib.sha1(hashed.encode(), usedforsecurity=False).hexdigest(),
        "L": here.partition(".")[0],
        "d": home(),
        "h": host,
        "i": str(os.getuid()),
        "j": jump,
        "k": said.one("hostkeyalias", said.asked.host),
        "l": here,
        "n": said.asked.host,
        "p": port,
        "r": user,
        "u": local_user(),
    }


def expand(said: Said, keyword: str, text: str, letters: str = ALL, *, env: bool = True) -> str:
    """`text` with its tokens and, unless a shell is to see to them, its variables filled in.

    Raises
    ------
    BadParameter
        It has a token that has no meaning there, or a variable that is not set.
    """
    known = tokens(said)

    def fill(found: re.Match[str]) -> str:
        if (token := found["token"]) is not None:
            if token == "%":
                return "%"
            if token and token in letters:
                return known[token]
            raise _bad(said, keyword, f"%{token} has no meaning there", "a percent sign is %%")
        if not env:
            return found.group()
        if found["end"] and (value := os.environ.get(found["name"])) is not None:
            return value
        raise _bad(said, keyword, f"{found.group()} is not set", f"export {found['name']}")

    return _MARK.sub(fill, text)


def tilde(said: Said, keyword: str, path: str) -> str:
    """A path from somebody's home folder on, as a whole one."""
    if not path.startswith("~"):
        return path
    name, slash, rest = path[1:].partition("/")
    if not name:
        return home() + slash + rest
    try:
        return pwd.getpwnam(name).pw_dir + slash + rest
    except KeyError:
        raise _bad(said, keyword, f"there is no user {name} here", "write the whole path") from None


def hops(said: Said) -> list[tuple[str, str, str]]:
    """The hosts of ``ProxyJump a,b``: user, host and port of each, empty where it says none.

    Raises
    ------
    BadParameter
        One of them is not ``[user@]host[:port]``.
    """
    jump = said.one("proxyjump", "none")
    found = []
    for hop in [] if jump.lower() == "none" else jump.split(","):
        parts = _HOP.fullmatch(expand(said, "proxyjump", hop.strip(), CONNECTION, env=False))
        if parts is None:
            raise _bad(said, "proxyjump", f"{hop!r} is not [user@]host[:port]", "")
        found.append((parts["user"] or "", parts["host"].strip("[]"), parts["port"] or ""))
    return found


def _bad(said: Said, keyword: str, what: str, fix: str) -> BadParameter:
    return BadParameter(f"{said.asked.host}: {keyword}: {what}", where=said.where(keyword), fix=fix)
