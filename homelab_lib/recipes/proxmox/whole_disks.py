"""Disks of a node that a VM gets as a whole: found by their serial numbers, and in nobody's use.

Source: Proxmox's wiki, "Passthrough Physical Disk to Virtual Machine (VM)"; `PVE::Diskmanage` for
what counts as used.
"""

import re
from collections.abc import Iterator

from homelab_lib.answers import Shape, whole
from homelab_lib.control.proxmox.api import CONFIG, GUESTS, api
from homelab_lib.errors import StepFailed
from homelab_lib.lab import Lab
from homelab_lib.lab.guests import Vm
from homelab_lib.recipes.proxmox.virtual_machine import node
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check

_DISKS: Shape = [{"devpath": str, "size": whole, "serial?": str, "by_id_link?": str, "used?": str}]
_DEVICE = re.compile(r"(?:file=|path=|volume=)?(/dev/[^,]+)")
Row = dict[str, str]


def of(host: Host, lab: Lab, vm: Vm) -> list[tuple[str, str, str]]:
    """The disks that a VM gets: Proxmox's name of the drive, path, and serial number.

    Raises
    ------
    StepFailed
        One of them is not there, or has no path that stays.
    """
    return [
        (drive, _path(host, name, serial, row), serial)
        for drive, name, serial, row in _wanted(host, lab, vm)
    ]


def _path(host: Host, name: str, serial: str, row: Row | None) -> str:
    if row is None or not row.get("by_id_link"):
        raise StepFailed(
            f"{host.name} has no disk with the serial number {serial} ({name})",
            where=f"hosts.{host.name}.disks.{name}.serial",
            fix="see that it is plugged in, and read its number off its label: "
            "lsblk -d -o NAME,SIZE,SERIAL",
        )
    return row["by_id_link"]


def checks(host: Host, lab: Lab, vm: Vm) -> Iterator[Check]:
    """Each disk is there, and the node does nothing with it; one that the VM has is its own.

    Parameters
    ----------
    host, lab, vm
        Who has the disks, and who gets them.
    """
    wanted = _wanted(host, lab, vm)
    if not wanted:
        return
    configs = _configs(host, node(lab, vm.host))
    config = configs.pop(vm.vmid, {})
    theirs = {path: vmid for vmid, each in configs.items() for path in _given(host, each)}
    for drive, name, serial, row in wanted:
        title = f"disk {name} ({serial}) of {host.name} can be given to {vm.name}"
        if row is None:
            says = "no disk there has this serial number; see lsblk -d -o NAME,SIZE,SERIAL"
            yield Check(title, False, says)
            continue
        has = config.get(drive, "").partition(",")[0].removeprefix("file=")
        used = row.get("used", "")
        if (owner := theirs.get(row["devpath"])) is not None:
            says = (
                f"guest {owner} there has {row['devpath']}: a disk with two masters loses what is "
                "on it. Take it away from that guest in Proxmox, or give another disk in the lab"
            )
            yield Check(title, False, says)
        elif has and has == row.get("by_id_link"):
            yield Check(title, True, "it has it")
        elif used:
            says = (
                f"{row['devpath']} is in use there ({used}): a disk with two masters loses what "
                "is on it. If nothing on it is needed any more, wipe it in Proxmox (Disks, Wipe)"
            )
            yield Check(title, False, says)
        else:
            yield Check(title, True, f"{row['devpath']} is empty")


def _wanted(host: Host, lab: Lab, vm: Vm) -> list[tuple[str, str, str, Row | None]]:
    given = {drive: each.disk for drive, each in vm.disks.items() if each.disk}
    if not given:
        return []
    path = f"/nodes/{node(lab, vm.host)}/disks/list"
    rows = api(host, path, "--skipsmart", "1", shape=_DISKS)
    wanted = []
    for drive, name in given.items():
        serial = lab.hosts[vm.host].disks[name].serial or ""
        mine = [row for row in rows if row.get("serial") == serial]
        if len(mine) > 1:
            paths = " and ".join(row["devpath"] for row in mine)
            raise StepFailed(
                f"{paths} both say that their serial number is {serial} ({name})",
                where=host.name,
                fix="nobody can tell which is meant, and USB bridges do that: take one out",
            )
        wanted.append((drive, name, serial, mine[0] if mine else None))
    return wanted


def _configs(host: Host, called: str) -> dict[int, dict[str, str]]:
    """What each guest of a node has, by its number."""
    found = {}
    for row in api(host, "/cluster/resources", "--type", "vm", shape=GUESTS):
        if "vmid" in row and row.get("node") == called:
            path = f"/nodes/{called}/{row.get('type', 'qemu')}/{row['vmid']}/config"
            config = api(host, path, shape=CONFIG)
            found[row["vmid"]] = {key: str(value) for key, value in config.items()}
    return found


def _given(host: Host, config: dict[str, str]) -> Iterator[str]:
    """The node's devices that a guest has, by the names that the kernel has for them: a whole disk
    for a part of it, too. What a running guest has written there the node does not see."""
    for value in config.values():
        if device := _DEVICE.match(value):
            path = device[1]
            found = host.read("readlink", "-f", path, ok=(0, 1)).stdout.strip() or path
            yield found
            yield re.sub(r"(?<=\d)p\d+$|(?<=/[shv]d[a-z])\d+$", "", found)
