"""What the programs that make, copy and move files work out first: modes, and what goes where.

Messages as GNU coreutils 9 prints them in the C locale.
"""

import posixpath

from homelab_lib.twin.machine.entry import NOT_FOLDER, NOTHING, FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.modes import mode_of
from homelab_lib.twin.machine.program import Call, fails
from homelab_lib.twin.machine.usage import Given, Misused, misused, quoted


def octal(call: Call, mode: str) -> int:
    """A mode that is given in octal or, for a new file, as ``u=rwx``."""
    try:
        return mode_of(0o777, mode, 0)
    except ValueError:
        raise Misused(fails(call, f"invalid mode {quoted(mode, call)}")) from None


def barred(machine: Machine, call: Call, word: str) -> str:
    """The first part of a path, as it was given, that is no folder."""
    parts = word.split("/")
    for end in range(1, len(parts)):
        part = "/".join(parts[:end])
        if not part:
            continue
        entry = machine.files.entry(call.path(part), machine.who(call))
        if entry is not None and entry.kind != "dir":
            return part
    return word


def into_place(machine: Machine, call: Call, given: Given) -> list[tuple[str, str]]:
    """What goes where, for the programs that copy, move and link: pairs of names.

    Raises
    ------
    Misused
        There are too few names, or several for a place that is no folder.
    """
    words, who = given.words, machine.who(call)
    folder = given.get("t")
    if not words:
        raise misused(call, "missing file operand")
    if folder is None and len(words) == 1:
        what = f"missing destination file operand after {quoted(words[0], call)}"
        raise misused(call, what)
    if "T" in given:
        if len(words) > 2:
            raise misused(call, f"extra operand {quoted(words[2], call)}")
        return [(words[0], words[1])]
    target = words.pop() if folder is None else folder
    is_folder = _is_folder(machine, call, target)
    if not is_folder and (len(words) > 1 or folder is not None):
        there = machine.files.entry(call.path(target), who)
        why = NOTHING if there is None else NOT_FOLDER
        kind = "target directory" if folder is not None else "target"
        raise Misused(fails(call, f"{kind} {quoted(target, call)}: {why}"))
    if not is_folder:
        return [(words[0], target)]
    joint = "" if target.endswith("/") else "/"
    names = [posixpath.basename(word.rstrip("/")) for word in words]
    return [(word, f"{target}{joint}{name}") for word, name in zip(words, names, strict=True)]


def _is_folder(machine: Machine, call: Call, word: str) -> bool:
    try:
        return machine.files.is_dir(call.path(word), machine.who(call))
    except FileError:
        return False  # what is done with it then says why
