"""An appliance in a VM: its own system, on the disks and network cards that the VM has.

A person installs it from the ISO image in the VM's drive, at the console; here that is done by the
time when the VM has started with it.

Sources: TrueNAS documentation, "Running TrueNAS in a VM" (a controller or whole disks, passed
through); QEMU's hw/scsi/scsi-disk.c and hw/ide/core.c for what virtual disks say they are.
"""

import re
from typing import Any

from homelab_lib.lab import Lab
from homelab_lib.lab.devices import DiskPart
from homelab_lib.lab.guests import Vm
from homelab_lib.lab.host import LINUX, Disk, Host, Ssh
from homelab_lib.lab.ports import HostPort
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.proxmox.guest import Guest
from homelab_lib.twin.world import World


def system_of(world: World, guest: Guest, before_phase: int) -> Machine | None:
    """The appliance that is installed in a guest; None where it is none that the twin knows.

    Parameters
    ----------
    world, guest
        The world, and the guest of one of its nodes.
    before_phase
        What earlier phases have made on it is there.
    """
    vm = guest.described
    kind = world.kinds.get(vm.os.kind) if vm is not None and vm.os is not None else None
    if vm is None or kind is None or not kind.in_vms:
        return None
    system = kind.make(world, vm.name, _as_host(world.lab, vm, guest), before_phase)
    for own, card in zip(system.interfaces, guest.interfaces, strict=True):
        own.host, own.segment, own.tag = card.host, card.segment, card.tag
    return system


def install(world: World, guest: Guest, before_phase: int) -> None:
    """Have a person install what the lab says at a guest's console: an appliance that the twin
    knows, or a Linux and what stands on that. Of another system nobody can look inside here."""
    guest.system = system_of(world, guest, before_phase)
    vm = guest.described
    if guest.system is None and vm is not None and (vm.os is None or vm.os.kind in LINUX):
        guest.install_by_hand(vm)
        for brings in world.installers:
            brings(world, guest, before_phase)


def _as_host(lab: Lab, vm: Vm, guest: Guest) -> Host:
    """The VM as a machine of its own, with the disks and cards that it will ever see."""
    facts: dict[str, Any] = {"title": "QEMU HARDDISK", "media": "HDD", "fits": "SATA"}
    part = DiskPart.model_construct(**facts, capacity_bytes=vm.disk_bytes, sources=())
    first = Disk.model_construct(name="scsi0", part=part, serial="drive-scsi0", role="boot")
    known = {"net0": (vm.vlan, vm.address)}
    known |= {name: (nic.vlan, nic.address or "dhcp") for name, nic in vm.nics.items()}
    ports = {}
    nets = sorted(key for key in guest.config if re.fullmatch(r"net\d+", key))
    for net, card in zip(nets, guest.interfaces, strict=True):
        name = guest.kernel_name(int(net.removeprefix("net")))
        vlan, address = known.get(net, (None, "dhcp"))
        has: dict[str, Any] = {"interface": name, "mac": card.mac, "vlan": vlan}
        ports[name] = HostPort.model_construct(name=name, **has, on_untagged=(address,))
    described: dict[str, Any] = {"name": vm.name, "title": vm.name, "role": "", "os": vm.os}
    login = Ssh.model_construct(address=vm.ip or vm.name, user=vm.user)
    disks = {"scsi0": first, **lab.disks_of(vm)}
    return Host.model_construct(**described, ssh=login, disks=disks, ports=ports)
