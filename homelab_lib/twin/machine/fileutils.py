"""Programs that make, move and change files."""

import posixpath
from collections.abc import Iterable

from homelab_lib.twin.machine.files import FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails, operands
from homelab_lib.twin.machine.textutils import place_of

fileutils = Commands()


@fileutils("mkdir")
def mkdir(machine: Machine, call: Call) -> Reply:
    """Make folders."""
    words, options = operands(call, "-m")
    for word in words:
        try:
            machine.files.mkdir(place_of(machine, word), parents="-p" in options)
        except FileError as error:
            return fails(call, f"cannot create directory '{word}': {error.says}")
    return Reply()


@fileutils("rm", "rmdir")
def rm(machine: Machine, call: Call) -> Reply:
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
def mv(machine: Machine, call: Call) -> Reply:
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
def cp(machine: Machine, call: Call) -> Reply:
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
def install(machine: Machine, call: Call) -> Reply:
    """Copy a file with the mode and the owners that it shall have."""
    words, options = operands(call, "-m -o -g")
    for name in filter(None, (options.get("-o"), options.get("-g"))):
        if name not in machine.accounts:
            return fails(call, f"invalid user '{name}'")
    if "-d" in options:
        return _install_folders(machine, call, words, options)
    source, target = words
    path = place_of(machine, target)
    if options.get("--backup") == "numbered" and machine.files.entry(path, follow=False):
        number = next(n for n in range(1, 10**6) if not machine.files.exists(f"{path}.~{n}~"))
        machine.files.rename(path, f"{path}.~{number}~")
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


def _install_folders(
    machine: Machine, call: Call, words: list[str], options: dict[str, str]
) -> Reply:
    """Folders; those above them are root's, as `install -d` makes them."""
    for word in words:
        path = place_of(machine, word)
        try:
            machine.files.mkdir(path, parents=True)
        except FileError as error:
            return fails(call, f"cannot create directory '{word}': {error.says}")
        made = machine.files.entry(path)
        made.mode = int(options.get("-m", "755"), 8)
        made.user = options.get("-o", call.user)
        made.group = options.get("-g", call.user)
    return Reply()


@fileutils("truncate")
def truncate(machine: Machine, call: Call) -> Reply:
    """Cut files off (``-s SIZE``), or so much of their ends (``-s -SIZE``)."""
    words, options = operands(call, "-s")
    for word in words:
        path = place_of(machine, word)
        machine.files.write(path, machine.files.read(path)[: int(options["-s"])])
    return Reply()


@fileutils("touch")
def touch(machine: Machine, call: Call) -> Reply:
    """Make an empty file, or say that a file is of now."""
    for word in operands(call)[0]:
        path = place_of(machine, word)
        old = machine.files.read(path) if machine.files.exists(path) else b""
        machine.files.write(path, old, mtime_s=machine.world.clock.now())
    return Reply()


@fileutils("chmod", "chown", "chgrp")
def chmod(machine: Machine, call: Call) -> Reply:
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


def _below(machine: Machine, words: Iterable[str], recursive: bool) -> Iterable[str]:
    for word in words:
        path = place_of(machine, word)
        yield from machine.files.walk(path) if recursive else [path]


@fileutils("ln")
def ln(machine: Machine, call: Call) -> Reply:
    """Make a symbolic link."""
    (target, path), _ = operands(call)
    machine.files.link(place_of(machine, path), target)
    return Reply()


@fileutils("readlink")
def readlink(machine: Machine, call: Call) -> Reply:
    """Where a link leads."""
    words, options = operands(call)
    path = place_of(machine, words[0])
    entry = machine.files.entry(path, follow=False)
    if entry is None or (entry.kind != "link" and not options):
        return Reply(1)
    return Reply(0, (entry.data.decode() if entry.kind == "link" else path) + "\n")
