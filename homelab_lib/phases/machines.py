"""VMs on Proxmox: do they fit, the image they start from, the machines themselves."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from homelab_lib.control.linux import File, read_file
from homelab_lib.control.proxmox.api import api
from homelab_lib.control.proxmox.guest import GuestReady, guest_file
from homelab_lib.control.proxmox.machine import VirtualMachine
from homelab_lib.control.proxmox.storage import Image, StorageContent
from homelab_lib.errors import AuthenticationRefused, BadParameter, StepFailed, Unreachable
from homelab_lib.lab import Lab
from homelab_lib.lab.guests import Image as CloudImage
from homelab_lib.lab.guests import Vm
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check, Context, Measurement, Wanted

HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
GIB = 2**30
_HOST_KEEPS_BYTES = 4 * GIB  # what the host itself needs, beside ZFS's cache
_PER_VM = 1.05  # QEMU takes about this much of what the guest sees

# Cloud images come without an agent; it tells us the guest's address and its host key. The CSI
# driver brings its own mount tools; nfs-common is for a person who looks at a share by hand.
VENDOR = """#cloud-config
packages:
  - qemu-guest-agent
  - nfs-common
runcmd:
  - systemctl enable --now qemu-guest-agent
"""


class Machines:
    """The VMs of a cluster.

    Parameters
    ----------
    lab, names
        The lab, and which of its VMs.
    public_key_of
        Gives the public key by which a VM will be reached.
    """

    def __init__(self, lab: Lab, names: Iterable[str], public_key_of: Callable[[str], str]) -> None:
        self.lab = lab
        self.vms: list[Vm] = [lab.vms[name] for name in names]
        self.public_key_of = public_key_of
        for vm in self.vms:
            if lab.hosts[vm.host].ssh is None:
                raise BadParameter(
                    f"{vm.host} has no SSH login", where=f"hosts.{vm.host}.ssh", fix="add one"
                )
            if why := _not_made(lab, vm):
                raise BadParameter(
                    f"{vm.name} {why}",
                    where=f"vms.{vm.name}",
                    fix="only VMs from a cloud image with one disk, one network card and a fixed "
                    "address are made here",
                )

    def _hosts(self) -> list[str]:
        return sorted({vm.host for vm in self.vms})

    def _node(self, host: str) -> str:
        return self.lab.hosts[host].os.node or host

    def _files_of(self, host: str) -> tuple[str, str]:
        """The storage on a host that holds files, and its folder.

        Raises
        ------
        BadParameter
            The lab describes none.
        """
        for name, storage in self.lab.storages.get(host, {}).items():
            if storage.kind == "dir" and "snippets" in storage.content:
                return name, storage.path or ""
        raise BadParameter(
            f"no storage of {host} may hold snippets and images",
            where=f"storages.{host}",
            fix="describe one of kind dir with content [import, snippets], such as local",
        )

    # -------------------------------------------------------------------- room

    def room(self, ctx: Context) -> Iterator[Check]:
        """Cores, memory and disk that the VMs want, against what the host has left."""
        for name in self._hosts():
            host, node = ctx.host(name), self._node(name)
            called = [row["node"] for row in api(host, "/nodes")]
            if node not in called:
                raise StepFailed(
                    f"{name} is called {' or '.join(called)} by Proxmox, and {node} in the lab",
                    where=f"hosts.{name}.os.node",
                    fix=f"write  os: {{node: {called[0]}}}"
                    if len(called) == 1
                    else "name it there",
                )
            status = api(host, f"/nodes/{node}/status")
            rows = api(host, "/cluster/resources", "--type", "vm")
            ours = [vm for vm in self.vms if vm.host == name]
            numbers = {vm.vmid for vm in ours}
            others = [
                row
                for row in rows
                if row["node"] == node and row["vmid"] not in numbers and not row.get("template")
            ]
            yield _memory(ours, others, status["memory"]["total"], _cache_bytes(host))
            yield _cores(ours, status["cpuinfo"]["cpus"])
            yield from self._disks(host, node, ours, {row["vmid"] for row in rows})

    def _disks(self, host: Any, node: str, ours: list[Vm], made: set[int]) -> Iterator[Check]:
        stores = {row["storage"]: row for row in api(host, f"/nodes/{node}/storage")}
        for store in sorted({vm.storage for vm in ours}):
            if store not in stores:
                yield Check(f"{host.name} has storage {store}", False, "there is none of that name")
                continue
            if not stores[store].get("active"):
                # All its numbers are 0 then, into which nothing more wanted would fit.
                says = "Proxmox calls it inactive: a pool not imported, or a server not reached"
                yield Check(f"storage {store} is there", False, says)
                continue
            wanted = sum(
                vm.disk_bytes for vm in ours if vm.storage == store and vm.vmid not in made
            )
            free = stores[store]["avail"]
            says = f"{wanted / GIB:.0f} GiB wanted, {free / GIB:.0f} GiB free"
            yield Check(f"the VMs' disks fit on {store}", wanted <= free, says)

    # ------------------------------------------------------------------- image

    def image(self, ctx: Context) -> Iterator[Wanted]:
        """The storage's content types, the image, cloud-init's vendor part and the login keys."""
        for name in self._hosts():
            store, folder = self._files_of(name)
            yield StorageContent(name, store, ("import", "snippets"))
            images = {vm.image: self._image(vm) for vm in self.vms if vm.host == name}
            for image in images.values():
                url, sha256 = image.url or "", image.sha256 or ""
                yield Image(name, self._node(name), store, folder, image.filename, url, sha256)
            yield File(
                name,
                f"{folder}/snippets/homelab-vendor.yaml",
                VENDOR,
                what="cloud-init's vendor part",
                lab=self.lab.name,
            )
            for vm in self.vms:
                if vm.host == name:
                    keys = self.public_key_of(vm.name).strip() + "\n"
                    yield File(
                        name,
                        self._keys_file(vm),
                        keys,
                        what=f"the key for {vm.name}",
                        lab=self.lab.name,
                    )

    def _image(self, vm: Vm) -> CloudImage:
        return self.lab.images[vm.image or ""]

    def _keys_file(self, vm: Vm) -> str:
        return f"/var/lib/homelab/{vm.name}.pub"

    # ---------------------------------------------------------------- machines

    def machines(self, ctx: Context) -> Iterator[Wanted]:
        """The VMs; then their agents; then, by these, the host keys that we shall trust."""
        yield [self._vm(vm) for vm in self.vms]
        yield [GuestReady(vm.host, vm.vmid, vm.name, _address(vm)) for vm in self.vms]
        for vm in self.vms:
            key = guest_file(ctx.host(vm.host), vm.vmid, HOST_KEY, ctx.sleep).strip()
            if not key.startswith("ssh-ed25519 "):
                raise StepFailed(
                    f"{vm.name} has no ed25519 host key to show: {key[:60]!r}",
                    where=vm.host,
                    fix="look at sshd in the VM's console",
                )
            ctx.trust(vm.name, " ".join(key.split()[:2]), self._vm(vm))

    def _vm(self, vm: Vm) -> VirtualMachine:
        store, _ = self._files_of(vm.host)
        image = self._image(vm)
        return VirtualMachine(
            host=vm.host,
            lab=self.lab.name,
            node=self._node(vm.host),
            vmid=vm.vmid,
            vm_name=vm.name,
            options=self._options(vm, store),
            keys_file=self._keys_file(vm),
            public_keys=self.public_key_of(vm.name),
            storage=vm.storage,
            image=f"{store}:import/{image.filename}",
            disk_bytes=vm.disk_bytes,
        )

    def _options(self, vm: Vm, store: str) -> tuple[tuple[str, str], ...]:
        network = f"virtio={vm.mac.upper()}" if vm.mac else "virtio"
        network += f",bridge={vm.bridge}"
        if self._tagged(vm):
            network += f",tag={vm.vlan}"
        address = f"ip={vm.address}" + (f",gw={vm.gateway}" if vm.gateway else "")
        options = {
            "cores": str(vm.vcpu),
            "cpu": "host",
            "memory": str(vm.memory_bytes // 2**20),
            "balloon": "0",  # what a cluster was promised must not shrink under it
            "ostype": "l26",
            "scsihw": "virtio-scsi-single",
            "net0": network,
            "agent": "enabled=1",
            "serial0": "socket",
            "vga": "serial0",
            "ciuser": vm.user,
            "ipconfig0": address,
            # This format finds the network card by its address, so that a card passed through
            # later gives it no other name.
            "citype": "nocloud",
            "ciupgrade": "0",
            "cicustom": f"vendor={store}:snippets/homelab-vendor.yaml",
            "onboot": "1",
        }
        if vm.gpus:
            # Later is too late: the guest would not start under another firmware.
            options |= {
                "machine": "q35",
                "bios": "ovmf",
                "efidisk0": f"{vm.storage}:1,efitype=4m,pre-enrolled-keys=0",
            }
        if vm.nameserver:
            options["nameserver"] = vm.nameserver
        return tuple(options.items())

    def _tagged(self, vm: Vm) -> bool:
        """A VM in the VLAN that its bridge's port has untagged sends no tags."""
        ports = [p for p in self.lab.hosts[vm.host].attached.values() if p.bridge == vm.bridge]
        return all(port.vlan != vm.vlan for port in ports)

    def reached(self, ctx: Context) -> Iterator[Check]:
        """Each VM lets us in, and its first boot went well."""
        for vm in self.vms:
            try:
                shown = ctx.host(vm.name).read("cloud-init", "status", ok=None)
            except (Unreachable, AuthenticationRefused) as error:  # a stranger stops the run
                yield Check(f"{vm.name} lets us in", False, error.what)
                continue
            status = shown.stdout.strip().removeprefix("status: ")
            waited = 0.0
            while status == "running" and waited < 600:
                ctx.sleep(5)
                waited += 5
                shown = ctx.host(vm.name).read("cloud-init", "status", ok=None)
                status = shown.stdout.strip().removeprefix("status: ")
            name = read_file(ctx.host(vm.name), "/etc/hostname").strip()
            yield Check(f"{vm.name} answers by its name", name == vm.name, name)
            yield Check(f"{vm.name}: cloud-init is done", status.startswith("done"), status)

    def sizes(self, ctx: Context) -> Iterator[Measurement]:
        """What the VMs see of what they were given."""
        for vm in self.vms:
            count = ctx.host(vm.name).read("nproc").stdout
            yield Measurement(f"{vm.name}: processors", float(count), "processors", vm.vcpu)


def _address(vm: Vm) -> str:
    return vm.ip or ""


def _not_made(lab: Lab, vm: Vm) -> str:
    """What there is about a VM that these steps can't make; empty for nothing."""
    image = lab.images.get(vm.image or "")
    if image is None or image.kind != "cloud" or image.exists or vm.exists:
        return "starts from no cloud image that is fetched here"
    if vm.ip is None:
        return "gets its address by DHCP"
    if vm.disks or vm.nics or vm.cdroms or vm.passthrough:
        return "has further disks, network cards, ISO images or devices"
    if vm.firmware or vm.machine or vm.tpm or vm.ostype != "l26":
        return "asks for another firmware, machine or system than a Linux cloud image has"
    return ""


def _cache_bytes(host: Host) -> int:
    """What ZFS's cache may grow to [bytes]; 0 where there is no ZFS, or no limit: without one it
    gives way to VMs."""
    text = read_file(host, "/sys/module/zfs/parameters/zfs_arc_max").strip()
    return int(text) if text.isdigit() else 0


def _memory(ours: list[Vm], others: list[dict[str, Any]], total: int, cache: int) -> Check:
    wanted = sum(vm.memory_bytes for vm in ours) * _PER_VM
    taken = sum(row.get("maxmem", 0) for row in others) * _PER_VM + _HOST_KEEPS_BYTES + cache
    says = (
        f"{wanted / GIB:.1f} GiB wanted; {taken / GIB:.1f} GiB kept for the host, for ZFS's cache "
        f"({cache / GIB:.1f} GiB) and for other VMs; {total / GIB:.1f} GiB there"
    )
    return Check("the VMs fit into memory", wanted + taken <= total, says)


def _cores(ours: list[Vm], threads: int) -> Check:
    most = max(vm.vcpu for vm in ours)
    total = sum(vm.vcpu for vm in ours)
    says = f"{total} virtual processors on {threads} threads, {most} in the largest VM"
    return Check("the processors suffice", most <= threads and total <= 2 * threads, says)
