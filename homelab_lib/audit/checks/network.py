"""Checks of ways through the network: which link storage takes, what comes in from outside."""

from collections.abc import Sequence
from ipaddress import ip_interface

from homelab_lib.audit.checks import About, CannotTell, Outcome, check, wanted
from homelab_lib.audit.finding import Finding
from homelab_lib.lab.host import HostPort
from homelab_lib.lab.lab import Lab


def _port_with(lab: Lab, address: str) -> tuple[str, HostPort]:
    """The host's port that has an address."""
    for host in lab.hosts.values():
        for port in host.ports.values():
            if any(str(ip_interface(each).ip) == address for each in port.cidrs):
                return host.name, port
    raise CannotTell(f"no port of the lab has {address}")


@check("on-link")
def on_link(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """The volumes of a ``cluster`` go over the cable that the direct ``link`` is, and reach it."""
    cluster = lab.clusters.get(wanted(about, "cluster"))
    link = next((each for each in lab.links if each.name == wanted(about, "link")), None)
    if cluster is None or cluster.nfs is None or link is None:
        raise CannotTell(f"the lab has no cluster {about['cluster']!r} with volumes, or no link")
    server = str(cluster.nfs.server_address)
    host, port = _port_with(lab, server)
    here = f"{host}.{port.name}"
    ends = {cable.a: cable.b for cable in lab.cables} | {cable.b: cable.a for cable in lab.cables}
    there = ends.get(here, "")
    other = there.partition(".")[0]
    says = f"Volumes are mounted from {server}, which is {here}, joined to {there or 'nothing'}."
    if {host, other} != {link.a, link.b}:
        return Outcome("fails", f"{says} That is not the direct link.")
    far = lab.hosts[other].ports[there.partition(".")[2]]
    network = next(n for c in port.cidrs if str((n := ip_interface(c)).ip) == server).network
    outside = [
        name
        for name in cluster.vms
        if not any(ip_interface(own).ip in network for own in lab.vms[name].addresses)
        and (far.bridge is None or lab.vms[name].bridge != far.bridge)
    ]
    if outside:
        return Outcome("fails", f"{says} {', '.join(outside)} are on no bridge that has it.")
    return Outcome("holds", says)


@check("no-inbound")
def no_inbound(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """No rule of the firewall lets anything in from the internet."""
    let_in = [rule.name for rule in lab.rules if str(rule.source) == "internet"]
    if let_in:
        return Outcome("fails", f"Rules let the internet in: {', '.join(let_in)}.", len(let_in))
    return Outcome("holds", "No rule lets anything in from the internet.", 0.0)
