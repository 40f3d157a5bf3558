"""Users and their groups."""

import base64
import binascii
import datetime as dt
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.fields.base import Field, Leaf
from homelab_lib.twin.opnsense.fields.choices import Choice, Listed, Offer, Option, same
from homelab_lib.twin.opnsense.fields.constraints import Unique
from homelab_lib.twin.opnsense.fields.network import Network
from homelab_lib.twin.opnsense.fields.numbers import Boolean, Integer, within
from homelab_lib.twin.opnsense.fields.texts import Description, Text, UpdateOnly
from homelab_lib.twin.opnsense.model import Message, Model, Table
from homelab_lib.twin.opnsense.models.privileges import privileges
from homelab_lib.twin.opnsense.tree import Tree

SHELLS = same("/bin/sh /bin/csh /bin/tcsh")
LANGUAGES = {"de_DE": "German", "en_US": "English"}
_FIRST_NUMBER = 2000


@dataclass(frozen=True)
class _Number(Integer):
    """The system's number: given by us, and never changed."""

    def accept(self, leaf: Leaf, value: str) -> str | None:
        return value if not leaf.loaded and php.is_empty(leaf.value) else None

    def fresh(self, leaf: Leaf) -> str:
        taken = [row[leaf.tag].int() for row in leaf.parent.parent.rows()]
        number = _FIRST_NUMBER
        while number in taken:
            number += 1
        return str(number)

    def check(self, leaf: Leaf) -> Iterator[str]:
        yield from super().check(leaf)
        if not within(leaf.value, 0, 65535):
            yield self.says()


@dataclass(frozen=True, kw_only=True)
class _Username(Field):
    """What somebody logs in as; with a shell it has to be one of the system's names."""

    def check(self, leaf: Leaf) -> Iterator[str]:
        value = leaf.value
        if not php.is_empty(leaf.parent.text("shell")):
            if not re.fullmatch(r"[a-z0-9.\-_]{1,32}", value, re.I | re.A):
                yield "A username must contain a maximum of 32 alphanumeric characters."
            return
        if "@" in value:
            fits = re.fullmatch(r"[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}\n?", value, re.I | re.A)
        else:
            fits = re.fullmatch(r"[a-z0-9.\-_@]{1,320}", value, re.I | re.A)
        if not fits:
            yield "A username must contain alphanumeric characters or a valid email address."


@dataclass(frozen=True, kw_only=True)
class _Expires(Text):
    """A day, as Americans write it."""

    def accept(self, leaf: Leaf, value: str) -> str | None:
        day = _day(value)
        return super().accept(leaf, f"{day:%m/%d/%Y}" if day and leaf.loaded else value)

    def check(self, leaf: Leaf) -> Iterator[str]:
        yield from super().check(leaf)
        if _day(leaf.value) is None:
            yield "Invalid expiration date format; use MM/DD/YYYY instead."


def _day(text: str) -> dt.date | None:
    for form in ("%m/%d/%Y", "%Y-%m-%d", "%Y/%m/%d", "%d-%m-%Y", "%d.%m.%Y"):
        try:
            return dt.datetime.strptime(text.strip(), form).date()
        except ValueError:
            continue
    return None


@dataclass(frozen=True, kw_only=True)
class _Coded(Text):
    """A text that is kept in base 64."""

    def accept(self, leaf: Leaf, value: str) -> str | None:
        if not leaf.loaded:
            return value
        return "" if php.is_empty(value) else base64.b64encode(value.encode()).decode()

    def text(self, leaf: Leaf) -> str:
        try:
            return base64.b64decode(leaf.value).decode(errors="replace")
        except binascii.Error:
            return ""


@dataclass(frozen=True, kw_only=True)
class _Keys(Field):
    """Keys of the REST side, each with the hash of its secret; never shown."""

    def accept(self, leaf: Leaf, value: str) -> str | None:
        return None if php.is_empty(value) else value

    def text(self, leaf: Leaf) -> str:
        return ""


@dataclass(frozen=True, kw_only=True)
class _Memberships(Choice):
    """Groups of a user; the groups keep them."""

    def listed(self, leaf: Leaf) -> Offer:
        groups = leaf.tree.config.findall("system/group")
        return {g.findtext("gid") or "": g.findtext("name") or "" for g in groups}

    def after_loading(self, leaf: Leaf) -> None:
        uid = leaf.parent["uid"].value
        mine = [
            group.findtext("gid") or ""
            for group in leaf.tree.config.findall("system/group")
            if uid in ",".join(m.text or "" for m in group.findall("member")).split(",")
        ]
        if mine:
            leaf.value = ",".join(mine)


@dataclass(frozen=True, kw_only=True)
class _Members(Choice):
    """Users of a group."""

    def listed(self, leaf: Leaf) -> Offer:
        users = leaf.tree.config.findall("system/user")
        return {u.findtext("uid") or "": u.findtext("name") or "" for u in users}


@dataclass(frozen=True, kw_only=True)
class _Json(Field):
    """JSON in base 64."""

    says_by_itself: ClassVar[str] = "Invalid JSON type."

    def check(self, leaf: Leaf) -> Iterator[str]:
        try:
            json.loads(base64.b64decode(leaf.value))
        except (ValueError, RecursionError):
            yield self.says()


def _privileges(leaf: Leaf) -> Offer:
    return privileges(leaf.tree.box.release)


def _check_users(tree: Tree, full: bool) -> Iterator[Message]:
    for row in tree.at("user").rows():
        if not full and not row.changed:
            continue
        if row["uid"].value == "0" and row["name"].value != "root":
            yield Message(row["name"].ref, "The name of the root user can not be changed")
        if row["password"].is_empty and row["scrambled_password"].is_empty:
            yield Message(row["password"].ref, "A password is required")


USER = Model(
    "Auth.User",
    "/system/user+",
    {
        "user": Table(
            {
                "uid": _Number(message="Invalid user ID."),
                "name": _Username(
                    required=True, constraints={"one": Unique("This username already exist.")}
                ),
                "disabled": Boolean(required=True),
                "scope": Text(default="user", required=True),
                "expires": _Expires(),
                "authorizedkeys": _Coded(),
                "otp_seed": Text(),
                "shell": Option(SHELLS, blank="Default (none for all but root)"),
                "password": UpdateOnly(),
                "scrambled_password": Boolean(volatile=True),
                "pwd_changed_at": Text(),
                "landing_page": Text(
                    mask=r"/^\/[a-zA-Z0-9_\-\.~\/?=&#+,@!;]*$/",
                    message="Must be a valid relative path without backslashes or URL schemes.",
                ),
                "comment": Text(),
                "email": Text(),
                "apikeys": _Keys(),
                "priv": Listed(make=_privileges, multiple=True),
                "language": Option(LANGUAGES, blank="Default"),
                "group_memberships": _Memberships(multiple=True, volatile=True),
                "descr": Description(),
                "dashboard": _Json(),
            }
        ),
    },
    version="1.0.0",
    checks=_check_users,
    title="User configuration",
)

USER_GROUP = Model(
    "Auth.Group",
    "/system/group+",
    {
        "group": Table(
            {
                "gid": _Number(message="Invalid group ID."),
                "name": Text(
                    mask=r"/^[a-zA-Z0-9\.\-_]{1,32}$/",
                    message="A groupname must contain a maximum of 32 alphanumeric characters.",
                    required=True,
                    constraints={"one": Unique("This groupname already exist.")},
                ),
                "scope": Text(default="user", required=True),
                "description": Description(),
                "priv": Listed(make=_privileges, multiple=True),
                "member": _Members(multiple=True),
                "source_networks": Network(as_list=True),
            }
        ),
    },
    version="1.0.0",
    title="Group configuration",
)
