"""A Proxmox host before its network and its VMs: installed, with sources of packages, pools and
storages, and a limit to ZFS's cache."""

from collections.abc import Iterator

from homelab_lib.answers import Shape, whole
from homelab_lib.control.linux import Packages, SystemdService
from homelab_lib.control.linux.zfs import is_scrubbed
from homelab_lib.control.proxmox.api import api
from homelab_lib.control.proxmox.arc import ArcLimit
from homelab_lib.control.proxmox.pool import ZfsPool
from homelab_lib.control.proxmox.repositories import Repositories
from homelab_lib.control.proxmox.storage import Storage
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.host import Host
from homelab_lib.lab.pools import Pool
from homelab_lib.lab.releases import series_of
from homelab_lib.lab.storage import STORAGE_KINDS, VmStorage
from homelab_lib.models.compute import default_arc_bytes
from homelab_lib.recipes.proxmox.virtual_machine import node
from homelab_lib.runbook.step import Check, Context, Manual, Step, Wanted

MAKES = ("hosts", "pools", "storages")

_GIB = 2**30
_HOST_BYTES = 4 * _GIB  # what the host itself needs, beside ZFS's cache
_PER_VM = 1.05  # QEMU takes about this much of what the guest sees
_SYNCHRONISED_S = 120.0
_VERSION: Shape = {"version": str}
_NODES: Shape = [{"node": str}]
_DISKS: Shape = [{"devpath": str, "serial?": str, "used?": str}]
_POOLS: Shape = [{"name": str, "health?": str}]
_STATUS: Shape = {"memory": {"total": whole}}
_STORAGES: Shape = [{"storage": str, "active?": whole}]
_SECRETIVE = ("cifs", "pbs")  # kinds that ask for a password, which no lab holds


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The steps of the Proxmox hosts, pools and storages that a phase makes.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        Something of it can't be made: its key and what to do.
    """
    hosts = [host for host in lab.hosts.values() if host.os.kind == "proxmox" and host.ssh]
    parts = [part for host in hosts if (part := ProxmoxHost(lab, host, phase)).has_steps]
    for part in parts:
        yield from part.steps(f"-{part.host.name}" if len(parts) > 1 else "")


class ProxmoxHost:
    """What a phase makes of one host; see `steps`."""

    def __init__(self, lab: Lab, host: Host, phase: int) -> None:
        self.lab = lab
        self.host = host
        self.node = node(lab, host.name)
        self.is_new = host.phase == phase and not host.standalone
        pools, storages = lab.pools.get(host.name, {}), lab.storages.get(host.name, {})
        self.pools = [pool for pool in pools.values() if pool.phase == phase and not pool.exists]
        # Where guests are backed up to is made with these, once what it lies on is there.
        later = lab.backups.storages_of(host.name)
        self.storages = [
            each
            for each in storages.values()
            if each.phase == phase and not each.exists and each.name not in later
        ]

    @property
    def has_steps(self) -> bool:
        return self.is_new or bool(self.pools or self.storages)

    def steps(self, end: str) -> Iterator[Step]:
        """Installation, package sources, time; pools, storages, ZFS's cache."""
        before: tuple[str, ...] = ()
        if self.is_new:
            yield from self._first(end)
            before = (f"sources{end}",)
        for pool in self.pools:
            wanted = self._pool(pool)
            title = f"Make pool {pool.name} of {self.node}, a {pool.title}"
            yield Step(
                f"pool-{pool.name}{end}",
                title,
                why="The disks are known by their serial numbers: what is called nvme0 changes "
                "between boots. One that is in use, or has a label or a partition table of "
                "whomever, stops this step, and nothing is ever forced or wiped. A pool of that "
                "name with other disks is somebody's.",
                needs=before,
                ensure=lambda ctx, wanted=wanted: iter([wanted]),  # type: ignore[misc]
                check=lambda ctx, pool=pool: self.is_online(ctx, pool),  # type: ignore[misc]
            )
        made = (*before, *(f"pool-{pool.name}{end}" for pool in self.pools))
        if self.storages:
            wanted_stores = [self._storage(each) for each in self.storages]
            yield Step(
                f"storages{end}",
                f"Tell {self.node} where it keeps disks and images",
                why="A storage is a name for a pool, a folder or a share, and what may lie there. "
                "One that is there and lies elsewhere is left alone, and stops this step.",
                needs=made,
                ensure=lambda ctx: iter(wanted_stores),
                check=self.are_active,
            )
        if self.is_new and self.lab.pools.get(self.host.name):
            yield Step(
                f"cache{end}",
                f"Limit ZFS's cache on {self.node}",
                why="What VMs were promised must be there for them: ZFS gives memory back too late "
                "for a VM that starts, and one with a card passed through takes all of its memory "
                "at once. The limit counts at once; the initramfs is made anew so that it counts "
                "after a reboot, too.",
                needs=made,
                ensure=self.cache,
            )

    # ------------------------------------------------------------- installation

    def _first(self, end: str) -> Iterator[Step]:
        yield Step(
            f"installed{end}",
            f"Install Proxmox VE on {self.host.title}",
            why="An installer asks questions that only a person answers, at the machine. What it "
            "has done is then looked at: the release, the node's name, the disk that it boots "
            "from.",
            manual=Manual(self._checklist()),
            check=self.is_installed,
        )
        yield Step(
            f"sources{end}",
            f"Have {self.node} read package sources that it may read",
            why="Without a subscription the enterprise sources refuse every update, the security "
            "ones with it. They are switched off and kept; the free one is added, in the form "
            "that the release has.",
            needs=(f"installed{end}",),
            ensure=lambda ctx: iter([Repositories(self.host.name, self.node)]),
        )
        yield Step(
            f"time{end}",
            f"Have {self.node} know the time",
            why="Certificates, a cluster's agreement and every log stand on it.",
            needs=(f"sources{end}",),
            ensure=self.time,
            check=self.is_synchronised,
        )

    def _checklist(self) -> str:
        boot = next((disk for disk in self.host.disks.values() if disk.role == "boot"), None)
        root = next((p for p in self.lab.pools.get(self.host.name, {}).values()
                     if boot is not None and boot.name in p.disks_for("data")), None)  # fmt: skip
        cards = [port for port in self.host.ports.values() if port.interface]
        first = min(cards, key=lambda port: _since(port.part.in_tree_since), default=None)
        address = next(
            (
                c
                for port in self.host.attached.values()
                for c in port.cidrs
                if self.host.ssh and c.startswith(f"{self.host.ssh.address}/")
            ),
            "",
        )
        lines = [
            f"compare the image's checksum, and install Proxmox VE {self.host.os.version}",
            "firmware: virtualisation and IOMMU on, no RAID mode for disks",
        ]
        if boot is not None:
            how = f"as ZFS, pool {root.name}" if root else "as the installer proposes"
            lines.append(f"on {boot.part.title} with serial number {boot.serial or '?'}, {how}")
        if first is not None:
            lines.append(
                f"network over port {first.name} ({first.part.chip}), whose driver every kernel "
                f"of it has: {address or 'an address of yours'}"
            )
        lines.append(f"call the node {self.node}; then let the key of {self._login} in")
        return "; ".join(lines)

    @property
    def _login(self) -> str:
        return f"{self.host.ssh.user}@{self.host.ssh.address}" if self.host.ssh else "root"

    def is_installed(self, ctx: Context) -> Iterator[Check]:
        """Release, node name, and the disk that it boots from are the lab's."""
        host = ctx.host(self.host.name)
        version = api(host, "/version", shape=_VERSION)["version"]
        wanted = self.host.os.version
        same = not wanted or series_of("proxmox", version) == series_of("proxmox", wanted)
        yield Check(f"it is Proxmox VE {wanted or 'of any release'}", same, f"it is {version}")
        names = [row["node"] for row in api(host, "/nodes", shape=_NODES)]
        yield Check(f"its node is called {self.node}", self.node in names, ", ".join(names))
        rows = api(host, f"/nodes/{self.node}/disks/list", shape=_DISKS)
        used = {row.get("serial", "").strip(): row.get("used", "") for row in rows}
        for disk in self.host.disks.values():
            if disk.role == "boot" and disk.serial:
                says = f"used for {used.get(disk.serial) or 'nothing'}, "
                says += f"of {', '.join(filter(None, used))}"
                title = f"it boots from the disk {disk.serial}"
                yield Check(title, bool(used.get(disk.serial)), says)
        boot = {disk.name for disk in self.host.disks.values() if disk.role == "boot"}
        found = [row["name"] for row in api(host, f"/nodes/{self.node}/disks/zfs", shape=_POOLS)]
        for pool in self.lab.pools.get(self.host.name, {}).values():
            if boot & set(pool.disks_for("data")) and pool not in self.pools:
                says = ", ".join(found) or "it has none"
                yield Check(f"its root pool is {pool.name}", pool.name in found, says)

    # --------------------------------------------------------------------- time

    def time(self, ctx: Context) -> Iterator[Wanted]:
        """Chrony, as Proxmox itself brings along."""
        yield Packages(self.host.name, ("chrony",))
        yield SystemdService(self.host.name, "chrony")

    def is_synchronised(self, ctx: Context) -> Iterator[Check]:
        """The clock goes by others'; that takes a while after chrony was started."""
        host = ctx.host(self.host.name)
        said = ""
        for _ in ctx.looks(_SYNCHRONISED_S):
            words = ("timedatectl", "show", "-p", "NTPSynchronized", "--value")
            said = host.read(*words).stdout.strip()
            if said == "yes":
                break
        yield Check(f"the clock of {self.node} goes by others'", said == "yes", said)

    # ------------------------------------------------------------ pools, storages

    def _pool(self, pool: Pool) -> ZfsPool:
        where = f"pools.{self.host.name}.{pool.name}"
        groups = pool.groups
        if len(groups) != 1 or groups[0].role != "data" or ":" in groups[0].layout:
            raise BadParameter(
                f"pool {pool.name!r} of {self.host.name} is {pool.title}, which Proxmox's API "
                "does not make",
                where=where,
                fix="make it by hand with zpool create, and say exists: true of it",
            )
        serials = [self.host.disks[name].serial for name in groups[0].disks]
        if None in serials or len(set(serials)) < len(serials):
            raise BadParameter(
                f"the disks of pool {pool.name!r} have to have serial numbers, each its own",
                where=where,
                fix="write  serial:  for each of them, as its label has it",
            )
        return ZfsPool(
            self.host.name,
            self.node,
            pool.name,
            groups[0].layout,
            tuple(str(serial) for serial in serials),
            pool.ashift,
        )

    def is_online(self, ctx: Context, pool: Pool) -> Iterator[Check]:
        """The pool is there, and whole."""
        rows = api(ctx.host(self.host.name), f"/nodes/{self.node}/disks/zfs", shape=_POOLS)
        health = next((row.get("health", "") for row in rows if row["name"] == pool.name), "")
        title = f"pool {pool.name} is whole"
        yield Check(title, health == "ONLINE", health or "it is not there")
        if pool.scrub is not None:
            why = is_scrubbed(ctx.host(self.host.name), pool.name)
            says = why or "by the distribution's own job, on the second Sunday of each"
            yield Check(f"pool {pool.name} is scrubbed each month", not why, says)

    def _storage(self, storage: VmStorage) -> Storage:
        if storage.kind in _SECRETIVE:
            raise BadParameter(
                f"storage {storage.name!r} is of kind {storage.kind}, which asks for a password",
                where=f"storages.{self.host.name}.{storage.name}",
                fix="make it by hand in Proxmox, and say exists: true of it",
            )
        return made_storage(self.host.name, self.node, storage)

    def are_active(self, ctx: Context) -> Iterator[Check]:
        """Each storage of the step is in use."""
        rows = api(ctx.host(self.host.name), f"/nodes/{self.node}/storage", shape=_STORAGES)
        active = {row["storage"] for row in rows if row.get("active")}
        for storage in self.storages:
            there = storage.name in active
            yield Check(f"storage {storage.name} is active", there, "" if there else "it is not")

    # -------------------------------------------------------------------- cache

    def cache(self, ctx: Context) -> Iterator[Wanted]:
        """What the VMs of the lab and the host itself leave, a tenth of the memory at most."""
        status = api(ctx.host(self.host.name), f"/nodes/{self.node}/status", shape=_STATUS)
        total = int(status["memory"]["total"])
        yield ArcLimit(self.host.name, self._cache_bytes(total), total, lab=self.lab.name)

    def _cache_bytes(self, total: int) -> int:
        """What ZFS's cache may grow to on a host of that memory [bytes], in whole MiB: what it is
        reckoned with everywhere, and less where guests that are described leave less."""
        name = self.host.name
        vms = sum(vm.memory_bytes for vm in self.lab.vms.values() if vm.host == name)
        others = sum(
            each.memory_bytes for each in self.lab.containers.values() if each.host == name
        )
        left = total - int(vms * _PER_VM) - others - _HOST_BYTES
        return max(min(default_arc_bytes(total), left), 0) // 2**20 * 2**20


def _since(version: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in (version or "999").split(".") if part.isdigit())


def made_storage(host: str, node: str, storage: VmStorage) -> Storage:
    """A storage that asks for no password, as it is described.

    Parameters
    ----------
    host, node, storage
        The machine, its node name, and what is described.
    """
    needs, _ = STORAGE_KINDS[storage.kind]
    place = tuple((key, str(getattr(storage, key))) for key in needs)
    return Storage(host, node, storage.name, storage.kind, place, storage.content)
