"""What Proxmox VE says that means "not yet"."""

from homelab_lib.runbook.busy import NotNow, declare

declare(
    "qm, pct, pvesh, pvesm",
    NotNow(
        r"can't lock file '[^']+' - got timeout",
        "somebody else is at work on it",
        source="PVE::Tools::lock_file_full; Telmate/terraform-provider-proxmox#173",
        undone=True,
    ),
    NotNow(
        r"cfs-lock '[^']+' error: got lock request timeout|unable to acquire pmxcfs lock",
        "another node is changing the cluster's configuration",
        source="PVE::Cluster cfs_lock",
        undone=True,
    ),
    NotNow(
        r"cluster not ready - no quorum",
        "the cluster has no quorum yet",
        source="PVE::Cluster check_cfs_quorum",
        undone=True,
    ),
    NotNow(
        r"ipcc_send_rec\[\d+\] failed: Connection refused|"
        r"Unable to load access control list: Connection refused",
        "the cluster's file system is starting",
        source="pve-cluster IPCC; pmxcfs(8)",
        undone=True,
    ),
)
declare(
    "qm guest exec",
    NotNow(
        r"QEMU guest agent is not running",
        "the guest agent does not answer yet",
        source="PVE::QemuServer::Agent",
    ),
)
