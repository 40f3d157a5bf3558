"""Programs that copy: `cp`, `install`, `dd`.

Messages as GNU coreutils 9 prints them in the C locale.
"""

import posixpath
import re

from homelab_lib.twin.machine.entry import EXISTS, NOT_FOLDER, Entry, Facts, FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails
from homelab_lib.twin.machine.targets import barred, into_place, octal
from homelab_lib.twin.machine.textutils import read_of
from homelab_lib.twin.machine.usage import Given, Misused, Usage, misused, quoted

copying = Commands()

_CP = Usage(
    "r,R,recursive a,archive p f,force n,no-clobber T,no-target-directory t,target-directory: "
    "d P,no-dereference L,dereference v,verbose u,update"
)
_INSTALL = Usage(
    "d,directory D T,no-target-directory t,target-directory: m,mode: o,owner: g,group: backup? "
    "b c C,compare v,verbose"
)
_STREAMS = ("/dev/stdin", "/dev/null")


@copying("cp")
def cp(machine: Machine, call: Call) -> Reply:
    """Copy files, with ``-r`` folders too."""
    given = _CP.of(call)
    if "a" in given:
        given.options.update({"r": "", "p": "", "d": ""})
    err = "".join(
        _copied(machine, call, old, new, given) for old, new in into_place(machine, call, given)
    )
    return Reply(1 if err else 0, stderr=err)


def _copied(machine: Machine, call: Call, old: str, new: str, given: Given) -> str:
    """Copy one thing and, where that is wanted, what is in it; why not, or nothing."""
    files, who = machine.files, machine.who(call)
    source, target = call.path(old), call.path(new)
    said_old, said_new = quoted(old, call), quoted(new, call)
    follow = not {"d", "P"} & given.options.keys() and ("L" in given or "r" not in given)
    try:
        entry = files.stat(source, who, follow=follow)
    except FileError as error:
        return f"cp: cannot stat {said_old}: {error.says}\n"
    if entry.kind == "dir" and "r" not in given:
        return f"cp: -r not specified; omitting directory {said_old}\n"
    try:
        there = files.entry(target, who)
    except FileError as error:
        return f"cp: cannot stat {said_new}: {error.says}\n"
    try:
        if there is not None and "n" in given:
            return ""
        if there is entry:
            return f"cp: {said_old} and {said_new} are the same file\n"
        if entry.kind == "dir":
            return _folder_copied(machine, call, old, new, entry, given)
        if there is not None and there.kind == "dir":
            return f"cp: cannot overwrite directory {said_new} with non-directory\n"
        data = entry.data if entry.kind == "link" else files.read(source, who)
    except FileError as error:
        if error.says == NOT_FOLDER:
            return f"cp: failed to access {said_new}: {error.says}\n"
        return f"cp: cannot open {said_old} for reading: {error.says}\n"
    dangling = there is None and files.entry(target, who, follow=False) is not None
    if dangling:
        return f"cp: not writing through dangling symlink {said_new}\n"
    if target.endswith("/") and there is None:
        return f"cp: cannot create regular file {said_new}: {NOT_FOLDER}\n"
    try:
        if entry.kind == "link":
            files.link(target, data.decode(), who)
        else:
            facts: Facts = {"digest": entry.digest, "size_bytes": entry.size_bytes}
            facts["mtime_s"] = machine.world.clock.now()
            mode = entry.mode & ~call.umask if there is None else None
            files.write(target, data, who, mode=mode, **facts)
        _kept_facts(machine, call, target, entry, given)
    except FileError as error:
        return f"cp: cannot create regular file {said_new}: {error.says}\n"
    return ""


def _folder_copied(
    machine: Machine, call: Call, old: str, new: str, entry: Entry, given: Given
) -> str:
    files, who, path = machine.files, machine.who(call), call.path(new)
    there = files.entry(path, who)
    if there is not None and there.kind != "dir":
        shown = f"{quoted(new, call)} with directory {quoted(old, call)}"
        return f"cp: cannot overwrite non-directory {shown}\n"
    if there is None:
        files.mkdir(path, who, mode=entry.mode & ~call.umask)
    err = ""
    for name in files.listdir(call.path(old), who):
        err += _copied(machine, call, f"{old}/{name}", f"{new}/{name}", given)
    _kept_facts(machine, call, path, entry, given)
    return err


def _kept_facts(machine: Machine, call: Call, path: str, entry: Entry, given: Given) -> None:
    """With ``-p`` the copy is as old as what was copied, and has its mode and owners."""
    if "p" not in given or entry.kind == "link":
        return
    made = machine.files.stat(path)
    made.mode, made.mtime_s = entry.mode, entry.mtime_s
    if call.user == "root":
        made.user, made.group = entry.user, entry.group


@copying("install")
def install(machine: Machine, call: Call) -> Reply:
    """Copy files, or make folders (``-d``), with the mode and owners that they shall have."""
    given = _INSTALL.of(call)
    accounts = machine.accounts
    for option, noun, known in (
        ("o", "user", accounts.user_called),
        ("g", "group", accounts.group_called),
    ):
        if option in given and not known(given.options[option]):
            return fails(call, f"invalid {noun} {quoted(given.options[option], call)}")
    mode = octal(call, given.get("m") or "755")
    owners = (
        accounts.user_called(given.get("o") or ""),
        accounts.group_called(given.get("g") or ""),
    )
    if "d" in given:
        if not given.words:
            raise misused(call, "missing file operand")
        err = "".join(_folder_made(machine, call, word, mode, owners) for word in given.words)
        return Reply(1 if err else 0, stderr=err)
    if "D" in given and given.words:
        _make_way_to(machine, call, given.words[-1])
    err = "".join(
        _installed(machine, call, old, new, given, mode, owners)
        for old, new in into_place(machine, call, given)
    )
    return Reply(1 if err else 0, stderr=err)


def _make_way_to(machine: Machine, call: Call, word: str) -> None:
    try:
        folder = posixpath.dirname(call.path(word))
        machine.files.mkdir(folder, machine.who(call), parents=True, mode=0o755)
    except FileError as error:
        shown = quoted(posixpath.dirname(word), call)
        raise Misused(fails(call, f"cannot create directory {shown}: {error.says}")) from None


def _folder_made(
    machine: Machine, call: Call, word: str, mode: int, owners: tuple[str, str]
) -> str:
    path, who = call.path(word), machine.who(call)
    try:
        machine.files.mkdir(path, who, parents=True)
    except FileError as error:
        shown = word if error.says != NOT_FOLDER else barred(machine, call, word)
        return f"install: cannot create directory {quoted(shown, call)}: {error.says}\n"
    return _owned(machine, call, path, word, mode, owners)


def _installed(
    machine: Machine,
    call: Call,
    old: str,
    new: str,
    given: Given,
    mode: int,
    owners: tuple[str, str],
) -> str:
    files, who, path = machine.files, machine.who(call), call.path(new)
    said_old, said_new = quoted(old, call), quoted(new, call)
    try:
        if old not in _STREAMS:
            entry = files.stat(call.path(old), who)
            if entry.kind == "dir":
                return f"install: omitting directory {said_old}\n"
            if files.entry(path, who, follow=False) is entry:
                return f"install: {said_old} and {said_new} are the same file\n"
    except FileError as error:
        return f"install: cannot stat {said_old}: {error.says}\n"
    try:
        data = read_of(machine, call, old)
    except FileError as error:
        return f"install: cannot open {said_old} for reading: {error.says}\n"
    try:
        there = files.entry(path, who, follow=False)
        if there is not None and there.kind == "dir":
            return f"install: cannot overwrite directory {said_new} with non-directory\n"
        if there is not None:
            _make_way(machine, call, path, "backup" in given or "b" in given)
        files.write(path, data, who, mode=0o600)
    except FileError as error:
        return f"install: cannot create regular file {said_new}: {error.says}\n"
    return _owned(machine, call, path, new, mode, owners)


def _make_way(machine: Machine, call: Call, path: str, keep: bool) -> None:
    """Take away what stands there, or keep it under another name."""
    who = machine.who(call)
    if not keep:
        machine.files.remove(path, who)
        return
    numbers = (n for n in range(1, 1000) if machine.files.entry(f"{path}.~{n}~") is None)
    machine.files.rename(path, f"{path}.~{next(numbers)}~", who)


def _owned(
    machine: Machine, call: Call, path: str, word: str, mode: int, owners: tuple[str, str]
) -> str:
    """Give it the mode and the owners; why not, or nothing."""
    try:
        if any(owners):
            machine.files.chown(path, *owners, machine.who(call))
    except FileError as error:
        return f"install: cannot change ownership of {quoted(word, call)}: {error.says}\n"
    try:
        made = machine.files.stat(path)
        kept = made.mode & 0o6000 if made.kind == "dir" else 0  # a folder's come from above it
        machine.files.chmod(path, mode | kept, machine.who(call))
    except FileError as error:
        return f"install: cannot change permissions of {quoted(word, call)}: {error.says}\n"
    return ""


@copying("dd")
def dd(machine: Machine, call: Call) -> Reply:
    """Copy what comes in, or a file, to a file; with ``conv=excl`` only to a new one."""
    given = {"if": "-", "of": "", "bs": "512", "conv": "", "status": "", "count": ""}
    for word in call.argv[1:]:
        name, equals, value = word.partition("=")
        if name not in given or not equals:
            raise misused(call, f"unrecognized operand {quoted(word, call)}")
        given[name] = value
    size = re.fullmatch("([1-9][0-9]*)([kM]?)", given["bs"])
    if size is None:
        return fails(call, f"invalid number: '{given['bs']}'")
    block_bytes = int(size[1]) * {"": 1, "k": 2**10, "M": 2**20}[size[2]]
    conversions = set(given["conv"].split(",")) - {"", "fsync", "fdatasync"}
    if conversions - {"excl"}:
        return fails(call, f"this twin does not know 'conv={given['conv']}'")
    return _streamed(machine, call, given, block_bytes, bool(conversions))


def _streamed(
    machine: Machine, call: Call, given: dict[str, str], block_bytes: int, only_new: bool
) -> Reply:
    who, path = machine.who(call), call.path(given["of"])
    err, status, data = "", 0, b""
    try:
        if given["if"] != "-":
            machine.files.stat(call.path(given["if"]), who)
        data = read_of(machine, call, given["if"])
    except FileError as error:
        if error.says != "Is a directory":
            return fails(call, f"failed to open {quoted(given['if'], call)}: {error.says}")
        err, status = f"dd: error reading {quoted(given['if'], call)}: {error.says}\n", 1
    if given["count"]:
        data = data[: int(given["count"]) * block_bytes]
    try:
        if only_new and machine.files.entry(path, who, follow=False) is not None:
            raise FileError(EXISTS)
        if path:
            machine.files.write(path, data, who)
    except FileError as error:
        return fails(call, f"failed to open {quoted(given['of'], call)}: {error.says}")
    whole, part = divmod(len(data), block_bytes)
    copied = f"{whole}+{part > 0:d}"
    err += f"{copied} records in\n{copied} records out\n" if given["status"] != "none" else ""
    if not given["status"]:
        err += f"{len(data)} byte{'s' * (len(data) != 1)} copied, 0.0001 s, 1.0 MB/s\n"
    return Reply(status, b"" if path else data, err)
