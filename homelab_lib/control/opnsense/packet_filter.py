"""What FreeBSD itself says of its network: the rules of its packet filter, and who listens.

Source: pfctl(8), sockstat(1).
"""

from homelab_lib.runbook.resource import Host
from homelab_lib.transport.command import Result


def rules(host: Host) -> Result:
    """The rules in force, a line each."""
    return host.read("pfctl", "-sr", ok=None)


def redirections(host: Host) -> str:
    """The redirections in force, a line each."""
    return host.read("pfctl", "-sn").stdout


def listeners(host: Host, port: int) -> set[str]:
    """The programs that hold a UDP port of IPv4."""
    shown = host.read("sockstat", "-4", "-l", "-P", "udp", "-p", str(port), ok=(0, 1)).stdout
    rows = [line.split() for line in shown.splitlines()[1:]]
    return {row[1] for row in rows if len(row) > 1}
