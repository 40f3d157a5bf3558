"""A TrueNAS: pools, datasets, shares and services behind the middleware that `midclt` talks to."""

import hashlib
import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping

from homelab_lib.twin.machine.appliance import Appliance
from homelab_lib.twin.machine.program import Commands
from homelab_lib.twin.machine.surroundings import Export, Surroundings
from homelab_lib.twin.machine.tree import Mount
from homelab_lib.twin.truenas.catalog import composed, published
from homelab_lib.twin.truenas.jobs import Jobs
from homelab_lib.twin.truenas.network import Network
from homelab_lib.twin.truenas.tables import (
    BUILTIN_GROUPS,
    NFS_CONFIG,
    USERS,
    Row,
    Table,
    group_row,
    installed,
    user_row,
)
from homelab_lib.twin.truenas.zfs import NasDisk, ZPool
from homelab_lib.twin.truenas.zfs_dataset import NasDataset, used_bytes


class TrueNas(Appliance):
    """The NAS.

    Parameters
    ----------
    name, world, user, version, commands
        As for `Appliance`.
    """

    brings_agent = True  # scale-build, conf/build.manifest: qemu-guest-agent

    def __init__(
        self,
        name: str,
        world: Surroundings,
        *,
        user: str,
        version: str,
        commands: Iterable[Commands] = (),
    ) -> None:
        super().__init__(name, world, user=user, version=version, commands=commands)
        self.disks: dict[str, NasDisk] = {}
        self.pools: dict[str, ZPool] = {}
        self.datasets: dict[str, NasDataset] = {}
        self.exported: dict[str, tuple[ZPool, dict[str, NasDataset]]] = {}  # by guid
        self.services = installed(self.release)
        self.tables: dict[str, Table] = defaultdict(Table)
        self.config: dict[str, Row] = {
            "nfs": dict(NFS_CONFIG),
            "smb": {"netbiosname": name.upper()[:15]},
            "network.configuration": {},
            "systemdataset": {"id": 1, "pool": "boot-pool", "basename": "boot-pool/.system"},
            "docker": {"id": 1, "pool": None, "dataset": None},
            "smb_acls": {},
        }
        self.apps: list[Row] = []
        self.app_values: dict[str, Row] = {}
        self.downloads: dict[str, tuple[str, bytes]] = {}  # token and content, by their place
        self.render_nodes: dict[str, str] = {}  # what the lab calls the graphics behind each
        self.alerts: list[Row] = []
        self.jobs = Jobs(self.now_s, lambda delay_s, action: world.after(delay_s, action))
        self.network = Network([], self.now_s, lambda d, action: world.after(d, action))
        self.listeners |= {2049: lambda: self.services["nfs"].running}
        self.listeners |= {445: lambda: self.services["cifs"].running}
        for number, user_name, name_of_group in USERS:
            group = group_row(number, name_of_group, builtin=True)
            group["id"] = self.tables["group"].insert(group)
            self.tables["user"].insert(user_row(number, user_name, group))
        for number, group_name in BUILTIN_GROUPS:
            self.tables["group"].insert(group_row(number, group_name, builtin=True))
        for number in range(3):
            server = {"address": f"{number}.debian.pool.ntp.org", "burst": False, "iburst": True}
            server |= {"prefer": False, "minpoll": 6, "maxpoll": 10}
            self.tables["system.ntpserver"].insert(server)
        self.files.mkdir("/mnt")

    def connect(self, *, configured: bool, built: Mapping[str, Row] | None = None) -> None:
        """Take the machine's interfaces as configured by hand, or as DHCP has set them up.

        Parameters
        ----------
        configured
            Whether somebody set up all of them.
        built
            What is configured of those that are no ports.
        """
        self.network = Network(
            self.interfaces,
            self.now_s,
            lambda d, a: self.world.after(d, a),
            self._regroup,
        )
        gateway = next((one.gateway for one in self.interfaces if one.gateway), "")
        for name, row in (built or {}).items():
            self.network.create(name, dict(row))
        if configured:
            self.network.configure_as_running(gateway)
        else:
            self.network.lease(gateway)
        self.network.seeded()

    def _regroup(self, segments: Mapping[str, str]) -> None:
        """Have the lab's wires follow the interfaces; one that the lab does not know has none."""
        if self.name in self.world.lab.hosts:
            self.world.regroup(self.name, segments)

    # -------------------------------------------------------------------- facts

    def now_s(self) -> float:
        return self.world.clock.now()

    def uptime_s(self) -> float:
        return self.now_s() - self.booted_s

    def guid(self, what: str) -> str:
        """A number that stays the same for the same thing."""
        text = hashlib.sha256(f"{self.world.seed}{self.name}{what}".encode()).hexdigest()
        return str(int(text[:15], 16))

    def user_names(self) -> set[str]:
        return {row["username"] for row in self.tables["user"].rows()}

    def group_names(self) -> set[str]:
        return {row["name"] for row in self.tables["group"].rows()}

    def twins_of(self, disk: str) -> list[str]:
        """Other disks with the same serial number."""
        serial = self.disks[disk].serial
        return [o.name for o in self.disks.values() if o.serial == serial and o.name != disk]

    # -------------------------------------------------------------------- pools

    def pool_rows(self) -> list[Row]:
        guids = {name: self.guid(name) for name in self.disks}
        return [
            pool.row(used_bytes(self.datasets, pool.name), guids, self.release)
            | self._scrubbed(pool)
            for pool in self.pools.values()
        ]

    def _scrubbed(self, pool: ZPool) -> Row:
        """What a pool says of its last scrub: they come by themselves, as its task has it."""
        tasks = [row for row in self.tables["pool.scrub"].rows() if row["pool"] == pool.id]
        every_s = tasks[0]["threshold"] * 86_400.0 if tasks and tasks[0]["enabled"] else 0.0
        turns = int((self.now_s() - pool.created_s) // every_s) if every_s else 0
        if not turns or pool.told:
            return {}
        ended_ms = int((pool.created_s + turns * every_s) * 1000)
        return {"scan": {"function": "SCRUB", "state": "FINISHED", "errors": 0,
                         "end_time": {"$date": ended_ms}}}  # fmt: skip

    def available_bytes(self, dataset: str) -> int:
        """What is free for a dataset [bytes]."""
        pool = self.pools[dataset.partition("/")[0]]
        return pool.usable_bytes - used_bytes(self.datasets, pool.name)

    def add_dataset(self, dataset: NasDataset) -> None:
        """Keep a dataset, and mount it where it is a file system that can be read."""
        self.datasets[dataset.name] = dataset
        if dataset.kind == "VOLUME" or dataset.locked:
            return
        self.files.mkdir(dataset.mountpoint, parents=True)
        mount = Mount(dataset.mountpoint, dataset.files, "/", dataset.name, "zfs")
        self.files.mount(mount)

    def remove_dataset(self, name: str) -> None:
        """Destroy a dataset; what was shared of it is shared no more."""
        dataset = self.datasets.pop(name)
        if dataset.kind == "VOLUME" or dataset.locked:
            return
        self.files.umount(dataset.mountpoint)
        self.files.remove(dataset.mountpoint)
        for table in ("nfs", "smb"):
            for row in self.shares_of(table, name):
                self.tables[table].delete(row["id"])

    def dataset_of(self, path: str) -> NasDataset | None:
        """The dataset that a path is in."""
        inside = [
            dataset
            for dataset in self.datasets.values()
            if (dataset.mountpoint == path or path.startswith(f"{dataset.mountpoint}/"))
            and dataset.kind == "FILESYSTEM"
            and not dataset.locked
        ]
        return max(inside, key=lambda dataset: len(dataset.name), default=None)

    def place_of(self, path: str) -> Row:
        """The dataset of a path, and where in it."""
        dataset = self.dataset_of(path)
        inside = path.removeprefix(dataset.mountpoint).strip("/") if dataset else None
        return {"dataset": dataset and dataset.name, "relative_path": inside}

    # ------------------------------------------------------------------- shares

    def shares_of(self, table: str, dataset: str) -> list[Row]:
        """Shares of a dataset."""
        place = f"/mnt/{dataset}"
        return [row for row in self.tables[table].rows() if row["path"] == place]

    def exports(self) -> list[Row]:
        """NFS shares that are switched on."""
        return [row for row in self.tables["nfs"].rows() if row["enabled"]]

    def export_for(self, path: str, client: str) -> Export | None:
        """What a client gets that mounts `path`; None if it may not."""
        if not self.services["nfs"].running:
            return None
        address = ipaddress.ip_address(client)
        for row in self.exports():
            everyone = not row["networks"] and not row["hosts"]
            allowed = everyone or client in row["hosts"]
            allowed |= any(address in ipaddress.ip_network(net) for net in row["networks"])
            inside = path == row["path"] or path.startswith(f"{row['path']}/")
            dataset = self.dataset_of(row["path"])
            if allowed and inside and dataset is not None:
                as_root = row["maproot_user"] == "root" or row["mapall_user"] == "root"
                return Export(dataset.files, as_root and not row["ro"])
        return None

    def cannot_start(self, service: str) -> str:
        """Why a service does not start; empty where it does."""
        running = {one.address for one in self.interfaces if one.cidr}
        lost = [ip for ip in self.config["nfs"]["bindip"] if ip not in running]
        if service == "nfs" and lost:
            return f"[EFAULT] nfs-server: cannot bind to {', '.join(lost)}"
        return ""

    # --------------------------------------------------------------------- apps

    def ports_of(self, app: Row) -> list[int]:
        """The host's ports that an app takes."""
        values = self.app_values.get(app["id"], {})
        return composed(values) if app["custom_app"] else list(published(values).values())

    def open_ports(self, app: Row) -> None:
        """Have an app answer at its ports for as long as it runs."""
        for port in self.ports_of(app):
            self.listeners[port] = lambda: app["state"] == "RUNNING"
            self.http[port] = lambda path, headers: (200, b"Healthy")

    def containers_of(self, name: str) -> str:
        """An app's main container: that of its own labels, else called as the app is."""
        for label in self.app_values.get(name, {}).get("labels", ()):
            if label.get("containers"):
                return str(label["containers"][0])
        return name

    # -------------------------------------------------------------------- power

    def power_off(self) -> None:
        super().power_off()
        self.jobs.abort_all()
        self.network.restarted()
        for service in self.services.values():
            service.running = False

    def _booted(self, boots: int) -> None:
        super()._booted(boots)
        for service in self.services.values():
            service.running = service.enable

    def state(self) -> Row:
        return super().state() | {
            "datasets": {
                name: dict(sorted(dataset.local.items()))
                for name, dataset in sorted(self.datasets.items())
            },
            "contents": {
                name: sorted(dataset.files.entries)
                for name, dataset in sorted(self.datasets.items())
            },
            "shares": {
                table: [
                    {key: value for key, value in row.items() if key != "id"}
                    for row in self.tables[table].rows()
                ]
                for table in ("nfs", "smb")
            },
            "services": {s.name: (s.enable, s.running) for s in self.services.values()},
        }
