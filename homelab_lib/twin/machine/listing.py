"""Programs that look at files."""

import fnmatch
import hashlib
import posixpath
import re

from homelab_lib.twin.machine.entry import Entry, FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.machine.textutils import read_of

listing = Commands()
_KINDS = {
    "file": "regular file",
    "dir": "directory",
    "link": "symbolic link",
    "pipe": "fifo",
    "character device": "character special file",
    "block device": "block special file",
}


@listing("ls")
def ls(machine: Machine, call: Call) -> Reply:
    """Names in folders."""
    words, options = operands(call)
    who, files = machine.who(call), machine.files
    out, err = "", ""
    for word in words or ["."]:
        path = call.path(word)
        try:
            entry = files.stat(path, who, follow="-d" not in options and "-l" not in options)
        except FileError as error:
            err += f"ls: cannot access '{word}': {error.says}\n"
            continue
        is_folder = entry.kind == "dir" and "-d" not in options
        try:
            names = files.listdir(path, who) if is_folder else [word]
        except FileError as error:
            err += f"ls: cannot open directory '{word}': {error.says}\n"
            continue
        for name in names:
            if name.startswith(".") and is_folder and not {"-a", "-A"} & options.keys():
                continue
            place = posixpath.join(path, name) if is_folder else path
            out += _row(files.stat(place, follow=False), name) if "-l" in options else f"{name}\n"
    return Reply(2 if err else 0, out, err)


def _row(entry: Entry, name: str) -> str:
    arrow = f" -> {entry.data.decode()}" if entry.kind == "link" else ""
    return f"{_mode(entry)} 1 {entry.user} {entry.group} {entry.size} {name}{arrow}\n"


def _mode(entry: Entry) -> str:
    letters = [
        letter if entry.mode >> (8 - place) & 1 else "-" for place, letter in enumerate("rwxrwxrwx")
    ]
    for bit, place, letter in ((0o4000, 2, "s"), (0o2000, 5, "s"), (0o1000, 8, "t")):
        if entry.mode & bit:
            letters[place] = letter if letters[place] == "x" else letter.upper()
    return ("-" if entry.kind == "file" else entry.kind[0]) + "".join(letters)


@listing("find")
def find(machine: Machine, call: Call) -> Reply:
    """Paths below folders, by name and type."""
    words = list(call.argv[1:])
    start = next((i for i, w in enumerate(words) if w.startswith("-")), len(words))
    tests = dict(zip(words[start::2], words[start + 1 :: 2], strict=False))
    out, err = "", ""
    for root in words[:start] or ["."]:
        try:
            machine.files.stat(call.path(root), machine.who(call), follow=False)
            for path in machine.files.walk(call.path(root), machine.who(call)):
                entry = machine.files.stat(path, follow=False)
                letter = {"file": "f", "dir": "d", "link": "l"}.get(entry.kind, entry.kind[0])
                name = fnmatch.fnmatch(posixpath.basename(path), tests.get("-name", "*"))
                if name and tests.get("-type", letter) == letter:
                    out += f"{path}\n"
        except FileError as error:
            err += f"find: '{root}': {error.says}\n"
    return Reply(1 if err else 0, out, err)


@listing("stat")
def stat(machine: Machine, call: Call) -> Reply:
    """Facts about files, by ``-c`` format."""
    words, options = operands(call, "-c --format --printf")
    form = options.get("-c") or options.get("--format") or options.get("--printf") or "%n %s"
    end = "" if "--printf" in options else "\n"
    if not end:
        form = form.replace("\\0", "\0").replace("\\n", "\n").replace("\\t", "\t")
    out, err = "", ""
    for word in words:
        try:
            path, who = call.path(word), machine.who(call)
            entry = machine.files.stat(path, who, follow=bool({"-L", "--dereference"} & {*options}))
        except FileError as error:
            err += f"stat: cannot statx '{word}': {error.says}\n"
            continue
        values = _facts(machine, entry, word)
        out += _filled(form, values) + end
    return Reply(1 if err else 0, out, err)


def _filled(form: str, values: dict[str, str]) -> str:
    return re.sub(r"%(.)", lambda found: values.get(found[1], "?"), form)


def _facts(machine: Machine, entry: Entry, word: str) -> dict[str, str]:
    users, groups = machine.accounts.users, machine.accounts.groups
    empty = entry.kind == "file" and not entry.size
    arrow = f" -> '{entry.data.decode()}'" if entry.kind == "link" else ""
    return {
        "n": word,
        "N": f"'{word}'{arrow}",
        "s": str(entry.size),
        "a": f"{entry.mode:o}",
        "f": f"{entry.raw_mode:x}",
        "A": _mode(entry),
        "U": entry.user,
        "G": entry.group,
        "u": str(users[entry.user].uid) if entry.user in users else entry.user,
        "g": str(groups[entry.group].gid) if entry.group in groups else entry.group,
        "Y": str(int(entry.mtime_s)),
        "F": "regular empty file" if empty else _KINDS.get(entry.kind, entry.kind),
        "%": "%",
    }


@listing("sha256sum", "sha512sum", "md5sum")
def sha256sum(machine: Machine, call: Call) -> Reply:
    """Digests of files, or whether they are what a list says (``-c``)."""
    words, options = operands(call)
    if "-c" in options or "--check" in options:
        return _check_sums(machine, call, words)
    out, err = "", ""
    end = "\0" if {"-z", "--zero"} & options.keys() else "\n"
    for word in words or ["-"]:
        try:
            out += f"{_digest(machine, call, word)}  {word}{end}"
        except FileError as error:
            err += f"{call.argv[0]}: {word}: {error.says}\n"
    return Reply(1 if err else 0, out, err)


def _digest(machine: Machine, call: Call, word: str) -> str:
    data = read_of(machine, call, word)
    if call.argv[0] == "sha256sum" and word != "-":
        entry = machine.files.entry(call.path(word))
        if entry is not None:
            return entry.sha256
    return hashlib.new(call.argv[0].removesuffix("sum"), data).hexdigest()


def _check_sums(machine: Machine, call: Call, words: list[str]) -> Reply:
    out, err, bad, unread = "", "", 0, 0
    for line in read_of(machine, call, words[0] if words else "-").decode().splitlines():
        wanted, _, name = line.partition("  ")
        try:
            good = _digest(machine, call, name) == wanted
        except FileError as error:
            unread += 1
            err += f"{call.argv[0]}: {name}: {error.says}\n"
            out += f"{name}: FAILED open or read\n"
            continue
        bad += not good
        out += f"{name}: {'OK' if good else 'FAILED'}\n"
    if unread:
        err += f"{call.argv[0]}: WARNING: {unread} listed file could not be read\n"
    if bad:
        err += f"{call.argv[0]}: WARNING: {bad} computed checksum did NOT match\n"
    return Reply(1 if err else 0, out, err)


@listing("readlink", "realpath")
def readlink(machine: Machine, call: Call) -> Reply:
    """Where a link leads; with ``-f`` where a path does in the end."""
    words, options = operands(call)
    who = machine.who(call)
    try:
        if "-f" in options or call.argv[0] == "realpath":
            return Reply(0, machine.files.resolve(call.path(words[0]), who) + "\n")
        entry = machine.files.stat(call.path(words[0]), who, follow=False)
    except FileError as error:
        said = f"realpath: {words[0]}: {error.says}\n" if call.argv[0] == "realpath" else ""
        return Reply(1, stderr=said)
    return Reply(0, entry.data.decode() + "\n") if entry.kind == "link" else Reply(1)
