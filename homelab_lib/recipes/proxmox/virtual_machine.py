"""A VM of the lab as Proxmox makes it: its options, drives and network cards."""

from collections.abc import Sequence

from homelab_lib.control.proxmox.machine import VirtualMachine
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.guests import Image, Vm

SNIPPET = "homelab-vendor.yaml"
_CD_DRIVES = ("ide2", "ide0", "sata5", "sata4", "sata3")
FIRST = "order=1,up=180"
"""When a VM starts on which others keep files. A guess of how long it takes to import its pools and
share them: three minutes; nobody has measured it."""
_OSTYPES = {"w2k22": "win11", "w2k25": "win11"}  # Proxmox counts them with Windows 11


def refuse(lab: Lab, vm: Vm) -> None:
    """Refuse a VM that can't be made well.

    Raises
    ------
    BadParameter
        With its key in the lab, and what to do.
    """
    why = _not_made(lab, vm)
    if why:
        raise BadParameter(
            f"VM {vm.name!r} {why}",
            where=f"vms.{vm.name}",
            fix="make that VM by hand, and say exists: true of it in place of its phase; or take "
            "this out of its description",
        )


def _not_made(lab: Lab, vm: Vm) -> str:
    disks = lab.hosts[vm.host].disks
    unknown = [each.disk for each in vm.disks.values() if each.disk and not disks[each.disk].serial]
    if unknown:
        return f"gets disks whose serial numbers nobody has written down ({', '.join(unknown)})"
    if len(_discs(lab, vm)) > len(_CD_DRIVES):
        return f"has more than {len(_CD_DRIVES)} ISO images in its drives"
    taken = set(vm.disks) & set(_CD_DRIVES[: len(_discs(lab, vm))])
    if taken:
        return f"has a drive {', '.join(sorted(taken))}, where an ISO image goes"
    return ""


def serves_files(lab: Lab, vm: Vm) -> bool:
    """Whether others keep files on it: it starts before them, which its node starts one by one,
    those without an order last, and it has some time to be up. One whose disk is on a share of it
    is tried once (`PVE::API2::Nodes`, startall)."""
    rooms = (lab.pools, lab.nfs_shares, lab.smb_shares)
    return any(room.get(vm.name) for room in rooms)


def node(lab: Lab, host: str) -> str:
    """The name by which a Proxmox host calls itself."""
    return lab.hosts[host].os.node or host


def image(lab: Lab, vm: Vm) -> Image:
    """What a VM's first disk is made from; every VM that is made has one."""
    assert vm.image is not None
    return lab.images[vm.image]


def by_cloud_init(lab: Lab, vm: Vm) -> bool:
    """Whether cloud-init sets it up: user, keys, address; only such a one lets us in."""
    return image(lab, vm).kind == "cloud"


def files_on(lab: Lab, host: str, content: str) -> tuple[str, str]:
    """The storage of a host that holds files of a kind, and its folder.

    Raises
    ------
    BadParameter
        The lab describes none.
    """
    for name, storage in lab.storages.get(host, {}).items():
        if storage.kind == "dir" and content in storage.content:
            return name, storage.path or ""
    raise BadParameter(
        f"no storage of {host} may hold {content} files",
        where=f"storages.{host}",
        fix=f"describe one of kind dir with {content} in its content, such as local",
    )


def keys_file(vm: Vm) -> str:
    """Where its host keeps the login keys for it."""
    return f"/var/lib/homelab/{vm.name}.pub"


def resource(
    lab: Lab, vm: Vm, public_keys: str, whole_disks: Sequence[tuple[str, str, str]] = ()
) -> VirtualMachine:
    """The VM as a resource.

    Parameters
    ----------
    lab, vm
        What is described.
    public_keys
        The keys that may log in; they go to VMs that cloud-init sets up.
    whole_disks
        Disks of its host that it gets: Proxmox's name of the drive, path, serial number.
    """
    source = image(lab, vm)
    cloud = by_cloud_init(lab, vm)
    first = ""
    if source.kind != "iso":
        first = f"{files_on(lab, vm.host, 'import')[0]}:import/{source.filename}"
    return VirtualMachine(
        host=vm.host,
        lab=lab.name,
        node=node(lab, vm.host),
        vmid=vm.vmid,
        vm_name=vm.name,
        options=tuple(_options(lab, vm).items()),
        keys_file=keys_file(vm) if cloud else "",
        public_keys=public_keys if cloud else "",
        storage=vm.storage,
        image=first,
        disk_bytes=vm.disk_bytes,
        drives=tuple(
            (drive, each.storage or vm.storage, each.size_bytes or 0)
            for drive, each in vm.disks.items()
            if not each.disk
        ),
        whole_disks=tuple(whole_disks),
        cdroms=tuple(zip(_CD_DRIVES, _discs(lab, vm), strict=False)),
    )


def _discs(lab: Lab, vm: Vm) -> list[str]:
    """The volumes of the ISO images in its drives, the one it starts from first."""
    images = [image(lab, vm)] if image(lab, vm).kind == "iso" else []
    images += [lab.images[name] for name in vm.cdroms]
    if not images:
        return []
    store, _ = files_on(lab, vm.host, "iso")
    return [f"{store}:iso/{each.filename}" for each in images]


def _options(lab: Lab, vm: Vm) -> dict[str, str]:
    options = {
        "cores": str(vm.vcpu),
        "cpu": "host",
        "memory": str(vm.memory_bytes // 2**20),
        "balloon": "0",  # what a cluster was promised must not shrink under it
        "ostype": _OSTYPES.get(vm.ostype, vm.ostype),
        "scsihw": "virtio-scsi-single",
        "net0": _card(lab, vm, vm.mac, vm.bridge, vm.vlan),
        "agent": "enabled=1",
    }
    for name, nic in vm.nics.items():
        options[name] = _card(lab, vm, nic.mac, nic.bridge, nic.vlan)
    for number, device in enumerate(vm.usb):
        options[f"usb{number}"] = f"host={device}"
    if by_cloud_init(lab, vm):
        options |= _first_boot(lab, vm)
    options["onboot"] = "1"
    if serves_files(lab, vm):
        options["startup"] = FIRST
    return options | _firmware(vm)


def _first_boot(lab: Lab, vm: Vm) -> dict[str, str]:
    """What cloud-init is told."""
    store, _ = files_on(lab, vm.host, "snippets")
    six = "6" if ":" in vm.address else ""
    options = {
        "serial0": "socket",
        "vga": "serial0",
        "ciuser": vm.user,
        "ipconfig0": f"ip{six}={vm.address}" + (f",gw{six}={vm.gateway}" if vm.gateway else ""),
        # This format finds the network card by its address, so that a card passed through
        # later gives it no other name.
        "citype": "nocloud",
        "ciupgrade": "0",
        "cicustom": f"vendor={store}:snippets/{SNIPPET}",
    }
    for name, nic in vm.nics.items():
        if nic.address:
            options[f"ipconfig{str(name).removeprefix('net')}"] = f"ip={nic.address}"
    if vm.nameserver:
        options["nameserver"] = vm.nameserver
    return options


def _firmware(vm: Vm) -> dict[str, str]:
    """Chipset and firmware. Later is too late: the guest would not start under another one."""
    options = {}
    if (vm.machine or ("q35" if vm.takes_devices else "pc")) == "q35":
        options["machine"] = "q35"
    if (vm.firmware or ("ovmf" if vm.takes_devices else "seabios")) == "ovmf":
        enrolled = int(vm.ostype.startswith("w"))  # Microsoft's keys, for Secure Boot
        options["bios"] = "ovmf"
        options["efidisk0"] = f"{vm.storage}:1,efitype=4m,pre-enrolled-keys={enrolled}"
    if vm.tpm:
        options["tpmstate0"] = f"{vm.storage}:1,version=v2.0"
    return options


def _card(lab: Lab, vm: Vm, mac: str | None, bridge: str, vlan: int) -> str:
    card = f"virtio={mac.upper()}" if mac else "virtio"
    card += f",bridge={bridge}"
    return f"{card},tag={vlan}" if in_vlan(lab, vm.host, bridge, vlan) else card


def in_vlan(lab: Lab, host: str, bridge: str, vlan: int) -> bool:
    """Whether a guest's card has to tag what it sends: one that is in the VLAN that its bridge's
    port has untagged sends no tags."""
    ports = [port for port in lab.hosts[host].attached.values() if port.bridge == bridge]
    return all(port.vlan != vlan for port in ports)
