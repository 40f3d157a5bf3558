"""Programs that look at files."""

import fnmatch
import hashlib
import posixpath
import re

from homelab_lib.twin.machine.files import Entry, FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.machine.textutils import may_read, place_of

listing = Commands()
_FORMATS = {"file": 0o100000, "dir": 0o040000, "link": 0o120000}
_KINDS = {"file": "regular file", "dir": "directory", "link": "symbolic link"}


@listing("ls")
def ls(machine: Machine, call: Call) -> Reply:
    """Names in folders."""
    words, options = operands(call)
    out, err = "", ""
    for word in words or ["."]:
        path = place_of(machine, word)
        entry = machine.files.entry(path)
        if entry is None:
            err += f"ls: cannot access '{word}': No such file or directory\n"
            continue
        is_folder = entry.kind == "dir" and "-d" not in options
        names = machine.files.listdir(path) if is_folder else [word]
        for name in names:
            if name.startswith(".") and is_folder and not {"-a", "-A"} & options.keys():
                continue
            found = machine.files.entry(posixpath.join(path, name) if is_folder else path)
            if "-l" in options and found:
                out += f"{_mode(found)} 1 {found.user} {found.group} {found.size} {name}\n"
            else:
                out += f"{name}\n"
    return Reply(2 if err else 0, out, err)


def _mode(entry: Entry) -> str:
    letters = "".join(
        letter if entry.mode >> (8 - place) & 1 else "-" for place, letter in enumerate("rwxrwxrwx")
    )
    return {"dir": "d", "link": "l"}.get(entry.kind, "-") + letters


@listing("find")
def find(machine: Machine, call: Call) -> Reply:
    """Paths below folders, by name and type."""
    words = list(call.argv[1:])
    start = next((i for i, w in enumerate(words) if w.startswith("-")), len(words))
    tests = dict(zip(words[start::2], words[start + 1 :: 2], strict=False))
    out = ""
    for root in words[:start] or ["."]:
        for path in machine.files.walk(place_of(machine, root)):
            entry = machine.files.entry(path, follow=False)
            letter = {"file": "f", "dir": "d", "link": "l"}[entry.kind] if entry else ""
            if tests.get("-type", letter) == letter and fnmatch.fnmatch(
                posixpath.basename(path), tests.get("-name", "*")
            ):
                out += f"{path}\n"
    return Reply(0, out)


@listing("stat")
def stat(machine: Machine, call: Call) -> Reply:
    """Facts about files, by ``-c`` format."""
    words, options = operands(call, "-c --format --printf")
    form = options.get("-c") or options.get("--format") or options.get("--printf") or "%n %s"
    end = "" if "--printf" in options else "\n"
    if not end:
        form = form.replace("\\0", "\0").replace("\\n", "\n")
    out, err = "", ""
    for word in words:
        try:
            entry = machine.files.entry(place_of(machine, word), follow="-L" in options)
        except FileError as error:
            err += f"stat: cannot statx '{word}': {error.says}\n"
            continue
        if entry is None:
            err += f"stat: cannot statx '{word}': No such file or directory\n"
            continue
        values = {
            "n": word,
            "s": str(entry.size),
            "a": f"{entry.mode:o}",
            "f": f"{_FORMATS[entry.kind] | entry.mode:x}",
            "A": _mode(entry),
            "U": entry.user,
            "G": entry.group,
            "Y": str(int(entry.mtime_s)),
            "F": "regular empty file"
            if entry.kind == "file" and not entry.size
            else _KINDS[entry.kind],
        }
        out += re.sub(r"%(.)", lambda found, v=values: v.get(found[1], "?"), form) + end
    return Reply(1 if err else 0, out, err)


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
            if word == "-":
                digest = hashlib.sha256(call.stdin).hexdigest()
            else:
                may_read(machine, call, place_of(machine, word))
                digest = _digest(machine, place_of(machine, word), call.argv[0])
            out += f"{digest}  {word}{end}"
        except FileError as error:
            err += f"{call.argv[0]}: {word}: {error.says}\n"
    return Reply(1 if err else 0, out, err)


def _digest(machine: Machine, path: str, program: str) -> str:
    data = machine.files.read(path)
    entry = machine.files.entry(path)
    if program == "sha256sum" and entry is not None:
        return entry.sha256
    return hashlib.new(program.removesuffix("sum"), data).hexdigest()


def _check_sums(machine: Machine, call: Call, words: list[str]) -> Reply:
    text = machine.files.text(place_of(machine, words[0])) if words and words[0] != "-" else ""
    out, bad = "", 0
    for line in (text or call.stdin.decode()).splitlines():
        wanted, _, name = line.partition("  ")
        good = _digest(machine, place_of(machine, name), call.argv[0]) == wanted
        bad += not good
        out += f"{name}: {'OK' if good else 'FAILED'}\n"
    err = f"{call.argv[0]}: WARNING: {bad} computed checksum did NOT match\n" if bad else ""
    return Reply(1 if bad else 0, out, err)
