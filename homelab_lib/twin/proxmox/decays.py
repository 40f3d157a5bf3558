"""What decays of a hypervisor."""

from collections.abc import Iterator

from homelab_lib.twin.decays import decay
from homelab_lib.twin.machine.web import serves
from homelab_lib.twin.proxmox.built import WEB_PORT
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.surprises import named


# What is locked is backed up no more.
@decay(
    "pve-stale-lock",
    r"is not left locked",
    r"VM \d+ is locked",
    r"back up \S+ \(\d+ days old\) to",
    r"as a whole: .+ days old \(\d+ h were promised\)",
    on="proxmox",
)
def stale_lock(node: ProxmoxNode) -> Iterator[None]:
    """A backup was cut off in the night, and its lock stayed."""
    named("stale-guest-lock").play(node)
    locked = [vmid for vmid, vm in node.vms.items() if "lock" in vm.config]
    yield
    for vmid in locked:
        node.run(f"qm unlock {vmid}").finished()


@decay("pve-disk-fails", r"disk /dev/\S+ \(.+\) calls itself well", on="proxmox")
def disk_fails(node: ProxmoxNode) -> Iterator[None]:
    """A disk of the node says that it fails."""
    row = node.disk_rows[-1]
    said = row.get("health")
    row["health"] = "FAILED"
    yield
    row["health"] = said  # another one in its place


@decay("pve-certificate-ends", r"web interface of \S+ is good for a while", on="proxmox")
def certificate_ends(node: ProxmoxNode) -> Iterator[None]:
    """Nobody renews the certificate of a node's web interface."""
    before = node.tls[WEB_PORT]
    serves(node, WEB_PORT, days=27.0)
    yield
    node.tls[WEB_PORT] = before  # made anew
