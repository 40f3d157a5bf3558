"""What each call of a Proxmox Backup Server rests on.

The parameters of all of them are those of the API schema of Proxmox Backup Server 4, which a test
holds.
"""

from homelab_lib.twin.fidelity import Fidelity, Grounds

_PROGRAM = "proxmox-backup-manager"
_READ_FROM: dict[str, tuple[str, ...]] = {
    "proxmox-backup 3.2.4 and 4, src/api2/config/datastore.rs; times guessed": (
        "datastore list",
        "datastore create",
        "datastore update",
    ),
    "proxmox-backup 3.2.4, src/api2/access/user.rs": (
        "user list",
        "user create",
        "user list-tokens",
        "user generate-token",
    ),
    "proxmox-backup 3.2.4, src/api2/access/acl.rs, pbs-config/src/acl.rs": (
        "acl list",
        "acl update",
    ),
    "proxmox-backup 3.2.4, src/api2/config/prune.rs": (
        "prune-job list",
        "prune-job create",
        "prune-job update",
    ),
    "proxmox-backup 3.2.4, src/api2/config/verify.rs": (
        "verify-job list",
        "verify-job create",
        "verify-job update",
    ),
    "proxmox-backup 3.2.4, src/bin/proxmox-backup-manager.rs": (
        "task list",
        "garbage-collection start",
        "verify",
        "versions",
    ),
    "proxmox-backup 3.2.4, src/bin/proxmox_backup_manager/cert.rs": ("cert info",),
    "proxmox-backup 4, src/bin/proxmox_backup_manager/notifications; words of refusals guessed": (
        *(
            f"notification {k} {v}"
            for k in ("endpoint sendmail", "matcher")
            for v in ("list", "create", "update")
        ),
        "notification target test",
    ),
}

GROUNDS = (
    *(
        Grounds(f"{_PROGRAM} {call}", Fidelity.SOURCE, where)
        for where, calls in _READ_FROM.items()
        for call in calls
    ),
    Grounds(
        "proxmox-backup-debug api get",
        Fidelity.DOCUMENTATION,
        "API schema of Proxmox Backup Server 4: names and types; what is in it is ours",
    ),
)
