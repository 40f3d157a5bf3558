"""What each call of a Proxmox node rests on.

The parameters of all of them are those of the API schema of Proxmox VE 9.2, which a test holds;
no schema is given of older releases, for which the source is what there is.
"""

from homelab_lib.twin.fidelity import Fidelity, Grounds

_NEWEST = ("9.2",)
_QEMU = "qemu-server 9.2, PVE::API2::Qemu"
_LXC = "pve-container 6.0, PVE::API2::LXC"
_DISKS = "pve-storage 9.1, PVE::API2::Disks and PVE::Diskmanage"
_NETWORK = "pve-manager 9.2, PVE::API2::Network; pve-common, PVE::Network::Interfaces"
_AGENT = "qemu-server 9.2, PVE::API2::Qemu::Agent"
_STORAGE = "pve-storage 9.1, PVE::API2::Storage"
_PLUGINS = "pve-storage 9.1, PVE::CLI::pvesm and its plugins; pve-apiclient 3.4"
_MANAGER = "pve-manager 9.2, PVE::API2"
_VZDUMP = "pve-manager 9.2, PVE::API2::{Backup,VZDump}, PVE::VZDump; times and sizes guessed"
_MAPPING = "pve-manager 9.2, PVE::API2::Cluster::Mapping::PCI; pve-guest-common, PVE::Mapping::PCI"
_RAN = "ifupdown2 3.0.0 ran in a network namespace (tests/real)"
_SHAPE = "output of a real node, its keys and types"


def _source(call: str, where: str) -> Grounds:
    return Grounds(call, Fidelity.SOURCE, where)


_VM = "/nodes/{node}/qemu/{vmid}"
_CT = "/nodes/{node}/lxc/{vmid}"
_READ_FROM: dict[str, tuple[str, ...]] = {
    _LXC: (
        "pvesh get /nodes/{node}/lxc",
        "pvesh create /nodes/{node}/lxc",
        f"pvesh delete {_CT}",
        f"pvesh get {_CT}/config",
        f"pvesh set {_CT}/config",
        f"pvesh get {_CT}/interfaces",
        f"pvesh get {_CT}/status/current",
        f"pvesh create {_CT}/status/start",
        f"pvesh create {_CT}/status/stop",
        f"pvesh create {_CT}/status/shutdown",
        f"pvesh set {_CT}/resize",
        *("pct list", "pct config", "pct create", "pct start", "pct stop", "pct shutdown"),
        *("pct destroy", "pct set", "pct unlock"),
    ),
    _QEMU: (
        "pvesh get /nodes/{node}/qemu",
        "pvesh create /nodes/{node}/qemu",
        f"pvesh delete {_VM}",
        f"pvesh get {_VM}/config",
        f"pvesh set {_VM}/config",
        f"pvesh create {_VM}/config",
        f"pvesh get {_VM}/pending",
        f"pvesh set {_VM}/resize",
        f"pvesh get {_VM}/status/current",
        f"pvesh create {_VM}/status/start",
        f"pvesh create {_VM}/status/stop",
        f"pvesh create {_VM}/status/shutdown",
        f"pvesh get {_VM}/cloudinit/dump",
        *("qm list", "qm create", "qm destroy", "qm set", "qm config", "qm pending", "qm start"),
        *("qm stop", "qm shutdown", "qm resize", "qm disk resize", "qm cloudinit dump"),
        *("qm status", "qm unlock"),
    ),
    _AGENT: (
        f"pvesh create {_VM}/agent",
        f"pvesh create {_VM}/agent/ping",
        f"pvesh get {_VM}/agent/network-get-interfaces",
        f"pvesh get {_VM}/agent/exec-status",
        *("qm agent", "qm guest cmd", "qm guest exec", "qm guest exec-status"),
    ),
    _STORAGE: (
        "pvesh get /storage",
        "pvesh create /storage",
        "pvesh get /storage/{storage}",
        "pvesh set /storage/{storage}",
        "pvesh get /nodes/{node}/storage",
        "pvesh get /nodes/{node}/storage/{storage}/content",
        "pvesh create /nodes/{node}/storage/{storage}/download-url",
        "pvesh delete /storage/{storage}",
        *("pvesm set", "pvesm status", "pvesm list", "pvesm remove"),
    ),
    _PLUGINS: ("pvesm path", "pvesm add", "pvesm extractconfig"),
    _DISKS: (
        "pvesh get /nodes/{node}/disks/list",
        "pvesh get /nodes/{node}/disks/zfs",
        "pvesh get /nodes/{node}/disks/zfs/{name}",
        "pvesh create /nodes/{node}/disks/zfs",
    ),
    _NETWORK: (
        "pvesh get /nodes/{node}/network",
        "pvesh create /nodes/{node}/network",
        "pvesh set /nodes/{node}/network",
        "pvesh delete /nodes/{node}/network",
        "pvesh get /nodes/{node}/network/{iface}",
        "pvesh set /nodes/{node}/network/{iface}",
        "pvesh delete /nodes/{node}/network/{iface}",
    ),
    _VZDUMP: (
        "pvesh get /cluster/backup",
        "pvesh create /cluster/backup",
        "pvesh get /cluster/backup/{id}",
        "pvesh set /cluster/backup/{id}",
        "pvesh delete /cluster/backup/{id}",
        "pvesh create /nodes/{node}/vzdump",
    ),
    _MAPPING: (
        "pvesh get /cluster/mapping/pci",
        "pvesh create /cluster/mapping/pci",
        "pvesh set /cluster/mapping/pci/{id}",
        "pvesh delete /cluster/mapping/pci/{id}",
    ),
    _MANAGER: (
        "pvesh get /version",
        "pvesh get /nodes",
        "pvesh get /nodes/{node}/version",
        "pvesh get /nodes/{node}/status",
        "pvesh get /nodes/{node}/hardware/pci",
        "pvesh get /nodes/{node}/subscription",
        "pvesh get /nodes/{node}/apt/repositories",
        "pvesh set /nodes/{node}/apt/repositories",
        "pvesh create /nodes/{node}/apt/repositories",
        "pvesh create /nodes/{node}/apt/update",
        "pvesh get /nodes/{node}/tasks",
        "pvesh get /nodes/{node}/tasks/{upid}/status",
        "pvesh get /cluster/resources",
        "pvesh get /cluster/status",
        "pvesh get /cluster/nextid",
        "pveversion",
    ),
}

GROUNDS: tuple[Grounds, ...] = (
    *(_source(call, where) for where, calls in _READ_FROM.items() for call in calls),
    Grounds(
        "qm create",
        Fidelity.VALIDATOR,
        "qemu-server 9.2.6's own parser",
        _NEWEST,
        does=Fidelity.SOURCE,
    ),
    Grounds("qm config", Fidelity.RECORDED, _SHAPE, ("9.1",)),
    *(Grounds(call, Fidelity.RECORDED, _RAN) for call in ("ifreload", "ifup", "ifdown", "ifquery")),
    Grounds("ethtool", Fidelity.RECORDED, "output of real cards, its lines"),
    Grounds("dkms", Fidelity.RECORDED, "output of a real node"),
    Grounds("mokutil", Fidelity.DOCUMENTATION, "mokutil(1)"),
    Grounds("losetup", Fidelity.DOCUMENTATION, "losetup(8); which partitions: a cloud image's"),
    Grounds("proxmox-boot-tool", Fidelity.DOCUMENTATION, "Administration Guide, Host Bootloader"),
    Grounds("proxmox-boot-tool kernel pin", Fidelity.GUESSED, "that it pins is documented"),
    Grounds("proxmox-boot-tool status", Fidelity.RECORDED, "output of real nodes"),
    Grounds("proxmox-boot-tool kernel list", Fidelity.RECORDED, "output of a real node"),
    Grounds("update-grub", Fidelity.DOCUMENTATION, "update-grub(8)"),
    Grounds("update-initramfs", Fidelity.DOCUMENTATION, "update-initramfs(8)"),
    Grounds("pveversion", Fidelity.RECORDED, _SHAPE, ("8.4",)),
)
