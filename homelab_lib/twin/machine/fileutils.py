"""Programs that make, move and change files.

Messages as GNU coreutils 9 prints them in the C locale.
"""

import posixpath
import re

from homelab_lib.twin.machine.entry import (
    EXISTS,
    IS_FOLDER,
    NOT_FOLDER,
    NOTHING,
    Facts,
    FileError,
)
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails, operands
from homelab_lib.twin.machine.textutils import read_of

fileutils = Commands()


@fileutils("mkdir")
def mkdir(machine: Machine, call: Call) -> Reply:
    """Make folders."""
    words, options = operands(call, "-m --mode")
    mode = options.get("-m") or options.get("--mode")
    bits = int(mode, 8) if mode else None
    parents = bool({"-p", "--parents"} & options.keys())
    err = ""
    for word in words:
        try:
            path, who = call.path(word), machine.who(call)
            machine.files.mkdir(path, who, parents=parents, mode=bits)
        except FileError as error:
            err += f"mkdir: cannot create directory '{word}': {error.says}\n"
    return Reply(1 if err else 0, stderr=err)


@fileutils("rm", "rmdir")
def rm(machine: Machine, call: Call) -> Reply:
    """Take files away; `rmdir` takes empty folders."""
    words, options = operands(call)
    folders = call.argv[0].endswith("rmdir")
    recursive = bool({"-r", "-R", "--recursive"} & options.keys())
    err = ""
    for word in words:
        try:
            _remove(machine, call, word, folders=folders, recursive=recursive)
        except FileError as error:
            if not ({"-f", "--force"} & options.keys() and error.says == NOTHING):
                verb = "failed to remove" if folders else "cannot remove"
                err += f"{call.argv[0]}: {verb} '{word}': {error.says}\n"
    return Reply(1 if err else 0, stderr=err)


def _remove(machine: Machine, call: Call, word: str, *, folders: bool, recursive: bool) -> None:
    who, path = machine.who(call), call.path(word)
    entry = machine.files.stat(path.rstrip("/") or "/", who, follow=False)
    if entry.kind == "link" and path.endswith("/"):
        raise FileError(NOT_FOLDER)
    if folders and entry.kind != "dir":
        raise FileError(NOT_FOLDER)
    if entry.kind == "dir" and not (folders or recursive):
        raise FileError(IS_FOLDER)
    machine.files.remove(path, who, recursive=recursive)


@fileutils("mv")
def mv(machine: Machine, call: Call) -> Reply:
    """Move a file over another."""
    (old, new), options = operands(call)
    who, target = machine.who(call), call.path(new)
    try:
        machine.files.stat(call.path(old), who, follow=False)
        if machine.files.is_dir(target, who) and "-T" not in options:
            target = posixpath.join(target, posixpath.basename(old))
    except FileError as error:
        return fails(call, f"cannot stat '{old}': {error.says}")
    try:
        machine.files.rename(call.path(old), target, who)
    except FileError as error:
        if error.says == IS_FOLDER:
            return fails(call, f"cannot overwrite directory '{new}' with non-directory")
        if error.says == NOT_FOLDER:
            return fails(call, f"cannot overwrite non-directory '{new}' with directory '{old}'")
        return fails(call, f"cannot move '{old}' to '{new}': {error.says}")
    return Reply()


@fileutils("cp")
def cp(machine: Machine, call: Call) -> Reply:
    """Copy a file."""
    (old, new), options = operands(call)
    who, target = machine.who(call), call.path(new)
    try:
        entry = machine.files.stat(call.path(old), who)
    except FileError as error:
        return fails(call, f"cannot stat '{old}': {error.says}")
    try:
        data = machine.files.read(call.path(old), who)
    except FileError as error:
        return fails(call, f"cannot open '{old}' for reading: {error.says}")
    if machine.files.is_dir(target, who):
        target = posixpath.join(target, posixpath.basename(old))
    facts: Facts = {"digest": entry.digest, "size_bytes": entry.size_bytes}
    try:
        fresh = machine.files.entry(target, who) is None
        mode = entry.mode & ~call.umask if fresh else None
        if {"-p", "-a"} & options.keys():
            mode = entry.mode
            if call.user == "root":
                facts |= {"user": entry.user, "group": entry.group}
        machine.files.write(target, data, who, mode=mode, **facts)
    except FileError as error:
        return fails(call, f"cannot create regular file '{new}': {error.says}")
    return Reply()


@fileutils("dd")
def dd(machine: Machine, call: Call) -> Reply:
    """Copy what comes in, or a file, to a file; with ``conv=excl`` only to a new one."""
    given = {"if": "-", "of": "", "bs": "512", "conv": "", "status": ""}
    for word in call.argv[1:]:
        name, _, given[name] = word.partition("=")
    size = re.fullmatch("([1-9][0-9]*)([kM]?)", given["bs"])
    if size is None:
        return fails(call, f"invalid number: '{given['bs']}'")
    block_bytes = int(size[1]) * {"": 1, "k": 2**10, "M": 2**20}[size[2]]
    conversions = set(given["conv"].split(",")) - {"", "fsync", "fdatasync"}
    if unknown := [*(given.keys() - {"if", "of", "bs", "conv", "status"}), *conversions - {"excl"}]:
        return fails(call, f"this twin does not know '{unknown[0]}'")
    who = machine.who(call)
    try:
        data = read_of(machine, call, given["if"])
    except FileError as error:
        return fails(call, f"failed to open '{given['if']}': {error.says}")
    try:
        path = call.path(given["of"])
        if conversions and machine.files.entry(path, who, follow=False) is not None:
            raise FileError(EXISTS)
        if path:
            machine.files.write(path, data, who)
    except FileError as error:
        return fails(call, f"failed to open '{given['of']}': {error.says}")
    whole, part = divmod(len(data), block_bytes)
    copied = f"{whole}+{part > 0:d}"
    said = f"{copied} records in\n{copied} records out\n" if given["status"] != "none" else ""
    if not given["status"]:
        said += f"{len(data)} byte{'s' * (len(data) != 1)} copied, 0.0001 s, 1.0 MB/s\n"
    return Reply(0, b"" if path else data, said)


@fileutils("install")
def install(machine: Machine, call: Call) -> Reply:
    """Copy a file, or make folders (``-d``), with the mode and the owners that they shall have."""
    words, options = operands(call, "-m -o -g --mode --owner --group")
    for option, noun, known in (
        ("-o", "user", machine.accounts.user_called),
        ("-g", "group", machine.accounts.group_called),
    ):
        if option in options and not known(options[option]):
            return fails(call, f"invalid {noun} '{options[option]}'")
    mode = int(options.get("-m", "755"), 8)
    owners = {
        "user": machine.accounts.user_called(options.get("-o", "")),
        "group": machine.accounts.group_called(options.get("-g", "")),
    }
    if "-d" in options:
        return _install_folders(machine, call, words, mode, owners)
    source, target = words
    who, path = machine.who(call), call.path(target)
    try:
        if machine.files.is_dir(path, who):
            if "-T" in options:
                return fails(call, f"cannot overwrite directory '{target}' with non-directory")
            path = posixpath.join(path, posixpath.basename(source))
        data = read_of(machine, call, source)
    except FileError as error:
        return fails(call, f"cannot stat '{source}': {error.says}")
    try:
        if "-D" in options:
            machine.files.mkdir(posixpath.dirname(path), who, parents=True)
        if machine.files.entry(path, who, follow=False) is not None:
            _make_way(machine, call, path, options.get("--backup"))
        machine.files.write(path, data, who, mode=0o600)
    except FileError as error:
        return fails(call, f"cannot create regular file '{target}': {error.says}")
    return _owned(machine, call, path, target, mode, owners)


def _make_way(machine: Machine, call: Call, path: str, backup: str | None) -> None:
    """Take away what stands there, or keep it under another name."""
    who = machine.who(call)
    if backup is None:
        machine.files.remove(path, who)
        return
    numbers = (n for n in range(1, 1000) if machine.files.entry(f"{path}.~{n}~") is None)
    machine.files.rename(path, f"{path}.~{next(numbers)}~", who)


def _install_folders(
    machine: Machine, call: Call, words: list[str], mode: int, owners: dict[str, str]
) -> Reply:
    for word in words:
        path, who = call.path(word), machine.who(call)
        try:
            machine.files.mkdir(path, who, parents=True)
        except FileError as error:
            return fails(call, f"cannot create directory '{word}': {error.says}")
        reply = _owned(machine, call, path, word, mode, owners)
        if reply.status:
            return reply
    return Reply()


def _owned(
    machine: Machine, call: Call, path: str, word: str, mode: int, owners: dict[str, str]
) -> Reply:
    try:
        machine.files.chown(path, owners["user"], owners["group"], machine.who(call))
        machine.files.chmod(path, mode, machine.who(call))
    except FileError as error:
        return fails(call, f"cannot change ownership of '{word}': {error.says}")
    return Reply()


@fileutils("touch")
def touch(machine: Machine, call: Call) -> Reply:
    """Make an empty file, or say that a file is of now."""
    who = machine.who(call)
    for word in operands(call)[0]:
        path = call.path(word)
        try:
            entry = machine.files.entry(path, who)
            if entry is None:
                machine.files.write(path, b"", who, mtime_s=machine.world.clock.now())
            else:
                entry.mtime_s = machine.world.clock.now()
        except FileError as error:
            return fails(call, f"cannot touch '{word}': {error.says}")
    return Reply()


@fileutils("truncate")
def truncate(machine: Machine, call: Call) -> Reply:
    """Cut a file, or fill it up with zeros."""
    words, options = operands(call, "-s --size")
    size = options.get("-s") or options.get("--size") or "0"
    who = machine.who(call)
    for word in words:
        try:
            old = machine.files.read(call.path(word), who)
            wanted = max(len(old) + int(size) if size[0] in "+-" else int(size), 0)
            machine.files.write(call.path(word), old[:wanted].ljust(wanted, b"\0"), who)
        except FileError as error:
            return fails(call, f"cannot open '{word}' for writing: {error.says}")
    return Reply()


@fileutils("ln")
def ln(machine: Machine, call: Call) -> Reply:
    """Make a symbolic link."""
    (target, word), options = operands(call)
    if "-s" not in options:
        return fails(call, "this twin makes only symbolic links")
    who, path = machine.who(call), call.path(word)
    try:
        if machine.files.is_dir(path, who) and not {"-n", "-T"} & options.keys():
            path = posixpath.join(path, posixpath.basename(target))
        if "-f" in options and machine.files.entry(path, who, follow=False) is not None:
            machine.files.remove(path, who)
        machine.files.link(path, target, who)
    except FileError as error:
        return fails(call, f"failed to create symbolic link '{word}': {error.says}")
    return Reply()
