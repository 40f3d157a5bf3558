"""What the methods of users and groups take.

Source: TrueNAS middleware 25.04 to 26, API models `user` and `group`.
"""

import re
import string
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from homelab_lib.twin.truenas.arguments.base import (
    Arguments,
    LongText,
    Name,
    Path,
    Text,
    changes_of,
)

_VALID = string.ascii_letters + string.digits + "._-"


def _valid(name: str, first: str) -> str:
    if not name:
        raise ValueError("Must be at least 1 character in length")
    if name[0] not in first:
        raise ValueError(f"Cannot start with {name[0]!r}")
    if not set(name.removesuffix("$")) <= set(_VALID):
        raise ValueError(f"Valid characters are: {', '.join(_VALID)!r}")
    return name


def _user(name: str) -> str:
    if len(name) > 32:
        raise ValueError("Must be less than or equal to 32 characters in length")
    return _valid(name, string.ascii_letters + "_")


def _group(name: str) -> str:
    return _valid(name, _VALID)


def _email(value: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", value):
        raise ValueError("An email address must have an @-sign.")
    return value


UserName = Annotated[Text, AfterValidator(_user)]
GroupName = Annotated[Text, AfterValidator(_group)]
Email = Annotated[Text, AfterValidator(_email), Field(json_schema_extra={"format": "email"})]
_Number = Annotated[int, Field(ge=0, le=90_000_000)]
_Mapped = Annotated[int, Field(ge=1, le=2**32 - 2)] | Literal["DIRECT", None]


class UserCreate(Arguments):
    """A new user, in 25.10."""

    uid: _Number | None = None
    username: UserName
    home: Path = "/var/empty"
    shell: Name = "/usr/bin/zsh"
    full_name: Name
    smb: bool = True
    userns_idmap: _Mapped = None
    group: int | None = None
    groups: list[int] = Field(default_factory=list)
    password_disabled: bool = False
    ssh_password_enabled: bool = False
    sshpubkey: LongText | None = None
    locked: bool = False
    sudo_commands: list[Name] = Field(default_factory=list)
    sudo_commands_nopasswd: list[Name] = Field(default_factory=list)
    email: Email | None = None
    group_create: bool = False
    home_create: bool = False
    home_mode: Text = "700"
    password: Name | None = ""
    random_password: bool = False


class OldUserCreate(UserCreate):
    """A new user in 25.04."""

    password: Text | None = ""


class UserCreate26(UserCreate):
    """A new user in 26."""

    webshare: bool = False
    email: Text | None = None

    @field_validator("email", check_fields=False)
    @classmethod
    def _at(cls, value: str | None) -> str | None:
        if value and "@" not in value:
            raise ValueError("Missing '@' symbol.")
        return value


_FOR_GOOD = ("uid", "group_create")
UserUpdate = changes_of(UserCreate, *_FOR_GOOD)
OldUserUpdate = changes_of(OldUserCreate, *_FOR_GOOD)
UserUpdate26 = changes_of(UserCreate26, *_FOR_GOOD)


class UserDelete(Arguments):
    """What goes with a user."""

    delete_group: bool = True


class GroupCreate(Arguments):
    """A new group."""

    gid: _Number | None = None
    name: GroupName
    sudo_commands: list[Name] = Field([])
    sudo_commands_nopasswd: list[Name] = Field([])
    smb: bool = True
    userns_idmap: _Mapped = None
    users: list[int] = Field([])


GroupUpdate = changes_of(GroupCreate, "gid")


class GroupDelete(Arguments):
    """What goes with a group."""

    delete_users: bool = False
