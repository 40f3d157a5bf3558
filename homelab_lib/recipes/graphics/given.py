"""Which card goes to which VM."""

from dataclasses import dataclass

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import GpuAllocation
from homelab_lib.lab.guests import Vm
from homelab_lib.lab.host import Host


@dataclass(frozen=True)
class Given:
    """A card, and the VM that gets it.

    Parameters
    ----------
    allocation, device
        What the lab says it is for, and what it calls it.
    vm, option
        Who gets it, by which option: ``hostpci0``.
    """

    allocation: GpuAllocation
    device: str
    vm: Vm
    option: str

    @property
    def mapping(self) -> str:
        """Its mapping's name; one has to begin with a letter."""
        return f"gpu-{self.allocation.name}"

    @property
    def value(self) -> str:
        """The option's value. The card is no screen: with x-vga the VM would have no other."""
        rom = f",romfile={self.allocation.rom_file}" if self.allocation.rom_file else ""
        return f"mapping={self.mapping},pcie=1{rom}"


def given_cards(lab: Lab, host: Host, phase: int) -> list[Given]:
    """The cards of a host that a phase passes through.

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
        _refuse(lab, host, allocation, device, vm)
        found.append(Given(allocation, device, vm, f"hostpci{vm.gpus.index(device)}"))
    return found


def _owner(lab: Lab, allocation: GpuAllocation) -> Vm:
    host, _, device = allocation.device.partition(".")
    owners = [vm for vm in lab.vms.values() if vm.host == host and device in vm.gpus]
    if len(owners) != 1:
        whose = " and ".join(vm.name for vm in owners) or "no VM"
        raise BadParameter(
            f"a card is passed through to one VM, and {whose} of {host} has {device!r} in gpus",
            where=f"gpu_allocation.{allocation.name}.phase",
            fix=f"write {device} into the gpus of one VM there, or leave out the phase",
        )
    return owners[0]


def _refuse(lab: Lab, host: Host, allocation: GpuAllocation, device: str, vm: Vm) -> None:
    where = f"gpu_allocation.{allocation.name}"
    if host.ssh is None or host.standalone:
        raise BadParameter(
            f"{host.name} is to pass {device} through, and nobody logs in there to set it up",
            where=f"hosts.{host.name}.ssh",
            fix="add its login; or pass it through by hand, and say exists: true of it",
        )
    if not getattr(host.devices[device].part, "pci_ids", ()):
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
