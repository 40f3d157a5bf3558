"""Which calls of a Proxmox Backup Server's programs only read."""

from homelab_lib.transport.options import Allowed
from homelab_lib.transport.reads import declare

declare(
    "proxmox-backup-manager",
    Allowed(
        "acl list,cert info,datastore list,datastore show,garbage-collection list,"
        "garbage-collection status,notification endpoint sendmail list,notification matcher list,"
        "notification target list,prune-job list,prune-job show,task list,user list,"
        "user list-tokens,verify-job list,verify-job show,versions",
        "--all --verbose",
        "--limit --output-format",
    ),
)
# GET has no effect in the API.
declare("proxmox-backup-debug", Allowed("api get", "", "--output-format"))
