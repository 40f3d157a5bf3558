"""A cable between two machines: whether it is up, how fast, and carries packets of full size."""

from collections.abc import Iterator

from homelab_lib.control.linux.links import answers_ping, link_bps, sends_whole
from homelab_lib.errors import BadParameter, HomelabError
from homelab_lib.lab import Lab
from homelab_lib.runbook.step import Check, Context, Measurement
from homelab_lib.units import format_bps
from homelab_lib.wiring.cables import cable_speed
from homelab_lib.wiring.direct_links import (
    DirectLink,
    LinkEnd,
    direct_links,
    gateway_faults,
    in_one_network,
)

_ETHTOOL = ("linux", "debian", "ubuntu", "proxmox", "truenas")


def refuse(lab: Lab, host: str) -> None:
    """Refuse direct links that can't work as the lab has them.

    Raises
    ------
    BadParameter
        A gateway on a link that leads to one machine.
    """
    for fault in gateway_faults(lab, host):
        raise BadParameter(fault.says, where=fault.place, fix=fault.fix)


def checks(ctx: Context, lab: Lab, host: str) -> Iterator[Check]:
    """Each direct link of a machine: its speed as the cable allows it, and packets of full size
    from both ends. An end that is not set up yet is told, and looked at by its own runbook."""
    for link in direct_links(lab, host):
        own, other = link.seen_from(host)
        yield from _speed(ctx, lab, link, own)
        if not in_one_network(link):
            continue
        for here, there in ((own, other), (other, own)):
            yield _whole_packets(ctx, lab, link, here, there)


def measures(ctx: Context, lab: Lab, host: str) -> Iterator[Measurement]:
    """The speed of each direct link, beside what its ends and cable allow."""
    for link in direct_links(lab, host):
        own, _ = link.seen_from(host)
        speed = link_bps(ctx.host(host), own.interface)
        if speed is not None:
            allowed = cable_speed(lab, link.cable).speed_bps
            yield Measurement(f"speed of {link.cable.name}", speed, "bit/s", float(allowed))


def _speed(ctx: Context, lab: Lab, link: DirectLink, own: LinkEnd) -> Iterator[Check]:
    if lab.hosts[own.host].os.kind not in _ETHTOOL:
        return
    allowed = cable_speed(lab, link.cable)
    speed = link_bps(ctx.host(own.host), own.interface)
    title = f"{link.cable.name} is up at {own.interface} of {own.host}"
    if speed is None:
        why = "" if allowed.speed_bps else f": {allowed.reason}"
        says = f"no link{why}. Look at both plugs, and whether the other end is switched on"
        yield Check(title, False, says)
        return
    told = f"{format_bps(speed)}, where ends and cable allow {format_bps(allowed.speed_bps)}"
    yield Check(title, speed >= allowed.speed_bps, told)


def _whole_packets(
    ctx: Context, lab: Lab, link: DirectLink, here: LinkEnd, there: LinkEnd
) -> Check:
    size = min(here.port.mtu, there.port.mtu)
    title = f"{here.host} sends packets of {size} bytes over {link.cable.name}, none cut up"
    not_yet = _not_up(ctx, lab, here, there)
    if not_yet:
        return Check(title, True, f"not tried yet: {not_yet}")
    host = ctx.host(here.host)
    if sends_whole(host, there.address, size):
        return Check(title, True, f"{there.address} answers them")
    if not answers_ping(host, there.address):
        why = f"{there.address} does not answer at all: is {there.interface} of {there.host} up?"
    else:
        why = (
            f"small packets pass, and those of {size} bytes do not: one end, or what lies between, "
            f"takes less. Look at `ip link` at both ends ({here.interface}, {there.interface})"
        )
    return Check(title, False, why)


def _not_up(ctx: Context, lab: Lab, here: LinkEnd, there: LinkEnd) -> str:
    """Which end can't be tried: it has not its address yet, or nobody can be asked."""
    for end in (here, there):
        if lab.hosts[end.host].ssh is None:
            return f"no runbook logs in on {end.host}"
        try:
            shown = ctx.host(end.host).read("ip", "-j", "addr", "show").stdout
        except HomelabError as error:
            return f"{end.host} can't be asked ({error.what.splitlines()[0]})"
        if f'"{end.address}"' not in shown:
            return f"{end.host} has not {end.address} yet"
    return ""
