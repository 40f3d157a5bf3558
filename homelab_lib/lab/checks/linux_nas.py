"""What a plain Linux machine does not do as a NAS, or does otherwise than a TrueNAS.

Source: useradd(8), smb.conf(5).
"""

from collections.abc import Iterator

from pydantic import BaseModel

from homelab_lib.lab.accounts import Acl, NasGroup, NasUser, ShareAcl
from homelab_lib.lab.base import Made
from homelab_lib.lab.checks.fault import Fault
from homelab_lib.lab.document import Steps
from homelab_lib.lab.host import LINUX
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.nas import Nas
from homelab_lib.lab.storage import SmbShare

_OF_TRUENAS: dict[type[Made], tuple[str, ...]] = {
    NasGroup: ("sudo_commands", "sudo_commands_nopasswd"),
    NasUser: ("email", "home", "public_key", "ssh_password", "locked", "sudo_commands",
              "sudo_commands_nopasswd"),
    Acl: ("preset", "entries", "recursive", "traverse"),
}  # fmt: skip
"""What no runbook sets up on plain Linux."""
_BY_HAND = {
    "smb": "what holds for all of Samba stands in /etc/samba/smb.conf under [global]",
    "nfs": "what holds for all of NFS stands in /etc/nfs.conf",
    "iscsi": "targetcli lends out block devices",
    "snapshot_tasks": "sanoid, or zfs-auto-snapshot, makes snapshots",
    "scrubs": "Debian's zfsutils-linux scrubs all pools on each month's second Sunday",
    "smart_tests": "/etc/smartd.conf has when disks test themselves",
    "cloud_credentials": "rclone keeps logins at other places",
    "cloud_tasks": "rclone copies to other places, and `backups` of this lab to a repository",
    "mail": "its own mail server sends what its programs say",
    "alerts": "ZED and smartd report trouble",
    "commands": "a unit of systemd, or a crontab, runs commands by itself",
}
"""What of a NAS is set up on a TrueNAS only, and where a plain Linux has it."""
_RESERVED = ("print$", "ipc$", "admin$")
_MACROS = {
    "%": "Samba puts something else in place of it",
    "\\": "Samba takes what follows it for the same line",
}
_SPLITS_A_COMMENT = (":", ",", "\n")


def is_linux(lab: Lab, host: str) -> bool:
    """Whether a machine runs a plain Linux, or a Proxmox."""
    system = lab.system(host)
    return system is not None and system.kind in LINUX


def faults(lab: Lab) -> Iterator[Fault]:
    for name, nas in lab.nas.items():
        path = ("nas", name)
        if is_linux(lab, name):
            yield from _by_hand(path, nas)
            if nas.apps_pool is not None:
                what = "only a TrueNAS has a pool for its apps; say in `containers` or `services`"
                yield Fault((*path, "apps_pool"), f"{what} what runs here, and leave it out")
            yield from _accounts(path, nas)
            for key, acl in nas.acls.items():
                yield from _unknown((*path, "acls", key), acl)
                yield from _mode((*path, "acls", key), acl)
            for key, share in nas.share_acls.items():
                yield from _share_acl((*path, "share_acls", key), share)
        else:
            for key, acl in nas.acls.items():
                if acl.mode is not None:
                    what = "TrueNAS keeps lists of who may do what; write a preset or entries"
                    yield Fault((*path, "acls", key, "mode"), what)
    for host, shares in lab.smb_shares.items():
        for key, smb in shares.items():
            if is_linux(lab, host):
                yield from _share(("smb_shares", host, key), smb)


def _by_hand(path: Steps, nas: Nas) -> Iterator[Fault]:
    for field, place in _BY_HAND.items():
        for where in to_be_made((*path, field), getattr(nas, field)):
            what = f"no runbook sets that up on plain Linux: {place}. Do it by hand there, and "
            yield Fault(where, f"{what}leave it out here")


def to_be_made(path: Steps, value: object) -> Iterator[Steps]:
    """Where something in it has a phase."""
    if isinstance(value, BaseModel):
        if getattr(value, "phase", None) is not None:
            yield path
            return
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, dict):
        for key, each in value.items():
            yield from to_be_made((*path, key), each)


def _unknown(path: Steps, thing: Made) -> Iterator[Fault]:
    """What is to be set up and isn't known there; what exists has it from whomever."""
    for field in _OF_TRUENAS[type(thing)]:
        default = type(thing).model_fields[field].default
        if thing.phase is not None and getattr(thing, field) != default:
            what = "no runbook sets that up on plain Linux: do it by hand, and leave it out here"
            yield Fault((*path, field), what)


def _accounts(path: Steps, nas: Nas) -> Iterator[Fault]:
    for name, group in nas.groups.items():
        yield from _unknown((*path, "groups", name), group)
    for name, user in nas.users.items():
        here = (*path, "users", name)
        yield from _unknown(here, user)
        if any(each in user.full_name for each in _SPLITS_A_COMMENT):
            what = "the name of a Linux user has no colon, comma or line break"
            yield Fault((*here, "full_name"), what)


def _mode(path: Steps, acl: Acl) -> Iterator[Fault]:
    """A group that is given a folder in which it can't write has been given nothing."""
    if acl.phase is not None and acl.group is not None and acl.mode is None:
        what = "a fresh folder lets in its owner alone to write; say what its group may:"
        yield Fault((*path, "group"), f"{what} mode: '2770', or '2750' to read only")


def _share_acl(path: Steps, share: ShareAcl) -> Iterator[Fault]:
    if not any(entry.allow for entry in share.entries):
        what = "it lets nobody in, and Samba would let in whoever it does not name; say who may"
        yield Fault((*path, "entries"), what)
    for index, entry in enumerate(share.entries):
        if entry.who == "everyone@" and not entry.allow:
            what = "who is in no entry stays outside anyway; leave it out"
            yield Fault((*path, "entries", index, "allow"), what)


def _share(path: Steps, share: SmbShare) -> Iterator[Fault]:
    if share.phase is None:
        return
    if share.name.strip().lower() in _RESERVED:
        yield Fault(path, f"{share.name} is a name that Samba has for itself")
    for sign, why in _MACROS.items():
        if sign in share.path:
            yield Fault((*path, "path"), f"{sign} can't stand in it: {why}")
