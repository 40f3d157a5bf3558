"""API of users and groups.

Source: TrueNAS middleware 25.04 to 26, `user` and `group`. A user made with a group of its own gets
one with the same number.
"""

import errno

from homelab_lib.twin.truenas.arguments.accounts import (
    GroupCreate,
    GroupDelete,
    GroupUpdate,
    OldUserCreate,
    OldUserUpdate,
    UserCreate,
    UserCreate26,
    UserDelete,
    UserUpdate,
    UserUpdate26,
)
from homelab_lib.twin.truenas.errors import ValidationErrors
from homelab_lib.twin.truenas.kept import Family, Row
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.rpc import FANGTOOTH, GOLDEYE, HALFMOON, left_out
from homelab_lib.twin.truenas.tables import group_row

_FIRST_OF_ONES_OWN, _END_OF_ONES_OWN = 3000, 60000


_OF_EVERY_USER: Row = {
    "unixhash": None,
    "smbhash": None,
    "builtin": False,
    "local": True,
    "immutable": False,
    "twofactor_auth_configured": False,
    "sid": None,
    "last_password_change": None,
    "password_age": None,
    "password_history": None,
    "password_change_required": False,
    "roles": [],
    "api_keys": [],
}


def _check_user(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    errors = ValidationErrors()
    groups = {each["id"]: each for each in nas.tables["group"].rows()}
    if any(other["username"] == row["username"] for other in others):
        text = f"The username {row['username']!r} already exists."
        errors.add(f"{place}.username", text, errno.EEXIST)
    if row["uid"] is not None and any(other["uid"] == row["uid"] for other in others):
        errors.add(f"{place}.uid", f"Uid {row['uid']} is already used", errno.EEXIST)
    if row["group"] is None and not row.get("group_create"):
        text = "Enter either a group name or create a new group to continue."
        errors.add(f"{place}.group", text)
    given = [row["group"]] if isinstance(row["group"], int) else []
    for number in [*given, *row.get("groups", ())]:
        if number not in groups:
            errors.add(f"{place}.groups", f"Group {number} not found", errno.ENOENT)
    _check_login(nas, row, place, errors)
    errors.check()
    if row.get("home_create") and row["home"] != "/var/empty":
        row["home"] = f"{row['home'].rstrip('/')}/{row['username']}"
        nas.files.mkdir(row["home"], parents=True)
    if row.get("smb"):  # whoever uses Windows shares is one of them
        [users] = [each["id"] for each in groups.values() if each["name"] == "builtin_users"]
        row["groups"] = [*row.get("groups", ()), *({users} - set(row.get("groups", ())))]
    for once in ("password", "random_password", "home_create", "home_mode"):  # none is kept
        row.pop(once, None)
    row["uid"] = _next(row["uid"], [other["uid"] for other in others])
    if row.pop("group_create", False):
        row["group"] = nas.tables["group"].insert(group_row(row["uid"], row["username"]))
    if isinstance(row["group"], int):
        group = nas.tables["group"].get(row["group"]) or {}
        told: Row = {"id": row["group"], "bsdgrp_gid": group["gid"]}
        row["group"] = told | {"bsdgrp_group": group["name"]}


def _check_login(nas: TrueNas, row: Row, place: str, errors: ValidationErrors) -> None:
    disabled, password = row.get("password_disabled"), row.get("password")
    made = place.endswith("_create")
    if made and not (password or disabled or row["random_password"]):
        errors.add(f"{place}.password", "Password is required")
    if password and disabled:
        errors.add(f"{place}.password_disabled", "Leave the password empty where it is disabled")
    if row.get("smb") and disabled:
        text = "Password authentication must be enabled for SMB users"
        errors.add(f"{place}.smb", text)
    home = row.get("home", "/var/empty")
    if not home.startswith(("/mnt/", "/var/empty", "/root", "/home/", "/nonexistent")):
        errors.add(f"{place}.home", '"Home Directory" must begin with /mnt or be /var/empty.')
    elif home.startswith("/mnt/") and nas.dataset_of(home) is None:
        errors.add(f"{place}.home", "The path is in no pool")


def _next(wanted: int | None, taken: list[int]) -> int:
    if wanted is not None:
        return wanted
    own = [number for number in taken if _FIRST_OF_ONES_OWN <= number < _END_OF_ONES_OWN]
    return max(own, default=_FIRST_OF_ONES_OWN - 1) + 1


def _check_group(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    errors = ValidationErrors()
    if any(other["name"] == row["name"] for other in others):
        errors.add(f"{place}.name", "A Group with the name already exists.", errno.EEXIST)
    if row["gid"] is not None and any(other["gid"] == row["gid"] for other in others):
        errors.add(f"{place}.gid", "A group with this gid already exists.", errno.EEXIST)
    for number in row.get("users", ()):
        if number not in {each["id"] for each in nas.tables["user"].rows()}:
            errors.add(f"{place}.users", f"User {number} not found", errno.ENOENT)
    errors.check()
    row["gid"] = _next(row["gid"], [other["gid"] for other in others])
    row |= {"builtin": row.get("builtin", False), "local": True}


def _shown_user(nas: TrueNas, row: Row) -> Row:
    """What is told besides; of a hash that there is none to see."""
    old: Row = {"id_type_both": False} if nas.release < GOLDEYE else {}
    told = _OF_EVERY_USER | old
    return {key: value for key, value in told.items() if key not in row}


def _shown_group(nas: TrueNas, row: Row) -> Row:
    told: Row = {"group": row["name"], "sid": None, "roles": []}
    return told | ({"immutable": False} if nas.release >= GOLDEYE else {"id_type_both": False})


_WITHOUT_HASHES = (
    *("id", "uid", "username", "full_name", "smb", "home", "shell", "email", "sshpubkey"),
    *("locked", "password_disabled", "ssh_password_enabled", "group", "groups", "builtin"),
    *("sudo_commands", "sudo_commands_nopasswd", "local"),
)

USERS = Family(
    "user",
    "User",
    "user",
    {FANGTOOTH: OldUserCreate, GOLDEYE: UserCreate, HALFMOON: UserCreate26},
    {FANGTOOTH: OldUserUpdate, GOLDEYE: UserUpdate, HALFMOON: UserUpdate26},
    check=_check_user,
    shown=_shown_user,
    argument="",
    delete={"options": left_out(UserDelete)},
    answer=lambda row: row | {"password": None},
    deleted=lambda number: number,
    asked=_WITHOUT_HASHES,
)
GROUPS = Family(
    "group",
    "Group",
    "group",
    {FANGTOOTH: GroupCreate},
    {FANGTOOTH: GroupUpdate},
    check=_check_group,
    shown=_shown_group,
    argument="",
    delete={"options": left_out(GroupDelete)},
    answer=lambda row: row["id"],
    deleted=lambda number: number,
)
USERS.register()
GROUPS.register()
