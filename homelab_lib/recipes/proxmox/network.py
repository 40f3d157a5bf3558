"""The network of Proxmox hosts: cards that their kernel drives, bridges, links without a switch.

Everything of a host is applied at once, and undone by the host itself where it cuts us off.
"""

from collections.abc import Iterator

from homelab_lib.control.linux import Download as Fetched
from homelab_lib.control.linux import KernelModule, Packages
from homelab_lib.control.linux.links import answers_ping, link_bps, sends_whole
from homelab_lib.control.proxmox.dkms import DkmsModule
from homelab_lib.control.proxmox.links import running, ways_out
from homelab_lib.control.proxmox.network import ProxmoxNetwork
from homelab_lib.control.proxmox.nics import (
    RunningKernel,
    driver,
    kernel_numbers,
    links,
    older,
    running_kernel,
    undriven,
    why_not,
)
from homelab_lib.lab import Lab
from homelab_lib.lab.guests import Download
from homelab_lib.lab.host import Host
from homelab_lib.lab.ports import Bond, HostPort
from homelab_lib.recipes.proxmox.links import Direct, direct_links, wanted_links
from homelab_lib.recipes.proxmox.virtual_machine import node
from homelab_lib.runbook.resource import Host as ReadingHost
from homelab_lib.runbook.step import Check, Context, Manual, Measurement, Step, Wanted
from homelab_lib.wiring.cables import cable_speed

MAKES = ("hosts",)

_AGREE_S = 15.0
_NEWER_KERNELS = {"8": ("proxmox-kernel-6.14", "6.14")}
"""By major release of Proxmox VE: the package of a kernel newer than its own, and its version."""


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The steps of the Proxmox hosts that a phase sets up; none where it has none.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.
    """
    hosts = [
        host
        for host in lab.hosts.values()
        if host.os.kind == "proxmox" and host.ssh and host.phase == phase and not host.standalone
    ]
    for host in hosts:
        yield from HostNetwork(lab, host).steps(f"-{host.name}" if len(hosts) > 1 else "")


class HostNetwork:
    """The network of one host; see `steps`."""

    def __init__(self, lab: Lab, host: Host) -> None:
        self.lab = lab
        self.host = host
        self.node = node(lab, host.name)
        self.cards = [port for port in host.ports.values() if port.interface]
        self.direct = list(direct_links(lab, host))

    def steps(self, end: str) -> Iterator[Step]:
        """Cards, bridges, direct links."""
        if not self.cards:
            return
        yield Step(
            f"drivers{end}",
            f"See that the kernel of {self.node} drives its network cards",
            why="A card whose driver the kernel lacks is no interface, and nothing can be built on "
            "it. Where a newer kernel of Proxmox has the driver, that kernel is installed and "
            "started: it is tested as a whole, while a module built beside it breaks with each "
            "kernel.",
            ensure=self.drivers,
            check=self.are_driven,
        )
        yield Step(
            f"bridges{end}",
            f"Make the bridges and addresses of {self.node}",
            why="All of it is staged, its syntax is looked at, and it is applied by the host "
            "itself. Before that a timer is set there that puts everything back in three minutes, "
            "or when the host starts again; it is stopped only once we came in by the new way. "
            "Interfaces that the lab does not describe are left as they are, in the bridge "
            "that has them, too.",
            needs=(f"drivers{end}",),
            ensure=self.bridges,
            check=self.one_way_out,
            measure=self.speeds,
        )
        for link in self.direct:
            own = f"direct-link{end}" if len(self.direct) == 1 else f"direct-{link.port}{end}"
            yield self._direct_step(link, own, f"bridges{end}")

    def _direct_step(self, link: Direct, name: str, bridges: str) -> Step:
        return Step(
            name,
            f"Prove the link from {self.node} to {link.peer.name}",
            why=f"No switch is between these two, and no gateway on it. It carries packets of "
            f"{link.mtu} bytes only if both ends take them: one that may not be cut into pieces "
            "shows it.",
            needs=(bridges,),
            manual=Manual(
                f"plug the cable {link.cable.name} into {self.host.name}'s port {link.port} "
                f"({link.interface}) and into {link.peer.name}'s port {link.peer_port}; "
                f"{link.peer.name} has to have {link.peer_address} there by now",
                verify=lambda ctx: self.is_linked(ctx, link),
            ),
            check=lambda ctx: self.carries(ctx, link),
            measure=lambda ctx: [self._speed(ctx, self.host.attached[link.port])],
        )

    # ------------------------------------------------------------------ drivers

    def drivers(self, ctx: Context) -> Iterator[Wanted]:
        """A newer kernel, where the one that runs is too old for a card; a module built beside it
        only where the lab has the package for one."""
        host = ctx.host(self.host.name)
        there = {row.get("ifname") for row in links(host)}
        kernel = running_kernel(host)
        missing = [port for port in self.cards if port.interface not in there]
        for port in missing:
            if self._package(port) is not None and older(kernel, port.part.in_tree_since):
                yield from self._beside(host, port)
                return
        since_all = [port.part.in_tree_since for port in missing]
        needed = [since for since in since_all if since and older(kernel, since)]
        newer = _NEWER_KERNELS.get(self.host.os.version.partition(".")[0])
        if not needed or newer is None:
            return
        package, version = newer
        since = max(needed, key=kernel_numbers)
        if not older(version, since):
            yield Packages(self.host.name, (package,))
            yield RunningKernel(self.host.name, self.node, since)

    def _package(self, port: HostPort) -> Download | None:
        """The package of a driver that the lab wants built, as one of its downloads."""
        if not port.driver or port.driver == port.part.driver:
            return None
        return self.lab.downloads.get(f"{port.driver}-dkms")

    def _way_in(self, host: ReadingHost) -> tuple[str, ...]:
        """The cards by which one comes to the host just now."""
        login = f"{self.host.ssh.address}/" if self.host.ssh else ""
        for name, link in running(host).items():
            if any(cidr.startswith(login) for cidr in link["cidrs"]):
                return tuple(link["ports"]) or (name,)
        return tuple(row["ifname"] for row in links(host) if row.get("parentdev"))

    def _beside(self, host: ReadingHost, port: HostPort) -> Iterator[Wanted]:
        """A driver that is built beside the kernel, and loaded."""
        package, driver = self._package(port), str(port.driver)
        assert package is not None
        name = f"/var/lib/homelab/{package.url.rpartition('/')[2]}"
        yield Fetched(self.host.name, name, package.url, package.sha256,
                      size_bytes=package.size_bytes, lab=self.lab.name)  # fmt: skip
        yield DkmsModule(self.host.name, self.node, driver, name, self._way_in(host))
        yield KernelModule(self.host.name, driver, lab=self.lab.name)

    def are_driven(self, ctx: Context) -> Iterator[Check]:
        """Each card of the lab is an interface."""
        host = ctx.host(self.host.name)
        there = links(host)
        named = {row.get("ifname") for row in there}
        kernel = running_kernel(host)
        for port in self.cards:
            name = str(port.interface)
            title = f"{name} ({port.part.chip}) is driven by kernel {kernel}"
            if name in named:
                yield Check(title, True, self._driver(driver(host, name), port))
                continue
            bare = undriven(host, self.node)
            since = port.part.in_tree_since
            yield Check(title, False, why_not(name, port.mac, since, kernel, there, bare))

    def _driver(self, found: str, port: HostPort) -> str:
        if port.driver and found and found != port.driver:
            return f"by {found}; {port.driver} is not needed, so nothing is built for it"
        return f"by {found or 'a driver that tells no name'}"

    # ------------------------------------------------------------------ bridges

    def bridges(self, ctx: Context) -> Iterator[Wanted]:
        """All interfaces at once."""
        yield ProxmoxNetwork(self.host.name, self.node, tuple(wanted_links(self.lab, self.host)))

    def one_way_out(self, ctx: Context) -> Iterator[Check]:
        """There is one default route, and it is the lab's."""
        found = ways_out(ctx.host(self.host.name))
        wanted = [
            f"{link.gateway} by {link.iface}"
            for link in wanted_links(self.lab, self.host)
            if link.gateway
        ]
        right = found == wanted if wanted else len(found) < 2
        yield Check(f"{self.node} has one way out", right, "; ".join(found) or "it has none")

    def speeds(self, ctx: Context) -> Iterator[Measurement]:
        """What links came up at, but for those that have a step of their own."""
        apart = {link.port for link in self.direct}
        for port in self.cards:
            if port.name not in apart and self._predicted(port):
                yield self._speed(ctx, port)

    def _speed(self, ctx: Context, port: HostPort | Bond) -> Measurement:
        found = self._linked(ctx, str(port.interface))
        return Measurement(f"{port.interface}: link", found, "bit/s", self._predicted(port))

    def _linked(self, ctx: Context, interface: str) -> float:
        """What a link has come up at [bit/s]; two ends take seconds to agree."""
        for _ in ctx.looks(_AGREE_S):
            if found := link_bps(ctx.host(self.host.name), interface):
                return found
        return 0.0

    def _predicted(self, port: HostPort | Bond) -> float | None:
        end = f"{self.host.name}.{port.name}"
        cable = next((each for each in self.lab.cables if end in (each.a, each.b)), None)
        return cable_speed(self.lab, cable).speed_bps if cable is not None else None

    # ------------------------------------------------------------- direct links

    def is_linked(self, ctx: Context, link: Direct) -> Check:
        """Whether there is a link at this end."""
        found = self._linked(ctx, link.interface)
        predicted = cable_speed(self.lab, link.cable)
        says = f"{found / 1e9:g} Gb/s" if found else "no link"
        if not found and predicted.reason:
            says += f": {predicted.reason}"
        return Check(f"{link.interface} has a link", bool(found), says)

    def carries(self, ctx: Context, link: Direct) -> Iterator[Check]:
        """The other end answers; packets of the full size pass; it is as fast as it can be."""
        host = ctx.host(self.host.name)
        far = link.peer_address
        answers = answers_ping(host, far)
        says = "" if answers else f"nobody answers: is {far} set up on {link.peer.name}?"
        yield Check(f"{far} answers {self.node}", answers, says)
        passes = sends_whole(host, far, link.mtu)
        wrong = (
            f"a small packet passes and one of {link.mtu} does not: an end has a smaller MTU; it "
            f"is {link.mtu} here, so look at {link.peer.name}'s port {link.peer_port}"
        )
        yield Check(f"packets of {link.mtu} bytes pass uncut", passes, "" if passes else wrong)
        found = link_bps(host, link.interface) or 0.0
        best = self._predicted(self.host.attached[link.port])
        says = f"{found / 1e9:g} Gb/s; cable and ends can do {(best or 0) / 1e9:g} Gb/s"
        yield Check(f"{link.interface} is as fast as its cable", found >= (best or 0), says)
