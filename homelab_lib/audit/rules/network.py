"""VLANs, routes, gateways and packets: what a plan needs, and someone has to define."""

from collections.abc import Iterator
from ipaddress import ip_interface, ip_network

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.devices import PortFacts
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.network import Port, Switch
from homelab_lib.wiring.switching import all_one_network, differing, joined, peers


@rule("vlans-need-managed-switch")
def switch_knows_vlans(lab: Lab) -> Iterator[Finding]:
    """Several VLANs on a switch that knows none: they are one network."""
    for switch in lab.switches.values():
        carried = joined(lab, switch)
        if not carried:
            continue
        yield Finding(
            "vlans-need-managed-switch",
            "stops",
            f"switches.{switch.name}",
            all_one_network(switch, carried),
            len(carried),
            "VLANs",
            (fact(switch.part, "unmanaged"),),
            _managed(lab, switch, peers(lab, switch)),
        )


def _managed(lab: Lab, switch: Switch, plugged: dict[str, Port]) -> Fix:
    """The cheapest switch with VLANs that has the same ports, set up as the other ends are."""
    able = [
        part
        for part in lab.catalog.switches.values()
        if part.managed and all(_same(part.ports.get(n), port) for n, port in switch.ports.items())
    ]
    if not able:
        return Fix("a switch with 802.1Q")
    part = min(able, key=lambda p: (p.price is None, p.price.low_usd if p.price else 0.0, p.id))
    set_up: dict[str, object] = {}
    for name, peer in plugged.items():
        vlans: dict[str, object] = {"vlan": peer.vlan} if peer.vlan is not None else {}
        if peer.tagged:
            vlans["tagged"] = list(peer.tagged)
        if vlans:
            set_up[name] = vlans
    changes = ((f"switches.{switch.name}.part", part.id), *_written(switch, set_up))
    price = part.price
    low, high = (price.low_usd, price.high_usd) if price else (0.0, 0.0)
    return Fix(part.title, low, high, changes)


def _written(switch: Switch, ports: dict[str, object]) -> tuple[tuple[str, object], ...]:
    """Ports of a switch as changes of its description, which may say nothing of any so far."""
    path = f"switches.{switch.name}.ports"
    if "ports" not in switch.model_fields_set:
        return ((path, ports),) if ports else ()
    return tuple((f"{path}.{name}", entry) for name, entry in ports.items())


def _same(facts: PortFacts | None, port: Port) -> bool:
    if facts is None or facts.connector != port.connector:
        return False
    return max(facts.speeds_bps) >= max(port.speeds_bps)


@rule("vlans-differ-at-ends")
def ends_agree(lab: Lab) -> Iterator[Finding]:
    """A cable whose two ends are set up for other VLANs."""
    for switch in lab.switches.values():
        for name, peer, said in differing(lab, switch):
            path = f"switches.{switch.name}.ports.{name}"
            entry: dict[str, object] = {"vlan": peer.vlan, "tagged": list(peer.tagged)}
            yield Finding(
                "vlans-differ-at-ends",
                "stops",
                path,
                said,
                fix=Fix(
                    "as at the other end",
                    changes=_written(switch, {name: _without_none(entry)}),
                ),
            )


def _without_none(entry: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in entry.items() if value is not None}


ROUTERS = ("opnsense", "pfsense")
"""Systems that route between VLANs and filter what passes."""

# Routes ------------------------------------------------------------------------------------------


def zone(lab: Lab, name: str) -> frozenset[int]:
    """VLANs in which a host or VM has an address."""
    machine = lab.vms.get(name) or lab.hosts.get(name)
    return machine.vlans if machine else frozenset()


def crossings(lab: Lab) -> dict[tuple[int, int], list[str]]:
    """Ways from one VLAN to another that the description needs, with who needs them.

    Parameters
    ----------
    lab
        The lab.

    Returns
    -------
    dict
        By source and destination VLAN; whoever shares a VLAN, or a cable, needs no way.
    """
    wanted = [(link.a, link.b, f"links.{link.name}") for link in lab.links if not link.direct]
    for cluster in lab.clusters.values():
        subject = f"clusters.{cluster.name}"
        servers = cluster.servers
        wanted += [(client, each, subject) for client in cluster.clients for each in servers]
        wanted += [(agent, each, subject) for agent in cluster.host_agents for each in servers]
    found: dict[tuple[int, int], list[str]] = {}
    for a, b, subject in wanted:
        here, there = zone(lab, a), zone(lab, b)
        if here and there and not here & there:
            found.setdefault((min(here), min(there)), []).append(subject)
    return found


def allowed(lab: Lab, source: int, destination: int) -> bool:
    """Whether the rules let one VLAN into another: the first that fits decides."""
    for each in lab.rules:
        if each.source in (source, "any") and each.destination in (destination, "any"):
            return each.allow
    return False


def fetching(lab: Lab, id_: int) -> list[str]:
    """The machines in a VLAN that runbooks make or set up, and that fetch packages and images
    through a firewall that runbooks set up, too: it refuses what no rule allows.

    Parameters
    ----------
    lab, id_
        The lab, and the VLAN's number.
    """
    gateway = lab.vlans[id_].gateway
    routers = [host for host in lab.hosts.values() if host.os.kind == "opnsense" and host.phase]
    if not any(cidr.partition("/")[0] == gateway for each in routers for cidr in each.cidrs):
        return []
    made = {each.name for each in lab.hosts.values() if each.phase and each not in routers}
    made |= {name for name, vm in lab.vms.items() if vm.phase and not vm.exists}
    return sorted(name for name in made if id_ in zone(lab, name))


@rule("no-rules-between-vlans")
def rules_exist(lab: Lab) -> Iterator[Finding]:
    """Several VLANs with a router, and no rule at all: what no rule allows is refused."""
    routed = sorted(id_ for id_, vlan in lab.vlans.items() if vlan.gateway)
    if lab.rules or len(routed) < 2:
        return
    needed = crossings(lab)
    ways = [f"VLAN {a} to {b} ({', '.join(who)})" for (a, b), who in needed.items()]
    cut_off = sorted({who for id_ in routed for who in fetching(lab, id_)})
    if ways:
        more = f"; needed are {'; '.join(ways)}."
    elif cut_off:
        more = f", to the internet neither: {', '.join(cut_off)} can fetch nothing."
    else:
        more = "."
    yield Finding(
        "no-rules-between-vlans",
        "stops" if ways or cut_off else "note",
        "rules",
        f"{len(routed)} VLANs have a router and no rule says what may pass between them, so "
        f"nothing passes{more}",
        len(needed),
        "ways needed",
        fix=Fix(
            "a rule for each way that is needed",
            changes=(
                (
                    "rules",
                    [
                        *(_rule(a, b, who) for (a, b), who in needed.items()),
                        *(_rule(id_, "internet", ["updates"]) for id_ in routed),
                    ],
                ),
            ),
        ),
    )


def _rule(source: int, destination: object, who: list[str]) -> dict[str, object]:
    return {
        "name": f"vlan{source}-{destination}",
        "source": source,
        "destination": destination,
        "reason": ", ".join(who),
    }


@rule("way-refused")
def ways_open(lab: Lab) -> Iterator[Finding]:
    """A way between VLANs that the description needs, and that the rules refuse."""
    for (source, destination), who in crossings(lab).items() if lab.rules else ():
        if allowed(lab, source, destination):
            continue
        entry = _rule(source, destination, who)
        rules = [entry, *lab.rules]
        yield Finding(
            "way-refused",
            "stops",
            "rules",
            f"{', '.join(who)} needs a way from VLAN {source} to VLAN {destination}; the rules "
            "refuse it.",
            fix=Fix(f"a rule that lets {source} to {destination}", changes=(("rules", rules),)),
        )


@rule("gateway-nobody-has")
def gateways_exist(lab: Lab) -> Iterator[Finding]:
    """A VLAN's gateway that no machine of the description has for an address.

    A VM is a machine, too: many a firewall is one. It is surely wrong where one router of the
    lab's own is in that VLAN by another address; two may share one that neither has, and a
    provider's router may not be described.
    """
    hosts = (cidr for host in lab.hosts.values() for cidr in host.cidrs)
    vms = (cidr for vm in lab.vms.values() for cidr in vm.addresses)
    own = {str(ip_interface(cidr).ip) for cidr in (*hosts, *vms)}
    for id_, vlan in lab.vlans.items():
        if not vlan.gateway or vlan.gateway in own:
            continue
        routers = _routers_in(lab, id_)
        only = next(iter(routers.items())) if len(routers) == 1 else None
        yield Finding(
            "gateway-nobody-has",
            "stops" if only else "note",
            f"vlans.{id_}",
            f"The gateway {vlan.gateway} of VLAN {id_} is no machine's address here"
            + (
                f"; {only[0]} routes there, and has {only[1]}."
                if only
                else "; it is right if a router has it that is not described."
            ),
            fix=Fix(f"{only[1]}", changes=((f"vlans.{id_}.gateway", only[1]),)) if only else None,
        )


def _routers_in(lab: Lab, vlan: int) -> dict[str, str]:
    """Firewalls with an address in a VLAN, with that address."""
    networks = [ip_network(subnet) for subnet in lab.vlans[vlan].subnets]
    found: dict[str, str] = {}
    for name, host in lab.hosts.items():
        if host.os.kind not in ROUTERS:
            continue
        for cidr in host.cidrs:
            if any(ip_interface(cidr).ip in network for network in networks):
                found.setdefault(name, str(ip_interface(cidr).ip))
    return found


@rule("packets-too-large")
def packets_fit(lab: Lab) -> Iterator[Finding]:
    """Machines of one VLAN that send packets of different size: the larger ones get lost."""
    for id_ in lab.vlans:
        sizes = {
            f"{host.name}.{name}": each.mtu
            for host in lab.hosts.values()
            for name, each in host.attached.items()
            if (each.vlan == id_ and (each.on_untagged or each.bridge)) or id_ in each.on_tagged
        }
        if len(set(sizes.values())) < 2:
            continue
        least = min(sizes.values())
        large = [name for name, size in sizes.items() if size > least]
        small = [name for name, size in sizes.items() if size == least]
        yield Finding(
            "packets-too-large",
            "risks",
            f"vlans.{id_}",
            f"In VLAN {id_}, {', '.join(f'{n} sends packets of {sizes[n]} bytes' for n in large)}; "
            f"{', '.join(small)} takes {least}. Within a network nobody says that they are too "
            "large: they are lost, and connections hang.",
            least,
            "B",
            fix=Fix(
                f"{least} bytes for all, or a network of their own for the large ones",
                changes=tuple(
                    (f"{path}.mtu", least) for each in large for path in _set_at(lab, each)
                ),
            ),
        )


def _set_at(lab: Lab, interface: str) -> Iterator[str]:
    """Where the size of a host's packets is written: for its interface, and at the switch's end of
    each of its cables, where something is written there."""
    owner, _, name = interface.partition(".")
    bond = lab.hosts[owner].bonds.get(name)
    yield f"hosts.{owner}.{'ports' if bond is None else 'bonds'}.{name}"
    own = {f"{owner}.{port}" for port in (bond.members if bond else (name,))}
    for cable in lab.cables:
        for here, there in ((cable.a, cable.b), (cable.b, cable.a)):
            switch, _, port = there.partition(".")
            if here in own and switch in lab.switches:
                other = lab.switches[switch].ports.get(port)
                if other is not None and "mtu" in other.model_fields_set:
                    yield f"switches.{switch}.ports.{port}"


@rule("port-used-twice")
def ports_are_free(lab: Lab) -> Iterator[Finding]:
    """Two services of one machine that listen on the same port."""
    seen: dict[tuple[str, int], str] = {}
    for service in lab.services.values():
        if service.runs_on is None or service.port is None:
            continue
        if service.runs_on in lab.clusters:
            continue  # each has an address of its own
        first = seen.setdefault((service.runs_on, service.port), service.name)
        if first != service.name and first not in service.instead_of:
            yield Finding(
                "port-used-twice",
                "stops",
                f"services.{service.name}",
                f"{service.title} and {lab.services[first].title} both listen on port "
                f"{service.port} of {service.runs_on}.",
                service.port,
                "port",
            )
