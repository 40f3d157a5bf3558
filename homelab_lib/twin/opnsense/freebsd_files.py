"""FreeBSD's programs about files, where they are not GNU's: `stat`, `sha256`, `md5`, `date`.

Source: stat(1), md5(1), date(1) of FreeBSD 15.
"""

import hashlib
import re
from datetime import UTC, datetime

from homelab_lib.twin.machine.entry import Entry, FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.textutils import read_of

freebsd_files = Commands()

_DIGESTS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
_STAT_USAGE = "usage: stat [-FLnq] [-f format | -l | -r | -s | -x] [-t timefmt] [file|handle ...]\n"
_DATE_USAGE = (
    "usage: date [-jnRu] [-I[date|hours|minutes|seconds|ns]] [-f input_fmt] [ -z output_zone ]\n"
    "            [-r filename|seconds] [-v[+|-]val[y|m|w|d|H|M|S]]\n"
    "            [[[[[[cc]yy]mm]dd]HH]MM[.SS] | new_date] [+output_fmt]\n"
)
_FIELD = re.compile(r"%(?:([SHMLsmldc-])?)([LHM]?)([A-Za-z%])")
_LETTERS = {"dir": "d", "link": "l", "file": "-", "pipe": "p", "socket": "s"}
_NAMES = {"dir": "Directory", "link": "Symbolic Link", "file": "Regular File", "pipe": "Fifo File"}
_ISO = {"": "%Y-%m-%d", "date": "%Y-%m-%d", "hours": "%Y-%m-%dT%H+00:00"}
_ISO |= {"minutes": "%Y-%m-%dT%H:%M+00:00", "seconds": "%Y-%m-%dT%H:%M:%S+00:00"}


@freebsd_files("stat")
def stat(machine: Machine, call: Call) -> Reply:
    """Facts about files, by ``-f`` format."""
    letters, form, words = _options(call, "FLnqlrsx", "ft")
    if letters is None:
        return Reply(1, stderr=f"stat: illegal option -- {next(iter(form))}\n{_STAT_USAGE}")
    out, err = "", ""
    pattern = form.get("f")
    for word in words:
        try:
            entry = machine.files.stat(call.path(word), machine.who(call), follow="L" in letters)
        except FileError as error:
            err += "" if "q" in letters else f"stat: {word}: stat: {error.says}\n"
            continue
        shown = _DEFAULT if pattern is None else pattern
        end = "" if "n" in letters else "\n"
        out += _FIELD.sub(lambda found: _field(machine, entry, word, found), shown) + end  # noqa: B023
    return Reply(1 if err or (len(words) and not out) else 0, out, err)


_DEFAULT = '%d %i %Sp %l %Su %Sg %r %z "%Sa" "%Sm" "%Sc" "%SB" %k %b %f %N'


def _field(machine: Machine, entry: Entry, word: str, found: re.Match[str]) -> str:
    how, part, letter = found.groups()
    users, groups = machine.accounts.users, machine.accounts.groups
    text = how == "S"
    # ``%Lp`` asks for the low bits of the mode, ``%Mp`` for those in the middle.
    part = part or (how if how in ("L", "H", "M") else "")
    if letter == "p":
        if text:
            return _mode(entry)
        bits = {"L": entry.mode & 0o777, "M": entry.mode >> 9 & 7, "H": entry.raw_mode >> 12}
        return f"{bits.get(part, entry.raw_mode):o}"
    owner, group = users.get(entry.user), groups.get(entry.group)
    moment = datetime.fromtimestamp(entry.mtime_s, UTC)
    values = {
        "N": word,
        "z": str(entry.size),
        "u": entry.user if text or owner is None else str(owner.uid),
        "g": entry.group if text or group is None else str(group.gid),
        "l": str(machine.files.names_of(entry)),
        "m": moment.strftime("%b %e %H:%M:%S %Y") if text else str(int(entry.mtime_s)),
        "T": _NAMES.get(entry.kind, entry.kind) if part == "H" else "",
        "Y": f" -> {entry.data.decode()}" if entry.kind == "link" else "",
        "b": str(-(-entry.size // 512)),
        "k": "4096",
        "%": "%",
    }
    values |= dict.fromkeys("aBc", values["m"])
    return values.get(letter, "0")


def _mode(entry: Entry) -> str:
    shown = "".join(
        letter if entry.mode >> (8 - place) & 1 else "-" for place, letter in enumerate("rwxrwxrwx")
    )
    return _LETTERS.get(entry.kind, "?") + shown


@freebsd_files(*_DIGESTS)
def digest(machine: Machine, call: Call) -> Reply:
    """Digests: ``SHA256 (file) = …``, with ``-q`` alone."""
    name = call.argv[0].rpartition("/")[2]
    letters, given, words = _options(call, "qrnptx", "cs")
    if letters is None:
        return Reply(1, stderr=f"{name}: illegal option -- {next(iter(given))}\n")
    if "s" in given:
        found = hashlib.new(name, given["s"].encode()).hexdigest()
        plain = f'{name.upper()} ("{given["s"]}") = {found}\n'
        return Reply(0, f"{found}\n" if "q" in letters else plain)
    out, err = "", ""
    for word in words or ["-"]:
        try:
            data = read_of(machine, call, word)
        except FileError as error:
            err += f"{name}: {word}: {error.says}\n"
            continue
        entry = machine.files.entry(call.path(word)) if name == "sha256" and word != "-" else None
        found = entry.sha256 if entry is not None else hashlib.new(name, data).hexdigest()
        if "q" in letters or not words:
            out += f"{found}\n"
        else:
            out += f"{found} {word}\n" if "r" in letters else f"{name.upper()} ({word}) = {found}\n"
    return Reply(1 if err else 0, out, err)


@freebsd_files("date")
def date(machine: Machine, call: Call) -> Reply:
    """The twin's time, or one that ``-r`` gives in seconds."""
    form, moment_s, words = "%a %b %e %H:%M:%S UTC %Y", machine.world.clock.now(), []
    rest = list(call.argv[1:])
    while rest:
        word = rest.pop(0)
        if word == "-r" and rest and rest[0].isdigit():
            moment_s = float(rest.pop(0))
        elif word.startswith("-I") and word[2:] in _ISO:
            form = _ISO[word[2:]]
        elif word == "-R":
            form = "%a, %d %b %Y %H:%M:%S +0000"
        elif re.fullmatch(r"-[jnu]+", word):
            continue
        elif word.startswith("+"):
            form = word[1:]
        else:
            words.append(word)
    if words:
        wrong = words[0].startswith("-")
        what = (
            f"date: illegal option -- {words[0][1:2]}\n" if wrong else "date: illegal time format\n"
        )
        return Reply(1, stderr=what + _DATE_USAGE)
    moment = datetime.fromtimestamp(moment_s, UTC)
    return Reply(0, moment.strftime(form.replace("%s", str(int(moment_s)))) + "\n")


def _options(
    call: Call, flags: str, valued: str
) -> tuple[set[str] | None, dict[str, str], list[str]]:
    """Flags, options with their values, words; None and the letter for one that is not there."""
    letters: set[str] = set()
    values: dict[str, str] = {}
    rest = list(call.argv[1:])
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        cluster = rest.pop(0)[1:]
        if cluster == "-":
            break
        while cluster:
            letter, cluster = cluster[0], cluster[1:]
            if letter in valued:
                values[letter] = cluster or (rest.pop(0) if rest else "")
                break
            if letter not in flags:
                return None, {letter: ""}, []
            letters.add(letter)
    return letters, values, rest
