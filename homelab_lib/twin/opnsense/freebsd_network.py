"""FreeBSD's programs about the network, where the box knows more of it than any FreeBSD does:
`ifconfig`, `netstat`, `ping`, `pfctl`, `sockstat`. The others are in `twin.machine.freebsd`.

Source: their manual pages, FreeBSD 15; pfctl(8).
"""

import ipaddress
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from homelab_lib.twin.machine.freebsd import device, listeners, medium
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.opnsense.box import Box
from homelab_lib.twin.opnsense.links import Link
from homelab_lib.twin.opnsense.rules import End, Rule

freebsd_network = Commands()


# ------------------------------------------------------------------------------ ifconfig


@freebsd_network("ifconfig")
def ifconfig(box: Box, call: Call) -> Reply:
    """Devices with their addresses; one may be destroyed, or an address taken from it."""
    words = [word for word in call.argv[1:] if word not in ("-a", "-v")]
    links = box.links.by_name
    if words == ["-l"]:
        return Reply(0, " ".join([*links, "lo0", "pflog0"]) + "\n")
    match words:
        case []:
            return Reply(0, "".join(_shown(box, each) for each in links.values()) + _LOOP)
        case [name] if name in links:
            return Reply(0, _shown(box, links[name]))
        case ["lo0"]:
            return Reply(0, _LOOP)
        case [name, *_] if name not in links:
            return Reply(1, stderr=f"ifconfig: interface {name} does not exist\n")
        case [name, "destroy"] if links[name].tag is not None:
            box.change_links(lambda: box.links.destroy(name))
            return Reply()
        case (
            [name, "inet", address, "delete" | "-alias"]
            | [name, address, "delete" | "-alias"]
            | [name, "delete", address]
        ):
            if not any(a.startswith(f"{address}/") for a in links[name].addresses):
                said = "ifconfig: ioctl (SIOCDIFADDR): Can't assign requested address\n"
                return Reply(1, stderr=said)
            box.change_links(lambda: box.links.take(name, address))
            return Reply()
        case [name, "up" | "down" as how]:
            box.change_links(lambda: setattr(links[name], "up", how == "up"))
            return Reply()
    return Reply(1, stderr=f"ifconfig: this twin's does not know {' '.join(words[1:])!r}\n")


def _shown(box: Box, link: Link) -> str:
    """A device; how fast a real one's port came up, that one has said."""
    media = link.media or medium(box, link.segment)
    active = link.up and box.has_carrier(link)
    return device(
        link.name,
        link.mac,
        link.mtu,
        link.addresses,
        media=media or (_PROVIDERS if active else ""),
        active=active,
        up=link.up,
        description=f"{link.description} ({link.identifier})" if link.identifier else "",
        vlan=f"{link.tag} vlanproto: 802.1q vlanpcp: 0 parent interface: {link.parent}"
        if link.tag is not None
        else "",
    )


_PROVIDERS = "1000baseT"  # the provider's end is no part of a lab
_LOOP = (
    "lo0: flags=1008049<UP,LOOPBACK,RUNNING,MULTICAST,LOWER_UP> metric 0 mtu 16384\n"
    "\toptions=680003<RXCSUM,TXCSUM,LINKSTATE,RXCSUM_IPV6,TXCSUM_IPV6>\n"
    "\tinet 127.0.0.1 netmask 0xff000000\n\tinet6 ::1 prefixlen 128\n"
    "\tinet6 fe80::1%lo0 prefixlen 64 scopeid 0x6\n\tgroups: lo\n"
)


# -------------------------------------------------------------------------- -----routes


@freebsd_network("netstat")
def netstat(box: Box, call: Call) -> Reply:
    """Routes, by ``-rn``."""
    if {"-rn", "-nr", "-r"}.isdisjoint(call.argv):
        return Reply(1, stderr="netstat: this twin's shows routes alone (-rn)\n")
    rows = [("Destination", "Gateway", "Flags", "Netif", "Expire")]
    rows += [("default", router, "UGS", name, "") for name, router in box.routers.items()]
    rows.append(("127.0.0.1", "link#5", "UH", "lo0", ""))
    for link in box.links.by_name.values():
        for address in map(ipaddress.ip_interface, link.addresses):
            if address.version == 4:
                rows.append((str(address.network), "link#1", "U", link.name, ""))
                rows.append((str(address.ip), "link#5", "UHS", "lo0", ""))
    lines = "".join(
        f"{to:<18} {by:<18} {flags:<7} {device:>8} {end}\n" for to, by, flags, device, end in rows
    )
    return Reply(0, f"Routing tables\n\nInternet:\n{lines}")


@freebsd_network("ping")
def ping(box: Box, call: Call) -> Reply:
    """Whether an address answers."""
    words, options = operands(call, "-c -W -t -s -S -i -I -m")
    address = box.world.resolve(box, words[-1]) if words else ""
    if not words:
        return Reply(64, stderr="usage: ping [-4] [-AaDdfHnoQqRrv] [-c count] … host\n")
    if not address:
        return Reply(68, stderr=f"ping: cannot resolve {words[-1]}: Name does not resolve\n")
    count = int(options.get("-c") or 1)
    size = int(options.get("-s") or 56)
    why = box.world.reach(box, address, 0)
    out = f"PING {address} ({address}): {size} data bytes\n"
    lost = f"\n--- {address} ping statistics ---\n{count} packets transmitted, "
    if why:
        lost += "0 packets received, 100.0% packet loss\n"
        return Reply(2, out + lost, takes_s=count + 1.0)
    for number in range(count):
        out += f"{size + 8} bytes from {address}: icmp_seq={number} ttl=64 time=0.321 ms\n"
    lost += f"{count} packets received, 0.0% packet loss\n"
    return Reply(0, out + lost + _TIMES, takes_s=count - 1.0)


_TIMES = "round-trip min/avg/max/stddev = 0.310/0.321/0.340/0.010 ms\n"


@freebsd_network("sockstat")
def sockstat(box: Box, call: Call) -> Reply:
    """Who listens: ``sockstat -4l -p 67`` names the owner of a port."""
    _, options = operands(call, "-p -P -j")
    wanted = options.get("-p", "")
    rows = [("root", "sshd", "310", "tcp4", 22), ("root", "lighttpd", "330", "tcp4", 443)]
    rows += [(user, name, number, "udp4", port) for user, name, number, port in _udp(box)]
    return Reply(0, listeners(row for row in rows if wanted in ("", str(row[4]))))


def _udp(box: Box) -> Iterator[tuple[str, str, str, int]]:
    if owner := box.dhcp_server():
        yield {"dnsmasq": ("nobody", "dnsmasq", "400", 67)}.get(
            owner, ("root", "kea-dhcp4", "401", 67)
        )
    if box.started.get("unbound"):
        yield "unbound", "unbound", "402", 53


# --------------------------------------------------------------------------------- pf


@freebsd_network("pfctl")
def pfctl(box: Box, call: Call) -> Reply:
    """The rules, tables and states that are in force; kills states."""
    match call.argv[1:]:
        case ["-sr"] | ["-s", "rules"]:
            lines = (_line(box, rule) for rule in box.pf.rules)
            return Reply(0, "".join(f"{line}\n" for line in lines if line))
        case ["-sn"] | ["-s", "nat"]:
            return Reply(0, "no nat proto carp all\n" + "".join(_redirections(box)))
        case ["-si"] | ["-s", "info"]:
            status = "Enabled" if box.pf.enabled else "Disabled"
            return Reply(0, f"Status: {status} for 1 days 00:00:00           Debug: Urgent\n")
        case ["-ss"] | ["-s", "states"]:
            there = f"{box.way_in.address}:22 <- operator:50000       ESTABLISHED:ESTABLISHED"
            return Reply(0, f"all tcp {there}\n")
        case ["-t", name, "-T", "show"]:
            if name not in box.pf.tables:
                return Reply(255, stderr="pfctl: Table does not exist.\n")
            return Reply(0, "".join(f"   {each}\n" for each in box.pf.tables.shown(name)))
        case ["-F", "states" | "state"] | ["-Fs"]:
            box.kill_states()
            return Reply(0, stderr="1 states cleared\n")
        case ["-k", *_]:
            box.kill_states()
            return Reply(0, stderr="killed 1 states from 1 sources and 0 destinations\n")
        case ["-d"]:
            box.pf.enabled = False
            return Reply(0, stderr="pf disabled\n")
        case ["-e"]:
            box.pf.enabled = True
            return Reply(0, stderr="pf enabled\n")
    return Reply(1, stderr=f"pfctl: this twin's does not know {' '.join(call.argv[1:])}\n")


def _line(box: Box, rule: Rule) -> str:
    """A rule as pf prints it; nothing for one on interfaces that are not there."""
    devices = [box.pf.devices[each] for each in rule.interfaces if each in box.pf.devices]
    if rule.interfaces and not devices:
        return ""
    action = {"reject": "block return", "block": "block drop"}.get(rule.action, rule.action)
    parts = [action, rule.direction if rule.direction in ("in", "out") else ""]
    parts.append("quick" if rule.quick else "")
    if devices:
        parts.append(f"on {'!' if rule.elsewhere else ''}{' '.join(devices)}")
    parts += ["" if rule.family == "inet46" else rule.family]
    parts.append(f"proto {rule.protocol}" if rule.protocol else "")
    whole = rule.source == End() and rule.destination == End()
    parts.append(
        "all" if whole else f"from {_end(box, rule.source)} to {_end(box, rule.destination)}"
    )
    parts.append("flags S/SA keep state" if rule.action == "pass" else "")
    parts.append(f'label "{rule.label or rule.description}"')
    return " ".join(filter(None, parts))


def _redirections(box: Box) -> Iterator[str]:
    """Port forwards as pf prints them: one for each device and protocol. What it translates by
    itself on the way out is not shown here."""
    for forward in box.pf.forwards:
        named = [name for name in forward.findtext("interface", "").split(",") if name]
        devices = [box.pf.devices[name] for name in named if name in box.pf.devices]
        target, port = forward.findtext("target", ""), forward.findtext("local-port", "")
        family = {"inet46": ""}.get(forward.findtext("ipprotocol") or "inet", "inet ")
        head = "rdr pass" if forward.findtext("pass") == "pass" else "rdr"
        source, destination = (_of_forward(forward, each) for each in ("source", "destination"))
        for device_ in devices if target else ():
            for protocol in filter(None, forward.findtext("protocol", "").lower().split("/")):
                yield (
                    f"{head} on {device_} {family}proto {protocol} from {_end(box, source)} to "
                    f"{_end(box, destination)} -> {target}{f' port {port}' if port else ''}\n"
                )


def _of_forward(forward: ET.Element, name: str) -> End:
    nets = forward.findtext(f"{name}/network") or forward.findtext(f"{name}/address") or "any"
    inverted = (forward.findtext(f"{name}/not") or "0") != "0"
    return End(nets, inverted, forward.findtext(f"{name}/port") or "")


def _end(box: Box, end: End) -> str:
    def net(text: str) -> str:
        device = box.pf.devices.get(text)
        own = box.pf.devices.get(text.removesuffix("ip"))
        if text in box.pf.tables:
            return f"<{text}>"
        return f"({device}:network)" if device else f"({own})" if own else text

    nets = [net(each) for each in end.nets.split(",")]
    shown = nets[0] if len(nets) == 1 else "{ " + ", ".join(nets) + " }"
    return f"{'! ' if end.inverted else ''}{shown}" + (f" port = {end.port}" if end.port else "")
