"""Putting a file in its place, whole or not at all, and keeping the list of those that are ours.

What is new is written beside its place, with its final owner and mode, and moved over it in one
step: whoever reads it gets the old file or the new one, whatever is cut off when. In a folder that
is a user's all of it is done with that user's rights, so that no link of his leads us elsewhere.
"""

from collections.abc import Iterable

from homelab_lib.control.linux.looking import ROOT, read_file
from homelab_lib.runbook.resource import Host
from homelab_lib.secret import Secret
from homelab_lib.transport.command import Command, change

LEDGER = "/var/lib/homelab/files"
"""On each host: the files that are ours, a line ``lab<TAB>path`` for each."""

# $1 path, $2 mode, $3 user, $4 group, $5 mode of its folder where there is none yet
BEGIN = (
    'set -e; umask 022; d="${1%/*}"; n="$1.homelab-new"; trap \'rm -f -- "$n"\' EXIT; '
    '[ -d "$d/" ] || install -d -m "$5" -o "$3" -g "$4" -- "$d"; '
)
# What is on the disk is moved to its place.
END = 'mv -fT -- "$n" "$1"; trap - EXIT; '

# What was seen there is what is replaced: $6 is its digest.
STILL_NOTHING = (
    '[ ! -e "$1" ] && [ ! -L "$1" ] || '
    'sh -c \'echo "$1 came since we looked; it was left alone"; exit 1\' sh "$1"; '
)
STILL_THE_SAME = (
    '[ "$(sha256sum < "$1")" = "$6  -" ] || '
    'sh -c \'echo "$1 changed since we looked; it was left alone"; exit 1\' sh "$1"; '
)
# Copies that are there already are numbered, not overwritten.
KEEP_A_COPY = (
    'install -T --backup=numbered -m "$2" -o "$3" -g "$4" "$1" "$1.before-homelab"; '
    'sync "$1.before-homelab"; '
)

# Around a script: $1 is the ledger's line. A file that was there may be listed already; one that
# was deleted by hand is listed twice then, which changes nothing.
_CLAIM = 'set -e; l="$1"; shift; '
_ADD = (
    "umask 022; [ -d /var/lib/homelab ] || mkdir -p /var/lib/homelab; "
    f"printf '%s\\n' \"$l\" >> {LEDGER}"
)
_ADD_ONCE = f'grep -qsxF -e "$l" {LEDGER} || {{ {_ADD}; }}'


def placing(
    script: str,
    *arguments: str,
    hand: str,
    ours: str = "",
    new: bool = False,
    stdin: str | Secret | None = None,
    timeout_s: float = 60.0,
) -> Command:
    """The command that runs a script with a user's rights, and then claims the file.

    Parameters
    ----------
    script, arguments
        For `sh`; the path comes first.
    hand
        Whose rights it is run with.
    ours
        The ledger's line that is added once it is there; empty where the file stays another's.
    new
        Nothing was there, so there is no line either.
    stdin, timeout_s
        As of any command.
    """
    if hand != ROOT:
        arguments = ("runuser", "-u", hand, "--", "sh", "-c", script, "sh", *arguments)
        script = '"$@"; '
    if ours:
        script = _CLAIM + script + (_ADD if new else _ADD_ONCE)
        arguments = (ours, *arguments)
    words = ("sh", "-c", script, "sh", *arguments)
    return change(*words, stdin=stdin, sudo=True, timeout_s=timeout_s)


def claim(lab: str, path: str) -> str:
    """The ledger's line for a file."""
    one_line = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    return f"{lab}\t{one_line}"


def claimed(host: Host, claims: Iterable[str]) -> set[str]:
    """Those of the lines that the host's ledger has."""
    return set(claims) & set(read_file(host, LEDGER).split("\n"))


def folder_mode(mode: str) -> str:
    """Of a folder made for a file: who may read the file gets to it, and nobody else."""
    bits = int(mode, 8) & 0o777
    return f"{0o700 | bits | (bits & 0o444) >> 2:o}"


def foreign(path: str, facts: dict[str, object], lab: str) -> str:
    """What to say of a file in the place that is not ours."""
    return (
        f"{path} is there ({facts['mode']} {facts['owner']}, {facts['size_bytes']} bytes) and is "
        f"not of lab {lab}; move it away, or give it to us: add the line "
        f"'{lab}<TAB>{path}' to {LEDGER}"
    )
