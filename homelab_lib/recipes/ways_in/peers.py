"""Who comes in by a WireGuard tunnel: what they type in on their side, and their way to us."""

import ipaddress

from homelab_lib.lab import Lab
from homelab_lib.lab.remote import WireGuard, WireGuardPeer
from homelab_lib.recipes.firewall.ends import addresses
from homelab_lib.runbook.step import Check


def alone(cidr: str) -> str:
    """A peer's address by itself: ``10.9.9.2/32``."""
    address = ipaddress.ip_interface(cidr).ip
    return f"{address}/{address.max_prefixlen}"


def asked(lab: Lab, host: str, tunnel: WireGuard) -> str:
    """What whoever is let in does.

    Parameters
    ----------
    lab, host, tunnel
        The lab, the machine, and one of its tunnels.
    """
    lines = [f"let these in to {tunnel.name} of {host}:"]
    for peer in tunnel.peers.values():
        where = f"wireguard.{host}.{tunnel.name}.peers.{peer.name}.public_key"
        if peer.public_key is None:
            lines.append(f"      {peer.name}: make a key pair there, and write its public key")
            lines.append(f"        as {where}; then run this again")
        lines += [f"        {line}" for line in typed_in(lab, tunnel, peer)]
    return "\n".join(lines)


def typed_in(lab: Lab, tunnel: WireGuard, peer: WireGuardPeer) -> list[str]:
    """A peer's configuration, all but the keys."""
    subnets = [subnet for vlan in lab.vlans.values() for subnet in vlan.subnets]
    lines = ["[Interface]", f"Address = {', '.join(peer.addresses)}"]
    lines += [f"DNS = {', '.join(peer.dns)}"] * bool(peer.dns)
    lines += ["[Peer]", f"PublicKey = the one that the step before this shows for {tunnel.name}"]
    lines += [f"Endpoint = {tunnel.endpoint or 'OUR-ADDRESS'}:{tunnel.port}"]
    lines += [f"AllowedIPs = {', '.join(peer.allowed or subnets)}"]
    return lines


def opened(lab: Lab, host: str, tunnel: WireGuard) -> Check:
    """Whether the internet gets to a tunnel's port: on a firewall by a rule for its own address,
    on a machine behind one by a port forward."""
    title = f"udp/{tunnel.port} from outside comes to {host}"
    if not lab.firewalls:
        return Check(title, True, "no firewall is described")
    port, own = str(tunnel.port), {host, *addresses(lab, host)}
    for name, firewall in lab.firewalls.items():
        outside = {line.port for line in lab.internet.values()}
        for rule in firewall.filter_rules:
            at_door = any(f"{name}.{each}" in outside for each in rule.interfaces)
            here = name == host and rule.destination in ("self", "any", *own)
            fits = str(rule.destination_port) == port and rule.protocol in ("UDP", "TCP/UDP")
            if rule.action == "pass" and rule.enabled and at_door and here and fits:
                return Check(title, True, f"by the rule {rule.name}")
        for forward in firewall.port_forwards.values():
            fits = str(forward.to_port or forward.port) == port and forward.protocol != "TCP"
            if forward.enabled and fits and str(forward.to) in own:
                return Check(title, True, f"by the port forward {forward.name}")
    says = "no port forward or rule of the lab's firewall leads there; add one under firewalls"
    return Check(title, False, says)
