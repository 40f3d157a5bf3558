"""What starts a node: its boot partitions, their kernels, and the options that these are given.

What stands in ``/etc`` counts only once it was copied: by ``proxmox-boot-tool refresh``, by
``update-grub``, by making an initial file system anew, which does the former.

Sources: proxmox-boot-tool (proxmox-kernel-helper 9), its output as its users printed it;
update-grub(8); Administration Guide, "Host Bootloader".
"""

import re

from homelab_lib.twin.machine.columns import Row
from homelab_lib.twin.machine.devices import device
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.proxmox.node import ProxmoxNode

boot_loader = Commands()

CMDLINE = "/etc/kernel/cmdline"
PIN = "/etc/kernel/proxmox-boot-pin"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
_UUIDS = "/etc/kernel/proxmox-boot-uuids"
_GRUB = "/etc/default/grub"
_AGAIN = "Re-executing '/usr/sbin/proxmox-boot-tool' in new private mount namespace..\n"
_KERNEL = re.compile(r"(?:proxmox|pve)-kernel-(\d+\.\d+\.\d+-\d+-pve)(?:-signed)?")
_LISTED = re.compile(r"(?m)^(\d+\.\d+\.\d+-\S+)$")
_PLACED = re.compile(r"BOOT_IMAGE=|initrd=")
_MADE_S = 8.0
_PARTITION = "E014-501F"


def furnish(node: ProxmoxNode) -> None:
    """Give a node that the lab describes a boot loader: with its root on ZFS proxmox-boot-tool has
    systemd-boot's, or GRUB's where only what is signed may start."""
    node.managed = node.root_fstype == "zfs"
    node.loader = "uefi" if node.managed and not node.secure_boot else "grub"
    root = "root=ZFS=rpool/ROOT/pve-1 boot=zfs" if node.managed else "root=/dev/mapper/pve-root ro"
    if node.managed:
        node.files.put(_UUIDS, f"{_PARTITION}\n")
        node.files.put(CMDLINE, f"{root}\n")
        rooted = (each for each in node.blocks if "/" in _mounted(each))
        first = next(rooted, node.blocks[0])
        facts = {"type": "part", "fstype": "vfat", "uuid": _PARTITION}
        part = device(f"{first['name']}p2", node.boot_partition_bytes, **facts)
        with_it = {**first, "children": [part, *first["children"]]}
        node.blocks = [with_it if each is first else each for each in node.blocks]
    node.files.put(_GRUB, 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n')
    node.files.mkdir("/etc/default/grub.d", parents=True)
    node.files.put("/proc/cmdline", f"BOOT_IMAGE=/boot/vmlinuz-{node.kernel} {root}\n")
    new_boot(node)
    for kernel in kernels(node):
        node.files.put(f"/boot/vmlinuz-{kernel}", "", size_bytes=15 * 2**20)
        node.files.put(f"/boot/initrd.img-{kernel}", "", size_bytes=75 * 2**20)


def _mounted(block: Row) -> list[str]:
    """Where the partitions of a disk are mounted."""
    return [part["mountpoint"] for part in block.get("children") or ()]


def new_boot(node: ProxmoxNode) -> None:
    """A boot's own number."""
    drawn = f"{node.world.rng.getrandbits(128):032x}"
    parts = (drawn[:8], drawn[8:12], drawn[12:16], drawn[16:20], drawn[20:])
    node.files.put(BOOT_ID, "-".join(parts) + "\n")


def kernels(node: ProxmoxNode) -> list[str]:
    """The kernels that boot partitions get, the oldest first."""
    told = node.said("proxmox-boot-tool", "kernel", "list")
    if told is not None and not told.status:
        head = told.out.decode(errors="replace").partition("Pinned kernel:")[0]
        found = set(_LISTED.findall(head))
    else:
        matches = (_KERNEL.fullmatch(name) for name in node.packages)
        found = {match[1] for match in matches if match is not None}
    return sorted({*found, node.kernel}, key=numbers)


def numbers(kernel: str) -> tuple[int, ...]:
    """A kernel's version as numbers that can be compared."""
    return tuple(int(number) for number in re.findall(r"\d+", kernel))


def boots(node: ProxmoxNode) -> None:
    """Which kernel is started, with which options."""
    pinned = node.files.text(PIN).strip()
    there = kernels(node)
    node.kernel = pinned if pinned in there else there[-1]
    new_boot(node)
    if node.entries is None:
        return  # nothing was copied since it was set up
    words = node.files.text("/proc/cmdline").split()
    placed = [word for word in words if _PLACED.match(word)]
    node.files.put("/proc/cmdline", " ".join([*placed, *node.entries]) + "\n")


def copied(node: ProxmoxNode) -> str:
    """Copy kernels and options to where the firmware finds them; what it complains of."""
    node.learn("boot")
    wanted = sum(_size(node, f"/boot/{n}-{k}") for k in kernels(node)
                 for n in ("vmlinuz", "initrd.img"))  # fmt: skip
    if node.managed and wanted > node.boot_partition_bytes:
        return (
            f"cp: error writing '/var/tmp/espmounts/{_PARTITION}/EFI/proxmox/{node.kernel}/"
            f"initrd.img-{node.kernel}': No space left on device\n"
        )
    if node.loader == "grub":
        node.entries = [*_root(node), *_grub_options(node)]
    else:
        node.entries = node.files.text(CMDLINE).split()
    return ""


def _size(node: ProxmoxNode, path: str) -> int:
    entry = node.files.entry(path)
    return (entry.size_bytes or len(entry.data)) if entry is not None else 0


def _root(node: ProxmoxNode) -> list[str]:
    """What GRUB finds out itself; of a running node, what it was started with."""
    words = node.files.text("/proc/cmdline").split()
    return [w for w in words if re.match(r"(root|boot)=|ro$", w)]


def _grub_options(node: ProxmoxNode) -> list[str]:
    """As a shell reads the files one after the other."""
    value = ""
    folder = "/etc/default/grub.d"
    more = sorted(node.files.walk(folder)) if node.files.is_dir(folder) else []
    for path in (_GRUB, *(each for each in more if each.endswith(".cfg"))):
        for line in node.files.text(path).splitlines():
            if line.startswith("GRUB_CMDLINE_LINUX_DEFAULT="):
                text = line.partition("=")[2].strip("\"'")
                value = text.replace("$GRUB_CMDLINE_LINUX_DEFAULT", value)
    return value.split()


@boot_loader("proxmox-boot-tool")
def tool(node: ProxmoxNode, call: Call) -> Reply:
    """Its partitions, the kernels on them, and which of these is started."""
    match call.argv[1:]:
        case ["status"]:
            return node.said(*call.argv) or _status(node)
        case ["kernel", "list"]:
            return _listed(node)
        case ["kernel", "pin", kernel]:
            return _pin(node, kernel)
        case ["kernel", "unpin"]:
            node.files.entries.pop(PIN, None)
            return Reply(0, "Removed /etc/kernel/proxmox-boot-pin.\n")
        case ["refresh"]:
            node.learn("boot")
            if not node.managed:
                return Reply(2, _AGAIN, f"E: {_UUIDS} does not exist.\n")
            return Reply(takes_s=_MADE_S, finish=lambda: _refreshed(node))
    words = " ".join(call.argv[1:])
    return Reply(127, stderr=f"twin: its proxmox-boot-tool does not know {words!r}\n")


def _refreshed(node: ProxmoxNode) -> Reply:
    complaint = copied(node)
    said = "".join(f"\tCopying kernel {kernel}\n" for kernel in kernels(node))
    head = f"Copying and configuring kernels on /dev/disk/by-uuid/{_PARTITION}\n"
    return Reply(1 if complaint else 0, f"{_AGAIN}{head}{said}", complaint)


def _status(node: ProxmoxNode) -> Reply:
    booted = "System currently booted with uefi\n"
    if not node.managed:
        return Reply(2, _AGAIN, f"E: {_UUIDS} does not exist.\n")
    versions = ", ".join(kernels(node))
    told = f"{_PARTITION} is configured with: {node.loader} (versions: {versions})\n"
    return Reply(0, f"{_AGAIN}{booted}{told}")


def _listed(node: ProxmoxNode) -> Reply:
    lines = ["Manually selected kernels:", "None.", "", "Automatically selected kernels:"]
    lines += kernels(node)
    pinned = node.files.text(PIN).strip()
    lines += ["", "Pinned kernel:", pinned] if pinned else []
    return Reply(0, "".join(f"{line}\n" for line in lines))


def _pin(node: ProxmoxNode, kernel: str) -> Reply:
    if kernel not in kernels(node):
        return Reply(1, stderr=f"E: Could not find a kernel image for '{kernel}'\n")

    def done() -> Reply:
        complaint = copied(node)
        if complaint:
            return Reply(1, stderr=complaint)
        node.files.put(PIN, f"{kernel}\n")
        return Reply(0, f"Setting '{kernel}' as the default entry.\n")

    return Reply(takes_s=_MADE_S, finish=done)


@boot_loader("update-grub")
def update_grub(node: ProxmoxNode, call: Call) -> Reply:
    """GRUB's menu, with the options that stand in its files now."""

    def done() -> Reply:
        node.learn("boot")
        if node.loader == "grub":
            complaint = copied(node)
            if complaint:
                return Reply(1, stderr=complaint)
        return Reply(0, "Generating grub configuration file ...\ndone\n")

    return Reply(takes_s=_MADE_S, finish=done)
