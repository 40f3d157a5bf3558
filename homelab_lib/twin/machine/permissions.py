"""Programs that change permissions and owners."""

import re
from collections.abc import Iterable

from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails, operands

permissions = Commands()


@permissions("chmod")
def chmod(machine: Machine, call: Call) -> Reply:
    """Change permissions, given in octal or as ``u+x``."""
    place = next(i for i, word in enumerate(call.argv[1:], 1) if not re.match("-[a-zA-Z]$", word))
    value, words = call.argv[place], [w for w in call.argv[place + 1 :] if w != "--"]
    who = machine.who(call)
    for word, path in _below(machine, call, words, "-R" in call.argv[:place]):
        try:
            entry = machine.files.stat(path, who)
        except FileError as error:
            return fails(call, f"cannot access '{word}': {error.says}")
        try:
            machine.files.chmod(path, _changed(entry.mode, value, call.umask), who)
        except FileError as error:
            return fails(call, f"changing permissions of '{word}': {error.says}")
        except ValueError:
            return fails(call, f"invalid mode: '{value}'")
    return Reply()


def _changed(mode: int, value: str, umask: int) -> int:
    if re.fullmatch("[0-7]+", value):
        return int(value, 8)
    for clause in value.split(","):
        found = re.fullmatch(r"([ugoa]*)([-+=])([rwxX]*)", clause)
        if found is None:
            raise ValueError(value)
        bits = sum({"r": 4, "w": 2, "x": 1, "X": 1 if mode & 0o111 else 0}[x] for x in found[3])
        shifts = {"u": 6, "g": 3, "o": 0}
        whose = [s for w, s in shifts.items() if w in found[1] or "a" in found[1] or not found[1]]
        spread = sum(bits << shift for shift in whose) & (~0 if found[1] else ~umask)
        if found[2] == "=":
            mode &= ~sum(7 << shift for shift in whose)
        mode = mode & ~spread if found[2] == "-" else mode | spread
    return mode


@permissions("chown", "chgrp")
def chown(machine: Machine, call: Call) -> Reply:
    """Change owners."""
    (value, *words), options = operands(call)
    user, colon, group = value.partition(":")
    if call.argv[0].endswith("chgrp"):
        user, group = "", value
    accounts = machine.accounts
    who, wanted = accounts.user_called(user), accounts.group_called(group)
    if (user and not who) or (group and not wanted):
        return fails(call, f"invalid {'user' if user and not who else 'group'}: '{value}'")
    wanted = accounts.group_of(who) if colon and not group else wanted
    for word, path in _below(machine, call, words, "-R" in options):
        try:
            machine.files.stat(path, machine.who(call))
        except FileError as error:
            return fails(call, f"cannot access '{word}': {error.says}")
        try:
            machine.files.chown(path, who, wanted, machine.who(call))
        except FileError as error:
            return fails(call, f"changing ownership of '{word}': {error.says}")
    return Reply()


def _below(
    machine: Machine, call: Call, words: Iterable[str], recursive: bool
) -> Iterable[tuple[str, str]]:
    """Each file as it is named, and its path."""
    for word in words:
        path = call.path(word)
        for each in machine.files.walk(path) if recursive else [path]:
            yield word + each.removeprefix(path), each
