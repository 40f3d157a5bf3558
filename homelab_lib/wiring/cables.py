"""What a lab's cables come up at: the one place where the description meets the model of links."""

from homelab_lib.lab import Lab
from homelab_lib.lab.cabling import TransceiverPart
from homelab_lib.lab.network import Cable
from homelab_lib.models.links import End, LinkSpeed, Module, link_speed


def cable_speed(lab: Lab, cable: Cable) -> LinkSpeed:
    """What a cable comes up at; 0 bit/s where it does not, with the reason.

    Parameters
    ----------
    lab, cable
        The lab, and one of its cables.
    """
    part = cable.part
    return link_speed(
        _end(lab, cable.a, cable.a_transceiver),
        _end(lab, cable.b, cable.b_transceiver),
        cable.medium,
        length_m=cable.length_m,
        plugs=part.connectors if part else None,
        reach_m={each.speed_bps: each.length_m for each in part.reach} if part else None,
    )


def cable_mtu(lab: Lab, cable: Cable) -> int | None:
    """The largest packet that both ends of a cable take [bytes]; None where neither is a host's."""
    ends = [place.partition(".") for place in (cable.a, cable.b)]
    sizes = [lab.hosts[host].on_wire(port).mtu for host, _, port in ends if host in lab.hosts]
    return min(sizes, default=None)


def _end(lab: Lab, place: str, module: TransceiverPart | None) -> End:
    owner, _, port_name = place.partition(".")
    port = (lab.hosts.get(owner) or lab.switches[owner]).ports[port_name]
    inside = None
    if module is not None:
        inside = Module(module.cage, module.connector, module.speeds_bps, module.media)
    return End(port.connector, port.speeds_bps, inside, place)
