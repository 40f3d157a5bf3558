"""A Proxmox node: its storages, its VMs, its tasks. `pvesh` and `qm` are doors to it.

Sources: behaviour of qemu-server 9.2, pve-storage 9.1 and pve-manager 9.2.
"""

import hashlib
import posixpath
from collections.abc import Iterable
from typing import Any

from homelab_lib.lab.guests import Image
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Commands
from homelab_lib.twin.machine.surroundings import Surroundings
from homelab_lib.twin.proxmox.guest import Guest, VirtualMachine
from homelab_lib.twin.proxmox.schema import NO_SUCH_FILE, PveError, split_properties
from homelab_lib.twin.proxmox.storage import FOLDERS, Store

_BROADCAST_S = 10.0  # how often the state of guests goes round the cluster


class ProxmoxNode(Machine):
    """The node.

    Parameters
    ----------
    name, world
        As for `Machine`.
    node
        Its name in the cluster.
    version
        Release, such as ``9.1.4``.
    commands
        The sets of programs it knows.
    """

    def __init__(
        self,
        name: str,
        world: Surroundings,
        *,
        node: str,
        version: str,
        commands: Iterable[Commands] = (),
    ) -> None:
        super().__init__(name, world, commands=commands)
        self.node = node
        self.version = version
        self.stores: dict[str, Store] = {}
        self.vms: dict[int, VirtualMachine] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.others: dict[int, dict[str, Any]] = {}
        """Containers here, and guests of the cluster's other nodes: they have numbers too."""
        self._tasks = 1000

    # ------------------------------------------------------------------- tasks

    def new_task(self, kind: str, subject: str = "") -> str:
        """A task's UPID; it runs until `end_task`."""
        self._tasks += 1
        when = int(self.world.clock.now())
        number = f"{self._tasks:08X}"
        upid = f"UPID:{self.node}:{number}:{number}:{when:08X}:{kind}:{subject}:root@pam:"
        self.tasks[upid] = {
            "upid": upid,
            "type": kind,
            "id": subject,
            "user": "root@pam",
            "node": self.node,
            "starttime": when,
            "status": "running",
        }
        return upid

    def end_task(self, upid: str, exitstatus: str = "OK") -> None:
        """A task's end."""
        self.tasks[upid] |= {"status": "stopped", "exitstatus": exitstatus}

    # ----------------------------------------------------------------- storage

    def store(self, name: str) -> Store:
        """The storage of that name.

        Raises
        ------
        PveError
            In Proxmox's words.
        """
        if name not in self.stores:
            raise PveError(f"storage '{name}' does not exist", NO_SUCH_FILE)
        return self.stores[name]

    def volume_path(self, volid: str) -> str:
        """The file behind ``local:import/x.qcow2``."""
        name, _, rest = volid.partition(":")
        kind, _, file = rest.partition("/")
        store = self.store(name)
        if store.kind != "dir" or kind not in FOLDERS or not file:
            raise PveError(f"unable to parse volume ID '{volid}'")
        return posixpath.join(store.place, FOLDERS[kind], file)

    def volume_text(self, volid: str) -> str:
        """The text of a file on a storage; empty for none."""
        return self.files.text(self.volume_path(volid))

    def contents(self, store: Store) -> list[dict[str, Any]]:
        """What a storage holds, as the API lists it."""
        rows: list[dict[str, Any]] = []
        if store.kind == "dir":
            for content, folder in FOLDERS.items():
                path = posixpath.join(store.place, folder)
                if content not in store.content or not self.files.is_dir(path):
                    continue
                for file in self.files.listdir(path):
                    entry = self.files.entry(posixpath.join(path, file))
                    if entry is not None and entry.kind == "file":
                        form = "qcow2" if file.endswith((".qcow2", ".img")) else "raw"
                        form = "snippet" if content == "snippets" else form
                        rows.append(
                            {
                                "volid": f"{store.name}:{content}/{file}",
                                "content": content,
                                "format": form,
                                "size": entry.size,
                            }
                        )
        rows += [
            {
                "volid": f"{store.name}:{name}",
                "content": "images",
                "format": "raw",
                "size": size,
                "vmid": int(name.split("-")[1]),
            }
            for name, size in sorted(store.volumes.items())
        ]
        return rows

    def allocate(self, store_name: str, name: str, size_bytes: int) -> str:
        """Make a volume.

        Raises
        ------
        PveError
            No room, or not there.
        """
        store = self.store(store_name)
        if "images" not in store.content:
            raise PveError(f"storage '{store_name}' does not support content-type 'images'")
        if size_bytes > store.size_bytes - sum(store.volumes.values()):
            raise PveError(f"zfs error: cannot create '{store.place}/{name}': out of space")
        store.volumes[name] = size_bytes
        return f"{store_name}:{name}"

    def free_name(self, vmid: int) -> str:
        """The next ``vm-201-disk-N``."""
        taken = {name for store in self.stores.values() for name in store.volumes}
        return next(n for i in range(99) if (n := f"vm-{vmid}-disk-{i}") not in taken)

    def volume_size(self, volid: str) -> int:
        """How large a VM's disk is [bytes]."""
        name, _, volume = volid.partition(":")
        return self.store(name).volumes[volume]

    # --------------------------------------------------------------------- VMs

    def vm(self, vmid: int) -> VirtualMachine:
        """The VM with that number.

        Raises
        ------
        PveError
            In Proxmox's words.
        """
        if vmid not in self.vms:
            path = f"nodes/{self.node}/qemu-server/{vmid}.conf"
            raise PveError(f"Configuration file '{path}' does not exist", NO_SUCH_FILE)
        return self.vms[vmid]

    def taken_by(self, vmid: int) -> str:
        """What has a number, in the cluster's words; empty where it is free."""
        if vmid in self.vms:
            return f"VM {vmid} already exists on node '{self.node}'"
        if vmid not in self.others:
            return ""
        row = self.others[vmid]
        kind = "CT" if row.get("type") == "lxc" else "VM"
        return f"{kind} {vmid} already exists on node '{row['node']}'"

    def broadcast(self, vm: VirtualMachine) -> dict[str, Any]:
        """What the cluster's list says of a VM: as it was at the last broadcast."""
        now = self.world.clock.now()
        if vm.changed_s > now - now % _BROADCAST_S:
            return vm.told or {"status": "unknown"}
        return vm.summary()

    def changes(self, vm: VirtualMachine) -> None:
        """Something of a VM is about to change: until the next broadcast the list won't know."""
        vm.told = {key: value for key, value in self.broadcast(vm).items() if key != "uptime"}
        vm.changed_s = self.world.clock.now()

    def bootable(self, vmid: int) -> bool:
        """Whether there is a system on its disk, and this firmware finds it."""
        vm = self.vms[vmid]
        vm.firmware = vm.firmware or vm.config.get("bios", "seabios")
        installed = self.image_of(vmid) is not None or (vm.guest is not None and vm.guest.vouched)
        return vm.firmware == vm.config.get("bios", "seabios") and installed

    def image_of(self, vmid: int) -> Image | None:
        """The image that its disk was made from."""
        digest = self.vms[vmid].booted
        images = self.world.lab.images.values()
        return next((image for image in images if image.sha256 == digest), None)

    def instance_id(self, vmid: int) -> str:
        """cloud-init's instance: another one when what it says to the VM has changed."""
        config = self.vms[vmid].config
        keys = (
            "name",
            "ciuser",
            "sshkeys",
            "ipconfig0",
            "nameserver",
            "searchdomain",
            "cipassword",
        )
        text = "\n".join(f"{key}={config.get(key, '')}" for key in keys)
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def start_vm(self, vmid: int) -> None:
        """Switch a VM on.

        Raises
        ------
        PveError
            It does not start.
        """
        vm = self.vm(vmid)
        if vm.running:
            raise PveError(f"VM {vmid} already running")
        if "lock" in vm.config:
            raise PveError(f"VM is locked ({vm.config['lock']})")
        self._refuse_start(vm)
        self.changes(vm)
        vm.running, vm.started = True, dict(vm.config)
        if vm.guest is None or vm.guest.name != vm.config.get("name"):
            vm.guest = Guest(self, vmid)
        vm.guest.sees()
        self.world.machines[vm.guest.name] = vm.guest
        vm.guest.power_on()

    def _refuse_start(self, vm: VirtualMachine) -> None:
        wanted = vm.memory_bytes
        used = sum(
            int(split_properties(other.started.get("memory", "512"), "current")["current"]) * 2**20
            for other in self.vms.values()
            if other.running
        )
        if used + wanted > self.memory_bytes:
            text = "kvm: cannot set up guest memory 'pc.ram': Cannot allocate memory\n"
            raise PveError(f"{text}start failed: QEMU exited with code 1")
        if int(vm.config.get("cores", 1)) > self.threads:
            raise PveError(f"MAX {self.threads} vcpus allowed per VM on this node")
        bridges = self.world.lab.hosts[self.name].bridges
        for key, value in vm.config.items():
            bridge = split_properties(value, "model").get("bridge") if key[:3] == "net" else None
            if bridge and bridge not in bridges:
                raise PveError(f"bridge '{bridge}' does not exist\nstart failed: exit code 2")

    def stop_vm(self, vmid: int) -> None:
        """Switch a VM off."""
        vm = self.vm(vmid)
        self.changes(vm)
        vm.running = False
        if vm.guest is not None:
            vm.guest.boots += 1
            vm.guest.power_off()

    def destroy_vm(self, vmid: int, *, skip_lock: bool = False) -> None:
        """Delete a VM and its disks.

        Raises
        ------
        PveError
            It runs, or is protected.
        """
        vm = self.vm(vmid)
        if vm.running:
            raise PveError(f"VM {vmid} is running - destroy failed")
        if vm.config.get("protection") == "1":
            raise PveError(f"can't remove VM {vmid} - protection mode enabled")
        if "lock" in vm.config and not skip_lock:
            raise PveError(f"VM is locked ({vm.config['lock']})")
        for store in self.stores.values():
            store.volumes = {
                name: size
                for name, size in store.volumes.items()
                if not name.startswith(f"vm-{vmid}-")
            }
        if vm.guest is not None:
            self.world.machines.pop(vm.guest.name, None)
        del self.vms[vmid]

    def power_off(self) -> None:
        for vm in self.vms.values():
            if vm.running:
                self.stop_vm(vm.vmid)
        for task in self.tasks.values():
            if task["status"] == "running":
                task |= {"status": "stopped", "exitstatus": "unexpected status"}
        super().power_off()

    def _booted(self, boots: int) -> None:
        super()._booted(boots)
        for vm in self.vms.values():
            if self.up and vm.config.get("onboot") == "1" and not vm.running:
                self.start_vm(vm.vmid)

    def state(self) -> dict[str, Any]:
        vms = {}
        for vmid, vm in sorted(self.vms.items()):
            ignored = ("meta", "vmgenid", "smbios1")
            config = {key: value for key, value in vm.config.items() if key not in ignored}
            vms[vmid] = {"config": dict(sorted(config.items())), "running": vm.running}
        volumes = {name: dict(sorted(s.volumes.items())) for name, s in self.stores.items()}
        return super().state() | {"vms": vms, "volumes": volumes}
