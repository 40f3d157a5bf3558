"""Whom a TrueNAS asks for the time.

Source: TrueNAS middleware 25.04 to 26, API model `system.ntpserver`. A server that does not answer
is refused when it is added.
"""

from homelab_lib.control.truenas.family import Family, Field
from homelab_lib.control.truenas.midclt import Release
from homelab_lib.control.truenas.row import Row

TIME_SERVER = Family(
    "system.ntpserver",
    "time server",
    key=("address",),
    fields={
        "address": Field(),
        "prefer": Field(False),
        "iburst": Field(True),
        "burst": Field(False),
        "minpoll": Field(6),
        "maxpoll": Field(10),
    },
    unmarked=True,
)


def time_server(
    host: str,
    lab: str,
    release: Release,
    address: str,
    *,
    prefer: bool = False,
    iburst: bool = True,
    burst: bool = False,
    polls: tuple[int, int] = (6, 10),
) -> Row:
    """A server that is asked for the time; others that are asked, too, stay."""
    wanted = {
        "prefer": prefer,
        "iburst": iburst,
        "burst": burst,
        "minpoll": polls[0],
        "maxpoll": polls[1],
    }
    return Row(host, lab, release, TIME_SERVER, {"address": address}, wanted)
