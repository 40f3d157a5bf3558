"""What machines tell of their parts: parsers on shapes that real ones print."""

import json

import pytest

from homelab_lib.control.linux import hardware, links
from homelab_lib.control.linux.hardware import Module, modules
from homelab_lib.control.linux.pci import Link
from homelab_lib.control.opnsense import hardware as freebsd
from homelab_lib.errors import NotUnderstood
from homelab_lib.transport.command import Result
from homelab_lib.transport.reads import reads_only

MODULE = """Handle 0x0011, DMI type 17, 92 bytes
Memory Device
	Total Width: 64 bits
	Size: {size}
	Form Factor: DIMM
	Locator: DIMMA1
	Type: DDR5
	Speed: {rated}
	Configured {word} Speed: {now}
"""
X710 = """ixl0@pci0:1:0:0:	class=0x020000 rev=0x02 hdr=0x00 vendor=0x8086 device=0x1572 subvendor=0x8086 subdevice=0x0007
    vendor     = 'Intel Corporation'
    device     = 'Ethernet Controller X710 for 10GbE SFP+'
    class      = network
    subclass   = ethernet
    cap 01[40] = powerspec 3  supports D0 D3  current D0
    cap 10[a0] = PCI-Express 2 endpoint max data 256(2048) FLR NS
                 link x4(x8) speed 5.0(8.0) ASPM disabled(L1)
none1@pci0:0:31:5:	class=0x0c8000 card=0x86941043 chip=0x7aa48086 rev=0x11 hdr=0x00
    vendor     = 'Intel Corporation'
pcib1@pci0:0:1:0:	class=0x060400 rev=0x02 hdr=0x01 vendor=0x8086 device=0x460d subvendor=0x1043 subdevice=0x8694
    cap 10[40] = PCI-Express 2 root port max data 256(256)
                 link x8(x16) speed 8.0(32.0) ASPM disabled(L0s/L1)
"""  # noqa: E501


class Host:
    """Answers each program with a text, or with a status."""

    name = "box"

    def __init__(self, **said):
        self.said = said

    def read(self, *argv, ok=(0,), **options):
        said = self.said[argv[0]]
        return said if isinstance(said, Result) else Result(0, said, "")

    def json(self, *argv, **options):
        return json.loads(self.said[argv[0]])


@pytest.mark.parametrize(
    ("size", "rated", "word", "now", "module"),
    [
        ("16 GB", "5600 MT/s", "Memory", "4000 MT/s", Module("DIMMA1", 2**34, "DDR5", 5600, 4000)),
        ("16384 MB", "2133 MHz", "Clock", "2133 MHz", Module("DIMMA1", 2**34, "DDR5", 2133, 2133)),
        ("2048 MB", "Unknown", "Memory", "Unknown", Module("DIMMA1", 2**31, "DDR5", None, None)),
    ],
)
def test_modules_of_older_and_newer_firmware(size, rated, word, now, module):
    empty = MODULE.format(size="No Module Installed", rated="Unknown", word=word, now="Unknown")
    full = MODULE.format(size=size, rated=rated, word=word, now=now)
    assert modules(f"# dmidecode 3.6\n\n{full}\n{empty}") == [module]


def test_a_firmware_that_names_no_module_is_not_no_memory():
    with pytest.raises(NotUnderstood, match="no memory module"):
        hardware.memory(Host(dmidecode="# dmidecode 3.6\n"))


def test_a_processor_in_newer_rows_that_are_a_tree():
    rows = [{"field": "Vendor ID:", "data": "GenuineIntel", "children": [
        {"field": "Model name:", "data": "13th Gen Intel(R) Core(TM) i5-13600K"}]},
        {"field": "CPU(s):", "data": "20"}]  # fmt: skip
    said = Host(lscpu=json.dumps({"lscpu": rows}), grep="microcode\t: 0x12b\n")
    found = hardware.processor(said)
    assert (found.title[-9:], found.threads, found.microcode) == ("i5-13600K", 20, 0x12B)


def test_a_processor_that_nobody_names():
    with pytest.raises(NotUnderstood, match="no processor"):
        hardware.processor(Host(lscpu='{"lscpu": []}', grep=""))


def test_cards_of_freebsd_in_its_newer_and_older_form():
    ixl, smbus = freebsd.parse(X710)
    assert (ixl.slot, ixl.id, ixl.class_code, ixl.driver) == (
        "0000:01:00.0", "8086:1572", "0200", "ixl0")  # fmt: skip
    assert ixl.title == "Ethernet Controller X710 for 10GbE SFP+"
    assert (ixl.link, ixl.could) == (Link(5.0, 4), Link(8.0, 8))
    assert (smbus.id, smbus.driver, smbus.link) == ("8086:7aa4", "", None)


def test_drives_and_neighbours_of_freebsd():
    drives = (
        "Geom name: nda0\n   descr: A drive\n   ident: S4EWNX0\n\nGeom name: da0\n   ident: B2\n"
    )
    assert freebsd.serials(Host(geom=drives)) == {"S4EWNX0", "B2"}
    table = (
        "? (10.0.10.50) at 02:10:00:10:00:50 on vlan0.10 expires in 1196 seconds [vlan]\n"
        "? (10.0.10.51) at (incomplete) on vlan0.10 expired [vlan]\n"
    )
    assert freebsd.neighbours(Host(arp=table)) == {"10.0.10.50": "02:10:00:10:00:50"}


def test_neighbours_of_linux_are_those_that_answered():
    rows = [
        {"dst": "10.0.1.2", "dev": "eth0", "lladdr": "02:00:00:00:00:02", "state": ["STALE"]},
        {"dst": "10.0.1.3", "dev": "eth0", "state": ["FAILED"]},
        {"dst": "10.0.1.4", "dev": "eth0", "lladdr": "02:00:00:00:00:04", "state": ["FAILED"]},
    ]
    assert links.neighbours(Host(ip=json.dumps(rows))) == {"10.0.1.2": "02:00:00:00:00:02"}


@pytest.mark.parametrize(
    ("said", "speed"),
    [
        (Result(0, "2500\n", ""), 2.5e9),
        (Result(0, "-1\n", ""), 0.0),
        (Result(1, "", "cat: /sys/class/net/eth0/speed: Invalid argument\n"), 0.0),
        (Result(1, "", "cat: /sys/class/net/eth9/speed: No such file or directory\n"), None),
    ],
)
def test_how_fast_a_port_came_up(said, speed):
    assert links.port_bps(Host(cat=said), "eth0") == speed


@pytest.mark.parametrize(
    ("media", "status", "speed"),
    [
        ("Ethernet autoselect (2500Base-T <full-duplex>)", "active", 2.5e9),
        ("Ethernet autoselect (10Gbase-SR <full-duplex,rxpause,txpause>)", "active", 1e10),
        ("Ethernet autoselect (10Gbase-Twinax <full-duplex>)", "active", 1e10),
        ("Ethernet autoselect (1000baseT <full-duplex>)", "active", 1e9),
        ("Ethernet autoselect", "no carrier", 0.0),
        ("Ethernet autoselect (none)", "no carrier", 0.0),
    ],
)
def test_how_fast_a_port_of_freebsd_came_up(media, status, speed):
    text = f"igc0: flags=1008843<UP> metric 0 mtu 1500\n\tmedia: {media}\n\tstatus: {status}\n"
    assert freebsd.port_bps(Host(ifconfig=text), "igc0") == speed
    missing = Result(1, "", "ifconfig: interface igc9 does not exist\n")
    assert freebsd.port_bps(Host(ifconfig=missing), "igc9") is None


@pytest.mark.parametrize(
    ("line", "reads"),
    [
        ("pciconf -l -v -c", True),
        ("pciconf -w pci0:0:0:0 0x40 1", False),
        ("geom disk list", True),
        ("geom disk destroy ada0", False),
        ("arp -a -n", True),
        ("arp -d 10.0.0.1", False),
        ("arp -s 10.0.0.1 02:00:00:00:00:01", False),
        ("ping -n -c 1 -W 2 10.0.0.1", True),
        ("ping 10.0.0.1", False),
        ("ping -f -c 1 10.0.0.1", False),
        ("ifconfig igc0", True),
        ("ifconfig igc0 down", False),
        ("ifconfig -a", True),
        ("dmidecode -t memory", True),
        ("dmidecode --dump-bin /etc/passwd", False),
    ],
)
def test_what_only_looks(line, reads):
    assert reads_only(line.split()) is reads
