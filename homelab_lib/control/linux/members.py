"""Users and groups to whom files belong, and who never log in at the machine.

Sources: useradd(8), groupadd(8), usermod(8), passwd(5); getent(1) ends with 2 where there is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib.control import mark
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

NO_LOGIN = "/usr/sbin/nologin"
_NO_HOME = "/nonexistent"
_NO_SUCH_KEY = 2
_FIRST_OF_PERSONS = 1000  # GID_MIN of login.defs(5): below are the system's own


@dataclass(frozen=True)
class UnixGroup:
    """A group; one of that name that is there will do, but for one of the system's own.

    Parameters
    ----------
    host, group
        Where, and its name.
    gid
        Its number; None: the machine picks one. One of the system's own is meant only if this is
        said: who is in it may do more than use files.
    """

    host: str
    group: str
    gid: int | None = None
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        return f"group {self.group}"

    def observe(self, host: Host) -> dict[str, int | None]:
        """Its number; None where there is no such group."""
        found = _entry(host, "group", self.group, 4)
        return {"gid": None if found is None else int(found[2])}

    def diff(self, observed: dict[str, Any]) -> Diff:
        gid = observed["gid"]
        if gid is None:
            number = () if self.gid is None else ("--gid", str(self.gid))
            call = change("groupadd", *number, self.group, sudo=True)
            return Diff((Change(f"make {self.name}", call, undo=f"groupdel {self.group}"),))
        if self.gid not in (None, gid):
            return Diff(
                conflict=f"group {self.group} of {self.host} is there with the number {gid}, and "
                f"files go by that; write  gid: {gid}  into the lab, or leave it out"
            )
        if self.gid is None and gid < _FIRST_OF_PERSONS:
            return Diff(
                conflict=f"group {self.group} of {self.host} is one of the system's own, with the "
                f"number {gid}: who is in it may do more there than use files. Name another, or "
                f"write  gid: {gid}  if that is the one"
            )
        return Diff()


@dataclass(frozen=True)
class UnixUser:
    """A user without a home and a login, marked as ours in the comment of passwd(5).

    One of that name that is not ours is the one that is meant only if the lab says its number.

    Parameters
    ----------
    host, lab, user
        Where, whose, and its name.
    full_name
        The person's.
    uid
        Its number; None: the machine picks one.
    group
        Its primary group, which is there; empty: one of its own name.
    groups
        Further groups, which are there.
    shell
        What it would log in with.
    """

    host: str
    lab: str
    user: str
    full_name: str
    uid: int | None = None
    group: str = ""
    groups: tuple[str, ...] = ()
    shell: str = NO_LOGIN
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        return f"user {self.user}"

    @property
    def _is_in(self) -> str:
        return self.group or self.user

    def observe(self, host: Host) -> dict[str, Any]:
        """Number, shell and groups, and whether it is ours; ``there`` is false where it isn't."""
        found = _entry(host, "passwd", self.user, 7)
        if found is None:
            return {"there": False}
        ours = mark.tag(self.lab) in found[4].split(",")
        return {
            "there": True,
            "ours": ours or host.begun(self.name),
            "uid": int(found[2]),
            "shell": found[6],
            "group": host.read("id", "-gn", self.user).stdout.strip(),
            "groups": sorted(host.read("id", "-Gn", self.user).stdout.split()),
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        if not observed["there"]:
            return Diff((self._made(),))
        if self.uid not in (None, observed["uid"]):
            return Diff(
                conflict=f"user {self.user} of {self.host} is there with the number "
                f"{observed['uid']}, and files go by that; write  uid: {observed['uid']}  into the "
                "lab, or leave it out"
            )
        wanted = {"group": self._is_in, "shell": self.shell}
        other = {key: observed[key] for key, value in wanted.items() if observed[key] != value}
        missing = [each for each in self.groups if each not in observed["groups"]]
        if not other and not missing:
            return Diff() if observed["ours"] or self.uid is not None else self._somebodys(observed)
        if other or not observed["ours"]:
            told = [f"{key} {value}" for key, value in other.items()]
            told += [f"groups {', '.join(observed['groups'])}"] * bool(missing)
            return Diff(
                conflict=f"user {self.user} of {self.host} was there before, with "
                f"{', '.join(told)}; write it down as it is, or with  exists: true"
            )
        call = change("usermod", "--append", "--groups", ",".join(missing), self.user, sudo=True)
        undo = "; ".join(f"gpasswd --delete {self.user} {each}" for each in missing)
        summary = f"take {self.user} into {', '.join(missing)}"
        return Diff((Change(summary, call, undo=undo),))

    def _somebodys(self, observed: dict[str, Any]) -> Diff:
        """It would be given a password of ours, and with it all that it has."""
        return Diff(
            conflict=f"user {self.user} of {self.host} was there before, with the number "
            f"{observed['uid']}; if it is the one that is meant, write  uid: {observed['uid']}  "
            "into the lab, else name another"
        )

    def _made(self) -> Change:
        # Its own mark stands in the last of the comment's five fields.
        words = ["--no-create-home", "--home-dir", _NO_HOME, "--shell", self.shell]
        words += ["--comment", f"{self.full_name},,,,{mark.tag(self.lab)}"]
        words += ["--uid", str(self.uid)] if self.uid is not None else []
        words += ["--gid", self.group] if self.group else ["--user-group"]
        words += ["--groups", ",".join(self.groups)] if self.groups else []
        call = change("useradd", *words, self.user, sudo=True)
        return Change(f"make {self.name}", call, undo=f"userdel {self.user}")


def _entry(host: Host, base: str, name: str, fields: int) -> Sequence[str] | None:
    """An entry of passwd(5) or group(5); None where there is none.

    Raises
    ------
    StepFailed
        The host can't tell.
    """
    said = host.read("getent", base, name, ok=(0, _NO_SUCH_KEY))
    if said.exit_status:
        return None
    found = said.stdout.strip().split(":")
    if len(found) != fields or found[0] != name or not (found[2].isascii() and found[2].isdigit()):
        raise StepFailed(
            f"{host.name} can't tell who {name} is: {host.cut(said.stdout.strip(), 200)!r}",
            where=host.name,
            fix=f"try `getent {base} {name}` there by hand",
        )
    return found
