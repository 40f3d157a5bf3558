"""What counts as reading.

`plan` and `verify` send only commands typed ``read``. So that a slip of ours can't type a change
as one, the word ``read`` has to be earned: the program and its sub-command must be on this list.
"""

import re
from collections.abc import Callable, Sequence

# Programs that only look, whatever their arguments.
_ALWAYS = frozenset(
    ["basename", "cat", "dirname", "findmnt", "getent", "hostname", "id", "ls", "lsblk", "lscpu", "lsmod", "lspci", "lsusb", "modinfo", "nproc", "readlink", "sha256sum", "showmount", "stat", "swapon", "test", "true", "uname", "wc", "which", "whoami"]
)

_MIDCLT = re.compile(
    r"(?:[\w.]+\.)?(?:query|get_instance|config|get_jobs|details|import_find|checkin_waiting|"
    r"has_pending_changes|network_config_to_be_removed|default_route_will_be_removed|choices|"
    r"\w+_choices|info|ready|version|state|status|list|get_state|get_disks|temperatures)"
)
_PVESH = ("get", "ls", "usage")
_QM = ("config", "list", "status", "listsnapshot", "pending", "showcmd")
_QM_GUEST = ("network-get-interfaces", "ping", "get-osinfo", "get-host-name", "info")
_SYSTEMCTL = ("show", "is-active", "is-enabled", "is-failed", "cat", "list-units", "status")
_KUBECTL = ("get", "logs", "version", "diff", "describe", "api-resources", "config")
_DPKG_QUERY = ("-W", "-l", "-s")


def _kubectl(words: Sequence[str]) -> bool:
    """`words` after the program: global options first, each ``--name=value``."""
    rest = [word for word in words if not word.startswith("-")]
    if not rest or rest[0] not in _KUBECTL:
        return rest[:2] in (["auth", "can-i"], ["rollout", "status"])
    return rest[0] != "config" or rest[1:2] in (["view"], ["get-contexts"], ["current-context"])


def _find_first(words: Sequence[str], allowed: Sequence[str]) -> bool:
    return bool(words) and words[0] in allowed


def _midclt(words: Sequence[str]) -> bool:
    return len(words) >= 2 and words[0] == "call" and bool(_MIDCLT.fullmatch(words[1]))


def _qm(words: Sequence[str]) -> bool:
    if list(words[:1]) == ["cloudinit"]:
        return words[1:2] in (["dump"], ["pending"], ("dump",), ("pending",))
    if list(words[:2]) == ["guest", "cmd"]:
        return len(words) == 4 and words[3] in _QM_GUEST
    if list(words[:2]) == ["guest", "exec"]:
        return list(words[3:5]) == ["--", "cat"] and len(words) == 6
    return _find_first(words, _QM)


def _ip(words: Sequence[str]) -> bool:
    rest = [word for word in words if not word.startswith("-")]
    return rest[:1] in (["addr"], ["route"], ["link"]) and (
        len(rest) == 1 or rest[1] in ("show", "get")
    )


def _curl(words: Sequence[str]) -> bool:
    """A GET whose body goes to standard output."""
    flags = {"-s", "-S", "-f", "-L", "-k", "-I", "-sS", "-fsS", "-fsSL", "-H", "--max-time"}
    bare = [w for w in words if w.startswith("-")]
    return all(w in flags for w in bare)


_JUDGES: dict[str, Callable[[Sequence[str]], bool]] = {
    "cloud-init": lambda words: list(words[:1]) == ["status"],
    "curl": _curl,
    "dpkg-query": lambda words: _find_first(words, _DPKG_QUERY),
    "ethtool": lambda words: len(words) == 1 or list(words[:1]) == ["-i"],
    "ip": _ip,
    "journalctl": lambda words: not any(w.startswith(("--vacuum", "--rotate")) for w in words),
    "k3s": lambda words: (
        list(words) == ["--version"] or (list(words[:1]) == ["kubectl"] and _kubectl(words[1:]))
    ),
    "kubectl": _kubectl,
    "midclt": _midclt,
    "pvesh": lambda words: _find_first(words, _PVESH),
    "qm": _qm,
    "ss": lambda words: "-K" not in words and "--kill" not in words,
    "sysctl": lambda words: list(words[:1]) == ["-n"] and "=" not in "".join(words),
    "systemctl": lambda words: _find_first(words, _SYSTEMCTL),
}


def reads_only(argv: Sequence[str]) -> bool:
    """Whether `argv` is known to leave its host as it was."""
    program = argv[0].rsplit("/", 1)[-1]
    if program in _ALWAYS:
        return not (program == "swapon" and "--show" not in argv)
    judge = _JUDGES.get(program)
    return judge is not None and judge(argv[1:])
