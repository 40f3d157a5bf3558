"""What an SSH configuration says of a host, as numbers, paths and choices.

Source: ssh_config(5); sshd_config(5), TIME FORMATS.
"""

import os
import re

from homelab_lib.errors import BadParameter
from homelab_lib.transport.ssh_said import Said
from homelab_lib.transport.ssh_tokens import CONNECTION, expand, tilde

_CHOICES = {"yes": True, "true": True, "no": False, "false": False}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_TIME = re.compile(r"(\d+)([smhdw]?)", re.IGNORECASE)


def yes(said: Said, keyword: str, default: str) -> bool:
    """Whether something is switched on."""
    value = said.one(keyword, default).lower()
    if value not in _CHOICES:
        raise bad(said, keyword, "is neither yes nor no")
    return _CHOICES[value]


def whole(said: Said, keyword: str, default: str) -> int:
    """A whole number."""
    value = said.one(keyword, default)
    if not re.fullmatch(r"[0-9]+", value):
        raise bad(said, keyword, "is not a number")
    return int(value)


def seconds(said: Said, keyword: str, default: float) -> float:
    """A time such as ``90``, ``1m30`` or ``none``, which leaves it to us [s]."""
    value = said.one(keyword, "none")
    if value == "none":
        return default
    if not re.fullmatch(f"(?:{_TIME.pattern})+", value, re.IGNORECASE):
        raise bad(said, keyword, "is not a time")
    return sum(int(n) * _SECONDS[unit.lower()] for n, unit in _TIME.findall(value)) or default


def one_of(said: Said, keyword: str, choices: tuple[str, ...]) -> str:
    """One of a few words; the first of them is the default."""
    value = said.one(keyword, choices[0]).lower()
    if value not in choices:
        raise bad(said, keyword, f"is none of {', '.join(choices)}")
    return value


def files(said: Said, keyword: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Paths, with all that they leave to be filled in; none for ``none``."""
    given = said.values.get(keyword, default)
    return tuple(_path(said, keyword, file) for file in given if file.lower() != "none")


def plain_files(said: Said, keyword: str, default: tuple[str, ...]) -> tuple[str, ...]:
    """Paths of a keyword that takes neither tokens nor ``~``."""
    given = said.values.get(keyword, default)
    return tuple(file for file in given if file.lower() != "none")


def agent(said: Said) -> str | None:
    """The agent's socket; empty for that of ``SSH_AUTH_SOCK``, None for no agent."""
    given = said.one("identityagent", "SSH_AUTH_SOCK")
    if given.lower() == "none":
        return None
    if given == "SSH_AUTH_SOCK":
        return ""
    if re.fullmatch(r"\$\w+", given):  # an old way to name a variable
        return os.environ.get(given[1:]) or None
    return _path(said, "identityagent", given)


def proxy_command(said: Said) -> str:
    """The command line to connect through; empty for none."""
    given = said.one("proxycommand", "none")
    if given.lower() == "none":
        return ""
    return expand(said, "proxycommand", given, CONNECTION + "k", env=False)


def see_keys_allowed(said: Said) -> None:
    """Refuse a configuration that forbids the one thing we come with."""
    if said.one("pubkeyauthentication", "yes").lower() in ("no", "false"):
        raise bad(said, "pubkeyauthentication", "forbids keys, and we come with nothing else")
    if "publickey" not in said.one("preferredauthentications", "publickey").split(","):
        raise bad(said, "preferredauthentications", "leaves out publickey, all that we can do")


def _path(said: Said, keyword: str, given: str) -> str:
    if keyword in said.expanded:
        return given
    return expand(said, keyword, tilde(said, keyword, given))


def bad(said: Said, keyword: str, what: str, fix: str = "") -> BadParameter:
    """An error that names the word and where it stands."""
    return BadParameter(
        f"{said.asked.host}: {keyword} {said.one(keyword)!r} {what}",
        where=said.where(keyword),
        fix=fix or f"`ssh -G {said.asked.host}` shows what holds for it",
    )
