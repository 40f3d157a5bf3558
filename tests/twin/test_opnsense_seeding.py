"""A twin's OPNsense becomes what a real one says; what that keeps to itself never comes over."""

import json
import re
import shlex
from xml.etree import ElementTree as ET

import pytest

from homelab_lib.control.opnsense.history import REVISIONS as TOLD
from homelab_lib.control.opnsense.history import revisions, since
from homelab_lib.control.opnsense.probe import PROBE as LET_THROUGH
from homelab_lib.lab import load_lab
from homelab_lib.transport.command import Result, read
from homelab_lib.transport.reads import reads_only
from homelab_lib.twin.built import built
from homelab_lib.twin.machine.https import Asked
from homelab_lib.twin.opnsense.freebsd_system import freebsd_system
from homelab_lib.twin.opnsense.pf import PacketFilter
from homelab_lib.twin.opnsense.seeding import PROBE, REVISIONS, seed_opnsense
from homelab_lib.twin.seeding import seeded

LAB = load_lab()
SECRETS = {
    "system/user/password": "$2y$11$hash",
    "system/user/apikeys": "k3y|$6$hash",
    "system/user/otp_seed": "SEED",
    "OPNsense/wireguard/server/servers/server/privkey": "PRIVATEKEY=",
    "OPNsense/wireguard/client/clients/client/psk": "PSK=",
    "OPNsense/tailscale/authentication/preAuthKey": "tskey-auth-1",
    "cert/prv": "LS0tPRIVATE",
    "ppps/ppp/password": "ispword",
    "OPNsense/IDS/fileTags/tag/value": "oinkcode",
    "snmpd/rocommunity": "public-no-more",
}


def real():
    """A box that somebody has set up, by hand and by its REST side."""
    box = built(LAB, before_phase=2, seed=5).machines["firewall"]
    root = box.config.load()
    for path, secret in SECRETS.items():
        place = root
        for tag in path.split("/"):
            found = place.find(tag)
            place = ET.SubElement(place, tag) if found is None else found
        place.text = secret
    rules = root.find("OPNsense/Firewall/Filter/rules")
    pending = ET.SubElement(rules, "rule", uuid="11111111-2222-4333-8444-555555555555")
    for tag, text in (("enabled", "1"), ("action", "block"), ("interface", "opt1"), ("quick", "1")):
        ET.SubElement(pending, tag).text = text
    ET.SubElement(pending, "sequence").text = "1"
    _forward(root, "8443", "rule")
    box.config.save(root, by="root", description="by hand")
    root.find("OPNsense/Firewall/Filter/rules").remove(pending)
    box.pf = PacketFilter(box.links, root, root)  # it was applied then
    root = box.config.load()
    _forward(root, "22", "pass")
    box.config.save(root, by="root", description="by hand, and not applied")
    box.files.put("/var/run/hl-1", "")
    box.files.put("/conf/hl-copy.xml", "<opnsense><secret>in the copy</secret></opnsense>")
    box.sysctl["hw.model"] = "One of its own"
    box.files.put("/usr/local/etc/suricata/rules/emerging-scan.rules", "")
    return box


def _forward(root, port, passes):
    row = ET.SubElement(root.find("nat"), "rule")
    said = {"interface": "wan", "protocol": "tcp", "target": "10.0.30.21", "local-port": port}
    for tag, text in (said | {"pass": passes, "ipprotocol": "inet"}).items():
        ET.SubElement(row, tag).text = text
    for end in ("source", "destination"):
        ET.SubElement(row, end)
    ET.SubElement(row.find("destination"), "network").text = "wanip"
    ET.SubElement(row.find("destination"), "port").text = port


class Wire:
    """Asks the box, as the transport would."""

    def __init__(self, box):
        self.box, self.asked, self.said = box, [], ""

    def __call__(self, host, argv):
        if host != self.box.name:
            return None
        command = read(*argv)  # raises where it is not known to read
        self.asked.append(command.line)
        reply = self.box.run(f"env LC_ALL=C {command.line}").finished()
        self.said += reply.out.decode()
        return reply.status, reply.out.decode(), reply.err.decode()


@pytest.fixture(scope="module")
def pair():
    box = real()
    wire = Wire(box)
    twin = built(LAB, before_phase=0, seed=6).machines["firewall"]
    twin.ask = wire
    seed_opnsense(twin, wire)
    return box, twin, wire


def test_it_is_what_the_box_says(pair):
    box, twin, _ = pair
    assert twin.version == box.version
    assert sorted(map(str, twin.interfaces)) == sorted(map(str, box.interfaces))
    assert twin.links.by_name.keys() == box.links.by_name.keys()
    assert [twin.started[name] for name in ("dnsmasq", "unbound", "ids")] == [True, True, False]
    assert twin.suricata.fetched == {"emerging-scan.rules"}
    assert twin.config.load().findtext("nat/rule/pass") == "rule", "that is no password"


def test_secrets_stay_where_they_are(pair):
    box, twin, wire = pair
    for path, secret in SECRETS.items():
        assert secret in box.files.text("/conf/config.xml")
        assert secret not in wire.said
        assert not twin.config.load().findtext(path)
    blotted = {path.split("/")[-1] for path in SECRETS}
    kept = {tag: text for tag, text in _texts(box) if tag not in blotted}
    assert kept.items() <= dict(_texts(twin)).items()
    of_backup = ET.fromstring(twin.files.text("/conf/backup/config-1790000000.xml"))
    assert [each.tag for each in of_backup] == ["revision"], "no more is told of a backup"


def _texts(box):
    return [(each.tag, each.text) for each in box.config.load().iter() if (each.text or "").strip()]


def test_what_waits_to_be_applied_still_waits(pair):
    box, twin, _ = pair
    pending = "11111111-2222-4333-8444-555555555555"
    for one in (box, twin):
        assert pending in one.files.text("/conf/config.xml")
        assert pending not in [rule.label for rule in one.pf.rules]
    assert [each.arrives_at(22) for each in (box, twin)] == ["", ""]
    assert [each.arrives_at(8443) for each in (box, twin)] == ["10.0.30.21", "10.0.30.21"]
    assert len(twin.config.load().findall("nat/rule")) == 2
    labels = [[rule.label for rule in one.pf.rules if rule.label] for one in (box, twin)]
    assert labels[0] == labels[1]


def test_a_copy_of_the_configuration_is_known_to_be_there_and_not_read(pair):
    box, twin, wire = pair
    assert twin.files.exists("/conf/hl-copy.xml")
    assert not twin.files.exists("/conf/hl-none.xml")
    assert "in the copy" not in wire.said
    line = "sha256 -q /conf/config.xml"
    assert twin.run(line).out == box.run(line).out, "the digest is the real file's"
    twin.config.save(twin.config.load(), by="root", description="changed")
    assert twin.run(line).out != box.run(line).out


def test_who_changed_what_and_when_is_known_and_no_key_of_anybody(pair):
    """The plan says what the box would: that the owner came after what lies aside."""
    box, _, wire = pair
    copy = "/conf/homelab-homelab-rules.xml"
    assert box.run(f"cp /conf/config.xml {copy}").status == 0
    root = box.config.load()
    for by, key in (("root@127.0.0.1", "THEKEY"), ("root@10.0.10.50", "")):
        box.config.save(root, by=by, description="/api/x made changes", key=key)
    again = built(LAB, before_phase=0, seed=7).machines["firewall"]
    seed_opnsense(again, wire)
    told = [one.run(f"php -r {shlex.quote(REVISIONS)}").out for one in (box, again)]
    assert [json.loads(line)["file"] for line in told[0].splitlines()] == [
        json.loads(line)["file"] for line in told[1].splitlines()
    ]
    assert b"THEKEY" not in told[0]
    assert "THEKEY" not in wire.said
    for one in (box, again):
        found = since(_read_by(one), copy, "homelab")
        assert found.whole
        (other,) = found.others
        assert "root@10.0.10.50" in other


def _read_by(box):
    class Host:
        name = "firewall"

        def read(self, *argv, **options):
            reply = box.run(read(*argv).line).finished()
            return Result(reply.status, reply.out.decode(), reply.err.decode())

    return revisions(Host())


def test_hardware_and_whence_one_comes_are_in_the_real_ones_words(pair):
    box, twin, _ = pair
    assert twin.run("sysctl -n hw.model").out == b"One of its own\n"
    box.world.operator = "desktop"
    assert twin.run("printenv SSH_CONNECTION").out == b"10.0.10.50 50000 10.0.1.1 22\n"
    box.world.operator = ""


def test_files_are_asked_for_in_freebsds_words_and_only_when_looked_at(pair):
    _, twin, wire = pair
    before = len(wire.asked)
    assert twin.files.exists("/var/run/hl-1")
    assert not twin.files.exists("/var/run/hl-2")
    asked = wire.asked[before:]
    assert all(any(w in line for w in ("stat -f", "cat --", "sha256 -q")) for line in asked)
    assert len(wire.asked) > before


def test_the_one_script_is_let_through_and_nothing_like_it():
    assert (PROBE, REVISIONS) == (LET_THROUGH, TOLD)
    assert reads_only(["php", "-r", PROBE])
    assert reads_only(["php", "-r", REVISIONS])
    for script in (PROBE + " ", PROBE + REVISIONS):
        assert not reads_only(["php", "-r", script])
    for words in (["php", "-f", "/x.php"], ["php"]):
        assert not reads_only(words)
    assert reads_only(["ifconfig", "igc0"])
    assert not reads_only(["ifconfig", "igc0", "down"])
    assert not reads_only(["ifconfig", "igc0", "-alias"])
    assert not reads_only(["pfctl", "-F", "states"])


def test_a_device_with_more_than_we_print_is_understood():
    """As FreeBSD 15 prints a trunk with a VLAN, bar the hosts' own details."""
    text = (
        "ixl1: flags=1028943<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST,PPROMISC,LOWER_UP> "
        "metric 0 mtu 9000\n\toptions=48100b8<VLAN_MTU,VLAN_HWTAGGING>\n"
        "\tether 02:10:00:01:00:03\n\tmedia: Ethernet autoselect (10Gbase-SR <full-duplex>)\n"
        "\tstatus: active\n\tnd6 options=29<PERFORMNUD,IFDISABLED,AUTO_LINKLOCAL>\n"
        "lo0: flags=1008049<UP,LOOPBACK,RUNNING,MULTICAST,LOWER_UP> metric 0 mtu 16384\n"
        "\tinet 127.0.0.1 netmask 0xff000000\n"
        "vlan0.30: flags=1008843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST,LOWER_UP> metric 0 "
        "mtu 1500\n\tdescription: SERVERS (opt3)\n\toptions=4000000<MEXTPG>\n"
        "\tether 02:10:00:01:00:03\n\tinet 10.0.30.1 netmask 0xfffffe00 broadcast 10.0.31.255\n"
        "\tinet6 fe80::210%vlan0.30 prefixlen 64 scopeid 0x9\n\tinet6 fd00:30::1 prefixlen 64\n"
        "\tgroups: vlan\n\tvlan: 30 vlanproto: 802.1q vlanpcp: 0 parent interface: ixl1\n"
    )
    told = {"ifconfig": text, "opnsense-version -v": "26.1.11\n", "php -r $secret": "<opnsense/>"}

    def ask(host, argv):
        if "stat" in argv:
            paths = argv[argv.index("--") + 1 :]
            return 1, "", "".join(f"stat: {p}: stat: No such file or directory\n" for p in paths)
        key = next((key for key in told if " ".join(argv).startswith(key)), None)
        return (0, told[key], "") if key else (0, "", "")

    twin = built(LAB, before_phase=0).machines["firewall"]
    seed_opnsense(twin, ask)
    assert twin.release == (26, 1, 11)
    only_later = Asked("POST", "/api/interfaces/assignment/addItem", headers={}, body=b"{}")
    assert twin.https[443](only_later).status == 404, "the lab says 26.7, and the box knows better"
    assert list(twin.links.by_name) == ["ixl1", "vlan0.30"]
    vlan = twin.links.by_name["vlan0.30"]
    assert (vlan.tag, vlan.parent, vlan.identifier) == (30, "ixl1", "opt3")
    assert vlan.addresses == ["10.0.30.1/23", "fd00:30::1/64"]
    assert twin.links.by_name["ixl1"].mtu == 9000
    assert vlan.segment == LAB.hosts["firewall"].segment("sfp2")


def test_leases_that_were_given_are_taken_over():
    files = {
        "/var/db/dnsmasq.leases": "1790003600 02:aa:bb:cc:dd:01 10.0.10.100 tv 01:02:aa\n"
        "1790003600 02:aa:bb:cc:dd:02 10.0.20.100 * *\nduid 00:01:00:01\n",
        "/var/db/kea/kea-leases4.csv": "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,"
        "fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id\n10.0.30.50,02:AA:BB:CC:DD:03,,"
        "4000,1790001000,1,0,0,cam,0,,0\n10.0.30.51,02:aa:bb:cc:dd:04,,4000,1,1,0,0,old,2,,0\n",
    }
    box = real()
    for path, text in files.items():
        box.files.put(path, text)
    twin = built(LAB, before_phase=0).machines["firewall"]
    seed_opnsense(twin, Wire(box))
    assert [(row["address"], row["hostname"], row["if_name"]) for row in twin.leases] == [
        ("10.0.10.100", "tv", "opt1"),
        ("10.0.20.100", "*", "opt2"),
        ("10.0.30.50", "cam", "opt3"),
    ]


def test_a_whole_world_is_seeded_with_it():
    box = real()
    world = seeded(LAB, Wire(box))
    assert world.machines["firewall"].config.load().findtext("interfaces/opt1/descr") == "TRUSTED"
    assert re.match(r"\d+\.\d+", world.machines["firewall"].version)
    assert "sysctl" in freebsd_system.bodies
