"""The network of a NAS: pinned, given, committed and confirmed; taken back where we are cut off."""

import json
from contextlib import suppress

import pytest

from homelab_lib.errors import BadParameter, HomelabError, LabError, StepFailed
from homelab_lib.lab import Lab, load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes import phase
from homelab_lib.recipes.nas import network as nas_network
from homelab_lib.recipes.phase import Part, Recipe
from nas_bench import Bench
from standing import standing as standing_lab

LAB = load_lab()
RELEASES = ("25.04.2", "25.10.1", "26.0.0-BETA.3")
NAS = "hosts.truenas"


@pytest.fixture
def bench():
    made = []

    def up(*changes, lab=LAB):
        made.append(Bench(changed(lab, *changes) if changes else lab, nas_network.steps))
        return made[-1]

    yield up
    for each in made:
        each.close()


def addresses(nas):
    return {one.name: (one.cidr, one.mtu) for one in nas.interfaces}


WANTED = {
    "enp1s0": ("10.0.30.5/24", 1500),
    "enp2s0": ("", 1500),
    "enp4s0": ("10.0.60.1/30", 9000),
}


@pytest.mark.parametrize("release", RELEASES)
def test_a_new_nas_gets_its_addresses_once(bench, release):
    there = bench((f"{NAS}.os.version", release))
    outcomes = there.apply()
    assert outcomes["nas-network"].status == "changed"
    assert addresses(there.nas) == WANTED
    config = json.loads(there.midclt("network.configuration.config"))
    assert (config["ipv4gateway"], config["nameserver1"]) == ("10.0.30.1", "10.0.30.1")
    assert config["hostname"] == "truenas"
    assert there.midclt("interface.has_pending_changes") == "False\n"
    there.world.clock.sleep(600)
    assert addresses(there.nas) == WANTED, "nothing goes back once it is confirmed"
    there.apply()
    assert there.sent == []
    assert there.verify()["nas-network"].status == "already"


def test_the_way_we_come_is_pinned_before_anything_else(bench):
    there = bench()
    there.apply()
    updates = [line for line in there.sent if "interface.update" in line]
    assert ["enp1s0" in line for line in updates] == [True, False]
    assert sum("interface.commit" in line for line in there.sent) == 1
    assert there.sent.index(updates[-1]) < next(
        place for place, line in enumerate(there.sent) if "interface.save" in line
    )


def test_a_gateway_that_is_missing_comes_in_a_transaction_of_its_own(bench):
    there = bench()
    there.apply()
    there.nas.network.settings["ipv4gateway"] = ""
    there.apply()
    assert [line.partition("call ")[2].split()[0] for line in there.sent] == [
        "interface.update",
        "interface.save_network_config",
        "interface.commit",
    ]


def test_a_name_server_alone_needs_none(bench):
    there = bench()
    there.apply()
    there.nas.network.settings["nameserver1"] = "9.9.9.9"
    there.apply()
    assert len(there.sent) == 1
    assert "network.configuration.update" in there.sent[0]


def test_somebody_else_at_work_is_left_alone(bench):
    there = bench()
    there.midclt("interface.update", "enp2s0", '{"ipv4_dhcp": true}')
    with pytest.raises(StepFailed, match="somebody is changing the network of truenas"):
        there.apply()
    assert there.sent == []


def test_an_end_that_is_not_set_up_yet_is_told(bench):
    says = [check.says for check in bench().apply()["nas-network"].checks]
    assert any("proxmox has not 10.0.60.2 yet" in text for text in says)


def test_packets_of_full_size_once_both_ends_are_up(bench):
    there = bench(("hosts.proxmox.phase", None))
    checks = there.apply()["nas-network"].checks
    assert [check.holds for check in checks] == [True] * 3
    assert sum("answers them" in check.says for check in checks) == 2
    far = there.world.machines["proxmox"].interfaces
    next(each for each in far if each.cidr.startswith("10.0.60.2/")).mtu = 1500
    with pytest.raises(StepFailed, match="small packets pass, and those of 9000 bytes do not"):
        there.apply()


def test_the_links_speed_is_measured_beside_the_foretold(bench):
    [row] = bench().apply()["nas-network"].measurements
    assert (row.name, row.value, row.predicted, row.unit) == ("speed of dac", 1e10, 1e10, "bit/s")


def test_addresses_of_both_families(bench):
    both = ["10.0.30.5/24", "fd00:30::5/64"]
    there = bench((f"{NAS}.ports.lan1.address", both))
    there.apply()
    [row] = json.loads(there.midclt("interface.query", '[["id", "=", "enp1s0"]]'))
    told = [f"{each['address']}/{each['netmask']}" for each in row["state"]["aliases"]]
    assert told == both
    there.apply()
    assert there.sent == []


# What can't be ---------------------------------------------------------------------------------


DHCP = [(f"{NAS}.ports.sfp.address", ["dhcp"])]
VLANS = {id_: vlan.model_dump(exclude={"id"}, exclude_none=True) for id_, vlan in LAB.vlans.items()}
DIRECT = {"name": "direct", "purpose": "x", "subnet": "10.0.60.0/30", "gateway": "10.0.60.2"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ([("vlans", {**VLANS, 60: DIRECT})], "a machine has one default route"),
        ([(f"{NAS}.ports.lan2.address", ["dhcp"]), *DHCP], "asks DHCP on one interface only"),
    ],
)
def test_what_would_lock_us_out_or_lead_nowhere_stops_here(bench, changes, says):
    there = bench(*changes)
    with pytest.raises(HomelabError, match=says):
        there.apply()
    assert there.sent == []


def test_the_port_by_which_we_come_keeps_its_address(bench):
    """The cable is in the other port than the lab says."""
    there = bench()
    lan1, lan2 = (one for one in there.nas.interfaces if one.name in ("enp1s0", "enp2s0"))
    lan1.cidr, lan2.cidr, lan2.gateway = "", lan1.cidr, lan1.gateway
    there.nas.connect(configured=False)
    with pytest.raises(StepFailed, match=r"cut us off: we come by 10.0.30.5 on enp2s0"):
        there.apply()
    assert there.sent == []


def test_a_card_that_renamed_the_ports(bench):
    there = bench()
    there.nas.interfaces[-1].name = "enp5s0"
    there.nas.connect(configured=False)
    with pytest.raises(StepFailed, match=r"no interface enp4s0; it has enp1s0, enp2s0, enp5s0"):
        there.apply()


def test_packets_of_two_sizes_are_no_lab():
    with pytest.raises(LabError, match="its ends have different mtu"):
        changed(LAB, ("hosts.proxmox.ports.lan10g.mtu", 1500))


def test_a_dac_in_a_jack_stops_here():
    there = Bench(load_lab(decisions=False), nas_network.steps)
    try:
        with pytest.raises(StepFailed, match=r"no link: .*RJ45"):
            there.apply()
    finally:
        there.close()


def test_a_nas_that_nobody_logs_in_on():
    with pytest.raises(BadParameter, match="no runbook logs in"):
        list(nas_network.steps(changed(LAB, (f"{NAS}.ssh", None)), 1))


# Where we are cut off --------------------------------------------------------------------------


@pytest.mark.parametrize("match", ["interface.update", "interface.save", "interface.commit"])
@pytest.mark.parametrize("kind", ["cut-before", "cut-after"])
def test_a_lost_reply_is_settled_and_the_rest_is_sent(bench, kind, match):
    there = bench()
    there.world.faults.arm(kind, match, machine="truenas")
    there.apply()
    there.world.clock.sleep(600)
    assert addresses(there.nas) == WANTED


def cut_off_by_the_commit(there):
    """Nothing gets through from the commit on, until the NAS has gone back by itself."""
    nas, gone = there.nas, []

    def cut(call, run):
        if "interface.commit" in call.argv and not gone:
            gone.append(run())
            nas.sshd_after_s = there.world.clock.now() - nas.booted_s + 150.0
        return

    nas.instead.append(cut)
    with pytest.raises(HomelabError, match="not reached any more"):
        there.apply()
    there.world.clock.sleep(200)
    nas.instead.clear()


def test_an_address_that_does_not_answer_is_taken_back_by_the_nas(bench):
    """The link is cut for good by the commit: the NAS is where it was when its time is up."""
    there = bench()
    before = addresses(there.nas)
    cut_off_by_the_commit(there)
    assert addresses(there.nas) == before
    there.apply()
    assert addresses(there.nas) == WANTED


@pytest.fixture
def standing(tmp_path, monkeypatch):
    """A lab that stands by itself, whose first phase is the network of its NAS and no more."""
    part = Part(
        "", "", (Recipe(tuple(Lab.model_fields), lambda lab, n, _: nas_network.steps(lab, n)),)
    )
    monkeypatch.setattr(phase, "PARTS", (part,))
    monkeypatch.setattr(phase, "_MADE", part.makes)
    with standing_lab(tmp_path / "lab", monkeypatch, runbook="phase1") as there:
        yield there


def test_planned_from_what_the_nas_says_and_sent_as_planned(standing):
    planned = standing.run("plan")
    assert (planned.error, planned.changes) == (None, 4)
    applied = standing.run("apply", planned.digest)
    assert (applied.error, applied.sent) == (None, 4)
    again = standing.run("apply", planned.digest)
    assert (again.error, again.sent) == (None, 0)
    assert standing.run("verify").error is None


@pytest.mark.parametrize(
    "match",
    ["interface.update enp1s0", "interface.update enp4s0", "interface.save", "interface.commit"],
)
def test_a_middleware_that_restarts_in_the_transaction(bench, match):
    """It forgets what waited, and whom it was to go back to: the same command finishes the job."""
    there, struck = bench(), []

    def restarts(call, run):
        if match in " ".join(call.argv) and not struck:
            struck.append(match)
            reply = run()
            there.nas.network.forgotten()
            return reply
        return None

    there.nas.instead.append(restarts)
    for _ in range(3):
        with suppress(HomelabError):
            there.apply()
            break
        there.world.clock.sleep(300)
    assert struck
    there.world.clock.sleep(600)
    assert addresses(there.nas) == WANTED
    assert there.nas.network.settings["ipv4gateway"] == "10.0.30.1"
    assert not there.nas.network.pending
    there.apply()
    assert there.sent == []


LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        pytest.param("cut-after", "interface.update enp1s0", marks=pytest.mark.sample),
        pytest.param("cut-before", "interface.update enp4s0", marks=pytest.mark.sample),
        ("cut-after", "interface.commit"),
        pytest.param("cut-after", "interface.update enp4s0", marks=LONG),
        pytest.param("cut-before", "interface.save", marks=LONG),
        pytest.param("cut-after", "interface.save", marks=LONG),
        pytest.param("cut-before", "interface.commit", marks=LONG),
        pytest.param("reboot", "interface.update enp1s0", marks=LONG),
        pytest.param("reboot", "interface.update enp4s0", marks=LONG),
        pytest.param("reboot", "interface.save", marks=LONG),
        pytest.param("reboot", "interface.commit", marks=LONG),
    ],
)
def test_a_run_that_was_cut_off_is_finished_under_its_own_approval(standing, kind, match):
    """The reply is lost, and the NAS stays away for longer than any timer waits for it."""
    nas, clock = standing.world.machines["truenas"], standing.world.clock
    digest, struck = standing.planned(), []

    def away(call, run):
        if match in " ".join(call.argv) and not struck:
            struck.append(call)
            nas.sshd_after_s = clock.now() - nas.booted_s + 400.0

    nas.instead.append(away)
    standing.world.faults.arm(kind, match, machine="truenas")
    standing.run("apply", digest)
    clock.sleep(400)
    nas.sshd_after_s = 0.0
    assert standing.until_done(digest) <= 3
    clock.sleep(600)
    assert addresses(nas) == WANTED


# Several ports as one, and VLANs -----------------------------------------------------------------


def bonded(kind="lacp", **more):
    """Both ports of the board are one."""
    none = [(f"{NAS}.ports.lan1.{key}", None) for key in ("vlan", "address")]
    bond = {"kind": kind, "members": ["lan1", "lan2"], "vlan": 30, "address": "10.0.30.5/24"}
    return (*none, (f"{NAS}.bonds", {"bond0": bond | more}))


def tagged(**more):
    """It is in two networks, by one port that carries both."""
    port = {"tagged": [10], "addresses": {10: "10.0.10.5/24"}} | more
    return [(f"{NAS}.ports.lan1.{key}", value) for key, value in port.items()]


def interface(there, name):
    [row] = json.loads(there.midclt("interface.query", json.dumps([["id", "=", name]])))
    return row


def methods(there):
    return [line.partition("call ")[2].split()[0].partition(".")[2] for line in there.sent]


@pytest.mark.parametrize("release", RELEASES)
def test_a_new_nas_gets_its_ports_as_one(bench, release):
    there = bench((f"{NAS}.os.version", release), *bonded())
    assert "bond0" not in addresses(there.nas), "a new system has ports alone"
    there.apply()
    row = interface(there, "bond0")
    assert (row["type"], row["lag_protocol"]) == ("LINK_AGGREGATION", "LACP")
    assert row["lag_ports"] == ["enp1s0", "enp2s0"]
    assert row["state"]["cloned"]
    assert addresses(there.nas)["bond0"] == ("10.0.30.5/24", 1500)
    assert addresses(there.nas)["enp1s0"] == ("", 1500)
    there.world.clock.sleep(600)
    assert addresses(there.nas)["bond0"] == ("10.0.30.5/24", 1500)
    there.apply()
    assert there.sent == []
    assert there.verify()["nas-network"].status == "already"


def test_a_port_that_has_addresses_is_freed_in_the_same_transaction(bench):
    """TrueNAS takes no port into a bond that something is configured of."""
    there = bench(*bonded())
    words = json.dumps({"aliases": [{"address": "10.0.30.5", "netmask": 24}]})
    there.midclt("interface.update", "enp1s0", words)
    there.midclt("interface.commit", '{"rollback": false}')
    there.apply()
    assert methods(there) == ["update", "delete", "create", "save_network_config", "commit"]
    assert addresses(there.nas)["bond0"] == ("10.0.30.5/24", 1500)
    there.apply()
    assert there.sent == []


def test_vlans_stand_on_the_port_that_carries_them(bench):
    there = bench(("cables.truenas-switch", None), *tagged(mtu=9000))
    there.apply()
    row = interface(there, "vlan10")
    assert (row["type"], row["vlan_parent_interface"], row["vlan_tag"]) == ("VLAN", "enp1s0", 10)
    assert addresses(there.nas)["vlan10"] == ("10.0.10.5/24", 9000)
    assert addresses(there.nas)["enp1s0"] == ("10.0.30.5/24", 9000)
    there.apply()
    assert there.sent == []


def test_vlans_on_a_bond_are_made_after_it(bench):
    there = bench(*bonded(tagged=[10], addresses={10: "10.0.10.5/24"}))
    there.apply()
    assert methods(there)[:3] == ["update", "create", "create"], "a port, the bond, the VLAN"
    assert addresses(there.nas)["bond0"] == ("10.0.30.5/24", 1500)
    assert interface(there, "vlan10")["vlan_parent_interface"] == "bond0"
    config = json.loads(there.midclt("network.configuration.config"))
    assert config["ipv4gateway"] == "10.0.30.1"
    assert there.world.network.wires.segment_of("truenas", "lan2") == "bond0"
    there.apply()
    assert there.sent == []


def test_another_port_in_a_bond_is_a_change_of_it(bench):
    there = bench(*bonded("active-backup"))
    there.apply()
    there.nas.network.rows["bond0"]["lag_ports"] = ["enp2s0"]
    there.nas.network.build()
    there.apply()
    assert methods(there) == ["update", "commit"]
    assert interface(there, "bond0")["lag_ports"] == ["enp1s0", "enp2s0"]


def test_a_bond_that_cuts_us_off_is_taken_back_by_the_nas(bench):
    """The switch knows of no bond, and nothing gets through: the NAS is where it was."""
    there = bench(*bonded())
    before = addresses(there.nas)
    cut_off_by_the_commit(there)
    assert addresses(there.nas) == before
    assert "bond0" not in before
    there.apply()
    assert addresses(there.nas)["bond0"] == ("10.0.30.5/24", 1500)


@pytest.mark.parametrize("match", ["interface.delete", "interface.create", "interface.commit"])
@pytest.mark.parametrize("kind", ["cut-before", "cut-after"])
def test_a_lost_reply_in_the_middle_of_a_bond(bench, kind, match):
    there = bench(*bonded())
    words = json.dumps({"aliases": [{"address": "10.0.30.5", "netmask": 24}]})
    there.midclt("interface.update", "enp1s0", words)
    there.midclt("interface.commit", '{"rollback": false}')
    there.world.faults.arm(kind, match, machine="truenas")
    there.apply()
    there.world.clock.sleep(600)
    assert addresses(there.nas)["bond0"] == ("10.0.30.5/24", 1500)
    there.apply()
    assert there.sent == []


IN_THE_WAY = {
    "another bond has the port": (
        bonded(),
        {"name": "bond7", "type": "LINK_AGGREGATION", "lag_protocol": "LACP",
         "lag_ports": ["enp2s0"]},
        "enp2s0 of truenas is in use by bond7, and is to be a part of bond0"),
    "a bridge has the port": (
        bonded(),
        {"name": "br0", "type": "BRIDGE", "bridge_members": ["enp2s0"]},
        "enp2s0 of truenas is in use by br0, and is to be a part of bond0"),
    "the VLAN is there under another name": (
        tagged(),
        {"name": "vlan5", "type": "VLAN", "vlan_parent_interface": "enp1s0", "vlan_tag": 10},
        "VLAN 10 on enp1s0 is there as vlan5 on truenas"),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_what_somebody_else_made_is_left_alone(bench, name):
    changes, theirs, says = IN_THE_WAY[name]
    there = bench(*changes)
    there.midclt("interface.create", json.dumps(theirs))
    there.midclt("interface.update", "enp4s0", '{"ipv4_dhcp": true}')
    there.midclt("interface.commit", '{"rollback": false}')
    with pytest.raises(StepFailed, match=says):
        there.apply()
    assert there.sent == []


NO_LAB = {
    "TrueNAS calls bonds bond0": bonded(),
    "TrueNAS makes no balance-rr": bonded("balance-rr"),
    "TrueNAS has VLAN 10 once": (
        *tagged(),
        (f"{NAS}.ports.lan2.tagged", [10]),
        (f"{NAS}.ports.lan2.addresses", {10: "10.0.10.6/24"}),
    ),
}


@pytest.mark.parametrize("says", NO_LAB)
def test_what_truenas_does_not_make_is_no_lab(says):
    changes = NO_LAB[says]
    if "bond0" in says:
        (_, bonds) = changes[-1]
        changes = (*changes[:-1], (f"{NAS}.bonds", {"lagg0": bonds["bond0"]}))
    with pytest.raises(LabError, match=says):
        changed(LAB, *changes)
