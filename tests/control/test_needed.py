"""What a node needs of a device itself: by any of the ways Linux and Proxmox may say it."""

import pytest

from control.test_cases import Canned
from homelab_lib.control.proxmox.needed import needs, needs_usb, slots_of_drives
from homelab_lib.errors import HomelabError

SLOT = "0000:01:00"
HERE = "../../devices/pci0000:00/0000:00:01.0/0000:01:00.1/net/nic1\n"
ELSEWHERE = "../../devices/pci0000:00/0000:00:02.0/0000:02:00.0/net/nic0\n"
NO_SUCH = {"status": 1, "stdout": "", "stderr": ""}
CARDS = [
    {"iface": "nic0", "type": "eth", "method": "manual", "altnames": ["enp2s0"]},
    {"iface": "nic1", "type": "eth", "method": "manual", "altnames": ["enp1s0f1"]},
]


def node(*interfaces, disks=(), **answers):
    """A node whose card nic1 sits where the device does."""
    links = {
        "find /sys/class/net": "/sys/class/net/nic0\n/sys/class/net/nic1\n",
        "readlink /sys/class/net/nic0": ELSEWHERE,
        "readlink /sys/class/net/nic1": HERE,
        "readlink /sys/class/net/nic0 /sys/class/net/nic1": ELSEWHERE + HERE,
    }
    told = {
        "pvesh get /nodes/pve/disks/list": list(disks),
        "pvesh get /nodes/pve/network": [*CARDS, *interfaces],
    }
    return Canned(links | told | answers, begun=False)


@pytest.mark.parametrize(
    "interface",
    [
        {"iface": "vmbr1", "type": "bridge", "method": "manual", "bridge_ports": "nic1"},
        {"iface": "vmbr1", "type": "bridge", "method": "manual", "bridge_ports": "enp1s0f1"},
        {"iface": "vmbr1", "type": "OVSBridge", "method": "manual", "ovs_ports": "nic1 in0"},
        {"iface": "bond1", "type": "OVSBond", "method": "manual", "ovs_bonds": "nic0 nic1"},
        {"iface": "bond1", "type": "bond", "method": "manual", "slaves": "nic0 nic1"},
        {"iface": "san", "type": "vlan", "method": "static", "vlan-raw-device": "nic1"},
        {"iface": "nic1", "type": "eth", "method": "static", "cidr": "10.0.30.9/24"},
        {"iface": "nic1", "type": "eth", "method": "dhcp"},
        {"iface": "nic1", "type": "eth", "method": "manual", "method6": "auto"},
    ],
    ids=lambda row: f"{row['iface']}, {row['type']}, {row['method']}",
)
def test_a_network_card_that_the_node_uses(interface):
    [told] = needs(node(interface), "pve", [SLOT])[SLOT]
    assert f"(of {interface['iface']})" in told
    assert needs(node(), "pve", [SLOT])[SLOT] == []


def test_a_disk_that_several_controllers_may_reach():
    """Then /sys/block says no more than its subsystem."""
    subsystem = "/sys/devices/virtual/nvme-subsystem/nvme-subsys0"
    host = node(
        disks=[{"devpath": "/dev/nvme0n1", "used": "ZFS"}, {"devpath": "/dev/nvme1n1"}],
        **{
            "readlink /sys/block/nvme0n1": f"..{subsystem.removeprefix('/sys')}/nvme0n1\n",
            f"find {subsystem}": f"{subsystem}/nvme0\n",
            f"readlink {subsystem}/nvme0": "../../../pci0000:00/0000:01:00.0/nvme/nvme0\n",
        },
    )
    assert needs(host, "pve", [SLOT])[SLOT] == ["disk /dev/nvme0n1 (ZFS)"]


def test_a_disk_of_which_nobody_can_tell_where_it_hangs_is_not_taken_for_elsewhere():
    disks = [{"devpath": "/dev/sda", "used": "LVM"}]
    with pytest.raises(HomelabError):
        needs(node(disks=disks, **{"readlink /sys/block/sda": NO_SUCH}), "pve", [SLOT])[SLOT]


def test_a_disk_on_usb_behind_a_hub_is_known_by_its_own_number():
    port = "/sys/bus/usb/devices/2-1.3"
    host = node(
        disks=[{"devpath": "/dev/sdb", "used": "mounted"}],
        **{
            "readlink /sys/block/sdb": "../devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1.3/2-1.3:1.0"
            "/host6/target6:0:0/6:0:0:0/block/sdb\n",
            f"env LC_ALL=C cat -- {port}/idVendor": "152d\n",
            f"env LC_ALL=C cat -- {port}/idProduct": "0578\n",
        },
    )
    asked = needs_usb(host, "pve", ["152d:0578", "10c4:ea60"])
    assert asked == {"152d:0578": ["disk /dev/sdb (mounted)"], "10c4:ea60": []}
    assert needs(host, "pve", ["0000:00:14"])["0000:00:14"] == ["disk /dev/sdb (mounted)"]


def drives(**links):
    """A node with NVMe drives and a disk that all have one number, at these places."""
    paths = [f"/sys/block/{name}" for name in links]
    return node(
        disks=[{"devpath": f"/dev/{name}", "serial": "S1"} for name in (*links, "sda")],
        **{f"readlink {' '.join(paths)}": "".join(f"../devices/{to}\n" for to in links.values())},
    )


AT_5 = "pci0000:00/0000:00:1c.0/0000:05:00.0/nvme/nvme0"


def test_an_nvme_drive_is_the_device_that_it_hangs_on():
    """A disk of that number is none: its controller has others on it."""
    host = drives(nvme0n1=f"{AT_5}/nvme0n1", nvme0n2=f"{AT_5}/nvme0n2")
    assert slots_of_drives(host, "pve", ["S1", "S2"]) == {"S1": "0000:05:00"}
    assert (
        slots_of_drives(node(disks=[{"devpath": "/dev/sda", "serial": "S1"}]), "pve", ["S1"]) == {}
    )


def test_of_two_drives_with_one_number_none_is_given_away():
    other = AT_5.replace("05:00.0", "06:00.0")
    with pytest.raises(HomelabError, match="0000:05:00 and 0000:06:00 both say that they are S1"):
        slots_of_drives(
            drives(nvme0n1=f"{AT_5}/nvme0n1", nvme1n1=f"{other}/nvme1n1"), "pve", ["S1"]
        )
