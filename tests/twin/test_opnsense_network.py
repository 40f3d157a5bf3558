"""What is in force on an OPNsense: addresses, VLANs, rules; and whether one still comes in."""

import base64
import json
from xml.etree import ElementTree as ET

import pytest

from homelab_lib.errors import HomelabError, Unreachable
from homelab_lib.lab import load_lab
from homelab_lib.target import TwinTarget
from homelab_lib.transport import quoting
from homelab_lib.transport.command import change, read
from homelab_lib.twin.built import built
from homelab_lib.twin.machine.https import Asked
from homelab_lib.twin.opnsense.factory import Assigned, factory
from homelab_lib.twin.opnsense.links import Link, Links
from homelab_lib.twin.opnsense.pf import PacketFilter
from homelab_lib.twin.packet import Packet

LAB = load_lab()
AUTH = "Basic " + base64.b64encode(b"key:secret").decode()
REVERT = (
    "cp -p /conf/config.xml /conf/hl.xml && touch /var/run/hl && daemon -f /bin/sh -c "
    "'sleep 180; [ -e /var/run/hl ] && cp -p /conf/hl.xml /conf/config.xml && "
    "/usr/local/etc/rc.reload_all'"
)


@pytest.fixture
def world():
    return built(LAB, before_phase=2)


@pytest.fixture(scope="module")
def shared():
    return built(LAB, before_phase=2)


@pytest.fixture
def bare():
    return built(LAB, before_phase=1)


def run(box, line, stdin=b""):
    reply = box.run(line, stdin)
    box.world.clock.sleep(reply.takes_s)
    return reply.finished()


def sh(box, script):
    return run(box, quoting.join(("/bin/sh", "-c", script)))


def api(box, path, body):
    """Post to the REST side."""
    headers = {"authorization": AUTH, "content-type": "application/json"}
    asked = Asked("POST", f"/api/{path}", headers=headers, body=json.dumps(body).encode())
    answered = box.https[443](asked)
    assert answered.status == 200, answered.body
    return json.loads(answered.body)


def write(box, edit):
    """Change what is written, and nothing else."""
    root = box.config.load()
    edit(root)
    box.config.save(root, by="root", description="test")


def set_text(path, text):
    def edit(root):
        place = root.find(path)
        assert place is not None
        place.text = text

    return edit


def add_rule(box, **values):
    rule = {"action": "block", "interface": "opt1", "source_net": "any", "destination_net": "any"}
    answer = api(box, "firewall/filter/addRule", {"rule": {**rule, "sequence": "1", **values}})
    assert answer["result"] == "saved"


# --------------------------------------------------------------------------- who reaches whom


def test_a_rule_decides_once_it_is_applied_and_not_before(world):
    box, desktop = world.machines["firewall"], world.machines["desktop"]
    assert world.reach(desktop, "10.0.30.10", 22) == ""
    add_rule(box, protocol="TCP", destination_net="opt3", destination_port="22", description="no")
    assert world.reach(desktop, "10.0.30.10", 22) == ""
    api(box, "firewall/filter/apply", {})
    assert world.reach(desktop, "10.0.30.10", 22) == "firewall refuses it by rule no"
    assert world.reach(desktop, "10.0.30.10", 0) == "", "it is about one port"


@pytest.mark.parametrize(
    ("rule", "blocked"),
    [
        ({"sequence": "900"}, False),  # behind the one that passes
        ({"sequence": "900", "interface": "opt1,opt2"}, True),  # floating comes first
        ({"sequence": "900", "interface": ""}, True),
        ({"quick": "0"}, False),  # what comes later decides at once
        ({"direction": "out", "interface": "opt3"}, True),  # on its way out
        ({"direction": "out"}, False),
        ({"enabled": "0"}, False),
        ({"ipprotocol": "inet6"}, False),
        ({"protocol": "UDP"}, False),
        ({"protocol": "TCP", "destination_port": "20-30"}, True),
        ({"protocol": "TCP", "destination_port": "ssh"}, True),
        ({"protocol": "TCP", "destination_port": "23"}, False),
        ({"source_net": "10.0.10.50"}, True),
        ({"source_net": "10.0.10.50", "source_not": "1"}, False),
        ({"source_net": "10.0.10.48/28", "destination_net": "opt3"}, True),
        ({"destination_net": "(self)"}, False),
        ({"destination_net": "opt3ip"}, False),
        ({"action": "reject"}, True),
        ({"interface": "opt2"}, False),
    ],
)
def test_which_rule_fits(shared, rule, blocked):
    box = shared.machines["firewall"]
    before = box.config.load()
    values = {"enabled": "1", "sequence": "1", "action": "block", "quick": "1", "interface": "opt1"}
    write(box, lambda root: row(root, "Filter/rules/rule", {**values, **rule}))
    box.apply("filter")
    assert bool(shared.reach(shared.machines["desktop"], "10.0.30.10", 22)) == blocked
    box.config.put(before)


def row(root, path, values):
    """A new row of the firewall's configuration."""
    places, tag = path.rsplit("/", 1)
    place = root.find(f"OPNsense/Firewall/{places}")
    new = ET.SubElement(place, tag, uuid="new")
    for name, text in values.items():
        ET.SubElement(new, name).text = text


def test_aliases_hold_networks_and_what_is_excepted(world):
    box = world.machines["firewall"]
    alias = {"name": "some", "type": "network", "content": "10.0.30.0/24\n!10.0.30.10"}
    api(box, "firewall/alias/addItem", {"alias": alias})
    add_rule(box, destination_net="some")
    api(box, "firewall/filter/apply", {})
    desktop = world.machines["desktop"]
    assert world.reach(desktop, "10.0.30.10", 22) == ""
    assert world.reach(desktop, "10.0.30.5", 2049) != ""


def test_the_box_itself_is_judged_like_others(world):
    assert "no rule" in world.reach(world.machines["pi5"], "10.0.20.1", 22)
    assert world.reach(world.machines["pi5"], "10.0.20.1", 0) == ""
    assert world.reach(world.machines["desktop"], "10.0.1.1", 22) == ""


def test_a_box_that_nobody_set_up_lets_lan_out_and_nobody_in(bare):
    box = bare.machines["firewall"]
    assert [each.cidr for each in box.interfaces if each.cidr.startswith("10.")] == ["10.0.1.1/24"]
    described = sh(box, "pfctl -sr").out.decode()
    assert "pass in quick on igc0 inet from (igc0:network) to any" in described
    assert "anti-lockout rule" in described
    assert bare.internet(box) == ""


def test_a_new_vlan_is_closed_until_a_rule_opens_it(bare):
    box = bare.machines["firewall"]
    vlan = {"if": "igc0", "tag": "10", "vlanif": "vlan0.10", "descr": "T", "pcp": "0", "proto": ""}
    api(box, "interfaces/vlan_settings/addItem", {"vlan": vlan})
    assert b"does not exist" in run(box, "ifconfig vlan0.10").err
    api(box, "interfaces/vlan_settings/reconfigure", {})
    assert b"vlan: 10 vlanproto: 802.1q" in run(box, "ifconfig vlan0.10").out
    new = {"if": "vlan0.10", "descr": "TRUSTED", "lock": "0"}
    assert api(box, "interfaces/assignment/addItem", {"interface": new})["uuid"] == "opt1"
    api(box, "interfaces/assignment/reconfigure", {})

    def enable(root):
        for tag, text in (("enable", "1"), ("ipaddr", "10.0.10.1"), ("subnet", "24")):
            ET.SubElement(root.find("interfaces/opt1"), tag).text = text

    write(box, enable)
    assert b"inet " not in run(box, "ifconfig vlan0.10").out
    run(box, "configctl interface reconfigure opt1")
    assert b"inet 10.0.10.1 netmask 0xffffff00" in run(box, "ifconfig vlan0.10").out
    bare.machines["desktop"].interfaces[0].cidr = "10.0.10.50/24"
    desktop = bare.machines["desktop"]
    assert "no rule" in bare.reach(desktop, "10.0.10.1", 0)
    run(box, "configctl filter reload")
    add_rule(box, action="pass", source_net="opt1")
    api(box, "firewall/filter/apply", {})
    assert bare.reach(desktop, "10.0.10.1", 0) == ""


def test_a_device_that_was_made_stays_until_a_reboot(world):
    box = world.machines["firewall"]

    def without(root):
        vlans = root.find("vlans")
        vlans.remove(next(v for v in vlans if v.findtext("tag") == "40"))
        root.find("interfaces").remove(root.find("interfaces/opt4"))

    write(box, without)
    run(box, "/usr/local/etc/rc.reload_all")
    assert b"inet 10.0.40.1" in run(box, "ifconfig vlan0.40").out
    box.reboot()
    world.clock.sleep(120)
    assert b"does not exist" in run(box, "ifconfig vlan0.40").err


def test_after_a_reboot_all_that_is_written_is_in_force(world):
    box = world.machines["firewall"]
    add_rule(box)
    write(box, set_text("interfaces/opt2/ipaddr", "10.0.20.9"))
    box.reboot()
    world.clock.sleep(120)
    assert box.links.of("opt2").addresses == ["10.0.20.9/24"]
    assert world.reach(world.machines["desktop"], "10.0.30.10", 22) != ""


def test_while_it_boots_what_configures_it_ends_well_and_does_nothing(world):
    box = world.machines["firewall"]
    box.reboot()
    world.clock.sleep(45)
    assert box.accepts_logins()
    write(box, set_text("interfaces/opt2/ipaddr", "10.0.20.9"))
    for line in ("configctl interface reconfigure opt2", "/usr/local/etc/rc.reload_all"):
        assert run(box, line).status == 0
        assert box.links.of("opt2").addresses == ["10.0.20.1/24"]
    world.clock.sleep(30)
    run(box, "configctl interface reconfigure opt2")
    assert box.links.of("opt2").addresses == ["10.0.20.9/24"]


def test_two_devices_in_one_network_and_the_first_has_the_route(world):
    box = world.machines["firewall"]

    def moved(root):
        root.find("interfaces/lan/if").text = "ixl1"

    write(box, moved)
    run(box, "configctl interface reconfigure lan")
    both = [each.name for each in box.links.by_name.values() if "10.0.1.1/24" in each.addresses]
    assert both == ["igc0", "ixl1"]
    assert box.links.towards("10.0.1.99").name == "igc0"
    run(box, "ifconfig igc0 10.0.1.1 delete")
    assert box.links.towards("10.0.1.99").name == "ixl1"


@pytest.mark.parametrize(
    ("passes", "disabled", "arrives"),
    [("pass", "0", "10.0.10.5"), ("rule", "0", "10.0.10.5"), ("", "0", ""), ("pass", "1", "")],
)
def test_a_port_forward_lets_in_by_itself_by_a_rule_or_not(shared, passes, disabled, arrives):
    box = shared.machines["firewall"]
    before = box.config.load()
    assert box.arrives_at(8443) == ""

    def forward(root):
        rule = ET.SubElement(root.find("nat"), "rule")
        values = {"interface": "wan", "ipprotocol": "inet", "protocol": "tcp", "local-port": "443"}
        values |= {"target": "10.0.10.5", "pass": passes, "disabled": disabled}
        for tag, text in values.items():
            ET.SubElement(rule, tag).text = text
        there = ET.SubElement(rule, "destination")
        for tag, text in (("network", "wanip"), ("port", "8443")):
            ET.SubElement(there, tag).text = text

    write(box, forward)
    box.apply("filter")
    assert box.arrives_at(8443) == arrives
    assert box.arrives_at(8444) == ""
    assert box.arrives_at(8443, "udp") == ""
    box.config.put(before)
    box.apply("filter")


@pytest.mark.parametrize(
    ("source", "destination", "device", "passes"),
    [
        ("fd00:1::5", "2001:db8::1", "igc0", False),  # the policy speaks of IPv4 alone
        ("10.0.1.9", "198.51.100.7", "igc0", True),
        ("fd00:10::5", "fd00:30::5", "vlan0.10", False),
    ],
)
def test_what_no_rule_allows_by_ipv6_is_refused(shared, source, destination, device, passes):
    pf = shared.machines["firewall"].pf
    assert pf.judge(Packet(source, destination, "tcp", 443), "in", device).passes == passes


@pytest.mark.parametrize("release", [(26, 1), (26, 7)])
def test_rules_of_either_kind_let_lan_out_as_the_box_comes(release):
    """26.1 has them on its classic pages, 26.7 where the REST side shows them."""
    assigned = [Assigned("lan", "ix0", "10.0.1.1/24"), Assigned("wan", "igc0", "dhcp")]
    config = factory(release, assigned)
    links = Links([Link("ix0"), Link("igc0")])
    links.boot(config)
    pf = PacketFilter(links, config, config)
    assert pf.judge(Packet("10.0.1.9", "198.51.100.7", "tcp", 443), "in", "ix0").passes
    assert not pf.judge(Packet("198.51.100.7", "203.0.113.10", "tcp", 22), "in", "igc0").passes
    private = pf.judge(Packet("10.1.1.1", "203.0.113.10", "tcp", 22), "in", "igc0")
    assert private.rule.description == "Block private networks from WAN"


def test_lan_goes_out_by_both_families_on_a_box_as_it_comes(bare):
    box = bare.machines["firewall"]
    box.links.by_name["igc0"].addresses.append("fd00:1::1/64")
    for source, to in (("10.0.1.9", "198.51.100.7"), ("fd00:1::9", "2001:db8::1")):
        assert box.pf.judge(Packet(source, to, "udp", 53), "in", "igc0").passes
    stranger = Packet("10.9.9.9", "198.51.100.7", "tcp", 443)
    assert not box.pf.judge(stranger, "in", "igc0").passes


# ------------------------------------------------------------------------ cutting oneself off


def address(box):
    write(box, set_text("interfaces/lan/ipaddr", "10.0.1.77"))
    run(box, "configctl interface reconfigure lan")


def smaller_net(box):
    write(box, set_text("interfaces/lan/subnet", "30"))
    run(box, "configctl interface reconfigure lan")


def another_device(box):
    write(box, set_text("interfaces/lan/if", "ixl1"))
    run(box, "configctl interface reconfigure lan")
    run(box, "ifconfig igc0 10.0.1.1 delete")


def no_address(box):
    run(box, "ifconfig igc0 10.0.1.1 delete")


def rule(box):
    write(box, lambda root: ET.SubElement(root.find("system/webgui"), "noantilockout"))
    add_rule(box, interface="lan", protocol="TCP", destination_net="(self)", destination_port="22")
    api(box, "firewall/filter/apply", {})


def retagged(box):
    """The operator comes by VLAN 10."""
    vlan = next(v for v in box.config.load().findall("vlans/vlan") if v.findtext("tag") == "10")
    body = {"vlan": {"if": "igc0", "tag": "11", "vlanif": "vlan0.10", "descr": "X"}}
    api(box, f"interfaces/vlan_settings/setItem/{vlan.get('uuid')}", body)
    api(box, "interfaces/vlan_settings/reconfigure", {})


def far_rule(box):
    add_rule(box, protocol="TCP", destination_net="(self)", destination_port="22")
    api(box, "firewall/filter/apply", {})


def assignment_deleted(box):
    api(box, "interfaces/assignment/delItem/opt1", {})
    api(box, "interfaces/assignment/reconfigure", {})


@pytest.fixture
def target(world):
    target = TwinTarget(world.lab, world, allow_changes=True)
    yield target
    target.close()


BY_LAN = (address, smaller_net, no_address, rule)
BY_VLAN = (retagged, far_rule, assignment_deleted)


@pytest.mark.parametrize("cut", [*BY_LAN, *BY_VLAN], ids=lambda cut: cut.__name__)
def test_a_change_that_cuts_us_off_does_so_until_the_revert_on_the_box(world, target, cut):
    box = world.machines["firewall"]
    world.operator = "desktop" if cut in BY_VLAN else ""
    assert box.cut_off_by() == ""
    assert target.link.run("firewall", change("/bin/sh", "-c", REVERT)).ok
    cut(box)
    assert box.cut_off_by() != ""
    with pytest.raises(Unreachable):
        target.link.reconnect("firewall")
    world.clock.sleep(100)
    assert not box.accepts_logins(), "nobody else brings it back"
    world.clock.sleep(120)
    target.link.reconnect("firewall")
    assert target.link.run("firewall", read("test", "-e", "/var/run/hl")).ok


def test_what_only_a_reboot_undoes_stays_cut_off_after_the_revert(world):
    """The VLAN was made for the change: the address comes back, and answers go another way."""
    box = world.machines["firewall"]
    assert sh(box, REVERT).status == 0

    def moved(root):
        vlan = ET.SubElement(root.find("vlans"), "vlan", uuid="new")
        for tag, text in (("if", "igc0"), ("tag", "99"), ("vlanif", "vlan0.99")):
            ET.SubElement(vlan, tag).text = text
        root.find("interfaces/lan/if").text = "vlan0.99"

    write(box, moved)
    run(box, "configctl interface reconfigure lan")
    run(box, "ifconfig igc0 10.0.1.1 delete")
    world.clock.sleep(300)
    assert b"inet 10.0.1.1" in run(box, "ifconfig igc0").out
    assert "another way" in box.cut_off_by()
    box.reboot()
    world.clock.sleep(120)
    assert box.accepts_logins()


def test_taking_the_mark_away_in_time_keeps_the_change(world):
    box = world.machines["firewall"]
    assert sh(box, REVERT).status == 0
    write(box, set_text("interfaces/opt2/ipaddr", "10.0.20.9"))
    run(box, "rm /var/run/hl")
    world.clock.sleep(300)
    assert box.config.load().findtext("interfaces/opt2/ipaddr") == "10.0.20.9"


def test_who_stands_in_passes_on_by_his_state_and_nobody_new_comes_in(world, target):
    box = world.machines["firewall"]
    assert target.link.run("firewall", read("true")).ok
    rule(box)
    assert target.link.run("firewall", read("true")).ok, "the connection is a state of pf"
    with pytest.raises(HomelabError):
        target.link.reconnect("firewall")
    run(box, "pfctl -F states")
    with pytest.raises(HomelabError):
        target.link.run("firewall", read("true"))


def test_a_command_that_takes_its_own_way_is_not_heard_of_again(world, target):
    box = world.machines["firewall"]
    write(box, set_text("interfaces/lan/ipaddr", "10.0.1.77"))
    with pytest.raises(HomelabError, match="whether it was done, only a look"):
        target.link.run("firewall", change("configctl", "interface", "reconfigure", "lan"))
    assert box.links.of("lan").addresses == ["10.0.1.77/24"]
