"""What the internet gets to: what the firewall lets in, and who answers behind it."""

import re
from collections.abc import Iterator

from homelab_lib.control.linux.listeners import tcp_ports
from homelab_lib.control.opnsense import packet_filter
from homelab_lib.errors import Unreachable
from homelab_lib.lab import Lab
from homelab_lib.lab.firewall import PortForward
from homelab_lib.runbook.step import Check, Context, Step

_LINUX = ("proxmox", "truenas", "debian", "ubuntu", "linux")
_HARMLESS = re.compile(r"proto (ipv6-)?icmp|port = (bootp|dhcpv6)|label \"[^\"]*(DHCP|ICMP)")
_PORT = re.compile(r"\bto .*?port (?:= )?(\S+)")


def step(lab: Lab) -> Step:
    """The step that looks whether anything is exposed."""
    exposure = Exposure(lab)
    return Step(
        "exposed",
        "See that nothing is exposed to the internet",
        why="Tunnels go outwards, so nothing has to be let in but WireGuard's own port. The "
        "firewall is asked for the rules that it has for its outer side, and each machine for "
        "what it listens on: where one leads to the other, the world is at the door.",
        check=exposure.checks,
    )


class Exposure:
    """What leads in from outside; see `step`."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.forwards = [
            (name, each)
            for name, firewall in lab.firewalls.items()
            for each in firewall.port_forwards.values()
            if each.enabled
        ]

    def checks(self, ctx: Context) -> Iterator[Check]:
        """The lab's own rules, the firewall's, and then who answers."""
        outside = ("internet", "any")
        let_in = [rule.name for rule in self.lab.rules if rule.source in outside and rule.allow]
        says = f"rules let it in: {', '.join(let_in)}" if let_in else "no rule lets it in"
        yield Check("the lab's rules let nothing in from the internet", not let_in, says)
        yield from self._outer_sides(ctx)
        for name, host in self.lab.hosts.items():
            if host.os.kind in _LINUX and name in self.lab.machines():
                yield self._listens(ctx, name)

    def _outer_sides(self, ctx: Context) -> Iterator[Check]:
        """What each firewall has for the port that leads to the internet."""
        for line in self.lab.internet.values():
            name, _, port = line.port.partition(".")
            host = self.lab.hosts[name]
            if host.os.kind != "opnsense" or name not in self.lab.machines():
                continue
            attached = host.attached[port]
            interface = attached.interface or port
            title = f"{name} lets in at {port} what the lab describes, and nothing else"
            shown = packet_filter.rules(ctx.host(name))
            if shown.exit_status:
                yield Check(title, False, shown.stderr.strip() or "it does not tell its rules")
                continue
            strange = [rule for rule in _passes(shown.stdout, interface) if not self._known(rule)]
            yield Check(title, not strange, "; ".join(strange[:3]) or "nothing else")

    def _known(self, rule: str) -> bool:
        """Whether the lab describes what a rule lets in."""
        found = _PORT.search(rule)
        ports = {str(each.to_port or each.port) for _, each in self.forwards}
        ports |= {str(each.port) for _, each in self.forwards}
        ports |= {str(t.port) for tunnels in self.lab.wireguard.values() for t in tunnels.values()}
        return found is not None and found[1] in ports

    def _listens(self, ctx: Context, name: str) -> Check:
        """Whether what leads in comes to somebody who answers there."""
        title = f"{name} answers nobody from the internet"
        try:
            ports = tcp_ports(ctx.host(name))
        except Unreachable as error:
            return Check(title, True, f"it is off: {error.what}")
        at = {
            each.to_port or each.port: firewall
            for firewall, each in self.forwards
            if each.protocol != "UDP" and self._leads_to(each, name)
        }
        open_ = [f"tcp/{port} by a port forward of {at[port]}" for port in ports if port in at]
        if open_:
            return Check(
                title,
                False,
                f"{', '.join(open_)}; a tunnel exposes nothing. If it is meant, leave this step "
                'out with skip="exposed"',
            )
        return Check(title, True, f"inside it listens on tcp {', '.join(map(str, ports))}")

    def _leads_to(self, forward: PortForward, name: str) -> bool:
        own = (cidr.partition("/")[0] for cidr in self.lab.hosts[name].cidrs)
        return str(forward.to) in {name, *own}


def _passes(rules: str, interface: str) -> list[str]:
    """What lets packets in at an interface, but for what every line needs: DHCP and ICMP."""
    here = re.compile(rf"^pass in\b.* on {re.escape(interface)}\b")
    return [line for line in rules.splitlines() if here.match(line) and not _HARMLESS.search(line)]
