"""Which device goes to which VM: cards, and what else has a place on the bus."""

from dataclasses import dataclass

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import GpuAllocation
from homelab_lib.lab.guests import Vm
from homelab_lib.lab.host import Host


@dataclass(frozen=True)
class Given:
    """A device, and the VM that gets it.

    Parameters
    ----------
    device, mapping
        What the lab calls it, and what Proxmox is to: a name that begins with a letter.
    vm, option
        Who gets it, by which option: ``hostpci0``.
    rom_file
        Its firmware, where its own can't be read.
    """

    device: str
    mapping: str
    vm: Vm
    option: str
    rom_file: str = ""

    @property
    def value(self) -> str:
        """The option's value. The card is no screen: with x-vga the VM would have no other."""
        rom = f",romfile={self.rom_file}" if self.rom_file else ""
        return f"mapping={self.mapping},pcie=1{rom}"


def given_devices(lab: Lab, host: Host, phase: int) -> list[Given]:
    """The devices of a host that a phase passes through: cards by what they are allocated for, and
    others with the VMs that get them.

    Raises
    ------
    BadParameter
        One of them can't be: its key and what to do.
    """
    found = []
    for allocation in lab.gpu_allocation.values():
        name, _, device = allocation.device.partition(".")
        if name != host.name or allocation.phase != phase or allocation.exists:
            continue
        vm = _owner(lab, allocation)
        _refuse(host, f"gpu_allocation.{allocation.name}", device, vm)
        option = f"hostpci{vm.gpus.index(device)}"
        mapping = f"gpu-{allocation.name}"
        found.append(Given(device, mapping, vm, option, allocation.rom_file or ""))
    for vm in lab.vms.values():
        if vm.host != host.name or vm.phase != phase or vm.exists:
            continue
        for number, device in enumerate(vm.passthrough, len(vm.gpus)):
            _refuse(host, f"vms.{vm.name}.passthrough", device, vm)
            _refuse_used(host, device, vm)
            found.append(Given(device, f"{vm.name}-{device}", vm, f"hostpci{number}"))
    return found


def _refuse_used(host: Host, device: str, vm: Vm) -> None:
    """What the host itself lives on stays with it; that its pools do, the lab's checks see to."""
    boots = [name for name in host.below(device) if host.disks[name].role == "boot"]
    used = [f"it starts from disk {name}" for name in boots]
    part = host.passable[device].part
    used += [
        f"its port {name} has {'bridge ' + port.bridge if port.bridge else 'an address'}"
        for name, port in host.ports.items()
        if port.part.id == part.id and (port.bridge or port.on_untagged or host.bond_of(name))
    ]
    if used:
        raise BadParameter(
            f"{host.name} needs {device} itself ({'; '.join(used)}), and {vm.name!r} is to get it",
            where=f"vms.{vm.name}.passthrough",
            fix="leave it with the host; or move what the host has on it to another first",
        )


def _owner(lab: Lab, allocation: GpuAllocation) -> Vm:
    host, _, device = allocation.device.partition(".")
    owners = lab.vms_with(allocation.device)
    if len(owners) != 1:
        whose = " and ".join(vm.name for vm in owners) or "no VM"
        raise BadParameter(
            f"a card is passed through to one VM, and {whose} of {host} has {device!r} in gpus",
            where=f"gpu_allocation.{allocation.name}.phase",
            fix=f"write {device} into the gpus of one VM there, or leave out the phase",
        )
    return owners[0]


def _refuse(host: Host, where: str, device: str, vm: Vm) -> None:
    if host.ssh is None or host.standalone:
        raise BadParameter(
            f"{host.name} is to pass {device} through, and nobody logs in there to set it up",
            where=f"hosts.{host.name}.ssh",
            fix="add its login; or pass it through by hand, and say exists: true of it",
        )
    if device not in host.devices and not host.disks[device].serial:
        raise BadParameter(
            f"nobody can tell which drive {device} of {host.name} is: it has no serial number",
            where=f"hosts.{host.name}.disks.{device}",
            fix="write  serial: …  there, as its label or  lsblk -d -o NAME,SIZE,SERIAL  has it",
        )
    if device in host.devices and not getattr(host.devices[device].part, "pci_ids", ()):
        raise BadParameter(
            f"nobody knows which card {device} of {host.name} is: its part has no pci_ids",
            where=where,
            fix="write them into its part in the catalog, as lspci -nn has them",
        )
    if vm.exists:
        raise BadParameter(
            f"VM {vm.name!r} is not ours to change (exists: true), and is to get {device}",
            where=f"vms.{vm.name}.exists",
            fix=f"give it the card in Proxmox by hand, and say exists: true of {where}",
        )
