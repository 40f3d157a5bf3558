"""Who may back up to a datastore: a user, a token of his, and what both may do there.

A token never has more than its user has, and nothing by itself: what it may do is granted to both.
``DatastoreBackup`` writes and reads one's own backups and can't forget any, so that whoever takes
over the node that backs up can't take the backups along.

Sources: proxmox-backup 3.2.4, src/api2/access/{user,acl}.rs, pbs-config/src/cached_user_info.rs.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from homelab_lib.answers import Shape
from homelab_lib.control import mark
from homelab_lib.control.backup_server.manager import changing, listed
from homelab_lib.control.clock import clock_s
from homelab_lib.runbook.resource import Change, Diff, Host

ROLE = "DatastoreBackup"
_WEAK = (ROLE, "DatastoreReader", "DatastoreAudit", "Audit", "NoAccess")
"""Roles by which nothing is forgotten."""
_USERS: Shape = [{"userid": str, "enable?": bool, "expire?": int}]
_TOKENS: Shape = [{"tokenid": str, "enable?": bool, "expire?": int}]
_ACLS: Shape = [{"path": str, "ugid": str, "roleid": str, "propagate?": bool}]


@dataclass(frozen=True)
class BackupUser:
    """A user of the server, without a password: nobody logs in as him but by a token.

    Parameters
    ----------
    host, user
        The server, and who: ``pve@pbs``.
    lab
        The lab whose he is.
    """

    host: str
    user: str
    lab: str
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"user {self.user}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        rows = listed(host, "user", "list", shape=_USERS)
        row = next((each for each in rows if each["userid"] == self.user), None)
        return None if row is None else {"is": _state(row, host)}

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is None:
            call = changing("user", "create", self.user, "--comment", mark.text(self.lab))
            undo = f"proxmox-backup-manager user remove {self.user}"
            return Diff((Change(f"make user {self.user}, without a password", call, undo=undo),))
        if observed["is"]:
            return Diff(
                conflict=f"user {self.user} {observed['is']}, and stays so: his tokens let nobody "
                "in. On the server: proxmox-backup-manager user update "
                f"{self.user} --enable true --expire 0"
            )
        return Diff()


@dataclass(frozen=True)
class MayBackUp:
    """Users and tokens that may back up to a datastore, and no more.

    Parameters
    ----------
    host, datastore
        The server, and the datastore.
    whom
        Users and their tokens: ``pve@pbs``, ``pve@pbs!node``.
    """

    host: str
    datastore: str
    whom: tuple[str, ...]
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"rights of {', '.join(self.whom)} on {self.datastore}"

    @property
    def _path(self) -> str:
        return f"/datastore/{self.datastore}"

    def observe(self, host: Host) -> dict[str, Any]:
        rows = [row for row in listed(host, "acl", "list", shape=_ACLS) if row["ugid"] in self.whom]
        here = {row["ugid"] for row in rows if (row["path"], row["roleid"]) == (self._path, ROLE)}
        more = [f"{r['ugid']} is {r['roleid']} on {r['path']}" for r in rows if self._too_much(r)]
        return {"may": sorted(here), "more": sorted(more)}

    def _too_much(self, row: dict[str, Any]) -> bool:
        """Whether something lets a token forget what is in this datastore."""
        above = f"{self._path}/".startswith(f"{row['path'].rstrip('/')}/")
        return "!" in row["ugid"] and above and row["roleid"] not in _WEAK

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["more"]:
            return Diff(
                conflict=f"{'; '.join(observed['more'])}: it could forget backups. Take that away: "
                "proxmox-backup-manager acl update PATH ROLE --auth-id TOKEN --delete true"
            )
        return Diff(
            tuple(
                Change(
                    f"let {each} back up to {self.datastore}, and nothing else",
                    changing("acl", "update", self._path, ROLE, "--auth-id", each),
                    undo=f"proxmox-backup-manager acl update {self._path} {ROLE} --auth-id "
                    f"'{each}' --delete true",
                )
                for each in self.whom
                if each not in observed["may"]
            )
        )


def tokens(host: Host, user: str) -> dict[str, str]:
    """A user's tokens, and why each lets nobody in: empty where it does. Nobody has any who is not
    there.

    Parameters
    ----------
    host, user
        The server, and whose: ``pve@pbs``.
    """
    rows = listed(host, "user", "list-tokens", user, shape=_TOKENS)
    return {row["tokenid"]: _state(row, host) for row in rows}


def _state(row: dict[str, Any], host: Host) -> str:
    """Why a user or a token is not good any more; 0 is never: `is_active_auth_id`."""
    if not row.get("enable", True):
        return "was switched off"
    expires_s = row.get("expire", 0)
    if expires_s > 0 and expires_s <= clock_s(host):
        return f"has expired on {datetime.fromtimestamp(expires_s, UTC):%Y-%m-%d}"
    return ""
