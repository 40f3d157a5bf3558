"""What a node boots into: the kernel that is pinned or the newest, the settings of modules as they
were when its initial file system was made, the cards that this kernel drives, and its guests free
of what a backup had locked that the node's end cut off.

Sources: proxmox-boot-tool(8), update-initramfs(8), crontab(5); Administration Guide, "Limit ZFS
Memory Usage": with the root on ZFS, what is in ``/etc/modprobe.d`` counts only once it is in the
initramfs. `PVE::API2::Nodes`, startall (pve-manager 9.2): ``remove_locks_on_startup``.
"""

import re
import shlex

from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.proxmox import boot_loader, pci
from homelab_lib.twin.proxmox.boot_loader import copied
from homelab_lib.twin.proxmox.ifupdown2 import starts_network
from homelab_lib.twin.proxmox.node import ProxmoxNode

booting = Commands()

ARC_LIMIT = "/sys/module/zfs/parameters/zfs_arc_max"
SETTINGS = "/etc/modprobe.d/zfs.conf"
_CRON = "/etc/cron.d"
_MADE_S = 20.0


@booting("update-initramfs")
def update_initramfs(node: ProxmoxNode, call: Call) -> Reply:
    """Make the initial file system anew, with what is in ``/etc/modprobe.d`` now."""
    if "-u" not in call.argv:
        return Reply(1, stderr="update-initramfs: -c, -d or -u is needed\n")

    def done() -> Reply:
        said = f"update-initramfs: Generating /boot/initrd.img-{node.kernel}\n"
        if complaint := copied(node):  # proxmox-boot-tool has a hook there
            return Reply(1, said, complaint)
        node.initramfs = node.files.text(SETTINGS)
        folder = "/etc/modprobe.d"
        found = node.files.walk(folder) if node.files.is_dir(folder) else []
        node.early = {path: node.files.text(path) for path in found if path.endswith(".conf")}
        return Reply(0, said)

    return Reply(takes_s=_MADE_S, finish=done)


def starts(node: ProxmoxNode) -> None:
    """What comes of it when a node boots."""
    node.journal = [line for line in node.journal if line[0] != "kernel"]
    boot_loader.boots(node)
    pci.boots(node)
    on_disk = node.root_fstype != "zfs" or node.initramfs is None
    kept = node.files.text(SETTINGS) if on_disk else str(node.initramfs)
    limit = re.search(r"(?m)^options\s+zfs\s.*?\bzfs_arc_max=(\d+)", kept)
    node.files.put(ARC_LIMIT, f"{limit[1] if limit else 0}\n")
    starts_network(node)
    _free_of_backups(node)
    _run_at_boot(node)


def _free_of_backups(node: ProxmoxNode) -> None:
    """Of all locks only a backup's are taken away, and from templates none."""
    for guests in (node.vms, node.containers):
        for guest in guests.values():
            if guest.config.get("lock") == "backup" and guest.config.get("template") != "1":
                del guest.config["lock"]


def _run_at_boot(node: ProxmoxNode) -> None:
    """What cron has for each boot."""
    found = list(node.files.walk(_CRON)) if node.files.is_dir(_CRON) else []
    for path in [path for path in found if not node.files.is_dir(path)]:
        for line in node.files.text(path).splitlines():
            match shlex.split(line):
                case ["@reboot", user, *words]:
                    node.call(Call(tuple(words), user=user)).finished()
