"""The network of a NAS: addresses and gateway in one transaction, its name, its direct links."""

from collections.abc import Iterator
from dataclasses import dataclass

from homelab_lib.control.truenas.interface import Bonded, NasInterface, Tagged
from homelab_lib.control.truenas.interfaces import NasNetwork
from homelab_lib.control.truenas.midclt import release
from homelab_lib.control.truenas.settings import Settings
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.host import Host
from homelab_lib.lab.ports import Bond, HostPort
from homelab_lib.recipes.hardware import direct_link
from homelab_lib.runbook.step import Check, Context, Measurement, Step, Wanted
from homelab_lib.wiring.direct_links import gateways

MAKES = ("hosts",)
BONDS = {"lacp": "LACP", "active-backup": "FAILOVER", "balance-xor": "LOADBALANCE"}


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """A step for each NAS that the phase sets up.

    Raises
    ------
    BadParameter
        Nobody logs in on one of them.
    """
    found = nases(lab, phase)
    for host in found:
        network = Network(lab, host)
        if not network.interfaces:
            continue
        yield Step(
            f"nas-network{end(host, found)}",
            f"Give {host.title} its addresses",
            why="A new TrueNAS asks DHCP on every port, and the first port that is set by hand "
            "ends that for all others and takes the default route away. So the port by which we "
            "come is pinned first, the gateway is kept together with it, and all of it is "
            "committed at once: unless a new connection confirms it, the NAS goes back by itself. "
            "A direct link gets packets of full size, and no gateway: it leads to one machine. "
            "Ports that are used as one and VLANs are made in the same transaction, from below.",
            ensure=network.ensure,
            check=network.check,
            measure=network.measure,
        )


def nases(lab: Lab, phase: int) -> list[Host]:
    """The TrueNAS machines that a phase sets up.

    Raises
    ------
    BadParameter
        Nobody logs in on one of them.
    """
    found = [
        host
        for host in lab.hosts.values()
        if host.os.kind == "truenas" and host.phase == phase and not host.standalone
    ]
    for host in found:
        if host.ssh is None:
            raise BadParameter(
                f"{host.name} can't be set up: no runbook logs in there",
                where=f"hosts.{host.name}.ssh",
                fix="write the address and user by which it is reached, or take its phase away",
            )
    return found


def end(host: Host, among: list[Host]) -> str:
    """What tells the steps of one NAS from those of others."""
    return f"-{host.name}" if len(among) > 1 else ""


@dataclass(frozen=True)
class Network:
    """What a NAS's ports, bonds and VLANs are to have."""

    lab: Lab
    nas: Host

    @property
    def reached_at(self) -> str:
        """The address by which we come."""
        return self.nas.ssh.address if self.nas.ssh else ""

    @property
    def interfaces(self) -> tuple[NasInterface, ...]:
        """Those that the lab gives addresses; the one by which we come first."""
        found: list[NasInterface] = []
        for name, port in self.nas.attached.items():
            found += self._of_port(name, port)
        return tuple(sorted(found, key=lambda each: not self._leads_here(each)))

    def _of_port(self, name: str, port: HostPort | Bond) -> Iterator[NasInterface]:
        called = port.bridge or port.interface or name
        made = self._bonded(port) if isinstance(port, Bond) else None
        for tag, written in ((None, port.on_untagged), *port.on_tagged.items()):
            # What carries VLANs is set itself, too: of packets and addresses on it hangs theirs.
            if not written and (tag is not None or not (made or any(port.on_tagged.values()))):
                continue
            ways = [each for each in written if "/" not in each]
            if "dhcp6" in ways:
                raise BadParameter(
                    f"TrueNAS gets no address by DHCPv6, and {called} of {self.nas.name} is to",
                    where=f"hosts.{self.nas.name}.ports.{name}.address",
                    fix="write slaac, or the address itself",
                )
            yield NasInterface(
                called if tag is None else f"vlan{tag}",
                tuple(each for each in written if "/" in each),
                ipv4_dhcp="dhcp" in ways,
                ipv6_auto="slaac" in ways,
                mtu=port.mtu,
                made_of=made if tag is None else Tagged(called, tag),
            )

    def _bonded(self, bond: Bond) -> Bonded:
        """Of FAILOVER the first port is the one that is preferred."""
        members = sorted(bond.members, key=lambda member: member != bond.primary)
        return Bonded(
            tuple(self.nas.ports[member].interface or member for member in members),
            BONDS[bond.kind],
            bond.hash_policy.upper(),
            bond.lacp_rate.upper(),
        )

    def _leads_here(self, each: NasInterface) -> bool:
        return any(cidr.partition("/")[0] == self.reached_at for cidr in each.addresses)

    @property
    def gateway(self) -> str:
        """That of the port by which we come, else of the first that has one; none where DHCP gives
        it."""
        if any(each.ipv4_dhcp for each in self.interfaces):
            return ""
        found = gateways(self.lab, self.nas.name)
        ours = [
            name
            for name, port in self.nas.attached.items()
            if (port.address or "").partition("/")[0] == self.reached_at
        ]
        return next((found[name] for name in (*ours, *found) if name in found), "")

    @property
    def nameservers(self) -> tuple[str, ...]:
        """Those of the lab; else the gateway, which asks others."""
        if self.nas.nameservers:
            return self.nas.nameservers[:3]
        return (self.gateway,) if self.gateway else ()

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """The interfaces, and then the name."""
        direct_link.refuse(self.lab, self.nas.name)
        self._refuse()
        nas = release(ctx.host(self.nas.name))
        yield NasNetwork(
            self.nas.name,
            nas,
            self.interfaces,
            gateway=self.gateway,
            nameservers=self.nameservers,
            reached_at=self.reached_at,
        )
        yield Settings(self.nas.name, "network.configuration", {"hostname": self.nas.name})

    def _refuse(self) -> None:
        asking = [each.name for each in self.interfaces if each.ipv4_dhcp]
        if len(asking) > 1:
            raise BadParameter(
                f"TrueNAS asks DHCP on one interface only, and {', '.join(asking)} are to",
                where=f"hosts.{self.nas.name}.ports",
                fix="write the addresses of all but one of them",
            )

    def check(self, ctx: Context) -> Iterator[Check]:
        """What runs over the direct links."""
        yield from direct_link.checks(ctx, self.lab, self.nas.name)

    def measure(self, ctx: Context) -> Iterator[Measurement]:
        """How fast they are."""
        yield from direct_link.measures(ctx, self.lab, self.nas.name)
