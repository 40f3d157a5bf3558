"""A Proxmox host set up from its installation to its bridges, over SSH, on a lab that isn't there;
what is wrong stops at the right step; whatever is cut off when, it is reached again."""

import copy
import re
from pathlib import Path

import pytest
import yaml

from homelab_lib.errors import BadParameter, LabError, StepFailed
from homelab_lib.lab import load_lab
from homelab_lib.recipes import named
from homelab_lib.recipes.proxmox import host as proxmox_host
from homelab_lib.recipes.proxmox import network as proxmox_network
from homelab_lib.runbook.proof import check
from homelab_lib.session.rehearsed import rehearse
from homelab_lib.target import TwinTarget
from homelab_lib.twin.machine.machine import BOOT_S
from homelab_lib.twin.proxmox.booting import ARC_LIMIT, starts
from homelab_lib.twin.proxmox.interfaces import FILE, STAGED
from standing import differences
from standing import standing as serve_standing

LAB = Path(__file__).parent / "labs" / "proxmox.yaml"
SIGNED = {"confirm": ["installed"]}
UNDONE_S = 200


@pytest.fixture
def network(tmp_path, monkeypatch):
    """The lab before the network of its host is made."""
    with serve_standing(tmp_path, monkeypatch, path=str(LAB), runbook="phase1_network") as there:
        yield there


@pytest.fixture
def host(tmp_path, monkeypatch):
    """The lab before anything is made of its host but the installation."""
    with serve_standing(tmp_path, monkeypatch, path=str(LAB), runbook="phase1_proxmox") as there:
        yield there


@pytest.fixture
def changed(tmp_path):
    """The lab with some of it changed, as a folder of its own."""

    def change(edit):
        document = yaml.safe_load(LAB.read_text())
        edit(document)
        place = tmp_path / "changed"
        place.mkdir()
        (place / "lab.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        return str(place)

    return change


def node(standing):
    return standing.world.machines["hyper"]


# From end to end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("book", ["host", "network"])
def test_plan_apply_apply_again_verify(request, book):
    standing = request.getfixturevalue(book)
    before = standing.world.state()
    planned = standing.run("plan")
    assert (planned.error, planned.changes) == (None, {"host": 10, "network": 3}[book])
    assert standing.world.state() == before, "a plan changed something"
    signed = SIGNED if standing.runbook == "phase1_proxmox" else {}
    applied = standing.run("apply", planned.digest, **signed)
    assert (applied.error, applied.sent) == (None, planned.changes)
    assert list(check(applied.record)) == []
    again = standing.run("apply", planned.digest, **signed)
    assert (again.error, again.sent) == (None, 0)
    assert standing.run("verify").error is None
    assert standing.run("plan").changes == 0


@pytest.mark.parametrize("version", ["8.4", "9.1", "9.2"])
def test_each_release(changed, version):
    """An older one is restarted into a kernel that has the driver; and a host that was restarted
    has the network that was made, and the limit of ZFS's cache."""

    def other(document):
        document["hosts"]["hyper"]["os"]["version"] = version

    target = TwinTarget.before_phase(load_lab(changed(other)), 1)
    there = target.world.machines["hyper"]
    old = there.kernel
    for part in ("proxmox", "network"):
        rehearse(target.lab, named(f"phase1_{part}"), target)
    target.close()
    assert (there.kernel != old) == (version == "8.4")
    limit = there.files.text(ARC_LIMIT)
    there.reboot()
    target.world.clock.sleep(BOOT_S + 1)
    assert there.accepts_logins()
    assert {i.name: i.cidr for i in there.interfaces if i.cidr} == {
        "enp11s0": "10.0.60.2/30",
        "vmbr0": "10.0.30.10/24",
    }
    assert there.files.text(ARC_LIMIT) == limit


def beside(document):
    """The release whose kernel lacks the driver, and a lab that insists on building it."""
    document["hosts"]["hyper"]["os"]["version"] = "8.4"
    document["hosts"]["hyper"]["ports"]["slow"]["driver"] = "r8126"
    document["downloads"] = {
        "r8126-dkms": {
            "url": "https://drivers.example/realtek-r8126-dkms_10.017.00-1_amd64.deb",
            "sha256": "3" * 64,
            "size_bytes": 100_000,
        }
    }


def test_a_driver_is_built_beside_the_kernel_where_the_lab_has_its_package(changed):
    target = TwinTarget.before_phase(load_lab(changed(beside)), 1)
    there = target.world.machines["hyper"]
    kernel = there.kernel
    for part in ("proxmox", "network"):
        rehearse(target.lab, named(f"phase1_{part}"), target)
    target.close()
    assert there.dkms == {"r8126": {kernel}}
    there.reboot()
    target.world.clock.sleep(BOOT_S + 1)
    assert (there.kernel, there.cards[1].driver) == (kernel, "r8126")
    assert there.accepts_logins()


# What is wrong stops it ---------------------------------------------------------------------------


@pytest.fixture
def stops():
    """Has a part of the runbook stop at a step, in these words, where something is not as it is
    to be; nothing is sent from there on."""
    opened = []

    def run(part, step, *words, lab="", there=lambda node: None):
        target = TwinTarget.before_phase(load_lab(lab or str(LAB)), 1)
        opened.append(target)
        there(target.world.machines["hyper"])
        with pytest.raises(StepFailed) as error:
            rehearse(target.lab, named(f"phase1_{part}"), target)
        assert error.value.where == f"phase1_{part}: {step}", error.value
        for word in words:
            assert word in str(error.value)

    yield run
    for target in opened:
        target.close()


def disk(node, number, **facts):
    node.disk_rows[number] |= facts


def test_a_disk_with_another_serial_number(stops, changed):
    def edit(document):
        document["hosts"]["hyper"]["disks"]["nvme2"]["serial"] = "HLPVE5120009"

    right = "HLPVE5120002"
    stops("proxmox", "pool-fastmirror", "no disk with serial number HLPVE5120009",
          lab=changed(edit), there=lambda node: disk(node, 2, serial=right))  # fmt: skip


def test_a_disk_with_somebodys_pool(stops):
    def there(node):
        node.blocks[2] |= {"fstype": "zfs_member", "label": "oldtank"}

    stops("proxmox", "pool-fastmirror", "(HLPVE5120002)", "zfs_member oldtank", there=there)


def test_a_disk_that_is_in_use(stops):
    stops("proxmox", "pool-fastmirror", "/dev/nvme1n1 (HLPVE5120001) is in use: LVM",
          there=lambda node: disk(node, 1, used="LVM"))  # fmt: skip


def test_two_disks_of_one_serial_number(stops):
    stops("proxmox", "pool-fastmirror", "/dev/nvme1n1, /dev/nvme2n1 all say", "which one is meant",
          there=lambda node: disk(node, 2, serial="HLPVE5120001"))  # fmt: skip


def test_a_host_of_another_release(stops):
    stops("proxmox", "installed", "it is Proxmox VE 9.1: it is 9.2.2",
          there=lambda node: setattr(node, "version", "9.2.2"))  # fmt: skip


def test_another_disk_to_boot_from(stops):
    stops("proxmox", "installed", "it boots from the disk HLPVE1T00001",
          there=lambda node: disk(node, 0, serial="OTHER"))  # fmt: skip


def test_a_card_that_the_kernel_is_too_old_for(stops):
    def there(node):
        node.kernel = "6.8.12-20-pve"
        starts(node)

    stops("network", "drivers", "enp12s0 (RTL8126)", "kernel 6.8.12-20-pve is older than 6.9",
          there=there)  # fmt: skip


def test_a_driver_that_nobody_has_signed(stops, changed):
    stops("network", "drivers", "Secure Boot is on at hyper", lab=changed(beside),
          there=lambda node: setattr(node, "secure_boot", True))  # fmt: skip


def test_a_card_that_has_another_name(stops):
    def there(node):
        node.cards[1].name = "enp13s0"
        starts(node)

    stops("network", "drivers", "is called enp13s0 there: write  interface: enp13s0",
          there=there)  # fmt: skip


def test_a_gateway_on_the_direct_link(stops, changed):
    def edit(document):
        document["vlans"][60] = {"name": "storage", "purpose": "NAS", "subnet": "10.0.60.0/30",
                                 "gateway": "10.0.60.1"}  # fmt: skip
        for name, port in (("hyper", "fast"), ("nas", "sfp")):
            document["hosts"][name]["ports"][port]["vlan"] = 60

    stops("network", "bridges", "two ways out, enp11s0 by 10.0.60.1 and vmbr0 by 10.0.30.1",
          lab=changed(edit))  # fmt: skip


def test_packets_too_large_for_one_end_in_the_lab(changed):
    def edit(document):
        document["hosts"]["nas"]["ports"]["sfp"]["mtu"] = 1500

    place = changed(edit)
    with pytest.raises(LabError, match=r"lab.yaml:\d+.*9000 bytes at hyper.fast and 1500"):
        load_lab(place)


def test_packets_too_large_for_the_other_end_as_it_is(stops):
    def there(node):
        far = node.world.machines["nas"].interfaces
        next(each for each in far if each.cidr == "10.0.60.1/30").mtu = 1500

    stops("network", "direct-link", "a small packet passes and one of 9000 does not",
          "look at nas's port sfp", there=there)  # fmt: skip


def test_a_plug_that_does_not_fit(stops, changed):
    """The design as written: a DAC, whose plugs fit no jack for 10GBASE-T."""

    def edit(document):
        document["cables"][0] |= {"medium": "DAC", "part": "dac-sfp+"}

    stops("network", "direct-link", "a person has to act: plug the cable direct", "no link: ",
          lab=changed(edit))  # fmt: skip


def test_what_somebody_has_staged(stops):
    stops("network", "bridges", "somebody has staged changes",
          there=lambda node: node.files.put(STAGED, node.files.text(FILE)))  # fmt: skip


def test_what_somebody_stages_after_we_were_cut_off(network):
    """It is not applied with ours; once it is dropped, the same command goes on."""
    digest = network.run("plan").digest
    network.world.faults.arm("fail", CHANGES, nth=2)
    assert network.run("apply", digest).error is not None
    staged = node(network).files.text(STAGED)
    somebodys = staged.replace("iface lo inet loopback\n", "iface lo inet loopback\n\tmtu 9000\n")
    node(network).files.put(STAGED, somebodys)
    again = network.run("apply", digest)
    assert "holds more than what we staged" in str(again.error)
    assert again.sent == 0
    node(network).files.remove(STAGED)
    network.until_done(digest)
    assert network.run("verify").error is None


def test_what_the_lab_does_not_put_anywhere_stays_in_its_bridge(network):
    host = node(network)
    text = host.files.text(FILE)
    assert "bridge-ports enp11s0\n" in text
    host.files.put(FILE, text.replace("bridge-ports enp11s0\n", "bridge-ports enp11s0 usb0\n"))
    link = copy.copy(next(each for each in host.interfaces if each.name == "enp11s0"))
    link.name, link.mac = "usb0", "02:10:00:30:00:77"
    host.interfaces.append(link)
    planned = network.run("plan")
    assert planned.error is None
    assert network.run("apply", planned.digest).error is None
    assert "bridge-ports enp12s0 usb0\n" in host.files.text(FILE)
    assert network.run("verify").error is None
    assert network.run("apply", planned.digest).sent == 0


def test_an_address_of_somebody(stops):
    def there(node):
        node.files.put(FILE, node.files.text(FILE).replace("10.0.30.10/24", "10.0.30.11/24"))

    stops("network", "bridges", "vmbr0 has the address 10.0.30.11/24 on pve",
          there=there)  # fmt: skip


def test_a_network_that_leads_nowhere_is_found_in_rehearsal(stops, changed):
    def edit(document):
        document["cables"] = [c for c in document["cables"] if c["name"] != "slow"]

    stops("network", "bridges", "hyper was not reached any more", "it undoes that by itself",
          lab=changed(edit))  # fmt: skip


# Whatever is cut off when, it is reached ----------------------------------------------------------


def test_a_network_that_cuts_us_off_is_undone(network, changed):
    """The real switch has another VLAN on the port than the lab says."""

    def edit(document):
        document["switches"]["switch"]["ports"]["p1"] = {"vlan": 99}
        document["hosts"]["hyper"]["ports"]["slow"].pop("vlan")
        document["vlans"][99] = {"name": "attic", "purpose": "Nobody", "subnet": "10.9.9.0/24"}

    network.world.network.wires.lab = load_lab(changed(edit))
    before = node(network).files.text(FILE)
    ran = network.run("apply", network.planned())
    assert "was not reached any more after: apply the network" in str(ran.error)
    assert not node(network).accepts_logins()
    network.world.clock.sleep(UNDONE_S)
    assert node(network).accepts_logins()
    assert node(network).files.text(FILE) == before
    links = {link.name: link for link in node(network).interfaces}
    assert (links["enp11s0"].cidr, links["enp11s0"].mtu) == ("", 1500)
    assert (links["enp11s0"].master, links["enp12s0"].master) == ("vmbr0", "")
    again = network.run("plan")
    assert (again.error, again.changes) == (None, 3)


@pytest.mark.sample
def test_it_is_undone_by_a_host_that_was_restarted_meanwhile(network, changed):
    """A timer is forgotten then. Long: without a restart it is tried at every change."""

    def edit(document):
        document["switches"]["switch"]["ports"]["p1"] = {"vlan": 99}
        document["hosts"]["hyper"]["ports"]["slow"].pop("vlan")
        document["vlans"][99] = {"name": "attic", "purpose": "Nobody", "subnet": "10.9.9.0/24"}

    digest = network.planned()
    network.world.network.wires.lab = load_lab(changed(edit))
    network.world.faults.arm("reboot", r"^(sudo -n -- )?systemd-run")
    assert "is reached, and does not keep" in str(network.run("apply", digest).error)
    network.world.clock.sleep(UNDONE_S)
    assert node(network).boots == 1
    assert node(network).accepts_logins()
    assert "bridge-ports enp11s0" in node(network).files.text(FILE)


CHANGES = r"^(sudo -n -- )?(pvesh set|sh -c|systemd-run)"
COUNT = 5
"""How many such commands there are: two are staged, then the undo, the change, the confirmation."""
KINDS = ("cut-before", "cut-mid", "cut-after", "reboot")
USUAL = {("cut-mid", 4)}
POINTS = [
    pytest.param(kind, nth, marks=() if (kind, nth) in USUAL else pytest.mark.sample)
    for kind in KINDS
    for nth in range(1, COUNT + 1)
]


@pytest.mark.parametrize(("kind", "nth"), POINTS)
def test_it_is_reached_again_and_the_same_command_finishes(network, kind, nth):
    planned = network.run("plan")
    network.world.faults.arm(kind, CHANGES, nth=nth)
    network.run("apply", planned.digest)
    network.world.clock.sleep(UNDONE_S)
    assert node(network).accepts_logins(), "nobody is locked out, whatever became of the change"
    network.until_done(planned.digest)
    text = node(network).files.text(FILE)
    assert "bridge-ports enp12s0" in text
    assert "10.0.60.2/30" in text
    assert network.run("verify").error is None
    assert not node(network).files.exists(STAGED)


@pytest.mark.sample
def test_no_change_is_left_out_of_the_points(network):
    seen = []
    strike = network.world.faults.strike

    def watch(machine, line):
        if re.search(CHANGES, line.replace("env LC_ALL=C ", "")):
            seen.append(line)
        return strike(machine, line)

    network.world.faults.strike = watch
    network.until_done(network.planned(), tries=1)
    assert len(seen) == COUNT


MADE = r"^(sudo -n -- )?(pvesh (set|create)|sh -c|systemd-run)"
MADE_COUNT = 10
MADE_POINTS = [(kind, nth) for kind in KINDS for nth in range(1, MADE_COUNT + 1)]


@pytest.fixture(scope="module")
def undisturbed():
    """A host of which all was made, and nothing went wrong."""
    target = TwinTarget.before_phase(load_lab(str(LAB)), 1)
    rehearse(target.lab, named("phase1_proxmox"), target)
    target.close()
    return target.world.machines["hyper"].state()


@pytest.mark.sample
@pytest.mark.parametrize(("kind", "nth"), MADE_POINTS)
def test_what_was_cut_off_is_made_once(host, undisturbed, kind, nth):
    planned = host.run("plan")
    host.world.faults.arm(kind, MADE, nth=nth)
    host.until_done(planned.digest, **SIGNED)
    assert differences(node(host).state(), undisturbed) == []
    assert host.run("verify").error is None


@pytest.mark.sample
def test_none_of_what_is_made_is_left_out_of_the_points(host):
    seen = []
    strike = host.world.faults.strike

    def watch(machine, line):
        if re.search(MADE, line.replace("env LC_ALL=C ", "")):
            seen.append(line)
        return strike(machine, line)

    host.world.faults.strike = watch
    host.until_done(host.planned(), tries=1, **SIGNED)
    assert len(seen) == MADE_COUNT, seen


# Other labs ---------------------------------------------------------------------------------------


def names(steps):
    return [step.name for step in steps]


def test_labs_without_such_things_have_no_such_steps():
    minipc = load_lab("data/examples/minipc")
    assert names(proxmox_network.steps(minipc, 1)) == []
    assert names(proxmox_host.steps(minipc, 1)) == ["pool-tank"]
    assert names(proxmox_host.steps(minipc, 2)) == []


def test_one_card_and_lvm(changed):
    """As the installer makes it by default: no ZFS, one card, a bridge on it."""

    def edit(document):
        hyper = document["hosts"]["hyper"]
        del hyper["ports"]["fast"], document["hosts"]["nas"]["ports"]["sfp"]
        document["cables"] = document["cables"][1:]
        document["pools"] = {}
        document["storages"]["hyper"] = {
            "local": {"kind": "dir", "path": "/var/lib/vz", "content": ["iso"]},
            "local-lvm": {"kind": "lvmthin", "vgname": "pve", "thinpool": "data",
                          "content": ["images", "rootdir"]},
        }  # fmt: skip

    lab = load_lab(changed(edit))
    assert names(proxmox_network.steps(lab, 1)) == ["drivers", "bridges"]
    assert names(proxmox_host.steps(lab, 1)) == ["installed", "sources", "time"]


def test_a_pool_that_the_api_does_not_make_is_refused(changed):
    def edit(document):
        disks = document["hosts"]["hyper"]["disks"]
        disks |= {f"d{n}": {"part": "nvme-512gb", "serial": f"D{n}"} for n in range(2)}
        document["pools"]["hyper"]["fastmirror"] = {
            "vdevs": [{"layout": "mirror", "disks": ["nvme1", "nvme2"]},
                      {"layout": "mirror", "disks": ["d0", "d1"]}],
            "phase": 1,
        }  # fmt: skip

    lab = load_lab(changed(edit))
    with pytest.raises(BadParameter, match="which Proxmox's API does not make"):
        list(proxmox_host.steps(lab, 1))
