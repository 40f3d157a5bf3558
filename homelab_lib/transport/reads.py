"""What counts as reading.

`plan` and `verify` send only commands typed ``read``. So that a slip of ours can't type a change
as one, the word has to be earned: the program, its sub-command and (where an option could write)
every option must be listed here. What is not listed is not known to be harmless.
"""

import re
from collections.abc import Callable, Sequence

Judge = Callable[[Sequence[str]], bool]  # of the words after the program


def _operands(words: Sequence[str], flags: str = "", values: str = "") -> list[str] | None:
    """The words that are no options; None if an option is not listed.

    Parameters
    ----------
    words
        What follows the program, as getopt reads it: ``-ab``, ``-oVALUE``, ``--name=value``.
    flags, values
        Options that stand alone, and options that take the next word.
    """
    alone, taking = flags.split(), values.split()
    operands: list[str] = []
    rest = iter(words)
    for word in rest:
        name = word.partition("=")[0] if word.startswith("--") else word
        if word == "--":
            operands += rest
        elif not word.startswith("-") or word == "-":
            operands.append(word)
        elif name in taking:
            if name == word:
                next(rest, None)
        elif name not in alone:
            letters = [f"-{letter}" for letter in word[1:]]
            first = next((i for i, letter in enumerate(letters) if letter in taking), None)
            if word.startswith("--") or not all(letter in alone for letter in letters[:first]):
                return None
            if first == len(letters) - 1:
                next(rest, None)
    return operands


def _starts(operands: Sequence[str] | None, phrases: str) -> bool:
    """Whether the operands begin with one of the phrases, given as ``one,two words``."""
    return operands is not None and any(
        list(operands[: len(phrase.split())]) == phrase.split() for phrase in phrases.split(",")
    )


def _first(phrases: str) -> Judge:
    """The sub-command comes first; all that may follow it only shapes what is shown."""
    return lambda words: _starts(words, phrases)


def _parsed(phrases: str = "", flags: str = "", values: str = "") -> Judge:
    """Only the options listed, and a sub-command (or any operands) that is."""
    return lambda words: _starts(_operands(words, flags, values), phrases)


def _curl(words: Sequence[str]) -> bool:
    """A GET or HEAD over HTTP whose answer goes to standard output."""
    urls = _operands(
        words,
        "-s -S -f -L -k -I -i -g -4 -6 --silent --show-error --fail --location --head",
        "-H -m -w --header --max-time --connect-timeout --retry --cacert --resolve",
    )
    # `-w %output{file}` would write one
    return (
        bool(urls)
        and all(u.startswith(("http://", "https://")) for u in urls)
        and not any("%output" in word for word in words)
    )


def _env(words: Sequence[str]) -> bool:
    """A reader that is to speak the language which we parse, and nothing else of an environment."""
    return words[:1] == ("LC_ALL=C",) and len(words) > 1 and reads_only(words[1:])


def _ip(words: Sequence[str]) -> bool:
    flags = "-j -json -p -pretty -d -details -s -stats -4 -6 -o -oneline -br -brief"
    match _operands(words, flags):
        case ["addr" | "address" | "link" | "route" | "rule" | "neigh", *rest]:
            return not rest or rest[0] in ("show", "list", "get")
    return False


def _k3s(words: Sequence[str]) -> bool:
    if words[:1] == ("kubectl",):
        return _kubectl(words[1:])
    return _starts(words, "--version,check-config,etcd-snapshot ls,etcd-snapshot list")


def _qm(words: Sequence[str]) -> bool:
    match words:
        case ["guest", "exec", _, "--", *argv]:
            return bool(argv) and reads_only(argv)
        case ["guest", "cmd", _, command]:
            return command in (
                "network-get-interfaces",
                "ping",
                "get-osinfo",
                "get-host-name",
                "info",
            )
    return _starts(
        words,
        "config,list,status,listsnapshot,pending,showcmd,cloudinit dump,cloudinit pending,"
        "guest exec-status",
    )


def _runuser(words: Sequence[str]) -> bool:
    """A reader with the rights of a user, started without a shell."""
    match words:
        case ["-u", _, "--", *argv]:
            return bool(argv) and reads_only(argv)
    return False


def _sysctl(words: Sequence[str]) -> bool:
    names = _operands(words, "-a -e -n -N")
    return names is not None and not any("=" in name for name in names)


_kubectl = _parsed(
    "get,logs,version,diff,describe,api-resources,api-versions,events,explain,top,wait,"
    "auth can-i,auth whoami,rollout status,rollout history,"
    "config view,config get-contexts,config current-context",
    "-A --all-namespaces --no-headers --show-labels --ignore-not-found --client --previous -p "
    "--all-containers --prefix --timestamps --all --minify --flatten --server-side "
    "--force-conflicts --show-managed-fields",
    "-n --namespace -o --output -l --selector --kubeconfig --context --cluster --field-selector "
    "-f --filename --request-timeout --timeout --for --tail --since -c --container --raw "
    "--sort-by --field-manager --revision",
)

_MIDCLT = re.compile(
    r"(?:[\w.]+\.)?(?:query|get_instance|config|get_jobs|get_state|get_disks|get_unused|details|"
    r"import_find|checkin_waiting|has_pending_changes|network_config_to_be_removed|"
    r"default_route_will_be_removed|(?:\w+_)?choices|info|ready|version|state|status|list|started|"
    r"temperatures|listdir|stat|statfs)"
)


def _midclt(words: Sequence[str]) -> bool:
    return words[:1] == ("call",) and bool(_MIDCLT.fullmatch("".join(words[1:2])))


# Programs that only look, whatever their arguments.
_ALWAYS = (
    "basename cat df dirname dpkg-query findmnt free getent grep head id ls lsblk lscpu lsmod "
    "lsusb modinfo nproc pveversion readlink sha256sum showmount stat tail test true uname uptime "
    "wc which whoami"
)

_JUDGES: dict[str, Judge] = {
    "apt-cache": _first("policy,show,madison"),
    "cloud-init": _first("status"),
    "curl": _curl,
    "env": _env,
    # Small letters look and capitals set, but for these: -s sets, -p blinks, -r and -t disturb.
    "ethtool": lambda words: len(_operands(words, "-i -S -k -g -m -a -c -l") or ()) == 1,
    "find": _parsed(
        "",
        "-L -H -P -xdev -mount -print -print0 -o -a -not -empty",
        "-name -iname -path -type -maxdepth -mindepth -size -mtime -newer -user -group -perm "
        "-printf",
    ),
    "helm": _parsed(
        "list,status,get,history,version,repo list",
        "-A --all-namespaces -a --all -q --short",
        "-n --namespace -o --output --kubeconfig --kube-context --filter --revision",
    ),
    "hostname": lambda words: _operands(words, "-f -s -d -i -I -A --fqdn --short") == [],
    "ip": _ip,
    "journalctl": _parsed(
        "",
        "-q --quiet --no-pager -b -k -r --utc",
        "-o --output -u --unit -n --lines -p --priority -t --since --until --output-fields",
    ),
    "k3s": _k3s,
    "kubectl": _kubectl,
    "lspci": _parsed("", "-n -v -k -m -D -t", "-s -d"),
    "midclt": _midclt,
    "pvesh": _first("get,ls,usage"),
    "pvesm": _first("status,list,path"),
    "qm": _qm,
    "runuser": _runuser,
    "ss": _parsed("", "-t -u -x -w -l -n -p -a -e -i -m -o -s -4 -6 -H"),
    "swapon": lambda words: (
        "--show" in words and _operands(words, "--show --noheadings --raw --bytes") == []
    ),
    "sysctl": _sysctl,
    "systemctl": _first(
        "show,cat,status,is-active,is-enabled,is-failed,list-units,list-unit-files,list-timers"
    ),
    "zfs": _parsed("list,get,version", "-H -p -r", "-d -o -s -S -t"),
    "zpool": _parsed("list,status,get,history,version", "-H -p -v -x -P -L -g -j", "-o"),
}


def reads_only(argv: Sequence[str]) -> bool:
    """Whether `argv` is known to leave its host as it was."""
    program, words = argv[0].rsplit("/", 1)[-1], tuple(argv[1:])
    judge = _JUDGES.get(program)
    return program in _ALWAYS.split() or (judge is not None and judge(words))
