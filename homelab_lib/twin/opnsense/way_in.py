"""How whoever runs a runbook comes to the box, and what keeps him from it.

His machine is `World.operator`. Without one he sits in the network of the box's own SSH address, on
the wire where that was when the twin was built: what moves the address to another wire, or what
comes back another way, cuts him off.
"""

import ipaddress
from typing import Any

from homelab_lib.twin.packet import Packet

_SSH = 22


class WayIn:
    """The way to one box.

    Parameters
    ----------
    box
        Whose.
    """

    def __init__(self, box: Any) -> None:
        self._box = box
        self._home: tuple[str, int | None] | None = None  # the port and tag that he comes in by
        self._neighbour = ""  # his address

    @property
    def address(self) -> str:
        """The address that he calls; empty where the lab has a name, or nothing."""
        ssh = self._box.world.lab.hosts[self._box.name].ssh
        try:
            return str(ipaddress.ip_address(ssh.address)) if ssh else ""
        except ValueError:
            return ""

    @property
    def connection(self) -> str:
        """Whence a login comes and whither, as sshd tells it; empty where nobody knows."""
        world = self._box.world
        source = world.machines[world.operator].address if world.operator else self._neighbour
        return f"{source} 50000 {self.address} {_SSH}" if source and self.address else ""

    def note(self) -> None:
        """He comes in by where the address is now."""
        for each in self._box.interfaces:
            if each.address and each.address == self.address:
                self._home = each.segment, each.tag
                self._neighbour = str(ipaddress.ip_interface(each.cidr).network[-2])

    def cut_off_by(self) -> str:
        """Why he can't log in anew; empty where he can."""
        address, world = self.address, self._box.world
        if not address:
            return ""
        if world.operator:
            return str(world.network.path(world.machines[world.operator], address, _SSH))
        if self._home is None:
            return ""
        link = self._box.links.holding(address)
        if link is None or not link.up:
            return f"nobody has {address}"
        if (link.segment, link.tag) != self._home:
            return f"{address} is elsewhere: on {link.name}"
        if self._box.links.towards(self._neighbour) is not link:
            return f"answers to {self._neighbour} go another way"
        packet = Packet(self._neighbour, address, "tcp", _SSH)
        verdict = self._box.pf.judge(packet, "in", link.name)
        return "" if verdict.passes else "rule " + (verdict.rule.description or verdict.rule.label)
