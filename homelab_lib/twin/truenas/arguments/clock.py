"""What the methods of time servers take.

Source: TrueNAS middleware 25.04 to 26, API model `system.ntpserver`.
"""

from homelab_lib.twin.truenas.arguments.base import Arguments, Text, changes_of


class TimeServerCreate(Arguments):
    """A server that is asked for the time."""

    address: Text
    burst: bool = False
    iburst: bool = True
    prefer: bool = False
    minpoll: int = 6
    maxpoll: int = 10
    force: bool = False


TimeServerUpdate = changes_of(TimeServerCreate)
