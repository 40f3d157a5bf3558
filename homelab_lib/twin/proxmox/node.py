"""A Proxmox node: its storages and its guests. `api` says what can be asked of it.

Sources: behaviour of qemu-server 9.2, pve-storage 9.1 and pve-manager 9.2.
"""

import hashlib
import math
import posixpath
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from homelab_lib.lab.guests import Image
from homelab_lib.twin.machine.bus import Function
from homelab_lib.twin.machine.columns import Row
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Commands
from homelab_lib.twin.machine.surroundings import Surroundings
from homelab_lib.twin.proxmox.archives import Archive
from homelab_lib.twin.proxmox.card import Card
from homelab_lib.twin.proxmox.container import Container
from homelab_lib.twin.proxmox.guest import Guest
from homelab_lib.twin.proxmox.interfaces import Ifupdown
from homelab_lib.twin.proxmox.locks import Locks
from homelab_lib.twin.proxmox.pools import ZPool
from homelab_lib.twin.proxmox.reach import Reach
from homelab_lib.twin.proxmox.schema import NO_SUCH_FILE, PveError, split_properties
from homelab_lib.twin.proxmox.software import built_apart, is_proxmoxs, read_at, switched_on
from homelab_lib.twin.proxmox.storage import FILES, FOLDERS, Store, Stores
from homelab_lib.twin.proxmox.tasks import Tasks
from homelab_lib.twin.proxmox.vm import VirtualMachine

HELD = "vfio-pci"
"""The driver that has a card for VMs."""
_BROADCAST_S = 10.0  # how often the state of guests goes round the cluster
_SEEN_BY_CLOUD_INIT = (
    *("name", "ciuser", "sshkeys", "ipconfig0", "nameserver", "searchdomain", "cipassword"),
)


def _order(vm: VirtualMachine) -> tuple[float, int]:
    """When a VM starts with its node: those without an order last."""
    order = split_properties(vm.config.get("startup", ""), "order").get("order")
    return float(order) if order else math.inf, vm.vmid


def _digest(image: Image) -> str:
    """An image's digest; of one that nobody has told it of, that of what stands for it here."""
    return image.sha256 or hashlib.sha256(image.filename.encode()).hexdigest()


def _own_archives(node: "ProxmoxNode", store: Store) -> dict[str, Archive]:
    """The backups on a server that nobody else of this world has."""
    return store.archives


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
        self.commit = ""
        self.rootfs_bytes = (100 * 10**9, 10 * 10**9)  # total, used
        self.stores = Stores()
        self.vms: dict[int, VirtualMachine] = {}
        self.tasks = Tasks(node, world.clock)
        self.locks = Locks(world, self.tasks)
        self.late_pools: set[str] = set()  # storages that nothing imports when it boots
        self.containers: dict[int, Container] = {}
        self.others: dict[int, dict[str, Any]] = {}
        """Guests of the cluster's other nodes: they have numbers too."""
        self.peers: list[dict[str, Any]] = []
        """The cluster's other nodes, and what else its list has of them."""
        self.cluster_name = "cluster"
        self.away: set[str] = set()  # nodes of the cluster that it does not see
        self.secure_boot = False
        self.disk_rows: list[dict[str, Any]] = []
        """The disks in it, as the API lists them."""
        self.zpools: dict[str, ZPool] = {}
        self.sources: list[dict[str, Any]] = []  # of packages, as the API lists their files
        self.subscribed = False
        self.initramfs: str | None = None  # ZFS's settings when it was made; None: those of now
        self.unlearnt: dict[str, Callable[[], None]] = {}
        """What the real node behind it is asked for only when somebody wants to know."""
        self.ifupdown = Ifupdown("3.3.0-1+pmx11")
        self.reach = Reach(self)
        self.on_boot: list[Callable[[ProxmoxNode], None]] = []
        self.pci: list[Any] = []  # the functions on its bus; `pci` knows what they are
        self.card_rows: dict[str, dict[str, Any]] = {}  # what is known of network cards there
        self.iommu_in_firmware = True
        self.early: dict[str, str] = {}  # what its initial file system says of modules
        self.loader, self.managed = "grub", False  # and whether proxmox-boot-tool keeps it
        self.boot_partition_bytes = 2**30
        self.entries: list[str] | None = None  # a kernel's options as the boot loader has them
        self.mappings: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, dict[str, str]] = {}  # backups that are made again and again
        self.backup_servers: dict[str, Any] = {}  # by address, those that it can know
        self.loops: dict[str, str] = {}  # what stands behind loop devices
        self.served: Callable[[ProxmoxNode, Store], dict[str, Archive]] = _own_archives
        self.used: dict[str, int] = {}  # how often a card was given to a VM since the boot
        self.stubborn: dict[str, str] = {}  # cards that don't come back, and what is seen of it
        self.passes: Callable[[ProxmoxNode, VirtualMachine], tuple[list[Function], list[Row]]]
        self.passes = lambda node, vm: ([], [])
        self.appliance_in: Callable[[Guest], Machine | None] = lambda guest: None
        """The system that a VM is an appliance by; None where it is none."""
        self.installs: Callable[[Guest], None] = lambda guest: None
        """Has a person install what the lab says from the image in a VM's drive."""

    @property
    def dkms(self) -> dict[str, set[str]]:
        """Modules that are built apart, each for the kernels whose headers are installed."""
        return built_apart(self.packages)

    def learn(self, what: str) -> None:
        """Ask the real node behind it, where it was not asked yet."""
        ask = self.unlearnt.pop(what, None)
        if ask is not None:
            ask()

    def offers(self, package: str) -> bool:
        """What Proxmox's own sources have, once one of them is switched on and was read."""
        self.learn("sources")
        if package.startswith("/"):
            return self.files.exists(package)
        read = (self.files.exists(read_at(each)) for each in switched_on(self.sources))
        return is_proxmoxs(package) and any(read)

    # ----------------------------------------------------------------- network

    @property
    def cards(self) -> list[Card]:
        """Its network cards."""
        return self.reach.cards

    @cards.setter
    def cards(self, cards: list[Card]) -> None:
        self.reach.cards = cards

    def accepts_logins(self) -> bool:
        return super().accepts_logins() and self.reach.is_open()

    # ----------------------------------------------------------------- storage

    def volume_path(self, volid: str) -> str:
        """The file behind ``local:import/x.qcow2``."""
        name, _, rest = volid.partition(":")
        kind, _, file = rest.partition("/")
        store = self.stores.named(name)
        if store.kind not in FILES or kind not in FOLDERS or not file:
            raise PveError(f"unable to parse volume ID '{volid}'")
        return posixpath.join(store.place, FOLDERS[kind], file)

    def behind(self, name: str) -> str:
        """Where on the bus a disk hangs, as sysfs has it; empty where it is not there."""
        link = self.files.entry(f"/sys/block/{name}", follow=False)
        return link.data.decode() if link is not None else ""

    def sees_disk(self, name: str) -> bool:
        """Not one behind a card that is kept for a VM, whether that runs or not: nothing gives a
        card back to its driver but the node's boot."""
        held = [each.slot for each in self.pci if each.driver == HELD]
        place = self.behind(name) if held else ""
        return not any(f"/{slot}." in place for slot in held)

    @property
    def disks(self) -> list[dict[str, Any]]:
        """Those that it drives, as the API lists them."""
        self.learn("disks")
        return [r for r in self.disk_rows if self.sees_disk(r["devpath"].rpartition("/")[2])]

    def volume_text(self, volid: str) -> str:
        """The text of a file on a storage; empty for none."""
        return self.files.text(self.volume_path(volid))

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
        if vmid in self.containers:
            return f"CT {vmid} already exists on node '{self.node}'"
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
        return vm.summary(now)

    def changes(self, vm: VirtualMachine) -> None:
        """Something of a VM is about to change: until the next broadcast the list won't know."""
        vm.told = {key: value for key, value in self.broadcast(vm).items() if key != "uptime"}
        vm.changed_s = self.world.clock.now()

    def bootable(self, vmid: int) -> bool:
        """Whether there is a system on its disk, and this firmware finds it."""
        vm = self.vms[vmid]
        vm.firmware = vm.firmware or vm.config.get("bios", "seabios")
        installed = self.image_of(vmid) is not None or (
            vm.guest is not None and (vm.guest.vouched or vm.guest.system is not None)
        )
        return vm.firmware == vm.config.get("bios", "seabios") and installed

    def image_of(self, vmid: int) -> Image | None:
        """The image that its disk was made from."""
        digest = self.vms[vmid].booted
        images = self.world.lab.images.values()
        return next((image for image in images if _digest(image) == digest), None)

    def instance_id(self, vmid: int) -> str:
        """cloud-init's instance: another one when what it says to the VM has changed."""
        config = self.vms[vmid].config
        text = "\n".join(f"{key}={config.get(key, '')}" for key in _SEEN_BY_CLOUD_INIT)
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def enter(self, guest: Guest) -> None:
        """Let a guest stand in the world, under its name where that is its own: a VM may be called
        as a host is, or as another VM."""
        machines, lab = self.world.machines, self.world.lab
        described = lab.vms.get(guest.name)
        inside = guest.inside
        free = guest.name not in lab.hosts and machines.get(guest.name, inside) is inside
        if free and (described is None or described.vmid == guest.vmid):
            machines[guest.name] = inside
        else:
            machines[f"{self.name}/{guest.vmid}"] = inside

    def leave(self, guest: Guest) -> None:
        """It is not there any more."""
        machines = self.world.machines
        for name in [name for name, each in machines.items() if each in (guest, guest.inside)]:
            del machines[name]

    # ------------------------------------------------------------ on, off, gone

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
        given, disks = self.passes(self, vm)
        self.changes(vm)
        vm.running, vm.started, vm.since_s = True, dict(vm.config), self.world.clock.now()
        if vm.guest is None or vm.guest.name != vm.config.get("name"):
            vm.guest = Guest(self, vmid)
            vm.inside.put_into(vm.guest)
            if vm.guest.has_installer:  # and a person at the console
                self.installs(vm.guest)
        vm.guest.gets(disks)
        inside = vm.guest.inside
        if given or inside.bus:
            inside.bus, inside.bus_is_known = given, True
        self.enter(vm.guest)
        vm.guest.power_on()

    def look_at_shares(self) -> None:
        """Whether each NFS storage on a VM of this world is there, which goes and comes with that
        VM; of one that nobody can look into it stays as the node has told. Source:
        `PVE::Storage::NFSPlugin`, check_connection."""
        for store in self.stores.values():
            server = str(store.options.get("server", ""))
            machine = self.world.find_ip(server) if store.kind == "nfs" else None
            if machine is not None and machine.name in self.world.lab.vms and not machine.closed:
                found, _ = self.world.nfs(self, server, str(store.options.get("export", "")))
                store.active = found is not None

    def _refuse_start(self, vm: VirtualMachine) -> None:
        self.look_at_shares()
        if sum(each.held_bytes for each in self.vms.values()) + vm.memory_bytes > self.memory_bytes:
            text = "kvm: cannot set up guest memory 'pc.ram': Cannot allocate memory\n"
            raise PveError(f"{text}start failed: QEMU exited with code 1")
        if vm.cores > self.threads:
            raise PveError(f"MAX {self.threads} vcpus allowed per VM on this node")
        bridges = [link.name for link in self.interfaces if link.kind == "bridge"]
        for key, value in vm.config.items():
            keys = split_properties(value, "model")
            if key.startswith("net") and keys.get("bridge", "") not in ("", *bridges):
                what = f"bridge '{keys['bridge']}' does not exist"
                raise PveError(f"{what}\nstart failed: exit code 2")
            store, colon, _ = keys.get("model", "").partition(":")
            if colon and store in self.stores and not self.stores[store].active:
                raise PveError(self._not_online(vm, self.stores[store]))

    def _not_online(self, vm: VirtualMachine, store: Store) -> str:
        """What a start says of a storage that is not there. One whose pool was only not imported
        it imports, too late for itself."""
        if store.name not in self.late_pools:
            return f"storage '{store.name}' is not online"
        store.active = True
        volume = f"{store.place}/vm-{vm.vmid}-cloudinit"
        return f"zfs error: cannot create '{volume}': dataset already exists"

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
        self.stores.free_volumes(vmid)
        if vm.guest is not None:
            self.leave(vm.guest)
        del self.vms[vmid]

    def power_off(self) -> None:
        for vm in self.vms.values():
            if vm.running:
                self.stop_vm(vm.vmid)
        for container in self.containers.values():
            container.running = False
        self.tasks.end_all("unexpected status")
        super().power_off()

    def _booted(self, boots: int) -> None:
        super()._booted(boots)
        if not self.up:
            return
        for starts in self.on_boot:
            starts(self)
        for name in self.late_pools & self.stores.keys():
            self.stores[name].active = False
        self._start_next(sorted(self.vms.values(), key=_order), boots)
        for container in self.containers.values():
            container.running = container.config.get("onboot") == "1"

    def _start_next(self, vms: list[VirtualMachine], boots: int) -> None:
        """Start those that start with the node, one by one, each after the one before was given the
        time that is written of it. `PVE::API2::Nodes`, startall."""
        for place, vm in enumerate(vms):
            if boots != self.boots or self.vms.get(vm.vmid) is not vm:
                continue
            if vm.config.get("onboot") != "1" or vm.running or not self._start_at_boot(vm):
                continue
            startup = split_properties(vm.config.get("startup", ""), "order")
            if "up" in startup:
                rest = partial(self._start_next, vms[place + 1 :], boots)
                self.world.after(float(startup["up"]), rest, label="startall")
                return

    def _start_at_boot(self, vm: VirtualMachine) -> bool:
        """What does not start fails by itself: the task that starts them all ends well.

        What nobody has seen is not an empty machine: it runs, and nobody gets in. (One that a
        person has started is looked at anew, `Change.unseen`.)
        """
        first = vm.guest is None
        upid = self.tasks.begin("qmstart", str(vm.vmid))
        try:
            self.start_vm(vm.vmid)
        except PveError as error:
            self.tasks.end(upid, error.text)
            return False
        self.tasks.end(upid)
        if first and vm.unseen and vm.guest is not None:
            vm.guest.inside.closed = True
        return True

    def state(self) -> dict[str, Any]:
        vms = {}
        for vmid, vm in sorted(self.vms.items()):
            ignored = ("meta", "vmgenid", "smbios1")
            config = {key: value for key, value in vm.config.items() if key not in ignored}
            vms[vmid] = {"config": dict(sorted(config.items())), "running": vm.running}
        for vmid, container in sorted(self.containers.items()):
            vms[vmid] = {"config": dict(sorted(container.config.items())),
                         "running": container.running}  # fmt: skip
        volumes = {name: dict(sorted(s.volumes.items())) for name, s in self.stores.items()}
        backed_up = {name: sorted({a.vmid for a in s.archives.values()})
                     for name, s in self.stores.items() if s.archives}  # fmt: skip
        maps = {name: sorted(each["map"]) for name, each in sorted(self.mappings.items())}
        return super().state() | {"vms": vms, "volumes": volumes, "mappings": maps,
                                "jobs": self.jobs, "backups": backed_up}  # fmt: skip
