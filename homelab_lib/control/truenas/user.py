"""Users of a TrueNAS. Their passwords are told and never asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.answers import SCALAR, Shape, whole
from homelab_lib.control import mark
from homelab_lib.control.truenas.midclt import call, changing, deleting
from homelab_lib.control.truenas.telling import telling
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.secret import Secret

_LISTS = ("groups", "sudo_commands", "sudo_commands_nopasswd")
_ASKED = (
    *("id", "username", "full_name", "smb", "home", "shell", "email", "sshpubkey", "locked"),
    *("password_disabled", "ssh_password_enabled", "group", *_LISTS),
)
"""What is asked of a user: not the hashes of its password, which an administrator is told, too."""

_USERS: Shape = [
    {
        "id": whole,
        "full_name?": str,
        "group?": {"id?": int, "bsdgrp_group?": str},
        "groups?": [int],
        "sudo_commands?": [str],
        "sudo_commands_nopasswd?": [str],
        **{
            f"{name}?": SCALAR
            for name in _ASKED
            if name not in (*_LISTS, "id", "full_name", "group")
        },
    }
]


@dataclass(frozen=True)
class NasUser:
    """A user.

    TrueNAS tells nobody what a password is. It is set when the user is made, and when it has to be
    told anew: a user gets access to Windows shares only with a password given at that time. A user
    that is as wanted is taken to have it; to change one, change it in TrueNAS.

    Parameters
    ----------
    host, lab, user
        Where, the lab it belongs to, and what it is called.
    full_name
        The person's name; our mark is put behind it, for there is no comment.
    group
        Number of the row of its primary group; None for one of its own.
    wanted
        Its other fields, as TrueNAS calls them.
    uid
        Its number; None: TrueNAS picks one.
    password
        None for none: it can't log in with one.
    """

    host: str
    lab: str
    user: str
    full_name: str
    group: int | None = None
    wanted: Mapping[str, Any] = field(default_factory=dict)
    uid: int | None = None
    password: Secret | None = None
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"user {self.user}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        asked = ([["username", "=", self.user]], {"select": list(_ASKED)})
        rows = call(host, "user.query", *asked, shape=_USERS)
        if not rows:
            return None
        row = rows[0]
        told = {"id": row["id"], "full_name": row.get("full_name", "")}
        told["group"] = row.get("group", {}).get("id")
        told["password_disabled"] = bool(row.get("password_disabled"))
        return told | {name: self._settled(name, row.get(name)) for name in self.wanted}

    @staticmethod
    def _settled(name: str, value: Any) -> Any:
        return sorted(value or ()) if name in _LISTS else value

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        marked = f"{self.full_name} ({mark.tag(self.lab)})"
        if observed is None:
            return Diff((self._create(marked),))
        differing = self._differing(observed)
        if not differing:
            return Diff()
        if not str(observed["full_name"]).endswith(f"({mark.tag(self.lab)})"):
            have = ", ".join(f"{name} {observed.get(name)!r}" for name in differing)
            return Diff(
                conflict=f"user {self.user} is there already ({observed['full_name']!r}), and we "
                f"did not make it: it has {have}. If lab {self.lab} may change it, write "
                f"“{marked}” for its full name; else describe it as it is, with exists: true"
            )
        before = ", ".join(f"{name} {observed.get(name)!r}" for name in differing)
        anew = self.password is not None and (
            "smb" in differing or "password_disabled" in differing
        )
        summary = f"change {', '.join(differing)} of {self.name}"
        call_ = self._call("user.update", observed["id"], differing, with_password=anew)
        old = {name: observed.get(name) for name in differing}
        undo = changing("user.update", observed["id"], old).line
        if anew:
            undo += "; the password of before is kept nowhere"
        return Diff((Change(summary, call_, replaces=before, undo=undo),))

    def _differing(self, observed: Mapping[str, Any]) -> dict[str, Any]:
        wanted = dict(self.wanted) | {"password_disabled": self.password is None}
        if self.group is not None:
            wanted["group"] = self.group
        return {name: value for name, value in wanted.items() if not _holds(name, value, observed)}

    def _create(self, marked: str) -> Change:
        document = {"username": self.user, "full_name": marked, **self.wanted}
        document |= {"uid": self.uid} if self.uid is not None else {}
        document |= {"group": self.group} if self.group is not None else {"group_create": True}
        document |= {"password_disabled": True} if self.password is None else {}
        call_ = self._call("user.create", document, with_password=self.password is not None)
        return Change(f"make {self.name}", call_, undo=deleting("user"))

    def _call(self, method: str, *arguments: Any, with_password: bool) -> Any:
        if with_password and self.password is not None:
            return telling(method, *arguments, secrets={"password": self.password})
        return changing(method, *arguments)


def _holds(name: str, wanted: Any, observed: Mapping[str, Any]) -> bool:
    if name == "groups":  # TrueNAS adds its own to them: builtin_users, of one for Windows shares
        return set(wanted) <= set(observed.get(name) or ())
    if name in _LISTS:
        return sorted(wanted) == observed.get(name)
    return bool(wanted == observed.get(name))
