"""What Proxmox does between a call and the truth, on demand.

Sources: Telmate/terraform-provider-proxmox#173 and bpg/terraform-provider-proxmox#995 (locks),
dixneuf19/brassberry-gitops#1658 (a pool that nothing imports), `PVE::Storage::storage_info` (a
storage that is away), prometheus-pve/prometheus-pve-exporter#303 (a lock that outlives its task),
gnif/vendor-reset#41 and #65 (cards that hang at their second start).
"""

from homelab_lib.twin.proxmox.locks import guest_lock, storage_lock
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.surprises import surprise


@surprise("pve-lock-timeout", on="proxmox")
def lock_timeout(
    node: ProxmoxNode, *, vmid: int | None = None, storage: str = "", for_s: float = 90.0
) -> None:
    """Somebody's task holds a lock, and whoever wants it waits in vain.

    Parameters
    ----------
    node
        Where.
    vmid, storage
        A VM's lock, or a storage's; neither: that of the first VM that the lab has there.
    for_s
        How long, from the first call that meets it on [s].
    """
    if storage:
        node.locks.hold(storage_lock(storage), for_s, "imgdel", storage)
    else:
        number = vmid or _first(node)
        node.locks.hold(guest_lock(number), for_s, "qmsnapshot", str(number))


@surprise("pool-lazy-import", on="proxmox")
def pool_not_imported(node: ProxmoxNode, *, storage: str = "") -> None:
    """The node boots, nothing imports a pool, and the first guest that needs it does not start.

    Parameters
    ----------
    node, storage
        Where, and the storage on the pool; empty: that of the first VM.
    """
    node.late_pools.add(storage or _first_storage(node))
    node.reboot()


@surprise("storage-inactive-zero", on="proxmox")
def storage_inactive(node: ProxmoxNode, *, storage: str = "") -> None:
    """A storage is away: it is listed with zeros, and there is no error.

    Parameters
    ----------
    node, storage
        Where, and which; empty: that of the first VM.
    """
    node.stores.named(storage or _first_storage(node)).active = False


@surprise("stale-guest-lock", on="proxmox")
def stale_lock(node: ProxmoxNode, *, vmid: int | None = None, lock: str = "backup") -> None:
    """A VM stays locked though nobody is at work on it: a backup was killed for want of memory.

    (One that the node's own end cut off is freed when it starts again.)

    Parameters
    ----------
    node, vmid
        Where, and which VM; none: the first that the lab has there.
    lock
        What the configuration says of it.
    """
    node.vm(vmid or _first(node)).config["lock"] = lock


@surprise("gpu-no-reset", on="proxmox")
def card_without_reset(node: ProxmoxNode, *, device: str = "", seen: str = "start") -> None:
    """A card works in the first VM that starts with it since the node's boot, and in no other.

    Parameters
    ----------
    node, device
        Where, and which card, as the lab calls it; empty: the first that a VM gets.
    seen
        How it shows: ``start``, the VM does not start; ``guest``, it starts without the card.
    """
    node.learn("pci")
    name = device or next(vm.gpus[0] for vm in node.world.lab.vms.values() if vm.gpus)
    slot = next(each.slot for each in node.pci if each.device == name)
    node.stubborn[slot] = seen


def _first(node: ProxmoxNode) -> int:
    return min(vm.vmid for vm in node.world.lab.vms.values() if vm.host == node.name)


def _first_storage(node: ProxmoxNode) -> str:
    return next(vm.storage for vm in node.world.lab.vms.values() if vm.host == node.name)
