"""Switches, and the cables between machines: a person sets them up, and the machines tell of it."""

import ipaddress
from collections.abc import Iterator

from homelab_lib.control.linux import links
from homelab_lib.control.opnsense import hardware as freebsd
from homelab_lib.errors import Unreachable
from homelab_lib.lab import Lab
from homelab_lib.lab.host import Host
from homelab_lib.lab.network import Switch
from homelab_lib.runbook.step import Check, Context, Manual, Step
from homelab_lib.units import format_bps
from homelab_lib.wiring.cables import cable_speed
from homelab_lib.wiring.switching import (
    SwitchPortRow,
    all_one_network,
    differing,
    joined,
    management_vlan,
    port_table,
    spare_ports,
)

MAKES: tuple[str, ...] = ("switches", "cables")
_ROUTERS = ("opnsense", "pfsense", "debian", "ubuntu", "linux")
_FREEBSD = ("opnsense", "pfsense")


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The switches and cables of the hosts that a phase sets up.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.
    """
    ours = {name for name, host in lab.hosts.items() if host.phase == phase}
    switches = [each for each in lab.switches.values() if _hosts_on(lab, each) & ours]
    for switch in switches:
        end = f"-{switch.name}" if len(switches) > 1 else ""
        setting = SwitchSetting(lab, switch)
        yield Step(
            f"ports{end}",
            f"See what each port of {switch.title} is to carry",
            why="The table of ports follows from the cables and from the VLANs of what is plugged "
            "in. It is held against itself before anybody types it in: a switch that knows VLANs, "
            "both ends of a cable alike, and one port by which you get back in.",
            check=setting.plan,
        )
        if setting.vlans:
            yield Step(
                f"switch{end}",
                f"Set up {switch.title}",
                why="The firewall comes first, then the switch, then the hosts. A switch has no "
                "interface that all makes share, so a person types the table in. Which VLANs carry "
                "frames, the router's table of neighbours shows; what nobody is in yet, a person "
                "tries with a phone or a laptop.",
                needs=(f"ports{end}",),
                manual=Manual(setting.ask(), verify=setting.seen, or_confirmed=True),
                check=setting.reached,
            )
    if any(ours & {cable.a.partition(".")[0], cable.b.partition(".")[0]} for cable in lab.cables):
        yield Step(
            "cables",
            "Lay the cables, and see how fast each comes up",
            why="Each cable is held against both ends: a plug that does not fit carries nothing. "
            "Then the machines tell how fast their ports came up, beside what both ends promise.",
            check=Cables(lab, ours).checks,
        )


def _hosts_on(lab: Lab, switch: Switch) -> set[str]:
    """The hosts that are plugged into a switch."""
    return {row.to.partition(".")[0] for row in port_table(lab, switch) if row.to}


class SwitchSetting:
    """One switch as it is to be; see `steps`."""

    def __init__(self, lab: Lab, switch: Switch) -> None:
        self.lab = lab
        self.switch = switch
        self.rows = port_table(lab, switch)
        carried = {id_ for row in self.rows for id_ in (row.untagged, *row.tagged) if id_}
        self.vlans = sorted(carried & lab.vlans.keys()) if switch.managed else []

    # ------------------------------------------------------------------ the plan

    def plan(self, ctx: Context) -> Iterator[Check]:
        """Whether it can be set up so at all, and the table itself."""
        switch = self.switch
        one = joined(self.lab, switch)
        says = all_one_network(switch, one) if one else "\n".join(self.lines())
        yield Check(f"{switch.name} keeps its VLANs apart", not one, says)
        if not self.vlans:
            return
        wrong = [said for _, _, said in differing(self.lab, switch)]
        yield Check("both ends of each cable carry the same VLANs", not wrong, " ".join(wrong))
        spare = spare_ports(self.lab, switch)
        ours = management_vlan(self.lab, switch)
        title = f"a port of {switch.name} stays untagged in VLAN {ours or 1} for whoever sets it up"
        none = "every port is taken; leave one without a cable until all is verified"
        yield Check(title, bool(spare), ", ".join(spare) or none)

    def lines(self) -> list[str]:
        """The port table, a line each."""
        return [_line(row) for row in self.rows]

    def ask(self) -> str:
        """What a person is asked to do."""
        spare = spare_ports(self.lab, self.switch)
        keep = f"leave {spare[-1]} untagged in the management VLAN until all is verified" if spare \
            else "keep one port untagged in the management VLAN until all is verified"  # fmt: skip
        where = f" (at {self.switch.address})" if self.switch.address else ""
        head = f"set up the ports of {self.switch.title}{where} as follows, and {keep}:"
        return "\n".join([head, *(f"      {line}" for line in self.lines())])

    # ------------------------------------------------------------------- what is

    def seen(self, ctx: Context) -> Check:
        """Whether somebody was heard in each VLAN."""
        title = f"somebody is heard in each VLAN of {self.switch.name}"
        missing, told = [], []
        for id_ in self.vlans:
            router = self._router(id_)
            if router is None:
                missing.append(f"VLAN {id_}: no router that could be asked")
                continue
            try:
                there = self._neighbours(ctx, router, id_)
            except Unreachable as error:
                return Check(title, False, f"{router.name} does not answer: {error.what}")
            if there:
                told.append(f"VLAN {id_}: {', '.join(self._said(each, id_) for each in there)}")
            else:
                subnet = self.lab.vlans[id_].subnet
                missing.append(f"VLAN {id_}: nobody; join it, and see that you get {subnet}")
        return Check(title, not missing, "; ".join([*missing, *told]))

    def _said(self, address: str, vlan: int) -> str:
        """An address, and whether DHCP has lent it: a static one tells nothing of DHCP there."""
        here = ipaddress.ip_address(address)
        ranges = (each for server in self.lab.dhcp.values() for each in server.ranges.values())
        lent = any(
            each.vlan == vlan
            and here.version == ipaddress.ip_address(each.first).version
            and ipaddress.ip_address(each.first) <= here <= ipaddress.ip_address(each.last)  # type: ignore[operator]  # of one version
            for each in ranges
        )
        return f"{address}, by DHCP" if lent else address

    def _router(self, vlan: int) -> Host | None:
        """Who has the gateway's address of a VLAN, and can be asked for neighbours."""
        gateway = self.lab.vlans[vlan].gateway
        for name, host in self.lab.hosts.items():
            mine = {str(ipaddress.ip_interface(cidr).ip) for cidr in host.cidrs}
            if gateway in mine and name in self.lab.machines() and host.os.kind in _ROUTERS:
                return host
        return None

    def _neighbours(self, ctx: Context, router: Host, vlan: int) -> list[str]:
        """Addresses of a VLAN that its router hears, without its own."""
        host = ctx.host(router.name)
        heard = freebsd.neighbours(host) if _is_freebsd(router) else links.neighbours(host)
        subnet = ipaddress.ip_network(self.lab.vlans[vlan].subnet)
        own = self.lab.vlans[vlan].gateway
        return [each for each in heard if each != own and ipaddress.ip_address(each) in subnet]

    def reached(self, ctx: Context) -> Iterator[Check]:
        """Each machine on it that can be asked reaches the router of its VLAN."""
        for row in self.rows:
            name = row.to.partition(".")[0]
            host = self.lab.hosts.get(name)
            gateway = self.lab.vlans[row.untagged].gateway if row.untagged in self.vlans else None
            if host is None or gateway is None or name not in self.lab.machines():
                continue
            if _is_freebsd(host) or gateway in {c.partition("/")[0] for c in host.cidrs}:
                continue  # it is the router
            # A firewall may refuse the ping; that it was asked for its hardware address and told
            # it, its rules don't decide.
            answers = links.answers_ping(ctx.host(name), gateway)
            heard = answers or gateway in links.neighbours(ctx.host(name))
            says = f"{gateway} answers" if answers else f"{gateway} is heard, and refuses the ping"
            if not heard:
                says = f"{gateway} is not heard; port {row.port} of {self.switch.name} is to carry "
                says += f"VLAN {row.untagged} untagged"
            yield Check(f"{name} reaches its gateway in VLAN {row.untagged}", heard, says)


def _is_freebsd(host: Host) -> bool:
    return host.os.kind in _FREEBSD


def _line(row: SwitchPortRow) -> str:
    untagged = f"untagged {row.untagged}" if row.untagged else "as delivered"
    tagged = f", tagged {', '.join(map(str, row.tagged))}" if row.tagged else ""
    speed = f", {format_bps(row.speed_bps)}" if row.speed_bps else ""
    to = f"{row.to} ({row.cable})" if row.to else row.note or "free"
    return f"{row.port:<6} {untagged}{tagged}{speed}: {to}"


class Cables:
    """The cables at a phase's hosts; see `steps`."""

    def __init__(self, lab: Lab, hosts: set[str]) -> None:
        self.lab = lab
        self.cables = [
            cable
            for cable in lab.cables
            if {cable.a.partition(".")[0], cable.b.partition(".")[0]} & hosts
        ]

    def checks(self, ctx: Context) -> Iterator[Check]:
        """Each fits, and came up as fast as both ends promise, where an end can tell."""
        predicted = {cable.name: cable_speed(self.lab, cable) for cable in self.cables}
        for cable in self.cables:
            found = predicted[cable.name]
            says = format_bps(found.speed_bps) if found.speed_bps else found.reason
            title = f"cable {cable.name} fits {cable.a} and {cable.b}"
            yield Check(title, found.speed_bps > 0, says)
        for cable in self.cables:
            for end in (cable.a, cable.b):
                yield from self._came_up(ctx, end, predicted[cable.name].speed_bps)

    def _came_up(self, ctx: Context, end: str, predicted: float) -> Iterator[Check]:
        name, _, port = end.partition(".")
        host = self.lab.hosts.get(name)
        interface = host.ports[port].interface if host is not None else None
        if host is None or interface is None or name not in self.lab.machines():
            return
        tells = freebsd if _is_freebsd(host) else links
        now = tells.port_bps(ctx.host(name), interface)
        if now is None:
            return
        says = f"{format_bps(now)}; both ends do {format_bps(predicted)}" if now else "it is down"
        yield Check(f"{end} came up at its full speed", now >= predicted, says)
