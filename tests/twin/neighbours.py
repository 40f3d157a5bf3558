"""The shipped lab with a machine in each of its VLANs, so that everybody can be asked."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.lab import Lab, load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.lab.network import FirewallRule
from homelab_lib.recipes.firewall.gateway import Gateway, Names
from homelab_lib.recipes.firewall.policy import filter_rules
from homelab_lib.recipes.firewall.translation import aliases
from homelab_lib.twin.built import built
from homelab_lib.twin.network import Network
from homelab_lib.twin.opnsense import policy
from homelab_lib.twin.opnsense.rules import DENIED
from homelab_lib.twin.packet import OUTSIDE, Packet

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
    """A twin's machines, one in each VLAN, and the firewall between them.

    Parameters
    ----------
    lab
        `crowded`.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.network: Network = built(lab, before_phase=9).network
        self._firewall: Any = self.network.machines["firewall"]
        config = self._firewall.config.load()
        for tag, switch in (("webgui", "noantilockout"), (".", "ipv6allow")):
            ET.SubElement(config.find(f"system/{tag}"), switch).text = "1"
        self._bare = ET.tostring(config)
        self.at = {
            self.network.vlan_of(each.address): (machine, each.address)
            for machine in self.network.machines.values()
            for each in machine.interfaces
            if each.gateway
        }

    def rule(self, rules: Sequence[tuple]) -> None:
        """These hold from now on, as `vlan_reachability` takes them: as if an earlier phase had set
        the firewall up for them."""
        self._load(lambda config: policy.write(config, with_rules(self.lab, rules), 0))

    def rule_by_recipe(self, rules: Sequence[tuple]) -> None:
        """The same, with the very rows that our recipe has for the firewall."""
        gateway = Gateway(with_rules(self.lab, rules), "firewall", 1)

        config = self.config()
        tags = {each.findtext("ipaddr"): each.tag for each in config.findall("interfaces/*")}
        own = {z.device: tags[z.cidr.partition("/")[0]] for z in gateway.zones.values()}
        names = Names(gateway, own | dict.fromkeys(gateway.outside.values(), "wan"))
        rows = [
            {"enabled": "1", "sequence": str(number), "description": each.title, **each.fields}
            for number, each in enumerate(filter_rules(gateway, names), 1)
        ]
        self.load_rows([each.fields for each in aliases(gateway)], rows)

    def load_rows(
        self, names: Sequence[Mapping[str, str]], rows: Sequence[Mapping[str, str]]
    ) -> None:
        """These aliases and filter rules and no others, as the firewall lists them."""

        def write(config: ET.Element) -> None:
            places = ("Alias/aliases", "alias", names), ("Filter/rules", "rule", rows)
            for path, tag, wanted in places:
                place = config.find(f"OPNsense/Firewall/{path}")
                place.clear()
                for values in wanted:
                    _row(place, tag, {"enabled": "1", **values})

        self._load(write)

    def config(self) -> ET.Element:
        """What the firewall is set to, before a test."""
        return ET.fromstring(self._bare)

    def judged(self, packet: Packet, direction: str, interface: str) -> tuple[bool, str | None]:
        """Whether the firewall lets a packet through there, and by which rule of somebody's."""
        firewall = self._firewall
        verdict = firewall.pf.judge(packet, direction, firewall.pf.devices[interface])
        named = verdict.rule.description if verdict.rule else ""
        return verdict.passes, named if named.startswith("rule-") else None

    def _load(self, write: Callable[[ET.Element], None]) -> None:
        config = self.config()
        write(config)
        self._firewall.config.put(config)
        self._firewall.apply("filter")

    def why_not(self, source: object, destination: object, protocol: str, port: int) -> str:
        """Why one who lives in a VLAN, or in the internet, can't reach one in another."""
        if source == "internet":
            return self._why_not_in(self.at[destination][1], protocol, port)
        machine, _ = self.at[source]
        if destination == "internet":
            return self.network.internet(machine, port, protocol)
        _, address = self.at[destination]
        return self.network.path(machine, address, port, protocol)

    def _why_not_in(self, address: str, protocol: str, port: int) -> str:
        """Nobody of the twin lives outside: the firewall itself is asked."""
        packet = Packet(OUTSIDE, address, protocol if port else "icmp", port)
        verdict = self._firewall.pf.judge(packet, "in", self._firewall.links.of("wan").name)
        if verdict.passes:
            return ""
        named = verdict.rule.description
        return "no rule that lets it in" if named == DENIED else f"refuses it by rule {named}"


def with_rules(lab: Lab, rules: Sequence[tuple]) -> Lab:
    """The lab with another policy."""
    written = tuple(
        FirewallRule(name=name, source=source, destination=to, allow=allow, ports=ports, reason="-")
        for name, source, to, allow, ports in rules
    )
    return lab.model_copy(update={"rules": written})


def _row(place: ET.Element, tag: str, values: Mapping[str, str]) -> None:
    row = ET.SubElement(place, tag, uuid=values.get("uuid", ""))
    for name, value in values.items():
        ET.SubElement(row, name).text = value
