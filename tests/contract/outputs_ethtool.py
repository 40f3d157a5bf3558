"""What `ethtool` printed of real ports, read for their speed; the lines of the twin's own."""

import re

from contract.outputs_linux import says
from contract.readers import Output, reads
from contract.same import twin_machine
from homelab_lib.control.linux.links import link_bps
from homelab_lib.transport.command import Result
from homelab_lib.twin.machine.interface import Interface


class Host:
    """A machine that has said this."""

    name = "there"

    def __init__(self, printed: str) -> None:
        self.printed = printed

    def read(self, *argv: str, **options: object) -> Result:
        return Result(0, self.printed, "")


@reads(r"ethtool (<nic>|enp0s3)$")
def speeds(row: Output) -> None:
    told = re.search(r"Speed: (\d+)Mb/s", row["output"])
    up = "Link detected: yes" in row["output"]
    expected = float(told[1]) * 1e6 if told and up else None
    assert link_bps(Host(row["output"]), "eth0") == expected


@reads(r"ethtool (<nic>|enp0s3)$")
def lines_of_our_own(row: Output) -> None:
    """Each line of the twin's is one that a real port has, too."""
    real = {line.partition(":")[0].strip() for line in row["output"].splitlines()}
    machine = twin_machine()
    machine.interfaces = [Interface("eth0", "02:00:00:00:00:05", "", "", "", up=False)]
    own = [line.partition(":")[0].strip() for line in says(machine, "ethtool eth0").splitlines()]
    assert {line for line in own if not line.startswith("Settings")} <= real
