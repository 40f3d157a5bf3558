"""VLANs, subnets, routes and ports that a plan needs, and that someone has to define."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.devices import PortFacts
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.network import Port, Switch
from homelab_lib.lab.per_host import at
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
    changes: list[tuple[str, object]] = [(f"switches.{switch.name}.part", part.id)]
    for name, peer in plugged.items():
        vlans: dict[str, object] = {"vlan": peer.vlan} if peer.vlan is not None else {}
        if peer.tagged:
            vlans["tagged"] = list(peer.tagged)
        if vlans:
            changes.append((f"switches.{switch.name}.ports.{name}", vlans))
    price = part.price
    low, high = (price.low_usd, price.high_usd) if price else (0.0, 0.0)
    return Fix(part.title, low, high, tuple(changes))


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
                fix=Fix("as at the other end", changes=((path, _without_none(entry)),)),
            )


def _without_none(entry: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in entry.items() if value is not None}


# Routes ------------------------------------------------------------------------------------------


def _zone(lab: Lab, name: str) -> set[int]:
    """VLANs in which a host or VM has an address."""
    if name in lab.vms:
        vm = lab.vms[name]
        return {vm.vlan, *(nic.vlan for nic in vm.nics.values())}
    attached = lab.hosts[name].attached.values() if name in lab.hosts else ()
    own = {each.vlan for each in attached if each.on_untagged and each.vlan is not None}
    return own | {id_ for each in attached for id_ in each.on_tagged}


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
        here, there = _zone(lab, a), _zone(lab, b)
        if here and there and not here & there:
            found.setdefault((min(here), min(there)), []).append(subject)
    return found


def _allowed(lab: Lab, source: int, destination: int) -> bool:
    for each in lab.rules:
        if each.source in (source, "any") and each.destination in (destination, "any"):
            return each.allow
    return False


@rule("no-rules-between-vlans")
def rules_exist(lab: Lab) -> Iterator[Finding]:
    """Several VLANs with a router, and no rule at all: what no rule allows is refused."""
    routed = sorted(id_ for id_, vlan in lab.vlans.items() if vlan.gateway)
    if lab.rules or len(routed) < 2:
        return
    needed = crossings(lab)
    ways = [f"VLAN {a} to {b} ({', '.join(who)})" for (a, b), who in needed.items()]
    yield Finding(
        "no-rules-between-vlans",
        "stops" if needed else "note",
        "rules",
        f"{len(routed)} VLANs have a router and no rule says what may pass between them, so "
        "nothing passes" + (f"; needed are {'; '.join(ways)}." if ways else "."),
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
        if _allowed(lab, source, destination):
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
    """A VLAN's gateway that no machine of the description has for an address."""
    own = {
        str(ip_interface(address).ip)
        for host in lab.hosts.values()
        for each in host.attached.values()
        for address in each.cidrs
    }
    for id_, vlan in lab.vlans.items():
        if vlan.gateway and vlan.gateway not in own:
            several = len(lab.vlans) > 1
            yield Finding(
                "gateway-nobody-has",
                "stops" if several else "note",
                f"vlans.{id_}",
                f"The gateway {vlan.gateway} of VLAN {id_} is no machine's address here"
                + ("." if several else "; it is right if the provider's router has it."),
            )


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


@rule("no-port-to-internet")
def router_has_wan(lab: Lab) -> Iterator[Finding]:
    """A firewall with one side only: no port is said to lead to the internet."""
    if lab.internet:
        return
    cabled = {end for cable in lab.cables for end in (cable.a, cable.b)}
    for host in lab.hosts.values():
        if host.os.kind not in ("opnsense", "pfsense"):
            continue
        inside = {
            name
            for name, port in host.ports.items()
            if port.vlan is not None or port.tagged or port.addresses
        }
        outside = [
            name
            for name, port in host.ports.items()
            if name not in inside and (port.address or f"{host.name}.{name}" in cabled)
        ]
        if not outside:
            free = [name for name in host.ports if name not in inside]
            yield Finding(
                "no-port-to-internet",
                "stops",
                f"hosts.{host.name}.ports",
                f"{host.title} has {', '.join(sorted(inside)) or 'no port'} towards the house, and "
                "nothing says which port leads to the internet; unused: "
                f"{', '.join(free) or 'none'}.",
                len(free),
                "unused ports",
                fix=Fix("name the port, and the module and cable that the provider's box takes"),
            )


# Storage over the network ------------------------------------------------------------------------


def _nodes(lab: Lab, cluster: Cluster) -> list[str]:
    return [*cluster.vms, *cluster.host_agents]


def _addresses(lab: Lab, name: str) -> list[str]:
    """Addresses with prefix of a host or VM."""
    if name in lab.vms:
        return list(lab.vms[name].addresses)
    return [cidr for each in lab.hosts[name].attached.values() for cidr in each.cidrs]


def _reaches(lab: Lab, node: str, server: str, address: str) -> bool:
    """Whether a node has a way to an address of a server: by a common network, or by a router."""
    target = ip_address(address)
    if any(target in ip_interface(own).network for own in _addresses(lab, node)):
        return True
    vlan = next(
        (i for i, v in lab.vlans.items() if any(target in ip_network(s) for s in v.subnets)), None
    )
    return vlan is not None and any(_allowed(lab, zone, vlan) for zone in _zone(lab, node))


@rule("nfs-address-unreachable")
def storage_is_reached(lab: Lab) -> Iterator[Finding]:
    """A storage class whose server address the cluster's nodes have no way to."""
    for cluster in lab.clusters.values():
        storage = cluster.nfs
        if storage is None:
            continue
        share = at(lab.nfs_shares, storage.share)
        if share is None:
            continue
        own = [str(ip_interface(a).ip) for a in _addresses(lab, share.host)]
        vms = [node for node in _nodes(lab, cluster) if node in lab.vms]
        nobody = storage.server_address not in own
        lost = [n for n in vms if not _reaches(lab, n, share.host, storage.server_address)]
        if not lost and not nobody:
            continue
        path = f"clusters.{cluster.name}.storage_class.server_address"
        better = [a for a in own if all(_reaches(lab, n, share.host, a) for n in vms)]
        why = (
            f"{share.host} has no such address"
            if nobody
            else f"{', '.join(lost)} have no way to it: it is in none of their networks, and in "
            "no VLAN that a router joins with theirs"
        )
        yield Finding(
            "nfs-address-unreachable",
            "stops",
            path,
            f"Volumes are to be mounted from {storage.server_address}; {why}.",
            len(lost),
            "nodes",
            tuple(f"{name}: {', '.join(_addresses(lab, name))}" for name in (*lost, share.host)),
            Fix(
                f"{better[0]}, the server's address in the nodes' network"
                if better
                else "an address of the server in the nodes' network",
                changes=((path, better[0]),) if better else (),
            ),
        )


@rule("share-refuses-node")
def shares_admit_nodes(lab: Lab) -> Iterator[Finding]:
    """A node whose address is in none of the networks that its volumes are exported to."""
    for cluster in lab.clusters.values():
        if cluster.nfs is None:
            continue
        share = at(lab.nfs_shares, cluster.nfs.share)
        if share is None:
            continue
        networks = [ip_network(network) for network in share.networks]
        for node in _nodes(lab, cluster):
            mine = [ip_interface(address) for address in _addresses(lab, node)]
            if not mine or any(each.ip in network for each in mine for network in networks):
                continue
            more = [*share.networks, str(mine[0].network)]
            yield Finding(
                "share-refuses-node",
                "stops",
                f"nfs_shares.{share.id}",
                f"{node} of cluster {cluster.name} has {mine[0].ip}; {share.path} is exported to "
                f"{', '.join(share.networks)} only.",
                fix=Fix(
                    f"export it to {mine[0].network}, too",
                    changes=((f"nfs_shares.{share.id}.networks", more),),
                ),
            )


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
