"""Guests that stand on a node: installed long ago by somebody, or made by an earlier phase."""

from homelab_lib.lab.guests import Vm
from homelab_lib.twin.machine.packages import install
from homelab_lib.twin.machine.unit import Unit
from homelab_lib.twin.proxmox.devices import print_net
from homelab_lib.twin.proxmox.guest import Guest
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.storage import print_size
from homelab_lib.twin.proxmox.vm import VirtualMachine


def stand_up(node: ProxmoxNode, described: Vm) -> None:
    """Put a VM on a node, as the lab describes it.

    Parameters
    ----------
    node, described
        Where, and what.
    """
    vmid = described.vmid
    config = {
        "name": described.name,
        "cores": str(described.vcpu),
        "memory": str(described.memory_bytes // 2**20),
        "ostype": described.ostype,
        "agent": "1",
        "ciuser": described.user,
        "boot": "order=scsi0",
        "onboot": "1",
    }
    if not described.exists:
        config |= _made(node, described)
    first = (described.mac, described.bridge, described.vlan, described.address)
    cards: dict[str, tuple[str | None, str, int, str | None]] = {"net0": first}
    cards |= {n: (nic.mac, nic.bridge, nic.vlan, nic.address) for n, nic in described.nics.items()}
    for name, (mac, bridge, vlan, address) in cards.items():
        number = name.removeprefix("net")
        drawn = f"BC:24:11:{vmid >> 8 & 255:02X}:{vmid & 255:02X}:{int(number):02X}"
        net = {"model": "virtio", "macaddr": (mac or drawn).upper(), "bridge": bridge}
        ports = node.world.lab.hosts[node.name].attached.values()
        if all(port.vlan != vlan for port in ports if port.bridge == bridge):
            net["tag"] = str(vlan)
        config[name] = print_net(net)
        six = "6" if ":" in (address or "") else ""
        gateway = f",gw{six}={described.gateway}" if number == "0" and described.gateway else ""
        if address:
            config[f"ipconfig{number}"] = f"ip{six}={address}{gateway}"
    if described.storage in node.stores:
        disk = node.stores.allocate(
            described.storage, node.stores.free_name(vmid), described.disk_bytes
        )
        config["scsi0"] = f"{disk},size={print_size(described.disk_bytes)}"
    image = node.world.lab.images.get(described.image or "")
    booted = (image.sha256 or "") if image else ""
    config |= _passed(node, described)
    vm = VirtualMachine(vmid, config, booted=booted)
    node.vms[vmid] = vm
    bus, disks = node.passes(node, vm)
    vm.running, vm.started = True, dict(config)
    guest = vm.guest = Guest(node, vmid)
    guest.system = node.appliance_in(guest)
    guest.gets(disks)
    if bus:
        guest.inside.bus, guest.inside.bus_is_known = bus, True
    if guest.system is not None:
        guest.vouched = True
        node.enter(guest)
        return
    guest.set_up()
    for package in ("curl", "nfs-common", "pciutils", "qemu-guest-agent"):
        install(guest, package)
    guest.units["qemu-guest-agent"] = Unit("qemu-guest-agent", enabled=True, active="active")
    node.enter(guest)


def _passed(node: ProxmoxNode, described: Vm) -> dict[str, str]:
    """Devices that are no graphics cards, and whole disks: those that the VM is said to have, and
    those that its pools are made of, however it came to them."""
    lab, given = node.world.lab, {}
    host, taken = lab.hosts[node.name], set[str]()
    slots = {each.name: each.slot.rpartition(".")[0] for each in node.bus}
    for number, device in enumerate(described.passthrough, len(described.gpus)):
        if device in slots:
            given[f"hostpci{number}"] = slots[device] + ("" if described.exists else ",pcie=1")
            taken |= {*host.below(device)}
    rows = dict(zip(host.disks, node.disk_rows, strict=False))
    drives = {each.disk: drive for drive, each in described.disks.items() if each.disk}
    free = (f"scsi{number}" for number in range(1, 31) if f"scsi{number}" not in described.disks)
    for name, disk in lab.disks_of(described).items():
        if name not in taken:
            link, size = rows[name]["by_id_link"], print_size(rows[name]["size"])
            serial = disk.serial or rows[name]["serial"]
            given[drives.get(name) or next(free)] = f"{link},serial={serial},size={size}"
    return given


def _made(node: ProxmoxNode, described: Vm) -> dict[str, str]:
    """What the runbook that makes VMs leaves on one: the lab's mark, that a NAS starts first, and
    for one that is to get a card the firmware and the chipset that cards need."""
    lab = node.world.lab
    made = {"tags": f"homelab;homelab-{lab.name}"}
    if any(room.get(described.name) for room in (lab.pools, lab.nfs_shares, lab.smb_shares)):
        made["startup"] = "order=1,up=180"
    if described.machine == "q35" or (described.machine is None and described.takes_devices):
        made["machine"] = "q35"
    if described.firmware == "ovmf" or (described.firmware is None and described.takes_devices):
        made["bios"] = "ovmf"
        if described.storage in node.stores:
            vmid = described.vmid
            disk = node.stores.allocate(described.storage, node.stores.free_name(vmid), 2**20)
            made["efidisk0"] = f"{disk},efitype=4m,pre-enrolled-keys=0,size=1M"
    return made
