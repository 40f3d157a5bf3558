"""Whom a Proxmox Backup Server knows, and what each may do.

Sources: proxmox-backup 3.2.4, pbs-config/src/{acl,user,cached_user_info}.rs. Not here: groups,
which the real one does not support either.
"""

from dataclasses import dataclass, field
from typing import Any

from homelab_lib.twin.proxmox.backup_servers import Server

PRIVILEGES = {
    "Admin": {"audit", "backup", "prune"},
    "DatastoreAdmin": {"audit", "backup", "prune"},
    "DatastorePowerUser": {"backup", "prune"},
    "DatastoreBackup": {"backup"},
    "DatastoreReader": {"audit"},
    "DatastoreAudit": {"audit"},
    "Audit": {"audit"},
    "NoAccess": set[str](),
}
"""What of it is asked about here: seeing a datastore, backing up, forgetting one's own backups
(pbs-api-types, acl.rs). Other roles are for other things."""
ROOT = "root@pam"


@dataclass
class Access(Server):
    """Users, their tokens, and their rights.

    Parameters
    ----------
    rows
        The datastores as they are configured, by name.
    users, known, acl
        Users and tokens as they are listed, and each role of somebody on a path.
    """

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    acl: list[dict[str, Any]] = field(default_factory=list)

    def refuses(self, user: str, secret: str, now_s: float) -> bool:
        """A token is good as long as it is known, its user is there, and both are switched on and
        have not expired."""
        owner = self.user(user.partition("!")[0]) or {"enable": False}
        both = (owner, self.known.get(user, {"enable": False}))
        active = [
            each.get("enable", True) and not 0 < each.get("expire", 0) <= now_s for each in both
        ]
        return not all(active) or super().refuses(user, secret, now_s)

    def user(self, name: str) -> dict[str, Any] | None:
        """Who is known by a name, as he is listed; root is, without being entered."""
        if name == ROOT:
            return {"userid": ROOT, "comment": "Superuser"} | self.users.get(ROOT, {})
        return self.users.get(name)

    def shown_to(self, user: str) -> set[str]:
        """Datastores that somebody may look at, or write into; a token no more than its user."""
        return {name for name in self.rows if {"audit", "backup"} & self.privileges(user, name)}

    def privileges(self, user: str, store: str) -> set[str]:
        """What somebody may do there: the roles on the longest path count, and no others."""
        if user == ROOT:
            return PRIVILEGES["Admin"]
        found: set[str] = set()
        for path in ("/", "/datastore", f"/datastore/{store}"):
            roles = [
                row["roleid"]
                for row in self.acl
                if (row["ugid"], row["path"]) == (user, path)
                and (row["propagate"] or path.count("/") == 2)
            ]
            if "NoAccess" in roles:
                found = set()
            elif roles:
                found = set().union(*(PRIVILEGES.get(role, set()) for role in roles))
        if "!" in user:
            found &= self.privileges(user.partition("!")[0], store)
        return found

    def grant(self, path: str, user: str, role: str, *, propagate: bool) -> None:
        """Give somebody a role on a path; who has no access has no other role there."""
        self.take_away(path, user, role)
        here = [row for row in self.acl if (row["path"], row["ugid"]) == (path, user)]
        for row in here:
            if "NoAccess" in (role, row["roleid"]):
                self.acl.remove(row)
        row = {"path": path, "propagate": propagate, "roleid": role, "ugid": user}
        self.acl.append(row | {"ugid_type": "user"})

    def take_away(self, path: str, user: str, role: str) -> None:
        """Take a role from somebody, if he has it."""
        same = (path, user, role)
        self.acl = [r for r in self.acl if (r["path"], r["ugid"], r["roleid"]) != same]
