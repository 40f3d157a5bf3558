"""Mistakes that are seeded in a firewall, and each stops at the right step with the right words."""

from collections.abc import Callable, Iterator
from xml.etree import ElementTree as ET

import pytest

from homelab_lib.errors import HomelabError
from homelab_lib.lab import Lab, load_lab
from recipes.firewall_box import Box, wide

OWNER = "root@10.0.10.50"
MINE = {"enabled": "1", "quick": "1", "direction": "in", "ipprotocol": "inet"}


def by_hand(box: Box, change: Callable[[ET.Element], object]) -> None:
    """Somebody writes something in the pages, and applies it."""
    machine = box.target.world.machines["firewall"]
    root = machine.config.load()
    change(root)
    machine.config.save(root, by=OWNER, description="/interfaces.php made changes")
    machine.apply_all()


def interface(root: ET.Element, name: str, **said: str) -> None:
    place = ET.SubElement(root.find("interfaces"), name)
    for tag, text in {"enable": "1", **said}.items():
        ET.SubElement(place, "if" if tag == "device" else tag).text = text


def vlan(box: Box, **said: str) -> None:
    row = {"if": "igc0", "tag": "20", "pcp": "0", "vlanif": "vlan0.20", "descr": "cameras"}
    box.post("interfaces/vlan_settings/addItem", {"vlan": row | said})


def another_card(box: Box) -> None:
    """The ports have changed places, as when a driver rejects one at a boot."""
    links = box.target.world.machines["firewall"].links.by_name
    links["ixl0"].mac, links["ixl1"].mac = links["ixl1"].mac, links["ixl0"].mac


def tag_of_another(box: Box) -> None:
    vlan(box, vlanif="vlan0.77")


def device_of_another(box: Box) -> None:
    vlan(box, tag="99")


def called_otherwise(box: Box) -> None:
    box.run("firewall-key", "vlans")
    named = {"if": "vlan0.20", "descr": "CAMERAS", "lock": "0"}
    box.post("interfaces/assignment/addItem", {"interface": named})


def network_of_another(box: Box) -> None:
    given = {"descr": "OLD", "ipaddr": "10.0.20.254", "subnet": "25"}
    by_hand(box, lambda root: interface(root, "opt9", device="ixl1", **given))


def two_servers(box: Box) -> None:
    """Kea is wanted, and dnsmasq lends in LAN as an OPNsense does by itself."""


def clock_of_another(box: Box) -> None:
    def like(root: ET.Element) -> None:
        root.find("system/timeservers").text += " gps.example"

    by_hand(box, like)


def inspects_more(box: Box) -> None:
    said = {"enabled": "1", "interfaces": "wan", "homenet": "10.0.0.0/8"}
    box.post("ids/settings/set", {"ids": {"general": said}})


def no_way_back(box: Box) -> None:
    def off(root: ET.Element) -> None:
        ET.SubElement(root.find("system/webgui"), "noantilockout").text = "1"

    by_hand(box, off)


def alias_of_another(box: Box) -> None:
    row = {"enabled": "1", "name": "admins", "type": "host", "content": "1.2.3.4"}
    box.post("firewall/alias/addItem", {"alias": row | {"description": "mine"}})


def no_room(box: Box) -> None:
    box.target.world.machines["firewall"].files.full = True


def wrong_key(box: Box) -> None:
    box.target.world.machines["firewall"].doorman.made_by_hand = {"another": "one"}


MISTAKES = {
    "a key that is another's": (wrong_key, "firewall-key", "401 Unauthorized"),
    "ports that have changed places": (
        another_card, "firewall-key", "02:10:00:01:00:02 in the lab, and here: 02:10:00:01:00:03"),
    "a disk that is full": (no_room, "vlans", "No space left on device"),
    "a tag that is somebody's": (tag_of_another, "vlans", "VLAN iot is there already, and we did"),
    "a device's name that is somebody's": (
        device_of_another, "vlans", "The device name must be unique"),
    "a VLAN's device with another name": (
        called_otherwise, "interfaces", "vlan0.20 is interface opt1 already and is called 'CAM"),
    "a network that another interface has": (
        network_of_another, "interfaces", "is in 10.0.20.128/25, which interface opt9 (OLD) has"),
    "two DHCP servers": (
        two_servers, "dhcp", "dnsmasq gives out addresses on firewall already (lan), and Kea"),
    "a clock of somebody's own": (
        clock_of_another, "time", "system.timeservers has gps.example, which the lab has not"),
    "an alias that is somebody's": (
        alias_of_another, "rules", "alias admins is there already, and we did not make it"),
    "no rule against locking oneself out": (
        no_way_back, "rules", "it was switched off, in System: Settings: Administration"),
    "an inspection that somebody set up": (
        inspects_more, "inspection", "wan in general.interfaces, which the lab has not"),
}  # fmt: skip


def described(name: str) -> Callable[[Lab], Lab]:
    """The shipped lab; what it has not of this kind is in the wide one."""
    server = "kea" if name == "two DHCP servers" else "dnsmasq"
    plain = name not in ("two DHCP servers", "an alias that is somebody's")
    return (lambda lab: lab) if plain else wide(server)


def until(box: Box, last: str) -> Iterator[str]:
    """The steps up to one, as far as that needs them."""
    names = ("firewall-key", "vlans", "interfaces")
    yield from names[: names.index(last) + 1] if last in names else (*names, last)


@pytest.mark.sample
@pytest.mark.parametrize("name", MISTAKES)
def test_a_seeded_mistake_stops_at_its_step(name: str) -> None:
    seed, at, words = MISTAKES[name]
    box = Box("26.7", described(name))
    try:
        seed(box)
        done = []
        with pytest.raises(HomelabError) as stop:  # noqa: PT012  (where it stops is the question)
            for step in until(box, at):
                box.run(step)
                done.append(step)
        assert words in str(stop.value)
        assert done == list(until(box, at))[:-1]
    finally:
        box.target.close()


def test_the_steps_are_those_of_the_firewall() -> None:
    box = Box("26.7")
    try:
        assert {at for _, at, _ in MISTAKES.values()} <= set(box.book.names)
    finally:
        box.target.close()
    assert load_lab().hosts["firewall"].ports["sfp2"].interface == "ixl1"
