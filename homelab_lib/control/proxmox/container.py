"""Linux containers on a Proxmox node."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from homelab_lib.answers import Shape, whole
from homelab_lib.control import mark
from homelab_lib.control.proxmox import options as opts
from homelab_lib.control.proxmox.api import STATUS, api
from homelab_lib.control.proxmox.made_guest import MadeGuest, gib
from homelab_lib.runbook.resource import Diff, Host
from homelab_lib.transport.command import Command, change

_CARDS: Shape = [{"name": str, "inet?": str}]
_TASKS: Shape = [{"type": str, "status?": str, "endtime?": whole}]
_OUR_MAKER = "vzcreate"
_MAKERS = (_OUR_MAKER, "vzrestore")


@dataclass(frozen=True)
class Container(MadeGuest):
    """A container made from a template, that runs.

    Parameters
    ----------
    host, lab, node, vmid, hostname
        Where it is, the lab it belongs to, and how it is called.
    template
        The volume it is made from: ``local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst``.
    options
        Options of `pct create` without its volumes, in order.
    storage, disk_bytes
        Where its root is, and how large [bytes].
    volumes
        Further volumes: Proxmox's name, storage, size [bytes], and where it sees them.
    folders
        Folders of the host: Proxmox's name, the folder, and where it sees it.
    """

    kind: ClassVar[str] = "lxc"
    tool: ClassVar[str] = "pct"
    name_key: ClassVar[str] = "hostname"
    first_disk: ClassVar[str] = "rootfs"
    not_edited: ClassVar[str] = "some of it counts at once, and some when it starts next"

    host: str
    lab: str
    node: str
    vmid: int
    hostname: str
    template: str
    options: tuple[tuple[str, str], ...]
    storage: str
    disk_bytes: int
    volumes: tuple[tuple[str, str, int, str], ...] = ()
    folders: tuple[tuple[str, str, str], ...] = ()
    timeout_s: float = 900.0

    @property
    def guest_name(self) -> str:
        return self.hostname

    @property
    def _create(self) -> Command:
        words = [word for key, value in self.options for word in (f"--{key}", value)]
        words += ["--rootfs", f"{self.storage}:{gib(self.disk_bytes)}"]
        for name, storage, size_bytes, path in self.volumes:
            words += [f"--{name}", f"{storage}:{gib(size_bytes)},mp={path}"]
        for name, folder, path in self.folders:
            words += [f"--{name}", f"{folder},mp={path}"]
        return change(
            *("pct", "create", str(self.vmid), self.template),
            *("--hostname", self.hostname),
            *words,
            *("--tags", f"{mark.TAG};{mark.tag(self.lab)}"),
            *("--protection", "1"),
            sudo=True,
            timeout_s=self.timeout_s,
        )

    @property
    def _clear(self) -> Command:
        # A locked one is never destroyed, by force neither.
        script = 'pct unlock "$1" && pct destroy "$1"'
        return change("sh", "-c", script, "sh", str(self.vmid), sudo=True)

    @property
    def _clear_unlocked(self) -> Command:
        # It starts with the node as any other, and is protected.
        script = (
            'pct set "$1" --protection 0 && '
            '{ pct status "$1" | grep -q stopped || pct stop "$1"; } && pct destroy "$1"'
        )
        return change("sh", "-c", script, "sh", str(self.vmid), sudo=True)

    def _cut_short(self, host: Host) -> str:
        """Once it is unpacked its whole configuration is written, without the lock, and only then
        is it set up: network, host name, keys (`create_vm` of PVE::API2::LXC). A cut from there on
        leaves one that looks whole; how the task ended that made it tells."""
        words = ("--source", "all", "--vmid", str(self.vmid))
        tasks = api(host, f"/nodes/{self.node}/tasks", *words, shape=_TASKS)
        last = next((task for task in tasks if task["type"] in _MAKERS), None)  # newest first
        if last is None:
            return ""
        end = last.get("status", "") if "endtime" in last else "it is at work"
        good = end == "OK" or end.startswith("WARNINGS")
        return "" if good else f"{last['type']} did not come to its end ({end})"

    def _cut_by_us(self, observed: dict[str, Any]) -> bool:
        # We restore none: a restore over one that breaks off early leaves that as it was.
        return super()._cut_by_us(observed) and observed["cut_short"].startswith(_OUR_MAKER)

    def _from(self) -> str:
        return "from its template"

    def _wrong(self, observed: dict[str, Any]) -> list[str]:
        config = observed["config"]
        wrong = [
            f"{key} is {config.get(key)!r}, and should be {value!r}"
            for key, value in self.options
            if opts.differs(key, config.get(key), value, opts.OF_CONTAINERS)
        ]
        places = [(name, path) for name, _, _, path in self.volumes]
        for name, path in [*places, *((name, path) for name, _, path in self.folders)]:
            seen = opts.OF_CONTAINERS["mp0"].read(str(config.get(name, "")))["mp"]
            if seen != path:
                wrong.append(f"{name} is {f'at {seen}' if seen else 'missing'}, not at {path}")
        return wrong

    def _sizes(self) -> Iterator[tuple[str, int]]:
        yield self.first_disk, self.disk_bytes
        for name, _, size_bytes, _ in self.volumes:
            yield name, size_bytes


@dataclass(frozen=True)
class ContainerReached:
    """A container that has the address that the lab gives it, or any where DHCP does.

    Parameters
    ----------
    host, node, vmid, hostname
        Where it is, and how it is called.
    address
        Its address; empty where DHCP gives it.
    """

    looks_at: ClassVar[str] = "runs"
    host: str
    node: str
    vmid: int
    hostname: str
    address: str = ""
    timeout_s: float = 120.0

    @property
    def name(self) -> str:
        return f"network of container {self.vmid} ({self.hostname})"

    def observe(self, host: Host) -> list[str]:
        path = f"/nodes/{self.node}/lxc/{self.vmid}/status/current"
        if api(host, path, shape=STATUS)["status"] != "running":
            return []  # of one that is off nothing is printed at all
        rows = api(host, f"/nodes/{self.node}/lxc/{self.vmid}/interfaces", shape=_CARDS)
        inside = (row.get("inet", "") for row in rows if row["name"] != "lo")
        return [each.partition("/")[0] for each in inside if each]

    def diff(self, observed: list[str]) -> Diff:
        if self.address in observed or (observed and not self.address):
            return Diff()
        wanted = f", not {self.address}" if self.address else ""
        return Diff(waiting=f"{self.hostname} has {', '.join(observed) or 'no address'}{wanted}")
