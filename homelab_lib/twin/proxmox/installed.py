"""Guests that stand on a node before anybody of ours comes: installed long ago, and running."""

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
        gateway = f",gw={described.gateway}" if number == "0" and described.gateway else ""
        if address:
            config[f"ipconfig{number}"] = f"ip={address}{gateway}"
    if described.storage in node.stores:
        disk = node.stores.allocate(
            described.storage, node.stores.free_name(vmid), described.disk_bytes
        )
        config["scsi0"] = f"{disk},size={print_size(described.disk_bytes)}"
    vm = VirtualMachine(vmid, config, running=True, started=dict(config))
    node.vms[vmid] = vm
    guest = vm.guest = Guest(node, vmid)
    guest.set_up()
    for package in ("curl", "nfs-common", "qemu-guest-agent"):
        install(guest, package)
    guest.units["qemu-guest-agent"] = Unit("qemu-guest-agent", enabled=True, active="active")
    node.enter(guest)
