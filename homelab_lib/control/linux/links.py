"""What a Linux machine tells of its network: neighbours, who answers, how fast a port came up.

Sources: ip-neighbour(8); ping(8); Documentation/ABI/testing/sysfs-class-net (``speed`` is in Mb/s;
of a port that is down it is -1, or reading it is an error).
"""

from homelab_lib import answers
from homelab_lib.runbook.resource import Host
from homelab_lib.transport.options import Allowed, Words
from homelab_lib.transport.reads import declare

_NEIGHBOURS = ("ip", "-j", "neigh", "show")
_KNOWN = ("REACHABLE", "STALE", "DELAY", "PROBE", "PERMANENT")


def _few(words: Words) -> bool:
    """It ends by itself, after no more than ten."""
    count = words.values("-c")
    return (
        len(words.operands) == 1 and bool(count) and count[-1].isdecimal() and int(count[-1]) < 11
    )


declare("ping", Allowed("", "-n -q -4 -6", "-c -W -w -M -s -I -t", also=_few))


def answers_ping(host: Host, address: str) -> bool:
    """Whether an address answers a host."""
    return host.read("ping", "-n", "-c", "1", "-W", "2", address, ok=None).exit_status == 0


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
