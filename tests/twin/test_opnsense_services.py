"""Services of an OPNsense: leases, names, inspection; and what it does to surprise one."""

from xml.etree import ElementTree as ET

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.models.ids_policy import Signature
from homelab_lib.twin.built import built

LAB = load_lab()
MAC = "02:aa:bb:cc:dd:01"


@pytest.fixture
def world():
    return built(LAB, before_phase=2)


def put(root, path, values, **attributes):
    """A new row."""
    *places, tag = path.split("/")
    place = root
    for each in places:
        found = place.find(each)
        place = ET.SubElement(place, each) if found is None else found
    row = ET.SubElement(place, tag, **attributes)
    for name, text in values.items():
        ET.SubElement(row, name).text = text
    return row


def write(box, service, *edits):
    root = box.config.load()
    for edit in edits:
        edit(root)
    box.config.save(root, by="root", description="test")
    box.apply(service)


def set_text(path, text):
    def edit(root):
        place = root.find(path)
        if place is None:
            *places, tag = path.split("/")
            place = put(root, path, {}) if places else ET.SubElement(root, tag)
        place.text = text

    return edit


def dnsmasq_range(first="10.0.10.100", last="10.0.10.101", lease="3600"):
    return lambda root: put(
        root,
        "dnsmasq/dhcp_ranges",
        {"interface": "opt1", "start_addr": first, "end_addr": last, "lease_time": lease},
    )


def reserved(root):
    put(root, "dnsmasq/hosts", {"host": "tv", "ip": "10.0.10.7", "hwaddr": MAC.upper()})


def kea(root):
    for name, text in (("enabled", "1"), ("interfaces", "opt1"), ("valid_lifetime", "600")):
        set_text(f"OPNsense/Kea/dhcp4/general/{name}", text)(root)
    pools = {"subnet": "10.0.10.0/24", "pools": "10.0.10.50-10.0.10.60\n10.0.10.192/28"}
    put(root, "OPNsense/Kea/dhcp4/subnets/subnet4", pools, uuid="s1")
    fixed = {"subnet": "s1", "hw_address": MAC, "ip_address": "10.0.10.9"}
    put(root, "OPNsense/Kea/dhcp4/reservations/reservation", fixed)


SERVED = set_text("dnsmasq/interface", "lan,opt1")


def test_a_range_lends_in_order_until_it_is_empty(world):
    box = world.machines["firewall"]
    assert box.lends("10.0.10.0/24", MAC, "tv") is None, "nobody serves that VLAN yet"
    write(box, "dnsmasq", dnsmasq_range(), SERVED)
    assert box.lends("10.0.10.0/24", MAC, "tv") == ("10.0.10.100/24", "10.0.10.1")
    assert box.lends("10.0.10.0/24", "02:00:00:00:00:02", "b") == ("10.0.10.101/24", "10.0.10.1")
    assert box.lends("10.0.10.0/24", "02:00:00:00:00:03", "c") is None
    assert [row["address"] for row in box.leases] == ["10.0.10.100", "10.0.10.101"]
    world.clock.sleep(3601)
    assert box.lends("10.0.10.0/24", "02:00:00:00:00:03", "c") == ("10.0.10.100/24", "10.0.10.1")


def test_a_range_the_wrong_way_round_lends_nothing(world):
    box = world.machines["firewall"]
    write(box, "dnsmasq", dnsmasq_range("10.0.10.101", "10.0.10.100"), SERVED)
    assert box.lends("10.0.10.0/24", MAC, "tv") is None


def test_an_interface_that_is_not_listened_at_is_not_served(world):
    box = world.machines["firewall"]
    write(box, "dnsmasq", dnsmasq_range(), set_text("dnsmasq/interface", "lan"))
    assert box.lends("10.0.10.0/24", MAC, "tv") is None


def test_a_reservation_acts_when_the_lease_has_ended(world):
    box = world.machines["firewall"]
    write(box, "dnsmasq", dnsmasq_range(), SERVED)
    world.surprise("reservation-later", "firewall", mac=MAC, interface="opt1", hostname="tv")
    write(box, "dnsmasq", reserved)
    assert box.lends("10.0.10.0/24", MAC, "tv") == ("10.0.10.100/24", "10.0.10.1")
    world.clock.sleep(3601)
    assert box.lends("10.0.10.0/24", MAC, "tv") == ("10.0.10.7/24", "10.0.10.1")
    assert box.leases[0]["is_reserved"] == ["hwaddr"]


def test_kea_lends_and_loses_its_port_to_dnsmasq(world):
    box = world.machines["firewall"]
    write(box, "dnsmasq", set_text("dnsmasq/enable", "0"))
    box.started["dnsmasq"] = False
    write(box, "kea", kea)
    box.started["kea"] = True
    assert box.lends("10.0.10.0/24", MAC, "tv") == ("10.0.10.9/24", "10.0.10.1")
    assert b"kea-dhcp4" in box.run("sockstat -4l -p 67").out
    world.surprise("kea-loses-67", "firewall")
    assert box.started["kea"], "it runs, and is told so"
    assert box.lends("10.0.10.0/24", "02:00:00:00:00:02", "b") is None
    assert b"dnsmasq" in box.run("sockstat -4l -p 67").out
    box.reboot()
    world.clock.sleep(120)
    assert box.dhcp_server() == "dnsmasq"


def test_names_are_known_once_unbound_has_taken_them_over(world):
    box, desktop = world.machines["firewall"], world.machines["desktop"]
    root = box.config.load()
    host = {"enabled": "1", "hostname": "nas", "domain": "home.arpa", "rr": "A"}
    put(root, "OPNsense/unboundplus/hosts/host", {**host, "server": "10.0.30.5"}, uuid="h1")
    other = {"enabled": "1", "host": "h1", "hostname": "files", "domain": "home.arpa"}
    put(root, "OPNsense/unboundplus/aliases/alias", other)
    wild = {**host, "hostname": "*", "domain": "apps.home.arpa", "server": "10.0.30.20"}
    put(root, "OPNsense/unboundplus/hosts/host", wild)
    box.config.save(root, by="root", description="test")
    assert world.resolve(desktop, "nas.home.arpa") == ""
    box.apply("unbound")
    assert world.resolve(desktop, "nas.home.arpa") == "10.0.30.5"
    assert world.resolve(desktop, "files.home.arpa") == "10.0.30.5"
    assert world.resolve(desktop, "x.apps.home.arpa") == "10.0.30.20"
    assert world.resolve(desktop, "nope.home.arpa") == ""
    box.started["unbound"] = False
    assert world.resolve(desktop, "nas.home.arpa") == ""


# ------------------------------------------------------------------------------ inspection


MALWARE = Signature(
    2000001, "emerging-malware.rules", properties={"signature_severity": ("Major",)}
)


def inspected(mode, *, policy=True, fetched=True):
    def edit(root):
        general = {"enabled": "1", "mode": mode, "interfaces": "lan"}
        for name, text in general.items():
            set_text(f"OPNsense/IDS/general/{name}", text)(root)
        file = {"filename": "emerging-malware.rules", "enabled": str(int(fetched))}
        put(root, "OPNsense/IDS/files/file", file, uuid="f1")
        if policy:
            values = {"enabled": "1", "prio": "10", "rulesets": "f1", "action": "alert"}
            put(root, "OPNsense/IDS/policies/policy", {**values, "new_action": "drop"})

    return edit


@pytest.mark.parametrize(
    ("mode", "policy", "action", "drops"),
    [
        ("pcap", True, "drop", False),  # it tells, and lets all pass
        ("netmap", False, "alert", False),  # it could, and no rule says so
        ("netmap", True, "drop", True),
        ("divert", True, "drop", True),
    ],
)
def test_it_drops_only_by_a_policy_and_in_a_mode_that_can(world, mode, policy, action, drops):
    box = world.machines["firewall"]
    write(box, "ids", inspected(mode, policy=policy))
    assert box.suricata.action(MALWARE) == "", "no rules were fetched"
    box.run("configctl ids update")
    assert box.suricata.action(MALWARE) == action
    assert box.suricata.drops(MALWARE) == drops
    assert ("--netmap" in box.run("pgrep -lf suricata").out.decode()) == (mode == "netmap")


def test_a_policy_is_in_force_once_the_rules_are_read_anew(world):
    box = world.machines["firewall"]
    write(box, "ids", inspected("netmap", policy=False))
    box.run("configctl ids update")
    root = box.config.load()
    values = {"enabled": "1", "prio": "1", "rulesets": "", "new_action": "drop"}
    put(root, "OPNsense/IDS/policies/policy", values)
    box.config.save(root, by="root", description="test")
    assert not box.suricata.drops(MALWARE)
    box.run("configctl ids reload")
    assert box.suricata.drops(MALWARE)
    box.run("configctl ids stop")
    assert not box.suricata.drops(MALWARE)


@pytest.mark.parametrize(
    ("policy", "by_hand", "drops"),
    [
        ({"content": "signature_severity.Critical,signature_severity.Major"}, {}, True),
        ({"content": "signature_severity.Critical"}, {}, False),
        ({"content": "signature_severity.Major,deployment.Perimeter"}, {}, False),
        ({}, {"sid": "2000001", "enabled": "0", "action": "alert"}, False),
        ({"enabled": "0"}, {"sid": "2000001", "enabled": "1", "action": "drop"}, True),
    ],
)
def test_which_rules_of_a_file_drop(world, policy, by_hand, drops):
    """By what their author says of them, and before that by what was set for one alone."""
    box = world.machines["firewall"]

    def edit(root):
        inspected("netmap", policy=False)(root)
        values = {"enabled": "1", "prio": "1", "new_action": "drop"} | policy
        put(root, "OPNsense/IDS/policies/policy", values)
        if by_hand:
            put(root, "OPNsense/IDS/rules/rule", by_hand)

    write(box, "ids", edit)
    box.run("configctl ids update")
    assert box.suricata.drops(MALWARE) is drops


def test_without_a_way_out_no_rules_come(world):
    box = world.machines["firewall"]
    write(box, "ids", inspected("pcap"))
    box.links.take("ixl0", "203.0.113.10")
    box.links.by_name["ixl0"].identifier = ""
    assert b"Error" in box.run("configctl ids update").out
    assert box.suricata.action(MALWARE) == ""


# ------------------------------------------------------------------------------ surprises


def test_a_rejected_module_moves_the_names_and_the_roles_with_them(world):
    box = world.machines["firewall"]
    before = {name: link.mac for name, link in box.links.by_name.items()}
    world.surprise("ix-shift", "firewall")
    box.reboot()
    world.clock.sleep(120)
    assert "ixl1" not in box.links.by_name
    assert box.links.of("wan").mac == before["ixl1"], "WAN is where the other port was"
    assert [each.name for each in box.devices if each.physical] == ["igc0", "ixl0"]
    box.reboot()
    world.clock.sleep(120)
    assert box.links.of("wan").mac == before["ixl0"]


def test_what_stands_passes_on_until_it_is_killed(world):
    box, desktop = world.machines["firewall"], world.machines["desktop"]
    world.surprise("old-states-live", "firewall")
    block = {"enabled": "1", "sequence": "1", "action": "block", "interface": "opt1"}
    path = "OPNsense/Firewall/Filter/rules/rule"
    write(box, "filter", lambda root: put(root, path, {**block, "quick": "1"}, uuid="b"))
    assert world.reach(desktop, "10.0.30.10", 22) == ""
    assert world.reach(desktop, "10.0.30.10", 0) != "", "what is new is judged"
    box.run("pfctl -F states")
    assert world.reach(desktop, "10.0.30.10", 22) != ""


def test_a_service_that_a_boot_forgets_is_enabled_and_stopped(world):
    box = world.machines["firewall"]
    world.surprise("services-not-started", "firewall", units=["cron", "unbound"])
    box.reboot()
    world.clock.sleep(120)
    assert not box.started["cron"]
    assert not box.started["unbound"]
    box.run("configctl unbound start")
    assert box.started["unbound"]
