"""Who may use a NAS: groups, users, and what they may do in its datasets."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from homelab_lib.answers import Shape, whole
from homelab_lib.control.truenas.acl import Entry, FolderAcl, ShareAccess
from homelab_lib.control.truenas.families import nas_group
from homelab_lib.control.truenas.midclt import call, release
from homelab_lib.control.truenas.user import NasUser
from homelab_lib.errors import BadParameter, StepFailed, Unreadable
from homelab_lib.lab import Lab
from homelab_lib.lab.accounts import Acl, AclEntry, NasGroup, ShareAcl
from homelab_lib.lab.accounts import NasUser as User
from homelab_lib.regular_file import read_bytes
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Context, Step, Wanted

_LARGEST_KEY_BYTES = 16_384
_NOBODYS_HOME = "/var/empty"
_NO_LOGIN = "/usr/sbin/nologin"
_GROUPS: Shape = [{"id": whole, "gid": whole}]
_USERS: Shape = [{"uid": whole}]
_TEMPLATES: Shape = [{"acltype": str, "acl": [{"tag": str}]}]
_POSIX_TAGS = {"owner@": "USER_OBJ", "group@": "GROUP_OBJ", "everyone@": "OTHER"}
_POSIX = {
    "FULL_CONTROL": {"READ": True, "WRITE": True, "EXECUTE": True},
    "MODIFY": {"READ": True, "WRITE": True, "EXECUTE": True},
    "READ": {"READ": True, "WRITE": False, "EXECUTE": True},
    "TRAVERSE": {"READ": False, "WRITE": False, "EXECUTE": True},
}


def accounts(
    lab: Lab, host: str, groups: Sequence[NasGroup], users: Sequence[User], name: str
) -> Step:
    """The step that makes groups and users.

    Parameters
    ----------
    lab, host, groups, users
        The lab, the NAS, and whom it is to know.
    name
        What the step is called.
    """

    def ensure(ctx: Context) -> Iterator[Wanted]:
        nas = release(ctx.host(host))
        for group in groups:
            commands = (group.sudo_commands, group.sudo_commands_nopasswd)
            yield nas_group(host, lab.name, nas, group.name, group.smb, group.gid, *commands)
        for user in users:
            yield _user(lab, host, user, ctx)

    return Step(
        name,
        "Make groups and users",
        why="Windows shares let in only users with a password, and files belong to groups rather "
        "than to persons. A password is told when a user is made and is never read back: whoever "
        "wants another one changes it in TrueNAS.",
        ensure=ensure,
    )


def _user(lab: Lab, host: str, user: User, ctx: Context) -> NasUser:
    nas = ctx.host(host)
    wanted: dict[str, Any] = {
        "smb": user.smb,
        "locked": user.locked,
        "shell": user.shell or _NO_LOGIN,
        "home": user.home or _NOBODYS_HOME,
        "email": user.email,
        "groups": [_group_row(nas, name) for name in user.groups],
        "ssh_password_enabled": user.ssh_password,
        "sudo_commands": list(user.sudo_commands),
        "sudo_commands_nopasswd": list(user.sudo_commands_nopasswd),
    }
    if user.public_key is not None:
        wanted["sshpubkey"] = _public_key(user, f"nas.{host}.users.{user.name}.public_key")
    return NasUser(
        host,
        lab.name,
        user.name,
        user.full_name,
        _group_row(nas, user.group) if user.group else None,
        wanted,
        user.uid,
        ctx.secret(user.password) if user.password else None,
    )


def _public_key(user: User, where: str) -> str:
    """A user's public key, as the lab has it or says where it lies.

    Raises
    ------
    BadParameter
        It is not there, or is the private half.
    """
    text = user.public_key or ""
    if not text.startswith("file:"):
        return text.strip()
    file = Path(text.removeprefix("file:")).expanduser()
    try:
        key = read_bytes(file, max_bytes=_LARGEST_KEY_BYTES).decode(errors="replace").strip()
    except Unreadable as error:
        raise BadParameter(f"the public key of {user.name}: {error.what}", where=where) from None
    if "PRIVATE KEY" in key:
        raise BadParameter(
            f"{user.name} has a private key, and should have the public one",
            where=where,
            fix=f"write {text}.pub",
        )
    return key


def _group_row(nas: Host, name: str) -> int:
    return int(_one(nas, "group.query", "name", name, _GROUPS)["id"])


def _one(nas: Host, method: str, key: str, name: str, shape: Shape) -> dict[str, Any]:
    """The account of that name.

    Raises
    ------
    StepFailed
        There is none.
    """
    asked = ([[key, "=", name]], {"select": list(shape[0])})
    rows: list[dict[str, Any]] = call(nas, method, *asked, shape=shape)
    if not rows:
        kind = method.partition(".")[0]
        raise StepFailed(
            f"{nas.name} knows no {kind} {name!r}",
            where=nas.name,
            fix=f"describe it under nas.{nas.name}.{kind}s with a phase, or make it in TrueNAS",
        )
    return rows[0]


def _number(nas: Host, kind: str, name: str) -> int:
    """Of a user or a group, as its files have it."""
    if kind == "user":
        return int(_one(nas, "user.query", "username", name, _USERS)["uid"])
    return int(_one(nas, "group.query", "name", name, _GROUPS)["gid"])


# Folders -----------------------------------------------------------------------------------------


def permissions(
    lab: Lab, host: str, acls: Sequence[Acl], name: str, needs: tuple[str, ...]
) -> Step:
    """The step that says who may do what in datasets.

    Parameters
    ----------
    lab, host, acls
        The lab, the NAS, and the lists of its datasets.
    name, needs
        What the step is called, and what it stands on.
    """

    def ensure(ctx: Context) -> Iterator[Wanted]:
        nas = ctx.host(host)
        for acl in acls:
            kind, entries = _entries(nas, acl)
            yield FolderAcl(
                host,
                lab.name,
                acl.name,
                kind,
                entries,
                _number(nas, "user", acl.owner) if acl.owner else None,
                _number(nas, "group", acl.group) if acl.group else None,
                acl.recursive,
                acl.traverse,
            )

    return Step(
        name,
        f"Say who may do what in {', '.join(acl.name for acl in acls)}",
        why="A share lets in whom the files let in, by whatever protocol. The list is the one of "
        "TrueNAS's preset with the lab's entries added, and new files get it from their folder.",
        needs=needs,
        ensure=ensure,
    )


def _entries(nas: Host, acl: Acl) -> tuple[str, tuple[Entry, ...] | None]:
    """Kind and entries of a list: TrueNAS's own template, with those of the lab in it."""
    if acl.preset is None and not acl.entries:
        return "NFS4", None
    preset: list[Entry] = []
    kind = "NFS4"
    if acl.preset is not None:
        asked = [["name", "=", acl.preset]]
        rows = call(nas, "filesystem.acltemplate.query", asked, shape=_TEMPLATES)
        if not rows:
            raise StepFailed(
                f"{nas.name} has no template {acl.preset}",
                where=f"{nas.name}: {acl.name}",
                fix="`midclt call filesystem.acltemplate.query` lists those it has; take one",
            )
        kind, preset = rows[0]["acltype"], [_plain(each) for each in rows[0]["acl"]]
    made = _nfs4 if kind == "NFS4" else _posix
    added = [entry for each in acl.entries for entry in made(nas, each)]
    # What the lab says of somebody stands in place of what the preset says of them.
    theirs = {_whose(entry) for entry in added}
    entries = [entry for entry in preset if _whose(entry) not in theirs] + added
    if kind == "POSIX1E" and any(entry["tag"] in ("USER", "GROUP") for entry in entries):
        entries += _masks(entries)
    # Refusals count before what is allowed: the order that Windows writes.
    return kind, tuple(sorted(entries, key=lambda entry: entry.get("type") != "DENY"))


def _plain(entry: Entry) -> Entry:
    kept = {key: value for key, value in entry.items() if key != "who"}
    return kept | {"id": -1 if entry.get("id") is None else entry["id"]}


def _whose(entry: Entry) -> tuple[Any, ...]:
    return entry["tag"], entry["id"], entry.get("default"), entry.get("type", "ALLOW")


def _tag(nas: Host, entry: AclEntry) -> tuple[str, int]:
    kind, colon, name = entry.who.partition(":")
    return (kind.upper(), _number(nas, kind, name)) if colon else (entry.who, -1)


def _nfs4(nas: Host, entry: AclEntry) -> Iterator[Entry]:
    tag, number = _tag(nas, entry)
    yield {
        "tag": tag,
        "id": number,
        "type": "ALLOW" if entry.allow else "DENY",
        "perms": {"BASIC": entry.may},
        "flags": {"BASIC": "INHERIT" if entry.inherit else "NOINHERIT"},
    }


def _posix(nas: Host, entry: AclEntry) -> Iterator[Entry]:
    tag, number = _tag(nas, entry)
    if not entry.allow:
        raise StepFailed(
            f"a POSIX list refuses nobody by name: {entry.who}",
            where=nas.name,
            fix="take a preset that begins with NFS4, on a dataset for SMB, NFS or both",
        )
    for default in (False, True) if entry.inherit else (False,):
        perms = _POSIX[entry.may]
        yield {"tag": _POSIX_TAGS.get(tag, tag), "id": number, "perms": perms, "default": default}


def _masks(entries: Sequence[Entry]) -> list[Entry]:
    full = _POSIX["FULL_CONTROL"]
    kinds = sorted({bool(entry["default"]) for entry in entries})
    return [{"tag": "MASK", "id": -1, "perms": full, "default": default} for default in kinds]


# SMB shares --------------------------------------------------------------------------------------


def share_access(lab: Lab, host: str, acl: ShareAcl, nas: Host) -> ShareAccess:
    """Who may use an SMB share.

    Parameters
    ----------
    lab, host, acl
        The lab, the NAS, and the share's list.
    nas
        Is asked for numbers of users and groups.
    """
    entries = []
    for each in acl.entries:
        kind, colon, name = each.who.partition(":")
        number = _number(nas, kind, name) if colon else -1
        entries.append((kind.upper() if colon else "EVERYONE", number, each.may, each.allow))
    return ShareAccess(host, lab.name, acl.name, tuple(entries))
