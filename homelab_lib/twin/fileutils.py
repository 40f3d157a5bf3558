"""Programs that every Unix has: what looks at files, and what moves them about."""

import fnmatch
import hashlib
import posixpath
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from homelab_lib.twin.files import Entry, FileError
from homelab_lib.twin.machine import Commands, operands
from homelab_lib.twin.shell import Call, Reply
from homelab_lib.twin.textutils import fails, may_read, place_of

if TYPE_CHECKING:
    from homelab_lib.twin.machine import Machine

fileutils = Commands()
_KINDS = {"file": "regular file", "dir": "directory", "link": "symbolic link"}


@fileutils("ls")
def ls(machine: "Machine", call: Call) -> Reply:
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


@fileutils("find")
def find(machine: "Machine", call: Call) -> Reply:
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


@fileutils("stat")
def stat(machine: "Machine", call: Call) -> Reply:
    """Facts about files, by ``-c`` format."""
    words, options = operands(call, "-c --format --printf")
    form = options.get("-c") or options.get("--format") or options.get("--printf") or "%n %s"
    end = "" if "--printf" in options else "\n"
    if not end:
        form = form.replace("\\0", "\0").replace("\\n", "\n")
    out, err = "", ""
    for word in words:
        entry = machine.files.entry(place_of(machine, word), follow="-L" in options)
        if entry is None:
            err += f"stat: cannot statx '{word}': No such file or directory\n"
            continue
        values = {
            "n": word,
            "s": str(entry.size),
            "a": f"{entry.mode:o}",
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


@fileutils("sha256sum", "sha512sum", "md5sum")
def sha256sum(machine: "Machine", call: Call) -> Reply:
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


def _digest(machine: "Machine", path: str, program: str) -> str:
    data = machine.files.read(path)
    entry = machine.files.entry(path)
    if program == "sha256sum" and entry is not None:
        return entry.sha256
    return hashlib.new(program.removesuffix("sum"), data).hexdigest()


def _check_sums(machine: "Machine", call: Call, words: list[str]) -> Reply:
    text = machine.files.text(place_of(machine, words[0])) if words and words[0] != "-" else ""
    out, bad = "", 0
    for line in (text or call.stdin.decode()).splitlines():
        wanted, _, name = line.partition("  ")
        good = _digest(machine, place_of(machine, name), call.argv[0]) == wanted
        bad += not good
        out += f"{name}: {'OK' if good else 'FAILED'}\n"
    err = f"{call.argv[0]}: WARNING: {bad} computed checksum did NOT match\n" if bad else ""
    return Reply(1 if bad else 0, out, err)


# Changing ----------------------------------------------------------------------------------------


@fileutils("mkdir")
def mkdir(machine: "Machine", call: Call) -> Reply:
    """Make folders."""
    words, options = operands(call, "-m")
    for word in words:
        try:
            machine.files.mkdir(place_of(machine, word), parents="-p" in options)
        except FileError as error:
            return fails(call, f"cannot create directory '{word}': {error.says}")
    return Reply()


@fileutils("rm", "rmdir")
def rm(machine: "Machine", call: Call) -> Reply:
    """Take files away."""
    words, options = operands(call)
    recursive = bool({"-r", "-R", "--recursive"} & options.keys())
    err = ""
    for word in words:
        try:
            machine.files.remove(place_of(machine, word), recursive=recursive)
        except FileError as error:
            if "-f" not in options or "No such" not in error.says:
                err += f"rm: cannot remove '{word}': {error.says}\n"
    return Reply(1 if err else 0, stderr=err)


@fileutils("mv")
def mv(machine: "Machine", call: Call) -> Reply:
    """Move a file over another."""
    (old, new), options = operands(call)
    target = place_of(machine, new)
    if machine.files.is_dir(target) and "-T" not in options:
        target = posixpath.join(target, posixpath.basename(old))
    try:
        machine.files.rename(place_of(machine, old), target)
    except FileError as error:
        return fails(call, f"cannot stat '{old}': {error.says}")
    return Reply()


@fileutils("cp")
def cp(machine: "Machine", call: Call) -> Reply:
    """Copy a file."""
    (old, new), _ = operands(call)
    source, target = place_of(machine, old), place_of(machine, new)
    if machine.files.is_dir(target):
        target = posixpath.join(target, posixpath.basename(old))
    data = machine.files.read(source)
    entry = machine.files.entry(source)
    machine.files.write(target, data, digest=entry.digest, size_bytes=entry.size_bytes)
    return Reply()


@fileutils("install")
def install(machine: "Machine", call: Call) -> Reply:
    """Copy a file with the mode and the owners that it shall have."""
    (source, target), options = operands(call, "-m -o -g")
    for name in filter(None, (options.get("-o"), options.get("-g"))):
        if name not in machine.accounts:
            return fails(call, f"invalid user '{name}'")
    path = place_of(machine, target)
    given = source == "/dev/stdin"
    data = call.stdin if given else machine.files.read(place_of(machine, source))
    try:
        machine.files.write(
            path,
            data,
            mode=int(options.get("-m", "755"), 8),
            user=options.get("-o", call.user),
            group=options.get("-g", call.user),
        )
    except FileError as error:
        return fails(call, f"cannot create regular file '{target}': {error.says}")
    return Reply()


@fileutils("touch")
def touch(machine: "Machine", call: Call) -> Reply:
    """Make an empty file, or say that a file is of now."""
    for word in operands(call)[0]:
        path = place_of(machine, word)
        old = machine.files.read(path) if machine.files.exists(path) else b""
        machine.files.write(path, old, mtime_s=machine.world.clock.now())
    return Reply()


@fileutils("chmod", "chown", "chgrp")
def chmod(machine: "Machine", call: Call) -> Reply:
    """Change permissions or owners."""
    (value, *words), options = operands(call)
    for path in _below(machine, words, "-R" in options):
        entry = machine.files.entry(path)
        if entry is None:
            return fails(call, f"cannot access '{path}': No such file or directory")
        if call.argv[0] == "chmod":
            entry.mode = int(value, 8)
            continue
        user, _, group = value.partition(":")
        for name in filter(None, (user, group)):
            if name not in machine.accounts:
                return fails(call, f"invalid user: '{value}'")
        entry.user, entry.group = user or entry.user, group or entry.group
    return Reply()


def _below(machine: "Machine", words: Iterable[str], recursive: bool) -> Iterable[str]:
    for word in words:
        path = place_of(machine, word)
        yield from machine.files.walk(path) if recursive else [path]


@fileutils("ln")
def ln(machine: "Machine", call: Call) -> Reply:
    """Make a symbolic link."""
    (target, path), _ = operands(call)
    machine.files.link(place_of(machine, path), target)
    return Reply()


@fileutils("readlink")
def readlink(machine: "Machine", call: Call) -> Reply:
    """Where a link leads."""
    words, options = operands(call)
    path = place_of(machine, words[0])
    entry = machine.files.entry(path, follow=False)
    if entry is None or (entry.kind != "link" and not options):
        return Reply(1)
    return Reply(0, (entry.data.decode() if entry.kind == "link" else path) + "\n")
