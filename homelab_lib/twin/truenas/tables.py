"""What the middleware keeps: tables of rows, and what a fresh system has in them."""

from dataclasses import dataclass
from typing import Any

from homelab_lib.twin.truenas.rpc import GOLDEYE, Release

Row = dict[str, Any]

_NUMBERS = {"cifs": 4, "ftp": 6, "iscsitarget": 7, "nfs": 9, "snmp": 10, "ssh": 11, "ups": 14}
_UNTIL_GOLDEYE = {"smartd": 15}
_SINCE_GOLDEYE = {"nvmet": 16}

NFS_CONFIG: Row = {
    "id": 1,
    "servers": 4,
    "allow_nonroot": False,
    "protocols": ["NFSV3", "NFSV4"],
    "v4_krb": False,
    "v4_domain": "",
    "bindip": [],
    "mountd_port": None,
    "rpcstatd_port": None,
    "rpclockd_port": None,
    "mountd_log": True,
    "statd_lockd_log": False,
    "v4_krb_enabled": False,
    "userd_manage_gids": False,
    "keytab_has_nfs_spn": False,
    "managed_nfsd": True,
    "rdma": False,
}

USERS: tuple[tuple[int, str, str], ...] = (
    (0, "root", "root"),
    (34, "backup", "backup"),
    (568, "apps", "apps"),
    (950, "truenas_admin", "truenas_admin"),
    (65534, "nobody", "nogroup"),
)
"""Accounts that the twin knows on every system: number, name, group."""

BUILTIN_GROUPS = ((544, "builtin_administrators"), (545, "builtin_users"))
"""Groups that it knows besides: those that Windows shares go by."""


class Table:
    """Rows of the middleware's database, numbered."""

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}
        self._next = 1

    def rows(self) -> list[Row]:
        return list(self._rows.values())

    def insert(self, row: Row) -> int:
        """Keep a row; its number."""
        number = row.get("id") or self._next
        self._next = max(self._next, number + 1)
        self._rows[number] = {"id": number} | row
        return number

    def get(self, number: int) -> Row | None:
        return self._rows.get(number)

    def delete(self, number: int) -> None:
        del self._rows[number]


@dataclass
class ServiceState:
    """One service."""

    id: int
    name: str
    enable: bool = False
    running: bool = False

    def row(self) -> Row:
        """As `service.query` shows it."""
        return {
            "id": self.id,
            "service": self.name,
            "enable": self.enable,
            "state": "RUNNING" if self.running else "STOPPED",
            "pids": [1000 + self.id] if self.running else [],
        }


def installed(release: Release) -> dict[str, ServiceState]:
    """The services of a fresh system: only SSH runs, or nobody could ask."""
    numbers = _NUMBERS | (_SINCE_GOLDEYE if release >= GOLDEYE else _UNTIL_GOLDEYE)
    services = {name: ServiceState(number, name) for name, number in sorted(numbers.items())}
    services["ssh"].enable = services["ssh"].running = True
    return services


def group_row(gid: int, name: str, *, builtin: bool = False) -> Row:
    """A group as it is kept."""
    return {
        "gid": gid,
        "name": name,
        "builtin": builtin,
        "sudo_commands": [],
        "sudo_commands_nopasswd": [],
        "smb": False,
        "userns_idmap": None,
        "users": [],
        "local": True,
    }


def user_row(uid: int, name: str, group: Row) -> Row:
    """An account as `user.query` shows it, without its hashes."""
    return {
        "uid": uid,
        "username": name,
        "home": "/root" if uid == 0 else "/var/empty",
        "shell": "/usr/bin/zsh" if uid in (0, 950) else "/usr/sbin/nologin",
        "full_name": name,
        "builtin": True,
        "smb": False,
        "group": {
            "id": group["id"],
            "bsdgrp_gid": group["gid"],
            "bsdgrp_group": group["name"],
        },
        "groups": [],
        "password_disabled": uid not in (0, 950),
        "ssh_password_enabled": False,
        "sshpubkey": None,
        "locked": False,
        "local": True,
    }
