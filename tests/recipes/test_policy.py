"""What the lab lets pass, and the same as a firewall is told it: one thing, for any rules."""

import ipaddress
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homelab_lib import paths
from homelab_lib.control.opnsense.interfaces import Named
from homelab_lib.lab import Lab, load_lab
from homelab_lib.lab.firewall import FilterRule
from homelab_lib.lab.network import FirewallRule
from homelab_lib.models.packet_filter import Packet, Rule, decide
from homelab_lib.models.reachability import INTERNET, vlan_reachability
from homelab_lib.recipes.firewall import flows, readback
from homelab_lib.recipes.firewall.gateway import Gateway, Names
from homelab_lib.recipes.firewall.policy import filter_rules, operators, policy_of
from homelab_lib.recipes.firewall.translation import aliases

WORLD = {4: "198.51.100.9", 6: "2001:db8:9::9"}
PORTS = ("tcp/22", "tcp/80", "udp/53", "tcp/8000-8010", "icmp")
ZONES = st.sampled_from([1, 10, 20, 30, 40, "any", INTERNET])


@st.composite
def policies(draw: st.DrawFn) -> tuple[FirewallRule, ...]:
    count = draw(st.integers(0, 7))
    return tuple(
        FirewallRule(
            name=f"rule-{at}",
            source=draw(ZONES),
            destination=draw(ZONES),
            allow=draw(st.booleans()),
            ports=tuple(draw(st.lists(st.sampled_from(PORTS), max_size=2, unique=True))),
            reason="a test",
        )
        for at in range(count)
    )


@cache
def _shipped() -> Lab:
    lab = load_lab(paths.data())
    six = {
        id_: vlan.model_copy(update={"subnet6": f"fd00:{id_}::/64"})
        for id_, vlan in lab.vlans.items()
    }
    return lab.model_copy(update={"vlans": six})


def _firewall(rules: tuple[FirewallRule, ...], **more: object) -> tuple[Gateway, Names]:
    lab = _shipped().model_copy(update={"rules": rules, **more})
    gateway = Gateway(lab, "firewall", 1)
    devices = {zone.device: f"opt{id_}" for id_, zone in gateway.zones.items()}
    return gateway, Names(gateway, devices | dict.fromkeys(gateway.outside.values(), "wan"))


def _interfaces(gateway: Gateway) -> Named:
    found: Named = {"wan": {"if": "ixl0", "ipaddr": "dhcp"}}
    for id_, zone in gateway.zones.items():
        address, _, length = zone.cidr.partition("/")
        six = {"ipaddrv6": f"fd00:{id_}::1", "subnetv6": "64"}
        found[f"opt{id_}"] = {"if": zone.device, "ipaddr": address, "subnet": length} | six
    return found


def _told(gateway: Gateway, names: Names) -> list[Rule]:
    """What the firewall would tell of its rules, as the model takes it."""
    rows = [
        {"uuid": "", "description": each.title, "sequence": str(at)} | dict(each.fields)
        for at, each in enumerate(filter_rules(gateway, names), 1)
    ]
    known = [dict(each.fields) for each in aliases(gateway)]
    return readback.filter_rules(rows, readback.networks(_interfaces(gateway), known), {})


def _address(gateway: Gateway, network: int | str, version: int) -> str:
    if network == INTERNET:
        return WORLD[version]
    vlan = gateway.lab.vlans[int(network)]
    subnet = vlan.subnet if version == 4 else vlan.subnet6
    return str(ipaddress.ip_network(str(subnet))[77])


def _packet(gateway: Gateway, source: int | str, to: int | str, port: str, version: int) -> Packet:
    protocol, _, number = port.partition("/")
    if protocol == "icmp":
        protocol = "icmp" if version == 4 else "ipv6-icmp"
    interface = "wan" if source == INTERNET else f"opt{source}"
    ends = [ipaddress.ip_address(_address(gateway, end, version)) for end in (source, to)]
    return Packet(interface, *ends, protocol, int(number.partition("-")[0] or 0))


@given(policies())
@settings(max_examples=15)
def test_a_firewall_lets_pass_what_the_lab_does(rules: tuple[FirewallRule, ...]) -> None:
    gateway, names = _firewall(rules)
    told = _told(gateway, names)
    reach = vlan_reachability(gateway.zones, policy_of(gateway.lab))
    for (source, to), each in reach.items():
        for port in (*PORTS, "tcp/8005", "tcp/40404"):
            first = port.partition("-")[0]
            for version in (4, 6):
                found = decide(told, _packet(gateway, source, to, first, version))
                assert found.passes == each.on(first).allow, (source, to, port, version, found)


@given(policies())
@settings(max_examples=5)
def test_nothing_differs_from_itself(rules: tuple[FirewallRule, ...]) -> None:
    gateway, names = _firewall(rules)
    told = _told(gateway, names)
    assert all(check.holds for check in flows.same(gateway, names, told, told))


def _shipped_rules() -> tuple[FirewallRule, ...]:
    return _shipped().rules


def test_without_ipv6_in_a_vlan_nothing_of_it_passes_to_the_world() -> None:
    """A network that a provider delegates is in no alias: it would count as the world."""
    lab = load_lab(paths.data())
    gateway, names = _firewall(lab.rules, vlans=lab.vlans)
    told = _told(gateway, names)
    delegated = [ipaddress.ip_address(f"2001:db8:{each}::5") for each in (10, 20)]
    packet = Packet("opt10", *delegated, "tcp", 443)
    assert not decide(told, packet).passes


def test_a_stray_rule_that_lets_pass_is_found() -> None:
    gateway, names = _firewall(_shipped_rules())
    told = _told(gateway, names)
    stray = Rule("somebody's", "pass", ("opt30",), protocols=("tcp",),
                 destination_ports=((8000, 8010),), sequence=0)  # fmt: skip
    wrong = [check for check in flows.same(gateway, names, told, [stray, *told]) if not check.holds]
    assert [check.title for check in wrong] == [
        "from servers passes what the lab says, and nothing else"
    ]
    assert "tcp/8000" in wrong[0].says
    assert "somebody's" in wrong[0].says
    lost = [rule for rule in told if "trusted-iot" not in rule.name]
    wrong = [check for check in flows.same(gateway, names, told, lost) if not check.holds]
    assert "is refused by refuse trusted" in wrong[0].says
    own = readback.networks(_interfaces(gateway), ())["(self)"] or ()
    reached = [
        check for check in flows.isolated(gateway, names, [stray, *told], own) if not check.holds
    ]
    assert {check.title.rpartition(" ")[2] for check in reached} == {
        "trusted", "iot", "guest", "management",
    }  # fmt: skip


def test_the_cluster_reaches_nobody_by_the_shipped_rules_but_the_desktop_s_exporter() -> None:
    gateway, names = _firewall(_shipped_rules())
    own = readback.networks(_interfaces(gateway), ())["(self)"] or ()
    checks = list(flows.isolated(gateway, names, _told(gateway, names), own))
    says = {check.title.rpartition(" ")[2]: check.says for check in checks}
    assert says.keys() >= {"trusted", "iot"}
    assert all(check.holds for check in checks)
    assert says["trusted"] == "but for tcp/9100 to 10.0.10.50 by cluster-asks-desktop"
    assert says["iot"] == ""


def test_who_may_log_in_to_the_firewall_is_let_in_first() -> None:
    gateway, names = _firewall(_shipped_rules())
    assert operators(gateway) == [1, 10]
    first = filter_rules(gateway, names)[0]
    assert (first.title, first.fields["interface"]) == ("keep-ssh", "opt1,opt10")
    assert (first.fields["destination_net"], first.fields["destination_port"]) == ("(self)", "22")


@pytest.mark.parametrize(
    ("action", "family", "source", "version"),
    [
        ("block", "ipv4", 20, "inet46"),  # what IPv4 forbids, IPv6 forbids too
        ("block", "ipv4", "10.0.20.7", "inet"),  # an address is of one family
        ("pass", "ipv4", 20, "inet"),
        ("block", "ipv6", 20, "inet6"),
        ("pass", "both", 20, "inet46"),
    ],
)
def test_what_is_refused_by_ipv4_is_refused_by_ipv6(
    action: str, family: str, source: int | str, version: str
) -> None:
    lab = _shipped()
    rule = FilterRule(name="own", action=action, interfaces=(20,), family=family, source=source,
                      destination="any", reason="a test")  # fmt: skip
    firewalls = {"firewall": lab.firewalls["firewall"].model_copy(update={"filter_rules": (rule,)})}
    gateway, names = _firewall((), firewalls=firewalls)
    said = next(each for each in filter_rules(gateway, names) if each.title == "own")
    assert said.fields["ipprotocol"] == version


def test_a_machine_of_several_addresses_gets_an_alias() -> None:
    """A field takes one address only: the firewall refuses a list of them."""
    lab = _shipped()
    rule = FilterRule(name="own", action="pass", interfaces=(20,), source=20, destination="truenas",
                      protocol="TCP", destination_port=443, reason="a test")  # fmt: skip
    firewalls = {"firewall": lab.firewalls["firewall"].model_copy(update={"filter_rules": (rule,)})}
    gateway, names = _firewall((), firewalls=firewalls)
    said = next(each for each in filter_rules(gateway, names) if each.title == "own")
    assert said.fields["destination_net"] == "homelab_truenas"
    found = {each.title: each.fields["content"] for each in aliases(gateway)}
    assert sorted(found["homelab_truenas"].split()) == ["10.0.30.5", "10.0.60.1"]


UNKNOWN: dict[str, dict[str, str]] = {
    "a country": {"destination_net": "countries", "destination_not": "1"},
    "a group of interfaces": {"interface": "upstairs"},
    "a schedule": {"sched": "nights"},
    "a type of ICMP": {"protocol": "ICMP", "icmptype": "echoreq"},
}


@pytest.mark.parametrize("action", ["pass", "block"])
@pytest.mark.parametrize("what", UNKNOWN.values(), ids=list(UNKNOWN))
def test_what_nobody_can_tell_counts_as_let_in(action: str, what: dict[str, str]) -> None:
    """To be sure that nothing passes, such a rule lets everything pass, or refuses nothing."""
    gateway, _ = _firewall(())
    after = _row(action="block" if action == "pass" else "pass", sequence="2")
    told = readback.filter_rules(
        [_row(action=action, **what), after], readback.networks(_interfaces(gateway), []), {}
    )
    packet = _packet(gateway, 20, INTERNET, "icmp", 4)
    assert decide(told, packet).passes


def _row(**more: str) -> dict[str, str]:
    return {
        "uuid": "", "description": "theirs", "enabled": "1", "action": "pass", "quick": "1",
        "interface": "opt20", "direction": "in", "ipprotocol": "inet", "protocol": "any",
        "source_net": "any", "source_not": "0", "source_port": "", "destination_net": "any",
        "destination_not": "0", "destination_port": "", "sequence": "1",
    } | more  # fmt: skip


@pytest.mark.parametrize(
    ("more", "port", "version", "passes"),
    [
        # OPNsense writes ICMP of both versions as each one's own.
        ({"ipprotocol": "inet46", "protocol": "ICMP"}, "icmp", 6, True),
        ({"ipprotocol": "inet", "protocol": "ICMP"}, "icmp", 6, False),
        ({"interface": "opt20", "interfacenot": "1"}, "tcp/80", 4, False),
        ({"interface": "opt10", "interfacenot": "1"}, "tcp/80", 4, True),
        ({"interface": "wireguard"}, "tcp/80", 4, False),
        ({"interface": ""}, "tcp/80", 4, True),
        ({"interface": "opt10,opt20"}, "tcp/80", 4, True),
    ],
)
def test_what_a_foreign_rule_lets_in(
    more: dict[str, str], port: str, version: int, passes: bool
) -> None:
    gateway, _ = _firewall(())
    told = readback.filter_rules([_row(**more)], readback.networks(_interfaces(gateway), []), {})
    assert decide(told, _packet(gateway, 20, INTERNET, port, version)).passes is passes
