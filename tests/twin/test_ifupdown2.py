"""A node's interfaces behave as ifupdown2 and Proxmox's API were found to; tests/real has the proof
for the first."""

import json

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built
from homelab_lib.twin.proxmox.interfaces import FILE, STAGED, parsed, rows, written
from homelab_lib.twin.proxmox.vm import VirtualMachine

LAB = load_lab("tests/recipes/labs/proxmox.yaml")
DIRECT = "--type eth --cidr 10.0.60.2/30 --mtu 9000 --autostart 1"
MOVED = ("--type bridge --cidr 10.0.30.10/24 --gateway 10.0.30.1 --autostart 1 "
         "--bridge_ports enp12s0 --bridge_vlan_aware 1")  # fmt: skip


@pytest.fixture
def node():
    """As the installer left it: a bridge on the fast card."""
    return built(LAB, before_phase=1).machines["hyper"]


def said(node, line, status=0):
    reply = node.run(line).finished()
    assert reply.status == status, (line, reply.out, reply.err)
    return (reply.out + reply.err).decode()


def stage(node, iface, options):
    said(node, f"pvesh set /nodes/pve/network/{iface} {options}")


def apply(node):
    return said(node, "pvesh set /nodes/pve/network")


def links(node):
    return {row["ifname"]: row for row in json.loads(said(node, "ip -j -d addr show"))}


def addresses(node, name):
    return [f"{a['local']}/{a['prefixlen']}" for a in links(node)[name]["addr_info"]]


def edit(node, old, new):
    text = node.files.text(FILE)
    assert old in text
    node.files.put(FILE, text.replace(old, new))


def test_what_is_staged_changes_nothing_until_it_is_applied(node):
    before, text = links(node), node.files.text(FILE)
    stage(node, "vmbr0", MOVED)
    stage(node, "enp11s0", DIRECT)
    assert links(node) == before
    assert node.files.text(FILE) == text
    shown = json.loads(said(node, "pvesh get /nodes/pve/network --output-format json"))
    assert {row["iface"]: row.get("bridge_ports") for row in shown}["vmbr0"] == "enp12s0"
    apply(node)
    assert not node.files.exists(STAGED)
    now = links(node)
    assert (now["enp12s0"]["master"], now["enp11s0"]["mtu"]) == ("vmbr0", 9000)
    assert addresses(node, "enp11s0") == ["10.0.60.2/30"]
    assert now["vmbr0"]["linkinfo"]["info_data"]["vlan_filtering"] == 1


def test_whatever_was_staged_is_applied_whoever_did_it(node):
    node.files.put(STAGED, node.files.text(FILE).replace("10.0.30.10/24", "10.0.30.99/24"))
    stage(node, "enp11s0", "--type eth --comments ours")
    apply(node)
    assert addresses(node, "vmbr0") == ["10.0.30.99/24"]


def test_setting_an_interface_takes_away_the_address_that_is_not_given_again(node):
    stage(node, "vmbr0", "--type bridge --bridge_ports enp12s0 --autostart 1")
    apply(node)
    assert addresses(node, "vmbr0") == []


def test_a_port_is_in_one_bridge_and_a_host_has_one_gateway(node):
    words = "pvesh create /nodes/pve/network --iface vmbr1 --type bridge"
    assert "already used on interface" in said(node, f"{words} --bridge_ports enp11s0", 255)
    told = said(node, f"{words} --cidr 10.9.0.1/24 --gateway 10.9.0.2", 255)
    assert "Default gateway already exists on interface 'vmbr0'" in told


def test_an_address_that_is_none_is_no_failure_and_spoils_the_next_reload(node):
    good = node.files.text(FILE)
    edit(node, "10.0.30.10/24", "10.0.30.999/24")
    assert "invalid value" in said(node, f"ifup -a -s -i {FILE}", 1)
    assert "10.0.30.999" in said(node, "ifreload -a")
    assert addresses(node, "vmbr0") == []
    node.files.put(FILE, good)
    assert "does not appear to be an IPv4" in said(node, "ifreload -a", 1)
    assert addresses(node, "vmbr0") == []
    said(node, "ifreload -a -u")
    assert addresses(node, "vmbr0") == ["10.0.30.10/24"]


def test_what_is_no_more_brought_up_by_itself_keeps_what_it_had(node):
    before = node.files.text(FILE)
    stage(node, "vmbr0", MOVED)
    stage(node, "enp11s0", DIRECT)
    apply(node)
    said(node, "pvesh create /nodes/pve/network --iface vmbr1 --type bridge --autostart 1")
    apply(node)
    node.files.put(FILE, before.replace("bridge-ports enp11s0", "bridge-ports none"))
    said(node, "ifreload -a -u")
    assert addresses(node, "enp11s0") == ["10.0.60.2/30"]
    assert links(node)["enp11s0"]["mtu"] == 9000
    assert "vmbr1" in links(node), "with -u nothing is taken down"
    said(node, "ip addr flush dev enp11s0")
    said(node, "ip link set enp11s0 mtu 1500")
    said(node, "ip link del vmbr1")
    assert addresses(node, "enp11s0") == []
    assert "vmbr1" not in links(node)


def test_a_bridge_that_the_file_does_not_name_any_more_goes_without_u(node):
    said(node, "pvesh create /nodes/pve/network --iface vmbr1 --type bridge --autostart 1")
    apply(node)
    said(node, "pvesh delete /nodes/pve/network/vmbr1")
    apply(node)
    assert "vmbr1" not in links(node)


def test_a_port_that_is_not_there_fails_the_reload_and_pvesh_ends_well(node):
    edit(node, "bridge-ports enp11s0", "bridge-ports enp99s0")
    assert "bridge port enp99s0 does not exist" in said(node, "ifreload -a", 1)
    assert "TASK ERROR" in apply(node), "status 0 all the same"


def with_guest(node):
    vm = VirtualMachine(
        101, {"name": "a", "memory": "64", "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0"}
    )
    vm.config["scsi0"] = "local-zfs:vm-101-disk-0"
    vm.booted = "x"
    node.vms[101] = vm
    said(node, "qm start 101")
    return vm.guest.interfaces


def test_debians_own_takes_guests_off_their_bridge(node):
    cards = with_guest(node)
    said(node, "ifreload -a")
    assert all(card.up for card in cards)
    node.ifupdown.version = "3.0.0-1.1"
    said(node, "ifreload -a")
    assert not any(card.up for card in cards)


def test_a_bridge_that_was_down_is_up_without_its_guests(node):
    cards = with_guest(node)
    said(node, "ifdown vmbr0")
    said(node, "ifup vmbr0")
    assert addresses(node, "vmbr0") == ["10.0.30.10/24"]
    assert not any(card.up for card in cards)


def test_there_is_no_dry_run(node):
    assert "no-act" in said(node, "ifreload -a -n", 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bridge-ports enp11s0", "bridge-ports none"),
        ("address 10.0.30.10/24", "address 10.0.30.11/24"),
        ("auto vmbr0\niface vmbr0", "iface vmbr0"),
    ],
)
def test_a_wrong_network_is_reached_by_nobody(node, old, new):
    assert node.accepts_logins()
    edit(node, old, new)
    node.reboot()
    node.world.clock.sleep(120)
    assert node.up
    assert not node.accepts_logins()


def test_a_card_without_a_driver_is_no_interface():
    old = LAB.hosts["hyper"].os.model_copy(update={"version": "8.4"})
    host = LAB.hosts["hyper"].model_copy(update={"os": old})
    lab = LAB.model_copy(update={"hosts": {**LAB.hosts, "hyper": host}})
    node = built(lab, before_phase=1).machines["hyper"]
    assert node.kernel.startswith("6.8")
    assert "enp12s0" not in links(node)
    assert "No such device" in said(node, "ethtool enp12s0", 75)
    devices = json.loads(said(node, "pvesh get /nodes/pve/hardware/pci --output-format json"))
    assert any("RTL8126" in row["device_name"] for row in devices)
    node.packages["proxmox-kernel-6.14.11-4-pve-signed"] = "1"
    node.reboot()
    node.world.clock.sleep(120)
    assert node.kernel == "6.14.11-4-pve"
    assert "enp12s0" in links(node)


def test_the_file_is_read_and_written_without_loss():
    text = written(
        [
            {"iface": "eno1", "type": "eth", "families": ["inet"], "method": "manual",
             "options": ["post-up ethtool -K eno1 gro off"], "comments": "by the wall\n"},
            {"iface": "vmbr0", "type": "bridge", "families": ["inet", "inet6"], "method": "static",
             "address": "10.0.0.2", "netmask": "24", "method6": "static", "address6": "fd00::2",
             "netmask6": "64", "bridge_ports": "eno1", "autostart": 1, "bridge_vlan_aware": 1},
        ]
    )  # fmt: skip
    found = rows(text, ["eno1"], [])
    assert found["eno1"]["options"] == ["post-up ethtool -K eno1 gro off"]
    assert found["eno1"]["comments"] == "by the wall\n"
    assert (found["vmbr0"]["cidr"], found["vmbr0"]["cidr6"]) == ("10.0.0.2/24", "fd00::2/64")
    assert written(found.values()) == text
    assert parsed(text).auto == ["lo", "vmbr0"]
