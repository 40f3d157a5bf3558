"""The box behind the REST side: what a shell and the network see of it.

The REST side writes; here it becomes force: devices and addresses (`links`), the packet filter
(`pf`), and whether whoever runs a runbook still comes in (`way_in`).

A connection that stands is a state of pf and passes on whatever the rules say, until it is killed.
A new one is judged.
"""

import ipaddress
from collections.abc import Callable, Iterable
from xml.etree import ElementTree as ET

from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.surroundings import Surroundings
from homelab_lib.twin.opnsense import csh
from homelab_lib.twin.opnsense.background import Job
from homelab_lib.twin.opnsense.firewall import Device, OpnSense
from homelab_lib.twin.opnsense.leases import Leases
from homelab_lib.twin.opnsense.links import Link, Links
from homelab_lib.twin.opnsense.pf import PacketFilter
from homelab_lib.twin.opnsense.resolver import resolved
from homelab_lib.twin.opnsense.rules import DENIED
from homelab_lib.twin.opnsense.suricata import Suricata
from homelab_lib.twin.opnsense.way_in import WayIn
from homelab_lib.twin.packet import OUTSIDE, Packet

_FIRST_PROCESS = 20_000
_SWITCHES = {
    "dnsmasq": "dnsmasq/enable",
    "kea": "OPNsense/Kea/dhcp4/general/enabled",
    "unbound": "OPNsense/unboundplus/general/enabled",
    "ids": "OPNsense/IDS/general/enabled",
    "wireguard": "OPNsense/wireguard/general/enabled",
    "monit": "OPNsense/monit/general/enabled",
    "cron": "system/hostname",  # it has no switch
    "ntpd": "system/hostname",
    "syslog": "system/hostname",
}
"""Where it is written whether a service runs."""


class Box(OpnSense):
    """An OPNsense as a machine.

    Parameters
    ----------
    name, world, user, version, commands
        As for `OpnSense`.
    """

    filters = True

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
        self.links = Links([])
        self.pf = PacketFilter(self.links, ET.Element("opnsense"), ET.Element("opnsense"))
        self.jobs: list[Job] = []
        self.tuned: dict[str, str] = {}  # variables of the kernel that were set since it booted
        self.suricata = Suricata(self)
        self.lent = Leases(self)
        self.states: dict[tuple[str, str, int], float] = {}  # when each ends; see `keep_states`
        world.lenders.append(self.lends)
        world.resolvers.append(lambda source, name: resolved(self, source, name))
        self.way_in = WayIn(self)
        self.hooks["vlan"].append(lambda box: self.links.configure_vlans(self.config.read()))
        self.hooks["interfaces"].append(lambda box: self.links.release(self.config.read()))
        self.hooks["filter"].append(lambda box: self._load_rules())

    def wire(self) -> None:
        """Take the cards that `furnish` has put in for its own, and note whence one comes in."""
        self.links = Links(
            [
                Link(each.name, each.mac, each.segment, mtu=each.mtu)
                for each in self.interfaces
                if each.tag is None
            ]
        )
        self.way_in.note()

    def show(self) -> None:
        """Show the network the devices that there are now; from here on one comes in as now."""
        self.interfaces[:] = self.links.interfaces(self.name)
        self.way_in.note()

    # ------------------------------------------------------------------- in force

    def apply(self, service: str) -> None:
        there = self.cut_off_by()
        super().apply(service)
        self._settle(there)

    def apply_all(self) -> None:
        config = self.config.read()
        self.links.boot(config)
        cards = {link.name: link.mac for link in self.links.by_name.values() if link.tag is None}
        self.devices = [
            *(Device(name, mac) for name, mac in cards.items()),
            *(each for each in self.devices if not each.physical),
        ]
        self.started = {
            name: name not in self.not_started and config.findtext(path, "0") not in ("", "0")
            for name, path in _SWITCHES.items()
        }
        super().apply_all()

    def configure(self, identifier: str) -> None:
        """Give one interface what is written: `configctl interface reconfigure opt1`."""
        config = self.config.read()
        self.change_links(lambda: self.links.configure(config, identifier))

    def change_links(self, change: Callable[[], object]) -> None:
        """Do something to the devices, and show what comes of it."""
        there = self.cut_off_by()
        change()
        self._settle(there)

    def reload_all(self) -> None:
        """All that is written takes effect; devices that are there and not written stay."""
        there = self.cut_off_by()
        config = self.config.read()
        self.links.configure_all(config)
        self.running |= {"vlan": config, "interfaces": config}
        super().apply_all_but("vlan", "interfaces")
        self._settle(there)

    def _load_rules(self) -> None:
        """Rules and tables: loading rules fills the tables, too."""
        config = self.config.read()
        self.running["alias"] = config
        self.pf = PacketFilter(self.links, config, config)

    def _settle(self, before: str) -> None:
        """Show the network what there is now. Who came by an address that is gone is cut off; a
        rule lets what stands pass on."""
        self.interfaces[:] = self.links.interfaces(self.name)
        self.routers = self.links.routers()
        why = self.cut_off_by()
        if why and not before and not why.startswith("rule"):
            self.world.went_down(self)

    # ----------------------------------------------------------------- the network

    def refuses(self, packet: Packet, arrives: str, leaves: Interface | None) -> str | None:
        """The rule that refuses a packet, in a person's words; None where it passes.

        Parameters
        ----------
        packet
            The first of a connection.
        arrives
            The box's address that it was sent to, or is addressed to.
        leaves
            The interface it goes on by; None for what is for the box itself, or for outside.
        """
        if self.states.get((packet.source, packet.destination, packet.port), 0.0) > (
            self.world.clock.now()
        ):
            return None
        link = self.links.holding(arrives)
        if link is None:
            return f"nobody has {arrives}"
        ways = [("in", link.name)]
        if leaves is not None:
            ways.append(("out", leaves.name))
        elif packet.destination == OUTSIDE:
            wan = self.links.of("wan")
            if wan is None:
                return "no interface leads outside"
            ways.append(("out", wan.name))
        for direction, device in ways:
            verdict = self.pf.judge(packet, direction, device)
            if not verdict.passes:
                rule = verdict.rule
                if rule is None or rule.description == DENIED:
                    return ""
                return rule.description or rule.label
        return None

    def dhcp_server(self) -> str:
        """The program that holds UDP port 67; empty for none. dnsmasq without a range of IPv4 does
        not ask for it."""
        config = self.running.get("dnsmasq")
        rows = [] if config is None else config.findall("dnsmasq/dhcp_ranges")
        lends = any("." in row.findtext("start_addr", "") for row in rows)
        there = {"dnsmasq": lends, "kea": True}
        return next((name for name, may in there.items() if may and self.started.get(name)), "")

    def lends(self, subnet: str, mac: str, name: str) -> tuple[str, str] | None:
        """Address and router that a machine gets in a subnet; None where the box has none there."""
        network = ipaddress.ip_network(subnet)
        for link in self.links.by_name.values():
            for cidr in map(ipaddress.ip_interface, link.addresses):
                if self.up and cidr.network == network and link.identifier:
                    found = self.lent.request(mac, name, link.identifier)
                    if found is not None:
                        return f"{found.address}/{network.prefixlen}", str(cidr.ip)
        return None

    def has_carrier(self, link: Link) -> bool:
        """Whether a cable is in the port that a device's frames leave by, and carries."""
        if link.active is not None:
            return link.active
        ports = self.world.lab.hosts[self.name].ports
        wires = self.world.network.wires
        plugged = any(
            wires.carries(f"{self.name}.{name}")
            for name in ports
            if wires.segment_of(self.name, name) == link.segment
        )
        return plugged or link.identifier == "wan"  # the provider's end is no part of a lab

    def arrives_at(self, port: int, protocol: str = "tcp") -> str:
        """The address at which a packet from outside ends; empty where it gets no further.

        Parameters
        ----------
        port, protocol
            What of WAN's address is called at.
        """
        wan = self.links.of("wan")
        here = next(iter(wan.addresses), "").partition("/")[0] if wan else ""
        if wan is None or not here:
            return ""
        sent, passed = self.pf.redirected(Packet(OUTSIDE, here, protocol, port), wan.name)
        if not passed and not self.pf.judge(sent, "in", wan.name).passes:
            return ""
        onward = self.links.towards(sent.destination)
        if sent.destination == here:
            return here
        if onward is None or not self.pf.judge(sent, "out", onward.name).passes:
            return ""
        return sent.destination

    def keep_states(self, for_s: float) -> None:
        """Note what connections stand between machines of the lab: they pass on for so long."""
        until_s = self.world.clock.now() + for_s
        for source in self.world.machines.values():
            for target in self.world.machines.values():
                for each in target.interfaces if target is not source else ():
                    for port in target.listeners if each.cidr else ():
                        if not self.world.network.path(source, each.address, port):
                            known = [own.address for own in source.interfaces if own.cidr]
                            for address in known:
                                self.states[address, each.address, port] = until_s

    def kill_states(self) -> None:
        """Every connection is judged anew: those through the box, and those to it."""
        self.states.clear()
        self.world.went_down(self)

    def reaches_outside(self) -> bool:
        """Whether it has a way to its provider."""
        return self.up and self.links.of("wan") is not None

    def cut_off_by(self) -> str:
        """Why whoever runs a runbook can't log in anew; empty where he can."""
        return self.way_in.cut_off_by()

    def accepts_logins(self) -> bool:
        return super().accepts_logins() and not self.cut_off_by()

    # --------------------------------------------------------------------- running

    def run(self, line: str, stdin: bytes = b"") -> Reply:
        came = self.way_in.connection
        more = {"SSH_CONNECTION": came} if came else {}
        return self._guarded(
            "the shell", lambda: csh.run(self, self.user, self.home, line, stdin, **more)
        )

    def start_job(self, call: Call) -> Job:
        """Run a program in the background."""
        job = Job(self, call, _FIRST_PROCESS + len(self.jobs))
        self.jobs.append(job)
        job.advance()
        return job

    def power_off(self) -> None:
        super().power_off()
        self.jobs.clear()
        self.tuned.clear()
        self.states.clear()
