"""The world of a twin: a lab's machines, the wires between them, the internet and the time."""

import ipaddress
import logging
import random
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.host import Host
from homelab_lib.twin.clock import Clock, SimulatedClock
from homelab_lib.twin.faults import Faults
from homelab_lib.twin.fidelity import Shelf
from homelab_lib.twin.machine.entry import Entry
from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Body, Commands
from homelab_lib.twin.machine.restic_store import Places
from homelab_lib.twin.machine.surroundings import FROM, Answering, Ask, Export, NetError
from homelab_lib.twin.machine.unit import Unit
from homelab_lib.twin.network import Network
from homelab_lib.twin.surprises import Expected, named

INTERNET_BYTES_PER_S = 60e6
_NOBODYS = (".home.arpa", ".internal", ".local", ".test")
"""What names end with that no name server of the world outside knows (RFC 8375, RFC 6762 …)."""
_LOOPBACK = ("127.0.0.1", "localhost")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """A kind of appliance: the room that knows it registers this.

    Parameters
    ----------
    make
        Makes a host of the lab, with what the phases before the given one have made on it.
    seed
        Makes it what a real one says it is.
    in_vms
        Whether one may be a VM: `make` is then given the VM as a host.
    """

    make: "Callable[[World, str, Host, int], Machine]"
    seed: Callable[[Any, Ask], None]
    in_vms: bool = False


class World:
    """A lab that isn't there.

    Parameters
    ----------
    lab
        What is in it.
    clock
        Its time; its lock guards everything here.
    seed
        Of host keys, MAC addresses and all else that is drawn.
    """

    def __init__(self, lab: Lab, *, clock: Clock | None = None, seed: int = 0) -> None:
        self.lab = lab
        self.clock: Clock = clock or SimulatedClock()
        self.seed = seed
        self.rng = random.Random(seed)
        self.faults = Faults()
        self.operator = ""  # the machine that runbooks are run from; see `Box.cut_off_by`
        self.fresh: Container[str] = ()  # VMs that may have nothing on their disks but an image
        self.repositories = Places()  # of restic, wherever they are
        self.habits: dict[str, Any] = {}  # ways of what spans machines that surprises have set
        self.nfs_hindrances: list[Callable[[Machine, str, str], str]] = []
        self._expected = Expected()
        # Who lends addresses, and who knows names: asked in order, each may know nothing.
        self.lenders: list[Callable[[str, str, str], tuple[str, str] | None]] = []
        self.resolvers: list[Callable[[Machine, str], str]] = []
        # Addresses that some machines know and no other: a cluster's services.
        self.inside: list[Callable[[Machine, str, int], Answering | None]] = []
        self.machines: dict[str, Machine] = {}
        self.network = Network(lab, self.machines)
        self.clusters: dict[str, Any] = {}  # by the name of their first server
        self.internet_bytes_per_s = INTERNET_BYTES_PER_S
        self.site: dict[str, Entry] = {}  # what the internet has, by URL
        self.known_modules = {"br_netfilter", "overlay", "nfs", "nfsv4", "vfio", "vfio_pci"}
        self.known_modules |= {"vfio_iommu_type1", "r8169", "atlantic", "ixgbe", "dummy"}
        self.down_hooks: list[Callable[[Machine], None]] = []
        self.up_hooks: list[Callable[[Machine], None]] = []
        self.own_faults: list[str] = []  # that nobody has been told of yet
        # What the rooms register:
        self.kinds: dict[str, Kind] = {}  # of appliances, by the host's operating system
        self.programs: list[Commands] = []  # that may be put on any Linux machine
        self.scripts: dict[str, Body] = {}  # what downloaded scripts do, by their digest
        self.units: dict[str, Callable[[], Unit]] = {}  # services that do something, by name
        self.services: dict[str, Callable[[Any], Iterable[Unit]]] = {}  # that packages bring
        self.founders: list[Callable[[World, int], None]] = []  # make what spans many machines
        # What a person puts on a machine that they install:
        self.installers: list[Callable[[World, Machine, int], None]] = []
        self.seeds: list[Callable[[Machine, Ask], None]] = []  # what else a host is asked
        self.shelves: list[Shelf] = []  # what their calls rest on
        self._publish()

    def _publish(self) -> None:
        """Put what the lab downloads where it is downloaded from."""
        for download in self.lab.downloads.values():
            text = f"# {download.name} {download.version}\n".encode()
            size = download.size_bytes
            self.site[download.url] = Entry(
                "file", text, 0o644, digest=download.sha256, size_bytes=size
            )
        for image in self.lab.images.values():
            if image.url and image.sha256:
                self.site[image.url] = Entry(
                    "file", b"QFI\xfb", digest=image.sha256, size_bytes=image.size_bytes or 0
                )

    # -------------------------------------------------------------------- time

    def after(self, delay_s: float, action: Callable[[], object], *, label: str = "") -> None:
        """Let something happen later; `label` says what, where it goes wrong.

        A mistake of the twin's own in it stops nothing else, and is told to whoever asks next.
        """

        def guarded() -> None:
            try:
                action()
            except Exception as error:
                _LOG.exception("twin: fault while %s", label or "time passed")
                what = f"{label or 'what was due'}: {type(error).__name__}: {error}"
                self.own_faults.append(what)

        self.clock.after(delay_s, guarded)

    def went_down(self, machine: Machine) -> None:
        """Tell whoever serves a machine that it is gone."""
        for hook in self.down_hooks:
            hook(machine)

    def came_up(self, machine: Machine) -> None:
        """A machine boots: surprises that were waiting for it happen."""
        self._expected.meet(machine)
        for hook in self.up_hooks:
            hook(machine)

    def surprise(self, name: str, host: str, **options: Any) -> None:
        """Have a surprise happen to a machine; to one that is not there yet when it boots first.

        Parameters
        ----------
        name
            The surprise, such as ``ssh-nologin``.
        host
            The machine's name.
        options
            What may be chosen about it; see the function that plays it.

        Raises
        ------
        BadParameter
            No room plays it, or the lab has no such machine.
        """
        wanted = named(name)
        if host not in self.lab.machines() and host not in self.machines:
            raise BadParameter(
                f"the lab has no machine {host!r}", fix=f"it has: {', '.join(self.lab.machines())}"
            )
        with self.clock.lock:
            if host in self.machines:
                wanted.play(self.machines[host], **options)
            else:
                self._expected.add(host, wanted, options)

    # ----------------------------------------------------------------- network

    def reach(self, source: Machine, address: str, port: int) -> str:
        """Why `source` can't connect to an address and port; empty where it can."""
        why = self.network.path(source, address, port)
        if why or not port:
            return why
        target = self.find_ip(address)
        if target is None or not target.up:
            return f"nobody answers at {address}"
        listens = target.listeners.get(port)
        return "" if listens and listens() else f"{target.name} refuses connections to port {port}"

    def regroup(self, host: str, segments: Mapping[str, str]) -> None:
        """A host's ports belong to other bridges than the lab says; see `Wires`."""
        self.network.wires.regroup(host, segments)

    def link_bps(self, host: str, port: str) -> int:
        """What the link at a host's port comes up at [bit/s]; 0 for none."""
        return self.network.wires.link_bps(f"{host}.{port}")

    def hears(self, interface: Interface, address: str) -> bool:
        """Whether the owner of an address hears what an interface sends, without a router."""
        return self.network.hears(interface, address)

    def hears_its_gateway(self, interface: Interface) -> bool:
        """Whether a frame from an interface comes to the router of its network."""
        return self.network.hears_its_gateway(interface)

    def packets(self, source: Machine, address: str) -> tuple[int, int]:
        """The largest packet that a machine's own interface sends there, and the largest that gets
        there and back [bytes]."""
        return self.network.packets(source, address)

    def carries_bps(self, source: Machine, address: str) -> int:
        """The rate of the slowest link on the way to an address [bit/s]."""
        return self.network.carries_bps(source, address)

    def find_ip(self, address: str) -> Any:
        """The machine with that address; None for nobody."""
        return self.network.owner(address)

    def internet(self, source: Machine) -> str:
        """Why `source` can't reach the internet; empty where it can."""
        return self.network.internet(source)

    def resolve(self, source: Machine, name: str) -> str:
        """The address of a name, as the machine finds it in its hosts file, or is told."""
        for line in source.files.text("/etc/hosts").splitlines():
            words = line.partition("#")[0].split()
            if name in words[1:]:
                return words[0]
        if ":" in name or name.replace(".", "").isdigit():
            return name
        return next(filter(None, (ask(source, name) for ask in self.resolvers)), "")

    def fetch(
        self, source: Machine, url: str, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Entry]:
        """What a web server answers: its status, and a page or file.

        Raises
        ------
        NetError
            There is no connection.
        """
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host = parts.hostname or ""
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if host in _LOOPBACK:
            return self._own(source, url, port, path, headers or {})
        address = self.resolve(source, host)
        if not address:
            return self._outside(source, url, host)
        asked = {"host": parts.netloc, FROM: self._source_address(source, address)}
        asked |= dict(headers or {})
        for known in self.inside:
            if (inside := known(source, address, port)) is not None:
                return self._page(inside(path, asked))
        if why := self.network.path(source, address, port):
            text = f"Failed to connect to {host} port {port} after 130000 ms: {why}"
            raise NetError(28, text, takes_s=10)
        target = self.find_ip(address)
        answer = target.http.get(port) if target else None
        why = self.reach(source, address, port)
        if why or answer is None:
            why = why or "connection refused"
            text = f"Failed to connect to {host} port {port} after 1 ms: {why}"
            raise NetError(7, text)
        return self._page(answer(path, asked))

    def _own(
        self, source: Machine, url: str, port: int, path: str, headers: Mapping[str, str]
    ) -> tuple[int, Entry]:
        """What a machine's own server answers."""
        answer = source.http.get(port)
        listens = source.listeners.get(port)
        if answer is None or listens is None or not listens():
            raise NetError(7, f"Failed to connect to {urlsplit(url).netloc} after 0 ms")
        asked = {"host": urlsplit(url).netloc, FROM: source.address or ""} | dict(headers)
        return self._page(answer(path, asked))

    def _page(self, answered: tuple[int, bytes] | tuple[int, bytes, float]) -> tuple[int, Entry]:
        """An answer as what is fetched."""
        status, body, takes_s = (*answered, 0.0)[:3]
        return status, Entry("file", body, served_s=takes_s)

    def _outside(self, source: Machine, url: str, host: str) -> tuple[int, Entry]:
        if why := self.internet(source):
            raise NetError(6, f"Could not resolve host: {host} ({why})", takes_s=5)
        if host.endswith(_NOBODYS):
            raise NetError(6, f"Could not resolve host: {host}")
        found = self.site.get(url)
        return (200, found) if found else (404, Entry("file", b"404 Not Found\n"))

    def nfs(self, client: Machine, server: str, path: str) -> tuple[Export | None, str]:
        """The export that a client gets; or why it gets none."""
        address = server if _is_address(server) else self.resolve(client, server)
        if not _is_address(address):
            return None, f"Failed to resolve server {server}: Name or service not known"
        server = address
        if why := self.reach(client, server, 2049):
            return None, f"Connection timed out ({why})"
        if why := next(filter(None, (h(client, server, path) for h in self.nfs_hindrances)), ""):
            return None, why
        nas = self.find_ip(server)
        address = self._source_address(client, server)
        export = nas.export_for(path, address)
        if export is None:
            return None, "access denied by server while mounting"
        return export, ""

    def _source_address(self, client: Machine, server: str) -> str:
        """The address by which a server sees a client."""
        for each in client.interfaces:
            if (
                each.cidr
                and ipaddress.ip_address(server) in ipaddress.ip_interface(each.cidr).network
            ):
                return each.address
        return client.address

    # ------------------------------------------------------------------- state

    def state(self) -> dict[str, Any]:
        """What has to be equal in two worlds that were built alike."""
        machines = {name: machine.state() for name, machine in sorted(self.machines.items())}
        clusters = {name: cluster.state() for name, cluster in sorted(self.clusters.items())}
        repositories = self.repositories.state()
        return {"machines": machines, "clusters": clusters, "repositories": repositories}


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
