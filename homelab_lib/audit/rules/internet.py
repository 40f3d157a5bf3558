"""The way to the internet: what it lets in, by which port it goes, and how fast."""

from collections.abc import Iterator

from homelab_lib.audit.assumptions import assumptions
from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import rule
from homelab_lib.audit.rules.network import ROUTERS, fetching
from homelab_lib.lab.lab import Lab
from homelab_lib.models.reachability import INTERNET, vlan_reachability
from homelab_lib.units import format_bps
from homelab_lib.wiring.cables import cable_speed

_WEB = "tcp/443"


@rule("open-to-the-internet")
def internet_let_in(lab: Lab) -> Iterator[Finding]:
    """A rule lets in what comes from the internet: by its name, or since "any" takes it in."""
    for each in lab.rules:
        if not each.allow or each.source not in ("any", "internet"):
            continue
        meant = "the internet" if each.source == "internet" else "“any”, the internet among it,"
        ports = ", ".join(map(str, each.ports)) or "every port"
        yield Finding(
            "open-to-the-internet",
            "stops" if each.source == "any" else "risks",
            f"rules.{each.name}",
            f"Rule {each.name} lets {meant} into {each.destination} by {ports}.",
            fix=Fix("write a rule for each VLAN that is meant, and none for the internet"),
        )


@rule("no-way-to-internet")
def machines_fetch(lab: Lab) -> Iterator[Finding]:
    """A network whose machines are to fetch packages, and that no rule lets out."""
    routed = [id_ for id_, vlan in lab.vlans.items() if vlan.gateway]
    if not lab.rules and len(routed) > 1:
        return  # no-rules-between-vlans says it
    rules = [(r.name, r.source, r.destination, r.allow, r.ports) for r in lab.rules]
    reach = vlan_reachability(lab.vlans, rules)
    for id_ in routed:
        who = fetching(lab, id_)
        if not who or reach[id_, INTERNET].on(_WEB).allow:
            continue
        way = {"name": f"{lab.vlans[id_].name}-internet", "source": id_, "destination": INTERNET,
               "reason": "Updates, packages, images"}  # fmt: skip
        yield Finding(
            "no-way-to-internet",
            "stops",
            f"vlans.{id_}",
            f"No rule lets VLAN {id_} ({lab.vlans[id_].name}) out to the internet, and the "
            f"firewall refuses what none allows: {', '.join(who)} can fetch nothing.",
            len(who),
            "machines",
            fix=Fix(
                "a rule that lets it out",
                changes=((f"rules.{way['name']}", way),) if lab.rules else (("rules", [way]),),
            ),
        )


@rule("no-port-to-internet")
def router_has_wan(lab: Lab) -> Iterator[Finding]:
    """A firewall with one side only: no port is said to lead to the internet, or one is by an
    assumption alone."""
    if lab.internet:
        return
    cabled = {end for cable in lab.cables for end in (cable.a, cable.b)}
    for host in lab.hosts.values():
        if host.os.kind not in ROUTERS:
            continue
        inside = [
            name
            for name, port in host.ports.items()
            if port.vlan is not None or port.tagged or port.addresses
        ]
        outside = [
            name
            for name, port in host.ports.items()
            if name not in inside
            and (port.on_untagged or f"{host.name}.{name}" in cabled or name.startswith("wan"))
        ]
        sure = [
            name for name in outside
            if f"{host.name}.{name}" in cabled or not host.ports[name].assumed
        ]  # fmt: skip
        if sure:
            continue
        free = [name for name in host.ports if name not in inside]
        guess = (
            f"that {outside[0]} leads to the internet is assumed; nothing says by which module and "
            "cable."
            if outside
            else "nothing says which port leads to the internet; unused: "
            f"{', '.join(free) or 'none'}."
        )
        yield Finding(
            "no-port-to-internet",
            "costs" if outside else "stops",
            f"hosts.{host.name}.ports",
            f"{host.title} has {', '.join(sorted(inside)) or 'no port'} towards the house, and "
            f"{guess}",
            len(free),
            "unused ports",
            fix=Fix("name the port, and the module and cable that the provider's box takes"),
            assumed=assumptions(lab, [f"hosts.{host.name}.ports.{name}" for name in outside]),
        )


@rule("line-faster-than-port")
def line_is_used(lab: Lab) -> Iterator[Finding]:
    """A line to a provider that is faster than the port it arrives at, or than the way on from
    there into the house."""
    for name, line in lab.internet.items():
        rate = max(line.down_bps or 0, line.up_bps or 0)
        host_name, _, arrives = line.port.partition(".")
        host = lab.hosts.get(host_name)
        if not rate or host is None or arrives not in host.ports:
            continue
        outside = {each.port for each in lab.internet.values()}
        cabled = {cable.a: cable for cable in lab.cables} | {c.b: c for c in lab.cables}
        ways = {
            port: cable_speed(lab, cabled[end]).speed_bps
            for port in host.ports
            if (end := f"{host_name}.{port}") in cabled and end not in outside
        }
        port_bps = max(host.ports[arrives].speeds_bps)
        bond_bps = [
            sum(ways.get(member, 0) for member in bond.members) for bond in host.bonds.values()
        ]
        onward = max([*ways.values(), *bond_bps], default=0)
        held: dict[str, float] = {f"the port {line.port}": port_bps}
        if ways:
            held[f"what leads on from {host_name} into the house"] = onward
        slow = {what: speed for what, speed in held.items() if speed < rate}
        if not slow:
            continue
        what, speed = min(slow.items(), key=lambda each: each[1])
        yield Finding(
            "line-faster-than-port",
            "costs",
            f"internet.{name}",
            f"The line brings {format_bps(rate)}, and {what} does {format_bps(speed)}: the rest is "
            "paid for and not had.",
            speed,
            "bit/s",
            fix=Fix("a faster port, or a cheaper line"),
        )
