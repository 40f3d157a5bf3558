"""`useradd`, `groupadd`, `usermod`: accounts that are made.

Source: useradd(8), groupadd(8), usermod(8), and what Debian's shadow 4.13 answered when it was run
(tests/real): it takes more names than others, such as those with capitals and dots.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from homelab_lib.twin.machine.account import Group, User
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails
from homelab_lib.twin.machine.usage import Misused, Usage

shadow = Commands()

_FIRST, _LAST = 1000, 60000  # UID_MIN, UID_MAX of Debian's login.defs; of groups alike
_NAME = re.compile(r"[^-+~:,\s][^:,\s]{0,31}")
_SHELLS = ("/bin/sh", "/bin/bash", "/usr/bin/bash", "/usr/sbin/nologin", "/bin/false")
_USERADD = Usage(
    "b,base-dir: c,comment: d,home-dir: g,gid: G,groups: M,no-create-home m,create-home "
    "N,no-user-group s,shell: u,uid: U,user-group r,system",
    least=1, most=1, status=2,
)  # fmt: skip
_GROUPADD = Usage("g,gid: r,system f,force", least=1, most=1, status=2)
_USERMOD = Usage("a,append G,groups:", least=1, most=1, status=2)


@shadow("groupadd")
def groupadd(machine: Machine, call: Call) -> Reply:
    """Make a group."""
    given, known = _GROUPADD.of(call), machine.accounts.groups
    name, number = given.words[0], given.get("g")
    if not _NAME.fullmatch(name):
        return fails(call, f"'{name}' is not a valid group name", 3)
    if call.user != "root":
        return _locked(call, "/etc/group", 10)
    if name in known:
        return fails(call, f"group '{name}' already exists", 9)
    if number is not None and machine.accounts.group_called(number):
        return fails(call, f"GID '{number}' already exists", 4)
    known[name] = Group(name, int(number) if number else _next(g.gid for g in known.values()))
    return Reply()


@shadow("useradd")
def useradd(machine: Machine, call: Call) -> Reply:
    """Make a user, and a group of its own unless one is given."""
    given, accounts = _USERADD.of(call), machine.accounts
    name, shell = given.words[0], given.get("s") or "/bin/sh"
    if ":" in (comment := given.get("c") or ""):
        return fails(call, f"invalid comment '{comment}'", 3)
    group = _group(machine, call, given.get("g")) if "g" in given else ""
    others = [_group(machine, call, each) for each in _list(given.get("G"))]
    if not _NAME.fullmatch(name):
        return fails(call, f"invalid user name '{name}': use --badname to ignore", 3)
    if call.user != "root":
        return _locked(call, "/etc/passwd", 1)
    if name in accounts.users:
        return fails(call, f"user '{name}' already exists", 9)
    if not group and name in accounts.groups:
        what = f"group {name} exists - if you want to add this user to that group, use -g."
        return fails(call, what, 9)
    number = given.get("u")
    if number is not None and accounts.user_called(number):
        return fails(call, f"UID {number} is not unique", 4)
    uid = int(number) if number else _next(user.uid for user in accounts.users.values())
    if not group:
        taken = [each.gid for each in accounts.groups.values()]
        accounts.groups[name] = Group(name, _next(taken) if uid in taken else uid)
    gid = accounts.groups[group or name].gid
    home = given.get("d") or f"/home/{name}"
    accounts.users[name] = User(name, uid, gid, home, shell, comment)
    _join(machine, name, others)
    if "m" in given:
        machine.make_home(name)
    said = f"useradd: Warning: missing or non-executable shell '{shell}'\n"
    there = shell in _SHELLS or machine.files.exists(shell)
    return Reply(0, stderr="" if there else said)


@shadow("usermod")
def usermod(machine: Machine, call: Call) -> Reply:
    """Take a user into further groups."""
    given = _USERMOD.of(call)
    name = given.words[0]
    if name not in machine.accounts.users:
        return fails(call, f"user '{name}' does not exist", 6)
    groups = [_group(machine, call, each) for each in _list(given.get("G"))]
    if call.user != "root":
        return _locked(call, "/etc/passwd", 1)
    if "a" not in given:
        for group in machine.accounts.groups.values():
            left = tuple(each for each in group.members if each != name)
            machine.accounts.groups[group.name] = replace(group, members=left)
    _join(machine, name, groups)
    return Reply()


def _join(machine: Machine, user: str, groups: list[str]) -> None:
    known = machine.accounts.groups
    for name in groups:
        if user not in known[name].members:
            known[name] = replace(known[name], members=(*known[name].members, user))


def _group(machine: Machine, call: Call, word: str | None) -> str:
    found = machine.accounts.group_called(word or "")
    if not found:
        raise Misused(fails(call, f"group '{word}' does not exist", 6))
    return found


def _list(text: str | None) -> list[str]:
    return text.split(",") if text else []


def _next(numbers: Iterable[int]) -> int:
    """The one after the highest that is taken of those for persons."""
    taken = [each for each in numbers if _FIRST <= each <= _LAST]
    return max(taken, default=_FIRST - 1) + 1


def _locked(call: Call, file: str, status: int) -> Reply:
    name = call.argv[0]
    said = f"{name}: Permission denied.\n{name}: cannot lock {file}; try again later.\n"
    return Reply(status, stderr=said)
