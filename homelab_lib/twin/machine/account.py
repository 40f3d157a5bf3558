"""Accounts of a machine: its users and groups, with their numbers and homes."""

from collections.abc import Iterable
from dataclasses import dataclass

_FIRST_NUMBER = 1000


@dataclass(frozen=True)
class User:
    """A line of ``/etc/passwd``."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str = "/bin/bash"
    gecos: str = ""

    @property
    def line(self) -> str:
        return f"{self.name}:x:{self.uid}:{self.gid}:{self.gecos}:{self.home}:{self.shell}"


@dataclass(frozen=True)
class Group:
    """A line of ``/etc/group``."""

    name: str
    gid: int
    members: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        return f"{self.name}:x:{self.gid}:{','.join(self.members)}"


class Accounts:
    """All users and groups by name. A fresh Debian has root, nobody and the group of sudoers."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.groups: dict[str, Group] = {}
        self.users["root"] = User("root", 0, 0, "/root", gecos="root")
        self.groups["root"] = Group("root", 0)
        self.groups["nogroup"] = Group("nogroup", 65534)
        self.users["nobody"] = User(
            "nobody", 65534, 65534, "/nonexistent", "/usr/sbin/nologin", "nobody"
        )
        self.groups["sudo"] = Group("sudo", 27)

    def add(self, name: str, *, uid: int | None = None, group: str = "", home: str = "") -> User:
        """Make a user, with a group of its own name unless another is given."""
        if name in self.users:
            return self.users[name]
        taken = {user.uid for user in self.users.values()}
        free = next(n for n in range(_FIRST_NUMBER, 60000) if n not in taken)
        number = free if uid is None else uid
        known = self.groups.setdefault(group or name, Group(group or name, number))
        self.users[name] = User(name, number, known.gid, home or f"/home/{name}")
        return self.users[name]

    def read(self, passwd: Iterable[str], groups: Iterable[str]) -> None:
        """Take over the lines that ``getent passwd`` and ``getent group`` print."""
        for line in passwd:
            name, _, uid, gid, gecos, home, shell = line.split(":")
            self.users.pop(name, None)  # they are listed in the order in which they were read
            self.users[name] = User(name, int(uid), int(gid), home, shell, gecos)
        for line in groups:
            name, _, gid, members = line.split(":")
            if name not in self.groups or members:
                self.groups[name] = Group(name, int(gid), tuple(filter(None, members.split(","))))

    def group_of(self, user: str) -> str:
        """A user's first group; its number where it has no name."""
        gid = self.users[user].gid if user in self.users else -1
        return next((g.name for g in self.groups.values() if g.gid == gid), str(gid))

    def groups_of(self, user: str) -> list[str]:
        """All groups of a user, the first one first."""
        others = [g.name for g in self.groups.values() if user in g.members]
        return list(dict.fromkeys([self.group_of(user), *others]))

    def user_called(self, word: str) -> str:
        """The name of a user given by name or number; empty for none."""
        if word in self.users:
            return word
        return next((u.name for u in self.users.values() if str(u.uid) == word), "")

    def group_called(self, word: str) -> str:
        """The name of a group given by name or number; empty for none."""
        if word in self.groups:
            return word
        return next((g.name for g in self.groups.values() if str(g.gid) == word), "")
