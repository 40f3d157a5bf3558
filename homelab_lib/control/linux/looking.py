"""What is at a path, and in whose hands the path is.

Nothing is there only if the host itself says so of that very path. A disk that can't be read, a
refused sudo, an answer that we can't parse are no such word: they stop the step.
"""

import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from homelab_lib import answers
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Host
from homelab_lib.transport.command import Result

Facts = dict[str, Any]
"""``kind``, ``mode`` (octal), ``owner`` (``user:group``), ``size_bytes``; of a file, ``sha256``."""

ROOT = "root"
FILE, FOLDER, LINK = "regular file", "directory", "symbolic link"
_KINDS = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: FOLDER,
    stat.S_IFLNK: LINK,
    stat.S_IFIFO: "named pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}
ENGLISH = ("env", "LC_ALL=C")  # what is not there is said in words alone
_ABSENT = (": No such file or directory", ": Not a directory")
_FORM = r"%f|%a|%U|%G|%s|%n\0"  # names may hold anything but a NUL
_RECORD = re.compile(
    r"([0-9a-f]{1,8})\|([0-7]{1,5})\|([^|]+)\|([^|]+)\|(\d{1,20})\|(.+)", re.DOTALL | re.ASCII
)
_AT_ONCE = 200  # paths on one command line


@dataclass(frozen=True)
class Place:
    """A path, and what is there.

    Parameters
    ----------
    path
        The path.
    there
        What is there; None for nothing.
    hand
        Whose rights suffice to put something there, and must: the owner of the first folder on
        the way that is not root's. With root's rights a link that he plants would lead anywhere.
    obstacle
        Why nothing may be put there; empty where it may.
    """

    path: str
    there: Facts | None
    hand: str = ROOT
    obstacle: str = ""


def look_at_file(host: Host, path: str) -> Facts | None:
    """What is at a path; None where there is nothing."""
    return look_at_files(host, [path])[0]


def look_at_files(host: Host, paths: Sequence[str]) -> list[Facts | None]:
    """The same of many paths, by two commands for all of them."""
    return [place.there for place in places(host, paths)]


def places(host: Host, paths: Sequence[str]) -> list[Place]:
    """What is at each path, and in whose hands the path is.

    Raises
    ------
    StepFailed
        The host can't tell.
    """
    on_the_way = [folder for path in paths for folder in _above(path)]
    seen = _stat(host, [*on_the_way, *paths])
    links = [path for path in set(on_the_way) if seen.get(path, {}).get("kind") == LINK]
    behind = _stat(host, links, "-L") if links else {}
    _add_digests(host, seen, [path for path in paths if path in seen])
    return [Place(path, seen.get(path), *_hand(path, seen, behind)) for path in paths]


def read_file(host: Host, path: str, *, secret: bool = False, user: str = ROOT) -> str:
    """The text of a file, read with a user's rights; empty where there is none.

    Raises
    ------
    StepFailed
        It is there and can't be read, or the host can't tell.
    """
    words = (
        ("cat", "--", path) if user == ROOT else ("runuser", "-u", user, "--", "cat", "--", path)
    )
    shown = host.read(*ENGLISH, *words, ok=(0, 1), sudo=True, secret_output=secret)
    if shown.exit_status:
        all_absent(host, shown, "cat", [path])
        return ""
    return shown.stdout


@lru_cache(maxsize=10_000)  # each is asked for before and after
def _above(path: str) -> tuple[str, ...]:
    """The folders on the way to a path, the root first."""
    return tuple(map(str, reversed(PurePosixPath(path).parents)))


def _stat(host: Host, paths: Iterable[str], *options: str) -> dict[str, Facts]:
    wanted = list(dict.fromkeys(paths))
    found: dict[str, Facts] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        words = (*ENGLISH, "stat", *options, "--printf", _FORM, "--", *some)
        shown = host.read(*words, ok=(0, 1), sudo=True)
        for record in shown.stdout.split("\0")[:-1]:
            path, facts = _facts(host, record)
            found[path] = facts
        all_absent(host, shown, "stat", [path for path in some if path not in found])
    return found


def _facts(host: Host, record: str) -> tuple[str, Facts]:
    """A record of `stat`, as `_FORM` has it: the path, and what is there."""
    found = _RECORD.fullmatch(record)
    if found is None:
        why = f"expected is kind, mode, owner and size of a file: {host.cut(record, 100)!r}"
        raise answers.not_understood(host.name, " ".join((*ENGLISH, "stat")), why)
    raw, mode, user, group, size, path = found.groups()
    return path, {
        "kind": _KINDS.get(stat.S_IFMT(int(raw, 16)), "thing of an unknown kind"),
        "mode": mode,
        "owner": f"{user}:{group}",
        "size_bytes": int(size),
    }


def _add_digests(host: Host, seen: dict[str, Facts], paths: Iterable[str]) -> None:
    files = [path for path in dict.fromkeys(paths) if seen[path]["kind"] == FILE]
    for start in range(0, len(files), _AT_ONCE):
        some = files[start : start + _AT_ONCE]
        shown = host.read(*ENGLISH, "sha256sum", "-z", "--", *some, ok=(0, 1), sudo=True)
        for record in shown.stdout.split("\0")[:-1]:
            digest, _, path = record.partition("  ")
            if path in some and re.fullmatch("[0-9a-f]{64}", digest):
                seen[path]["sha256"] = digest
        gone = [path for path in some if "sha256" not in seen[path]]
        all_absent(host, shown, "sha256sum", gone)
        for path in gone:
            del seen[path]


def all_absent(host: Host, shown: Result, program: str, paths: Sequence[str]) -> None:
    """Refuse to take for nothing what the host does not say is nothing.

    Raises
    ------
    StepFailed
        The program did not say of each path, and of nothing else, that nothing is there.
    """
    said = [line for line in shown.stderr.splitlines() if line.startswith(f"{program}: ")]
    if len(said) == len(paths) and all(line.endswith(_ABSENT) for line in said):
        return
    other = [line for line in said if not line.endswith(_ABSENT)] or shown.stderr.splitlines()
    raise StepFailed(
        f"{host.name} can't tell what is at {', '.join(paths[:3]) or 'a path'}: "
        f"{(other or ['it printed nothing'])[0]}",
        where=host.name,
        fix="mend what it complains of; what can't be read is not taken for nothing",
    )


def _hand(path: str, seen: dict[str, Facts], behind: dict[str, Facts]) -> tuple[str, str]:
    """In whose hands a path is, and what stands in the way."""
    for folder in _above(path):
        facts = seen.get(folder)
        if facts is None:
            break
        if facts["kind"] == LINK:
            if _user(facts) != ROOT:
                return ROOT, f"{folder} is a link that {_user(facts)} made; root does not follow it"
            facts = behind.get(folder, facts)
        if facts["kind"] != FOLDER:
            return ROOT, f"{folder} is a {facts['kind']}, and should be a directory"
        if _user(facts) != ROOT:
            return _user(facts), ""
    return ROOT, ""


def _user(facts: Facts) -> str:
    return facts["owner"].partition(":")[0]
