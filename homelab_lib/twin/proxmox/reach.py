"""How a node hangs on the wires, and whether the address that people use still leads to it."""

from homelab_lib.lab.host import Host
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.proxmox.card import Card


class Reach:
    """A node's cards, and the way in.

    Parameters
    ----------
    machine
        The node.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.cards: list[Card] = []
        self._open_as: tuple[str, ...] = ()  # the way in, when somebody last came by it

    @property
    def _described(self) -> Host:
        return self.machine.world.lab.hosts[self.machine.name]

    def changed(self) -> None:
        """Wires follow the kernel's links; who came by a way that is gone is cut off."""
        above = {card.port: self._above(card.name) for card in self.cards}
        segments = {port: names[-1] if names else port for port, names in above.items()}
        world, name = self.machine.world, self.machine.name
        world.regroup(name, segments)
        ports = {card.name: card.port for card in self.cards}
        for link in self.machine.interfaces:
            link.segment = ports.get(link.segment, link.segment)
            under = [p for n, p in ports.items() if link.name == n or link.name in above[p]]
            wired = [port for port in under if port in self._described.ports]
            link.carrier = any(world.link_bps(name, port) for port in wired)
        if not self.is_open():
            world.went_down(self.machine)

    def _above(self, name: str) -> list[str]:
        """The bond and the bridge that an interface is in, the last one being the outermost."""
        masters = {link.name: link.master for link in self.machine.interfaces}
        found: list[str] = []
        while (name := masters.get(name, "")) and name not in found:
            found.append(name)
        return found

    def _way_in(self) -> tuple[str, ...]:
        """By which interface, wires and tag one gets to the address that people use."""
        login = self._described.ssh.address if self._described.ssh else ""
        own = next((i for i in self.machine.interfaces if login and i.address == login), None)
        if own is None or not own.up:
            return ()
        wires = [c.port for c in self.cards if own.segment in (c.port, *self._above(c.name))]
        return (own.name, str(own.tag), own.cidr, *sorted(wires))

    def is_open(self) -> bool:
        """Whether the address that people use still leads here."""
        login = self._described.ssh
        known = [cidr.partition("/")[0] for cidr in self._described.cidrs]
        if login is None or login.address not in known:
            return True  # nobody says by which interface one comes
        way = self._way_in()
        if way and way == self._open_as:
            return True
        own = next((i for i in self.machine.interfaces if way and i.name == way[0]), None)
        return own is not None and self.machine.world.hears_its_gateway(own)

    def stands(self) -> None:
        """As its network is now, one reaches it: whoever set it up or asked it came by it."""
        self._open_as = self._way_in()
        self.changed()
