"""The shipped lab with a machine in each of its VLANs, so that everybody can be asked."""

from homelab_lib.lab import Lab, load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.lab.network import FirewallRule
from homelab_lib.twin.built import built
from homelab_lib.twin.network import Network

_FREE_PORTS = ("p6", "p7", "p8")


def crowded() -> Lab:
    """Every VLAN has somebody in it."""
    lab = load_lab()
    lived_in = {port.vlan for host in lab.hosts.values() for port in host.attached.values()}
    empty = [n for n in lab.vlans if n not in lived_in - {1}]  # in 1 there is only the router
    for number, port in zip(empty, _FREE_PORTS, strict=False):
        name, address = f"guest{number}", lab.vlans[number].subnet.replace(".0/", ".9/")
        card = {
            "part": "raspberry-pi-5-ethernet",
            "interface": "end0",
            "address": address,
            "vlan": number,
        }
        lab = changed(
            lab,
            (
                f"hosts.{name}",
                {
                    "title": name,
                    "role": "Somebody",
                    "os": {"kind": "linux"},
                    "board": "raspberry-pi-5",
                    "cpu": "bcm2712",
                    "memory": [{"part": "lpddr4x-8gb-soldered", "count": 1}],
                    "ports": {"lan1": card},
                },
            ),
            (f"switches.switch.ports.{port}", {"vlan": number, "purpose": name}),
            (
                "cables.new",
                {"name": name, "a": f"{name}.lan1", "b": f"switch.{port}", "medium": "Cat6"},
            ),
        )
    return lab


class Neighbours:
    """A twin's machines, one in each VLAN.

    Parameters
    ----------
    lab
        `crowded`.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.network: Network = built(lab, before_phase=9).network
        self.at = {
            self.network.vlan_of(each.address): (machine, each.address)
            for machine in self.network.machines.values()
            for each in machine.interfaces
            if each.gateway
        }

    def rule(self, rules: list[tuple]) -> None:
        """These rules hold from now on, as `vlan_reachability` takes them."""
        self.network.lab = self.lab.model_copy(
            update={
                "rules": tuple(
                    FirewallRule(
                        name=name,
                        source=source,
                        destination=to,
                        allow=allow,
                        ports=ports,
                        reason="-",
                    )
                    for name, source, to, allow, ports in rules
                )
            }
        )

    def why_not(self, source: object, destination: object, protocol: str, port: int) -> str:
        """Why one who lives in a VLAN can't reach one in another, or the internet."""
        machine, _ = self.at[source]
        if destination == "internet":
            return self.network.internet(machine, port, protocol)
        _, address = self.at[destination]
        return self.network.path(machine, address, port, protocol)
