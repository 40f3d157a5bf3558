"""Giving a node's cards to a VM that starts.

All that is in the IOMMU group goes along, whatever the node does with it, but for bridges. A reset
that fails is a warning; what comes of it shows later, or never.

Sources: `PVE::QemuServer::PCI` (qemu-server 9.2: `parse_hostpci`, `prepare_pci_device`),
`PVE::SysFSTools::pci_dev_group_bind_to_vfio`, `PVE::Mapping::PCI::assert_valid` (pve-guest-common);
QEMU's hw/vfio/pci.c; pve-kernel's changelog of 7.0.14-3 (a start that hangs as a card is taken from
amdgpu); gnif/vendor-reset#41 and #65 (a second start that fails).
"""

from collections.abc import Iterator
from dataclasses import replace

from homelab_lib.twin.machine.bus import Function
from homelab_lib.twin.machine.columns import Row
from homelab_lib.twin.machine.devices import device
from homelab_lib.twin.proxmox.boot_loader import numbers
from homelab_lib.twin.proxmox.mappings import entries, expected
from homelab_lib.twin.proxmox.node import HELD, ProxmoxNode
from homelab_lib.twin.proxmox.pci import PciFunction, iommu_on, rows
from homelab_lib.twin.proxmox.schema import PveError, flag, split_properties
from homelab_lib.twin.proxmox.vm import VirtualMachine

_HOST_BYTES = 2 * 2**30  # what a node needs itself, and no VM gets
_SOLID = ("ssd", "nvme")
"""Types of disks that the kernel says do not rotate: one that does may be ``hdd``, ``usb`` or, on
SAS, ``unknown`` (`PVE::Diskmanage`, get_disks)."""
_FALLS = ((7, 0, 0, 0), (7, 0, 14, 3))


def take(node: ProxmoxNode, vm: VirtualMachine) -> tuple[list[Function], list[Row]]:
    """Give a VM what its configuration says, as it starts.

    Returns
    -------
    tuple
        What it sees on its bus, and the disks that came along, as `lsblk` has them.

    Raises
    ------
    PveError
        It does not start.
    """
    node.learn("pci")
    given: list[Function] = []
    slots: list[str] = []
    keys = sorted((k for k in vm.config if k.startswith("hostpci")), key=lambda k: int(k[7:]))
    for key in keys:
        options = split_properties(vm.config[key], "host")
        slot = _slot(node, options)
        if flag(options.get("pcie")) and "q35" not in vm.config.get("machine", "pc"):
            raise PveError("q35 machine model is not enabled")
        functions = [each for each in node.pci if each.slot == slot]
        if not functions:
            raise PveError(f"no PCI device found for '{slot}'")
        _reserve(node, vm, functions)
        if not iommu_on(node):
            raise PveError("cannot prepare PCI pass-through, IOMMU not present")
        _bind(node, functions)
        _memory(node, vm)
        rom = options.get("romfile")
        if rom and not node.files.exists(f"/usr/share/kvm/{rom}"):
            what = f'failed to find romfile "/usr/share/kvm/{rom}"'
            raise PveError(f"kvm: -device vfio-pci: {what}\nstart failed: QEMU exited with code 1")
        if _comes_back(node, slot):
            port = int(key[7:]) + 1
            given += [_inside(node, each, port) for each in functions]
            slots.append(slot)
    return given, list(_disks(node, slots))


def _disks(node: ProxmoxNode, slots: list[str]) -> Iterator[Row]:
    """The disks behind devices, named as another machine's kernel will find them."""
    if slots:
        node.learn("disks")
    for row in node.disk_rows if slots else ():
        path, name = row["devpath"], row["devpath"].rpartition("/")[2]
        if any(f"/{slot}." in node.behind(name) for slot in slots):
            bus, rotates = "nvme" if "nvme" in path else "sata", row.get("type") not in _SOLID
            facts = {"model": row.get("model"), "serial": row.get("serial")}
            yield device(name, row["size"], rota=rotates, tran=bus, **facts)


def _slot(node: ProxmoxNode, options: dict[str, str]) -> str:
    """The card that is meant."""
    if "mapping" not in options:
        host = options.get("host", "")
        whole = host if host.count(":") == 2 else f"0000:{host}"
        return whole.partition(".")[0]
    name = options["mapping"]
    node.learn("mappings")
    found = entries(node, name)
    if not found:
        raise PveError(f"PCI device mapping not found for '{name}'")
    if wrong := expected(node, name, found[0]):
        what = "PCI device mapping invalid (hardware probably changed)"
        raise PveError(f"{what}: {wrong}")
    return found[0]["path"].partition(".")[0]


def _reserve(node: ProxmoxNode, vm: VirtualMachine, functions: list[PciFunction]) -> None:
    for other in node.vms.values():
        if other is vm or not other.running:
            continue
        for key, value in other.started.items():
            if not key.startswith("hostpci"):
                continue
            if _slot(node, split_properties(value, "host")) == functions[0].slot:
                what = f"already in use by VMID '{other.vmid}'"
                raise PveError(f"PCI device '{functions[0].address}' {what}")


def _bind(node: ProxmoxNode, functions: list[PciFunction]) -> None:
    """All of the group goes to vfio-pci, network cards too: the node loses them there and then."""
    groups = {each.group for each in functions}
    falls = _FALLS[0] <= numbers(node.kernel)[:4] < _FALLS[1]
    for each in node.pci:
        if each.group not in groups or each.bridge:
            continue
        if falls and each.driver == "amdgpu":
            node.log("kernel", "BUG: kernel NULL pointer dereference, address: 0000000000000008")
            raise PveError("start failed: command '/usr/bin/kvm -id ...' failed: got timeout")
        each.driver = HELD  # with an adapter go its disks
    lost = {row["id"] for row in rows(node) if row["iommugroup"] in groups}
    lost &= {card.address for card in node.cards}
    for card in [card for card in node.cards if card.address in lost]:
        card.driver = ""
        node.interfaces = [each for each in node.interfaces if each.name != card.name]
    if lost:
        node.reach.changed()


def _memory(node: ProxmoxNode, vm: VirtualMachine) -> None:
    """A card may read and write all of it, so that it is there from the start on."""
    held = sum(each.held_bytes for each in node.vms.values()) + vm.memory_bytes
    if held + _HOST_BYTES > node.memory_bytes:
        what = "vfio_container_dma_map(0x0, 0x100000000) = -12 (Cannot allocate memory)"
        raise PveError(f"kvm: -device vfio-pci: {what}\nstart failed: QEMU exited with code 1")


def _comes_back(node: ProxmoxNode, slot: str) -> bool:
    """Whether a card that was used since the node's boot can be used once more."""
    node.used[slot] = node.used.get(slot, 0) + 1
    how = node.stubborn.get(slot, "")
    if node.used[slot] < 2 or not how:
        return True
    node.log("kernel", f"vfio-pci {slot}.0: not ready 65535ms after bus reset; giving up")
    if how == "start":
        raise PveError("start failed: command '/usr/bin/kvm -id ...' failed: got timeout")
    return False


def _inside(node: ProxmoxNode, function: PciFunction, port: int) -> Function:
    """What the VM sees of a function: behind a port of its own chipset, and nobody has it yet."""
    there = (each for each in node.bus if each.slot == function.address)
    known = next((each for each in there if each.id == function.id), None)
    number = function.address.rpartition(".")[2]
    place = f"0000:{port:02x}:00.{number}"
    if known is not None:
        return replace(known, slot=place, driver="")
    kind = str(function.row["class"])[2:6]
    title = str(function.row.get("device_name", "Device"))
    return Function(function.device, place, function.id, kind, title, "", "", 16.0, 16, 16.0, 16)
