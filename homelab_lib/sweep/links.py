"""The ways from a lab's storage to those who use it, read from its cables."""

from homelab_lib.lab import Lab
from homelab_lib.lab.graph import graph_of
from homelab_lib.lab.host import Host
from homelab_lib.lab.network import Cable
from homelab_lib.sweep.choices import LinkChoice
from homelab_lib.sweep.facts import largest_pool
from homelab_lib.units import format_bps
from homelab_lib.wiring.cables import cable_mtu, cable_speed
from homelab_lib.wiring.pcie_link import carries, link_of_port


def links(*labs: Lab) -> tuple[LinkChoice, ...]:
    """A choice for each way out of the NAS: a cable to another host, or through a switch.

    Parameters
    ----------
    *labs
        One lab, or several versions of it: the design as written beside the one with its
        decisions. A way that both have is given once.
    """
    found: dict[str, LinkChoice] = {}
    for lab in labs:
        nas = lab.hardware(largest_pool(lab).host).name
        for cable in lab.cables:
            ends = (cable.a.partition(".")[0], cable.b.partition(".")[0])
            if nas in ends:
                choice = _choice(lab, nas, cable)
                found.setdefault(choice.name, choice)
    return tuple(found.values())


def _choice(lab: Lab, nas: str, cable: Cable) -> LinkChoice:
    far = cable.b if cable.a.startswith(f"{nas}.") else cable.a
    ways = [cable]
    if far.partition(".")[0] in lab.switches:
        ways += [c for c in (_onward(lab, nas, far.partition(".")[0]),) if c]
    graph = graph_of(lab)
    speeds = [graph.edges[way.a, way.b]["speed_bps"] or 0 for way in ways]
    modules = [m for way in ways for m in (way.a_transceiver, way.b_transceiver) if m]
    buses = [
        _bus_bps(lab.hosts[host], port)
        for way in ways
        for host, _, port in (way.a.partition("."), way.b.partition("."))
        if host in lab.hosts
    ]
    kind = (
        "through the switch"
        if len(ways) > 1 or far.partition(".")[0] in lab.switches
        else ("straight")
    )
    return LinkChoice(
        name=f"{cable.medium} {kind}, {format_bps(min(speeds))}",
        speed_bps=float(min(speeds)),
        bus_bps=min(buses, default=float("inf")),
        usd=_price(lab, ways),
        power_w=sum(module.power_w or 0.0 for module in modules),
        fault="; ".join(filter(None, (_misfit(lab, way) for way in ways))),
        mtu=min(cable_mtu(lab, way) or 1500 for way in ways),
    )


def _onward(lab: Lab, nas: str, switch: str) -> Cable | None:
    """The hypervisor's cable to the same switch."""
    for cable in lab.cables:
        ends = (cable.a.partition(".")[0], cable.b.partition(".")[0])
        hosts = [end for end in ends if end in lab.hosts and end != nas]
        if switch in ends and hosts and lab.hosts[hosts[0]].os.kind == "proxmox":
            return cable
    return None


def _misfit(lab: Lab, cable: Cable) -> str:
    """Why a cable carries nothing; empty where it does."""
    found = cable_speed(lab, cable)
    return "" if found.speed_bps else found.reason


def _bus_bps(host: Host, port: str) -> float:
    """What a network chip's PCI Express link is sure to carry [bit/s]."""
    link = link_of_port(host, port)
    payload = carries(link) if link else None
    return payload.lower * 1e9 if payload else float("inf")


def _price(lab: Lab, ways: list[Cable]) -> float:
    """What is on the shopping list for these cables and for the cards at their ends."""
    wanted = {way.name for way in ways}
    for way in ways:
        for host, _, port in (way.a.partition("."), way.b.partition(".")):
            if host in lab.hosts:
                part = lab.hosts[host].ports[port].part
                devices = lab.hosts[host].devices.items()
                wanted |= {f"{host}.{name}" for name, device in devices if device.part == part}
    prices = [p.price for p in lab.purchases if wanted & set(p.used_in)]
    return sum((price.low_usd + price.high_usd) / 2 for price in prices)
