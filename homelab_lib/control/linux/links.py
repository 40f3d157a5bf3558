"""What a Linux machine tells of its network: neighbours, who answers, how fast a port came up.

Sources: ip-neighbour(8); ping(8); ethtool(8); Documentation/ABI/testing/sysfs-class-net (``speed``
is in Mb/s; of a port that is down it is -1, or reading it is an error).
"""

import re

from homelab_lib import answers
from homelab_lib.runbook.resource import Host

_NEIGHBOURS = ("ip", "-j", "neigh", "show")
_HEADERS_BYTES = 28  # of IPv4 and ICMP, within the packet
_SPEED = re.compile(r"^\s*Speed: (\d+)Mb/s", re.MULTILINE)
_RTT = re.compile(r"^rtt min/avg/max/mdev = ([\d.]+)/", re.MULTILINE)
_KNOWN = ("REACHABLE", "STALE", "DELAY", "PROBE", "PERMANENT")


def answers_ping(host: Host, address: str) -> bool:
    """Whether an address answers a host."""
    return host.read("ping", "-n", "-c", "1", "-W", "2", address, ok=None).exit_status == 0


def round_trip_s(host: Host, address: str) -> float | None:
    """The shortest of some round trips to an address [s]; None where it does not answer."""
    shown = host.read("ping", "-n", "-c", "5", "-W", "2", address, ok=None)
    found = _RTT.search(shown.stdout)
    return float(found[1]) / 1e3 if found and not shown.exit_status else None


def neighbours(host: Host) -> dict[str, str]:
    """Hardware addresses of those that a host talked to lately, by their addresses.

    Raises
    ------
    NotUnderstood
        It answers in another form.
    """
    shape = [{"dst": str, "lladdr?": str, "state?": [str]}]
    line = " ".join(_NEIGHBOURS)
    rows = answers.expected(host.json(*_NEIGHBOURS), shape, host=host.name, line=line)
    return {
        row["dst"]: row["lladdr"].lower()
        for row in rows
        if row.get("lladdr") and set(row.get("state", ())) & set(_KNOWN)
    }


def port_bps(host: Host, interface: str) -> float | None:
    """How fast a port came up [bit/s]; 0 where it is down, None where the machine has none such."""
    shown = host.read("cat", "--", f"/sys/class/net/{interface}/speed", ok=(0, 1))
    if shown.exit_status and "No such file" in shown.stderr:
        return None
    said = shown.stdout.strip()
    return max(float(said), 0.0) * 1e6 if said.lstrip("-").isdecimal() else 0.0


def sends_whole(host: Host, address: str, packet_bytes: int) -> bool:
    """Whether packets of a size get to an address and back, and are cut up nowhere [bytes]."""
    payload = str(packet_bytes - _HEADERS_BYTES)
    words = ("ping", "-n", "-c", "2", "-W", "2", "-M", "do", "-s", payload, address)
    return host.read(*words, ok=None).exit_status == 0


def link_bps(host: Host, interface: str) -> float | None:
    """What `ethtool` says that a port came up at [bit/s]; None for no link."""
    shown = host.read("ethtool", interface, ok=None).stdout
    found = _SPEED.search(shown)
    return float(found[1]) * 1e6 if found and "Link detected: no" not in shown else None
