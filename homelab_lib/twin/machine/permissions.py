"""Programs that change permissions and owners.

Messages as GNU coreutils 9 prints them in the C locale.
"""

import re
from collections.abc import Iterable

from homelab_lib.twin.machine.entry import NOTHING, FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.modes import mode_of
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails
from homelab_lib.twin.machine.usage import Given, Misused, Usage, misused, quoted

permissions = Commands()

_CHMOD = Usage("R,recursive v,verbose c,changes f,silent,quiet r w x X")
_CHOWN = Usage("R,recursive h,no-dereference v,verbose c,changes f,silent,quiet H L P dereference")


@permissions("chmod")
def chmod(machine: Machine, call: Call) -> Reply:
    """Change permissions, given in octal or as ``u+x``."""
    less = _mode_that_looks_like_options(call)
    given = _CHMOD.of(call.other(*(w for w in call.argv if w != less)) if less else call)
    words = given.words
    if not less and not words:
        raise misused(call, "missing operand")
    value = less or words.pop(0)
    if not words:
        raise misused(call, f"missing operand after {quoted(value, call)}")
    who, err = machine.who(call), ""
    try:
        mode_of(0, value, call.umask)
    except ValueError:
        raise misused(call, f"invalid mode: {quoted(value, call)}") from None
    for word, path in _below(machine, call, words, "R" in given):
        try:
            entry = machine.files.stat(path, who)
        except FileError as error:
            dangling = error.says == NOTHING and machine.files.entry(path, who, follow=False)
            what = "operate on dangling symlink" if dangling else "access"
            why = "" if dangling else f": {error.says}"
            err += f"chmod: cannot {what} {quoted(word, call)}{why}\n"
            continue
        try:
            folder = entry.kind == "dir"
            machine.files.chmod(path, mode_of(entry.mode, value, call.umask, folder=folder), who)
        except FileError as error:
            err += f"chmod: changing permissions of {quoted(word, call)}: {error.says}\n"
    return Reply(1 if err else 0, stderr=err)


def _mode_that_looks_like_options(call: Call) -> str:
    """``-x`` and its like; empty where the mode is an operand."""
    before = call.argv[1:]
    if "--" in before:
        before = before[: before.index("--")]
    return next((w for w in before if re.fullmatch(r"-[rwxXstugo,=+-]+", w)), "")


@permissions("chown", "chgrp")
def chown(machine: Machine, call: Call) -> Reply:
    """Change owners."""
    given = _CHOWN.of(call)
    words = given.words
    if not words:
        raise misused(call, "missing operand")
    value = words.pop(0)
    if not words:
        raise misused(call, f"missing operand after {quoted(value, call)}")
    user, group = _wanted(machine, call, value)
    err = ""
    for word, path in _below(machine, call, words, "R" in given):
        err += _given(machine, call, word, path, user, group, given)
    return Reply(1 if err else 0, stderr=err)


def _wanted(machine: Machine, call: Call, value: str) -> tuple[str, str]:
    """User and group; a number that nobody has is one all the same."""
    accounts = machine.accounts
    if call.argv[0].endswith("chgrp"):
        group = accounts.group_called(value) or (value if value.isdigit() else "")
        if value and not group:
            raise Misused(fails(call, f"invalid group: {quoted(value, call)}"))
        return "", group
    user, colon, group = value.partition(":")
    who = accounts.user_called(user) or (user if user.isdigit() else "")
    if user and not who:
        raise Misused(fails(call, f"invalid user: {quoted(value, call)}"))
    wanted = accounts.group_called(group) or (group if group.isdigit() else "")
    if group and not wanted:
        raise Misused(fails(call, f"invalid group: {quoted(value, call)}"))
    return who, accounts.group_of(who) if colon and who and not group else wanted


def _given(
    machine: Machine, call: Call, word: str, path: str, user: str, group: str, given: Given
) -> str:
    """Give one file away; why not, or nothing."""
    who, follow = machine.who(call), "h" not in given
    try:
        entry = machine.files.stat(path, who, follow=follow)
    except FileError as error:
        dangling = error.says == NOTHING and machine.files.entry(path, who, follow=False)
        what = "dereference" if dangling else "access"
        return f"{call.argv[0]}: cannot {what} {quoted(word, call)}: {error.says}\n"
    try:
        machine.files.chown(path, user, group, who, follow=follow)
    except FileError as error:
        what = "group" if not user else "ownership"
        return f"{call.argv[0]}: changing {what} of {quoted(word, call)}: {error.says}\n"
    if entry.kind == "file" and (user or group):
        entry.mode &= ~(0o6000 if entry.mode & 0o010 else 0o4000)  # the kernel takes them off
    return ""


def _below(
    machine: Machine, call: Call, words: Iterable[str], recursive: bool
) -> Iterable[tuple[str, str]]:
    """Each file as it is named, and its path."""
    for word in words:
        path = call.path(word)
        for each in machine.files.walk(path) if recursive else [path]:
            entry = machine.files.entry(each, follow=False)
            if each != path and entry is not None and entry.kind == "link":
                continue  # what is met on the way is not followed
            yield word + each.removeprefix(path), each
