"""The rules that a packet filter of FreeBSD has, as it tells them itself.

Source: pfctl(8).
"""

from homelab_lib.runbook.resource import Host
from homelab_lib.transport.command import Result


def rules(host: Host) -> Result:
    """The rules in force, a line each."""
    return host.read("pfctl", "-sr", ok=None)


def redirections(host: Host) -> str:
    """The redirections in force, a line each."""
    return host.read("pfctl", "-sn").stdout
