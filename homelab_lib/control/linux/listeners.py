"""What a Linux machine listens on.

Source: ss(8); rows of iproute2 6.1.
"""

from homelab_lib.runbook.resource import Host

_WORDS = ("ss", "-H", "-t", "-l", "-n")
_LOOPBACK = ("127.", "[::1]", "::1")


def tcp_ports(host: Host) -> list[int]:
    """TCP ports that a machine answers on, beyond its own loopback."""
    ports = set()
    for line in host.read(*_WORDS).stdout.splitlines():
        fields = line.split()
        if len(fields) < 4 or fields[0] != "LISTEN":
            continue
        address, _, port = fields[3].rpartition(":")
        if not address.startswith(_LOOPBACK) and port.isdecimal():
            ports.add(int(port))
    return sorted(ports)
