"""What starts a node: its boot loader, its kernels, and the room that these have.

Sources: Administration Guide, "Host Bootloader"; proxmox-boot-tool, whose status is 2 where no
partition is its own, and which names a partition's loader ``uefi`` or ``systemd-boot``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from homelab_lib import answers
from homelab_lib.answers import Shape, whole
from homelab_lib.runbook.resource import Host

_TOOL = "proxmox-boot-tool"
_CONFIGURED = re.compile(r"(?m)^([0-9A-F]{4}-[0-9A-F]{4}) is configured with: (.*)$")
_SKIPPED = re.compile(r"(?m)^(?:WARN: )?(?:mount of )?/dev/disk/by-uuid/([0-9A-F]{4}-[0-9A-F]{4})\b"
                      r".*- skipping$")  # fmt: skip
_UNMANAGED = "/etc/kernel/proxmox-boot-uuids does not exist"
_KERNEL = re.compile(r"\d+\.\d+\.\d+-\S+")
_PARTITION: Shape = {"uuid?": str, "size": whole}
_PARTITIONS: Shape = {"blockdevices": [_PARTITION | {"children?": [_PARTITION]}]}
_LSBLK = ("lsblk", "-J", "-b", "-o", "UUID,SIZE")
_MORE = 1.05  # what new initial file systems may be larger than those of now


@dataclass(frozen=True)
class BootLoader:
    """How a node is started.

    Parameters
    ----------
    kinds
        ``grub``, ``systemd-boot``; both where partitions differ, or have both.
    partitions
        The EFI partitions that proxmox-boot-tool keeps alike, by UUID; none where it keeps none.
    skipped
        Partitions of it that it can't get at.
    """

    kinds: tuple[str, ...]
    partitions: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kernels:
    """The kernels that are there to start.

    Parameters
    ----------
    selected
        Those that boot partitions get.
    pinned
        The one that is started; empty: the newest.
    """

    selected: tuple[str, ...]
    pinned: str = ""


def boot_loader(host: Host) -> BootLoader:
    """How a node is started.

    Raises
    ------
    NotUnderstood
        It names no boot loader.
    """
    shown = host.read(_TOOL, "status", ok=(0, 2), sudo=True)
    said = shown.stdout + shown.stderr
    if shown.exit_status and _UNMANAGED in said:
        return BootLoader(("grub",))
    rows = _CONFIGURED.findall(said)
    kinds = {kind for _, told in rows for kind in _kinds(told)}
    if not kinds:
        raise answers.not_understood(host.name, f"{_TOOL} status", "it names no boot loader")
    partitions = tuple(uuid for uuid, _ in rows)
    return BootLoader(tuple(sorted(kinds)), partitions, tuple(_SKIPPED.findall(said)))


def _kinds(told: str) -> Iterator[str]:
    if re.search(r"\b(uefi|systemd-boot) \(versions:", told):
        yield "systemd-boot"
    if re.search(r"\bgrub \(versions:", told):
        yield "grub"


def kernels(host: Host) -> Kernels:
    """The kernels that are there to start.

    Raises
    ------
    NotUnderstood
        It names none.
    """
    shown = host.read(_TOOL, "kernel", "list", sudo=True).stdout
    selected, pinned, heading = [], "", ""
    for line in map(str.strip, shown.splitlines()):
        if line.endswith(":"):
            heading = line
        elif _KERNEL.fullmatch(line) and heading == "Pinned kernel:":
            pinned = line
        elif _KERNEL.fullmatch(line) and "selected kernels" in heading:
            selected.append(line)
    if not selected:
        raise answers.not_understood(host.name, f"{_TOOL} kernel list", "it names no kernel")
    return Kernels(tuple(dict.fromkeys(selected)), pinned)


def lacking_room(host: Host, loader: BootLoader, there: Kernels) -> list[str]:
    """What there is no room for, when the initial file systems are made anew: each where, and how
    much. A boot partition that fills up half-way leaves a kernel without its own."""
    images = [f"/boot/{name}" for kernel in there.selected for name in _files(kernel)]
    shown = host.read("stat", "-c", "%s", "--", *images, ok=(0, 1)).stdout.split()
    sizes = [answers.expected(each, whole, host=host.name, line="stat /boot") for each in shown]
    largest, total = max(sizes, default=0), sum(sizes)
    words = ("findmnt", "-n", "-b", "-o", "AVAIL", "-T", "/boot")
    free = host.read(*words).stdout.strip()
    left = answers.expected(free, whole, host=host.name, line=" ".join(words))
    lacks = []
    if left < largest * _MORE:
        what = f"{left / 2**20:.0f} MiB are free, {largest * _MORE / 2**20:.0f} MiB wanted"
        lacks.append(f"/boot: {what}")
    wanted = total * _MORE
    for uuid, size_bytes in _sizes(host, loader).items():
        if size_bytes < wanted:
            what = f"it has {size_bytes / 2**20:.0f} MiB, and {len(there.selected)} kernels"
            lacks.append(f"EFI partition {uuid}: {what} take {wanted / 2**20:.0f} MiB")
    return lacks


def _files(kernel: str) -> tuple[str, str]:
    return f"vmlinuz-{kernel}", f"initrd.img-{kernel}"


def _sizes(host: Host, loader: BootLoader) -> dict[str, int]:
    """The sizes of the EFI partitions [bytes]."""
    if not loader.partitions:
        return {}
    said = host.json(*_LSBLK)
    disks = answers.expected(said, _PARTITIONS, host=host.name, line=" ".join(_LSBLK))
    each_one = [row for disk in disks["blockdevices"] for row in disk.get("children", ())]
    found = {row.get("uuid", ""): int(row["size"]) for row in each_one}
    return {uuid: found[uuid] for uuid in loader.partitions if uuid in found}
