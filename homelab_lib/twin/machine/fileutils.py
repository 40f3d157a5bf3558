"""Programs that make, move and take away files.

Messages as GNU coreutils 9 prints them in the C locale.
"""

import posixpath
import re

from homelab_lib.twin.machine.entry import (
    EXISTS,
    IS_FOLDER,
    NOT_FOLDER,
    NOTHING,
    Entry,
    FileError,
)
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails
from homelab_lib.twin.machine.targets import barred, into_place, octal
from homelab_lib.twin.machine.usage import Given, Usage, misused, quoted

fileutils = Commands()

_MKDIR = Usage("p,parents v,verbose m,mode:", least=1)
_RM = Usage("r,R,recursive f,force d,dir v,verbose i I")
_RMDIR = Usage("p,parents v,verbose", least=1)
_MV = Usage(
    "f,force n,no-clobber T,no-target-directory t,target-directory: v,verbose i",
    operand="file operand",
)
_LN = Usage("s,symbolic f,force n,no-dereference T,no-target-directory v,verbose r,relative",
            least=1, operand="file operand")  # fmt: skip
_SIZE = re.compile(r"([-+]?)(\d+)(?:([KMGT])(?:iB)?)?")


@fileutils("mkdir")
def mkdir(machine: Machine, call: Call) -> Reply:
    """Make folders."""
    given = _MKDIR.of(call)
    mode = given.get("m")
    bits = None if mode is None else octal(call, mode)
    out, err = "", ""
    for word in given.words:
        path, who = call.path(word), machine.who(call)
        try:
            fresh = not machine.files.is_dir(path, who) if path else True
            machine.files.mkdir(path, who, parents="p" in given, mode=bits)
            if fresh and "v" in given:
                out += f"mkdir: created directory {quoted(word, call)}\n"
        except FileError as error:
            in_the_way = error.says == NOT_FOLDER and "p" in given
            shown = barred(machine, call, word) if in_the_way else word
            err += f"mkdir: cannot create directory {quoted(shown, call)}: {error.says}\n"
    return Reply(1 if err else 0, out, err)


@fileutils("rm")
def rm(machine: Machine, call: Call) -> Reply:
    """Take files away, with ``-r`` folders too."""
    given = _RM.of(call)
    if not given.words and "f" not in given:
        raise misused(call, "missing operand")
    err = ""
    for word in given.words:
        if posixpath.basename(word.rstrip("/")) in (".", "..") and "r" in given:
            what = "refusing to remove '.' or '..' directory: skipping"
            err += f"rm: {what} {quoted(word, call)}\n"
            continue
        if "r" in given and posixpath.normpath(call.path(word) or ".") == "/":
            err += (
                "rm: it is dangerous to operate recursively on '/'\n"
                "rm: use --no-preserve-root to override this failsafe\n"
            )
            continue
        try:
            err += _removed(machine, call, word, given)
        except FileError as error:
            if not ("f" in given and error.says in (NOTHING, NOT_FOLDER)):
                err += f"rm: cannot remove {quoted(word, call)}: {error.says}\n"
    return Reply(1 if err else 0, stderr=err)


def _removed(machine: Machine, call: Call, word: str, given: Given) -> str:
    """Take one thing away, what is in it first; why not, of what is in it, or nothing."""
    who, path = machine.who(call), call.path(word)
    entry = machine.files.stat(path, who, follow=False)
    own = machine.files.entry(path.rstrip("/") or "/", who, follow=False)
    if path.endswith("/") and (own is None or own.kind != "dir"):
        raise FileError(NOT_FOLDER)
    if entry.kind == "dir" and not {"r", "d"} & given.options.keys():
        raise FileError(IS_FOLDER)
    err = ""
    for name in machine.files.listdir(path, who) if entry.kind == "dir" else ():
        inside = f"{word.rstrip('/')}/{name}"
        if "r" not in given:
            break
        try:
            err += _removed(machine, call, inside, given)
        except FileError as error:
            err += f"rm: cannot remove {quoted(inside, call)}: {error.says}\n"
    if not err:
        machine.files.remove(path.rstrip("/"), who)
    return err


@fileutils("rmdir")
def rmdir(machine: Machine, call: Call) -> Reply:
    """Take empty folders away."""
    given = _RMDIR.of(call)
    err = ""
    for word in given.words:
        names = [word]
        while "p" in given and "/" in names[-1].rstrip("/"):
            names.append(posixpath.dirname(names[-1].rstrip("/")))
        for name in names:
            path, who = call.path(name), machine.who(call)
            try:
                if machine.files.stat(path, who, follow=False).kind != "dir":
                    raise FileError(NOT_FOLDER)
                machine.files.remove(path.rstrip("/"), who)
            except FileError as error:
                err += f"rmdir: failed to remove {quoted(name, call)}: {error.says}\n"
                break
    return Reply(1 if err else 0, stderr=err)


@fileutils("mv")
def mv(machine: Machine, call: Call) -> Reply:
    """Move files over others, or into a folder."""
    given = _MV.of(call)
    pairs = into_place(machine, call, given)
    err = "".join(_moved(machine, call, old, new, given) for old, new in pairs)
    return Reply(1 if err else 0, stderr=err)


def _moved(machine: Machine, call: Call, old: str, new: str, given: Given) -> str:
    """Move one; why not, or nothing."""
    files, who = machine.files, machine.who(call)
    source, target = call.path(old), call.path(new)
    said_old, said_new = quoted(old, call), quoted(new, call)
    try:
        entry = files.stat(source, who, follow=False)
    except FileError as error:
        return f"mv: cannot stat {said_old}: {error.says}\n"
    moving = f"mv: cannot move {said_old} to {said_new}: "
    try:
        there = files.entry(target, who, follow=False)
    except FileError as error:
        return f"mv: cannot stat {said_new}: {error.says}\n"
    try:
        if there is not None and "n" in given:
            return ""
        if target.endswith("/") and there is None and entry.kind != "dir":
            return f"{moving}{NOT_FOLDER}\n"
        if there is not None and any(there is each for each in _led_to(machine, call, old, entry)):
            return f"mv: {said_old} and {said_new} are the same file\n"
        if there is not None and there.kind == "dir" and entry.kind != "dir":
            return f"mv: cannot overwrite directory {said_new} with non-directory\n"
        if there is not None and there.kind != "dir" and entry.kind == "dir":
            return f"mv: cannot overwrite non-directory {said_new} with directory {said_old}\n"
        place = files.resolve(source, who, follow=False)
        if entry.kind == "dir" and files.resolve(target, who, follow=False).startswith(f"{place}/"):
            return f"mv: cannot move {said_old} to a subdirectory of itself, {said_new}\n"
        files.rename(source, target.rstrip("/"), who)
    except FileError as error:
        if error.says == NOT_FOLDER:
            return f"mv: cannot stat {said_new}: {error.says}\n"
        return f"{moving}{error.says}\n"
    return ""


def _led_to(machine: Machine, call: Call, word: str, entry: Entry) -> list[Entry]:
    """What a name stands for: the thing itself, and what it leads to where it is a link."""
    try:
        behind = machine.files.entry(call.path(word), machine.who(call))
    except FileError:
        behind = None
    return [entry] if behind is None else [entry, behind]


@fileutils("ln")
def ln(machine: Machine, call: Call) -> Reply:
    """Make links, symbolic with ``-s``."""
    given = _LN.of(call)
    if len(given.words) == 1 and "T" not in given:
        given.words.append(".")
    who, last = machine.who(call), given.words[-1]
    at_end = machine.files.entry(call.path(last), who, follow=False)
    if "n" in given and at_end is not None and at_end.kind == "link":
        given.options["T"] = ""
    pairs = into_place(machine, call, given)
    err = "".join(_linked(machine, call, target, name, given) for target, name in pairs)
    return Reply(1 if err else 0, stderr=err)


def _linked(machine: Machine, call: Call, target: str, name: str, given: Given) -> str:
    files, who, path = machine.files, machine.who(call), call.path(name)
    try:
        entry = None if "s" in given else files.stat(call.path(target), who, follow=False)
    except FileError as error:
        return f"ln: failed to access {quoted(target, call)}: {error.says}\n"
    if entry is not None and entry.kind == "dir":
        return f"ln: {target}: hard link not allowed for directory\n"
    what = "symbolic" if entry is None else "hard"
    arrow = "" if entry is None else f" => {quoted(target, call)}"
    try:
        there = files.entry(path, who, follow=False)
        if there is not None and there.kind == "dir":
            return f"ln: {name}: cannot overwrite directory\n"
        if there is not None and "f" in given:
            if there is entry:
                return f"ln: {quoted(target, call)} and {quoted(name, call)} are the same file\n"
            files.remove(path, who)
        if entry is None:
            if not target:
                arrow = " -> ''"
                raise FileError(NOTHING)
            files.link(path, target, who)
        else:
            files.hard_link(path, entry, who)
    except FileError as error:
        if error.says == EXISTS:
            arrow = ""
        return f"ln: failed to create {what} link {quoted(name, call)}{arrow}: {error.says}\n"
    return ""


@fileutils("touch")
def touch(machine: Machine, call: Call) -> Reply:
    """Make an empty file, or say that a file is of now."""
    given = Usage("c,no-create a m r,reference: d,date: t:").of(call)
    if not given.words:
        raise misused(call, "missing file operand")
    who, err = machine.who(call), ""
    for word in given.words:
        path = call.path(word)
        try:
            entry = machine.files.entry(path, who)
            if entry is not None:
                if not (who.owns(entry) or who.may(entry, 2)):
                    raise FileError("Permission denied")
                entry.mtime_s = machine.world.clock.now()
            elif "c" not in given:
                machine.files.write(path, b"", who, mtime_s=machine.world.clock.now())
        except FileError as error:
            err += f"touch: cannot touch {quoted(word, call)}: {error.says}\n"
    return Reply(1 if err else 0, stderr=err)


@fileutils("truncate")
def truncate(machine: Machine, call: Call) -> Reply:
    """Cut files, or fill them up with zeros."""
    given = Usage("s,size: c,no-create r,reference: o").of(call)
    wanted = given.get("s")
    if wanted is None:
        raise misused(call, "you must specify either '--size' or '--reference'")
    size = _SIZE.fullmatch(wanted)
    if size is None:
        return fails(call, f"Invalid number: {quoted(wanted, call)}")
    if not given.words:
        raise misused(call, "missing file operand")
    count = int(size[2]) * 1024 ** " KMGT".index(size[3] or " ")
    who, err = machine.who(call), ""
    for word in given.words:
        path = call.path(word)
        try:
            there = machine.files.entry(path, who)
            if there is None and "c" in given:
                continue
            old = machine.files.read(path, who) if there is not None else b""
            whole = {"": count, "+": len(old) + count, "-": max(len(old) - count, 0)}[size[1]]
            machine.files.write(path, old[:whole].ljust(whole, b"\0"), who)
        except FileError as error:
            err += f"truncate: cannot open {quoted(word, call)} for writing: {error.says}\n"
    return Reply(1 if err else 0, stderr=err)
