"""How a runbook comes to a host that it sets up, and which of its ports leads outside."""

from collections.abc import Iterator, Set

from homelab_lib.lab.checks.fault import Fault
from homelab_lib.lab.host import Host
from homelab_lib.lab.lab import Lab

_FIREWALLS = ("opnsense", "pfsense")


def faults(lab: Lab) -> Iterator[Fault]:
    for host in lab.hosts.values():
        if host.phase is not None and host.ssh is not None:
            yield from _way_in(host)
        if host.os.kind in _FIREWALLS:
            yield from _outside(host, {line.port for line in lab.internet.values()})


def _way_in(host: Host) -> Iterator[Fault]:
    """What is to be set up is reached before that: untagged, as its installer leaves it."""
    assert host.ssh is not None
    for name, port in host.attached.items():
        for tag, written in port.on_tagged.items():
            if host.ssh.address in [cidr.partition("/")[0] for cidr in written]:
                what = f"nobody gets in before phase {host.phase} has set it up: its address is on "
                what += f"port {name} with tag {tag} only. Give one port an address without a tag, "
                what += "as the installer does, and log in there; or take the host's phase away"
                yield Fault(("hosts", host.name, "ssh", "address"), what)


def _outside(host: Host, lines: Set[str]) -> Iterator[Fault]:
    """A firewall's port to the internet is in no network of the house."""
    for name, port in host.ports.items():
        line = f"{host.name}.{name}" in lines
        if port.vlan is None or not (line or port.automatic):
            continue
        what = "a line to the internet arrives at this port" if line else "it asks others for its"
        what += "" if line else " address, as a port to the internet does"
        what += f", and VLAN {port.vlan} is a network of the house, which would be open to the "
        yield Fault(("hosts", host.name, "ports", name, "vlan"), what + "outside: leave vlan out")
