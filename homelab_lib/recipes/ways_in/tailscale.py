"""Tailscale: a machine of the house that leads whoever is in its tailnet to the house's subnets."""

import ipaddress
from collections.abc import Iterator

from homelab_lib.control.linux import Sysctl, SystemdService
from homelab_lib.control.linux import tailscale as control
from homelab_lib.control.linux.tailscale import Settings, TailscaleNode
from homelab_lib.errors import BadParameter, HomelabError
from homelab_lib.lab import Lab
from homelab_lib.lab.host import LINUX, Host
from homelab_lib.lab.remote import Tailscale
from homelab_lib.recipes.ways_in.package_source import installed
from homelab_lib.runbook.step import Check, Context, Manual, Step, Wanted


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The Tailscale nodes of a phase.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        One is on a machine where we can't set it up.
    """
    nodes = [each for each in lab.tailscale.values() if each.phase == phase]
    for each in nodes:
        end = f"-{each.name}" if len(nodes) > 1 else ""
        node = Node(lab, each)
        name = f"tailscale{end}"
        yield Step(
            name,
            f"Join the tailnet with {each.name}"
            + (f", and lead to {', '.join(each.routes)}" if each.routes else ""),
            why="Tailscale goes outwards only, so no port of the firewall is opened. The key for "
            "joining goes by standard input into a file that is gone a moment later, and never "
            "onto a command line. What is changed later is changed one setting at a time.",
            ensure=node.ensure,
            check=node.check,
        )
        if each.routes or each.exit_node:
            yield Step(
                f"routes{end}",
                f"Have the routes of {each.name} approved",
                why="What a node offers leads nowhere until an administrator of the tailnet "
                "approves it in the admin console. The node itself tells when that is done.",
                needs=(name,),
                manual=Manual(
                    f"in the admin console, under Machines, {node.hostname}, Edit route settings: "
                    f"approve {', '.join(node.wanted_routes)}",
                    verify=node.approved,
                    or_confirmed=True,
                ),
            )


class Node:
    """One machine of a tailnet; see `steps`."""

    def __init__(self, lab: Lab, node: Tailscale) -> None:
        self.lab = lab
        self.node = node
        self.name = node.name
        self.hostname = node.hostname or node.name
        system = lab.system(node.name)
        kind = system.kind if system else "nothing"
        host = lab.hosts.get(node.name)
        if kind not in LINUX or node.name not in lab.machines() or (host and host.standalone):
            raise BadParameter(
                f"{node.name} is to join a tailnet, and runs {kind}, or no runbook logs in",
                where=f"tailscale.{node.name}",
                fix="a TrueNAS has it as an app of its catalog, and OPNsense as a plugin: make it "
                f"there by hand and say exists: true; or put it on a {', '.join(LINUX)}",
            )

    @property
    def wanted_routes(self) -> tuple[str, ...]:
        """What an administrator has to approve."""
        return (*sorted(self.node.routes), *(("0.0.0.0/0",) if self.node.exit_node else ()))

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """The package, forwarding, the daemon, and then what it is told."""
        yield from installed(self.lab, self.name, "tailscale", self.node.source)
        families = {ipaddress.ip_network(each).version for each in self.node.routes}
        if self.node.exit_node:
            families = {4, 6}
        keys = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}
        for family in sorted(families):
            yield Sysctl(self.name, keys[family], "1", lab=self.lab.name)
        yield SystemdService(self.name, "tailscaled")
        machine = self.lab.machine(self.name)
        address = machine.ssh.address if isinstance(machine, Host) and machine.ssh else ""
        node = self.node
        yield TailscaleNode(
            self.name,
            Settings(
                self.hostname,
                tuple(sorted(node.routes)),
                node.exit_node,
                node.accept_routes,
                node.accept_dns,
                node.snat,
                node.ssh,
                tuple(sorted(node.tags)),
            ),
            node.login_server,
            ctx.secret(node.auth_key) if node.auth_key else None,
            address,
            lab=self.lab.name,
        )

    def check(self, ctx: Context) -> Iterator[Check]:
        """It is in, and may itself go where it leads others."""
        state = control.status(ctx.host(self.name))
        own = state.get("Self") or {}
        online = state["BackendState"] == "Running" and own.get("Online", False)
        says = f"{state['BackendState']}; {', '.join(state.get('TailscaleIPs', ()))}"
        if online and own.get("KeyExpiry"):
            says += f"; its key expires on {own['KeyExpiry'][:10]}: switch that off in the console"
        yield Check(f"{self.name} is in the tailnet", online, says)
        for route in self.node.routes:
            yield self._may_go(route)

    def _may_go(self, route: str) -> Check:
        """Whether the house's own rules let the node into a subnet that it offers."""
        network = ipaddress.ip_network(route)
        inside = [
            id_
            for id_, vlan in self.lab.vlans.items()
            if any(ipaddress.ip_network(each) == network for each in vlan.subnets)
        ]
        own = (self.lab.vms.get(self.name) or self.lab.hosts[self.name]).vlans
        title = f"{self.name} may go to {route} itself"
        if not inside or inside[0] in own:
            return Check(title, True, "it has an address there" if inside else "it is no VLAN")
        target = inside[0]
        for rule in self.lab.rules:
            if rule.source in (*own, "any") and rule.destination in (target, "any"):
                return Check(title, rule.allow, f"by rule {rule.name}")
        says = f"no rule lets VLAN {', '.join(map(str, sorted(own)))} into VLAN {target}"
        return Check(title, False, says)

    def approved(self, ctx: Context) -> Check:
        """Whether the tailnet sends what is for these subnets to the node."""
        title = f"the tailnet leads to {', '.join(self.wanted_routes)} by {self.hostname}"
        try:
            own = control.status(ctx.host(self.name)).get("Self") or {}
        except HomelabError as error:
            return Check(title, False, error.what)
        there = own.get("PrimaryRoutes", [])
        missing = [each for each in self.wanted_routes if each not in there]
        says = f"not approved: {', '.join(missing)}" if missing else ", ".join(there)
        return Check(title, not missing, says)
