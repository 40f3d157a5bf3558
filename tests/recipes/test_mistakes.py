"""Mistakes that people make, by name: each stops at its step, with words that tell what to do.

Beside these stand those of the firewall (`test_firewall_mistakes`), of pools (`test_pool`), of what
machines are built of (`test_assembly`), and of the Proxmox host (`test_proxmox`).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from homelab_lib.errors import LabError
from homelab_lib.lab import Lab, load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.recipes import named, runbook
from homelab_lib.twin.truenas.disks import blocks_of
from homelab_lib.twin.world import World
from recipes.bench import Bench

LAB = load_lab()
ENCODING = "/mnt/.ix-apps/app_mounts/jellyfin/config/config/encoding.xml"


@dataclass(frozen=True)
class Mistake:
    """Something that somebody did wrong.

    Parameters
    ----------
    book, steps
        The runbook, and those of its steps that are carried out; the last is where it stops.
    words
        What is said, in part.
    lab
        What the lab says otherwise.
    world
        What there is otherwise, before the first step.
    late
        What there is otherwise, before the last one.
    """

    book: str
    steps: tuple[str, ...]
    words: str
    lab: tuple[tuple[str, object], ...] = ()
    world: Callable[[World], object] = lambda world: None
    late: Callable[[World], object] = lambda world: None


def disk(name: str, **said: object) -> Callable[[World], None]:
    """A disk of the NAS that is not as it was bought."""

    def put(world: World) -> None:
        nas = world.machines["truenas"]
        for field, value in said.items():
            setattr(nas.disks[name], field, value)
        nas.blocks = blocks_of(nas)

    return put


def pool_of_another_disk(world: World) -> None:
    """The pool is there when its step comes, and one of its disks has been replaced."""
    disk("sdd", serial="ZL2OTHER")(world)
    nas = world.machines["truenas"]
    vdev = {"type": "RAIDZ2", "disks": ["sdb", "sdc", "sdd", "sde"]}
    words = json.dumps({"name": "tank", "topology": {"data": [vdev]}})
    assert nas.run(f"midclt call -j pool.create '{words}'").finished().status == 0


def other_boot_disk(world: World) -> None:
    world.machines["proxmox"].disk_rows[0]["serial"] = "S7OTHER"


def swapped(world: World) -> None:
    """The cable by which one comes is in the NAS's other port."""
    nas = world.machines["truenas"]
    lan1, lan2 = (one for one in nas.interfaces if one.name in ("enp1s0", "enp2s0"))
    lan1.cidr, lan2.cidr, lan2.gateway = "", lan1.cidr, lan1.gateway
    nas.connect(configured=False)


def small_window(world: World) -> None:
    card = next(each for each in world.machines["truenas"].bus if each.name == "b580")
    card.window_bytes = 256 * 2**20


def old_kernel(world: World) -> None:
    node = world.machines["proxmox"]
    node.kernel = "6.8.12-20-pve"
    node.reboot()
    world.clock.sleep(300.0)


def small_packets(world: World) -> None:
    far = world.machines["proxmox"].interfaces
    next(each for each in far if each.cidr.startswith("10.0.60.2/")).mtu = 1500


def somebodys_dataset(world: World) -> None:
    words = '{"name": "tank/family", "share_type": "GENERIC"}'
    made = world.machines["truenas"].run(f"midclt call pool.dataset.create '{words}'").finished()
    assert made.status == 0


def other_node(world: World) -> None:
    files = world.machines["truenas"].files
    files.mkdir(ENCODING.rpartition("/")[0], parents=True)
    text = "<HardwareAccelerationType>vaapi</HardwareAccelerationType>"
    text += "<VaapiDevice>/dev/dri/renderD128</VaapiDevice>"
    files.put(ENCODING, f"<EncodingOptions>{text}</EncodingOptions>")


NETWORK = ("nas-network",)
POOL = ("nas-pool",)
VLANS = {id_: vlan.model_dump(exclude={"id"}, exclude_none=True) for id_, vlan in LAB.vlans.items()}
DIRECT = {"name": "direct", "purpose": "x", "subnet": "10.0.60.0/30", "gateway": "10.0.60.2"}

MISTAKES = {
    "a DAC into a jack of RJ45": Mistake(
        "phase1", NETWORK, "no link: ",
        lab=(("cables.dac.medium", "DAC"), ("cables.dac.part", "dac-sfp+"))),
    "a disk with a foreign pool": Mistake(
        "phase1", POOL, "carries the label of pool photos",
        world=disk("sdc", exported_zpool="photos")),
    "a wrong serial number": Mistake(
        "phase1", POOL, "truenas has no disk with the serial number HLNAS14T0003",
        world=disk("sdd", serial="ZL2OTHER")),
    "two disks of one serial number": Mistake(
        "phase1", POOL, "sda and sdb both say that their serial number is HLNAS14T0001",
        world=disk("sda", serial="HLNAS14T0001")),
    "a wrong serial number of a pool that was made since": Mistake(
        "phase1", POOL, "so where the lab has HLNAS14T0003 there is ZL2OTHER; describe it as it is",
        late=lambda world: pool_of_another_disk(world)),
    "a wrong serial number of a pool that is there": Mistake(
        "phase4", ("nas-ready",), "the lab says ZL2WRONG (hdd3), it lies on HLNAS14T0003 instead",
        lab=(("hosts.truenas.disks.hdd3.serial", "ZL2WRONG"),),
        world=disk("sdd", serial="HLNAS14T0003")),
    "the same below a cluster's volumes": Mistake(
        "phase2", ("room", "share"), "it lies on ZL2OTHER instead; `lsblk -o NAME,SERIAL`",
        world=disk("sdd", serial="ZL2OTHER")),
    "a wrong serial number below the VMs": Mistake(
        "phase2", ("room",), "the lab says HLPVE1T00001 (nvme0), it lies on S7OTHER instead",
        world=other_boot_disk),
    "a rule between VLANs that is missing": Mistake(
        "phase2", ("room", "image"), "no rule that lets VLAN 30 into the internet",
        lab=(("rules.servers-internet", None),)),
    "a gateway on the direct link": Mistake(
        "phase1", NETWORK, "a machine has one default route",
        lab=(("vlans", {**VLANS, 60: DIRECT}),)),
    "large packets at one end only": Mistake(
        "phase1", NETWORK, "small packets pass, and those of 9000 bytes do not",
        lab=(("hosts.proxmox.phase", None),), late=small_packets),
    "an export to the wrong network": Mistake(
        "phase2", ("room", "image", "machines", "share"),
        "k3s-control has 10.0.30.21",
        lab=(("nfs_shares.truenas.k3s.networks", ["10.0.40.0/24"]),)),
    "an SMB share on a dataset that tells capitals apart": Mistake(
        "phase1", ("nas-pool", "nas-smb"),
        "SMB share family lies on dataset tank/family, which tells capitals apart",
        lab=(("datasets.truenas.tank/family.exists", True),
             ("datasets.truenas.tank/family.phase", None), ("nas.truenas.acls.tank/family", None)),
        late=somebodys_dataset),
    "a B580 without Resizable BAR": Mistake(
        "phase1", ("parts-truenas",), "256 MiB; switch on Above 4G Decoding and Resizable BAR",
        world=small_window),
    "an RTL8126 under an old kernel": Mistake(
        "phase1_network", ("drivers",), "kernel 6.8.12-20-pve is older than 6.9",
        world=old_kernel),
    "a change of interfaces that cuts us off": Mistake(
        "phase1", NETWORK, "this would cut us off: we come by 10.0.30.5 on enp2s0",
        world=swapped),
    "a render node that is not the B580's": Mistake(
        "phase1", ("nas-pool", "nas-datasets", "nas-apps", "app-jellyfin", "transcode-jellyfin"),
        "by /dev/dri/renderD128; it has to be", late=other_node),
}  # fmt: skip


def stops(lab: Lab, mistake: Mistake) -> tuple[str, str]:
    """The step at which it stops, and the words."""
    what = named(mistake.book)
    every = {each.name: each for each in
             runbook(lab, what.phase, lambda vm: "ssh-ed25519 AAAA", what.part).steps}  # fmt: skip
    bench = Bench(
        lab, tuple(replace(every[name], needs=()) for name in mistake.steps), phase=what.phase
    )
    mistake.world(bench.world)
    *first, last = bench.steps
    bench.steps = tuple(first)
    assert bench.stops() == ("", "")
    mistake.late(bench.world)
    bench.steps = (last,)
    return bench.stops()


@pytest.mark.parametrize("name", MISTAKES)
def test_stops_at_its_step(name: str) -> None:
    mistake = MISTAKES[name]
    lab = changed(LAB, *mistake.lab) if mistake.lab else LAB
    where, said = stops(lab, mistake)
    assert where == mistake.steps[-1]
    assert mistake.words
    assert mistake.words in said
    assert "its reader met" not in said, "a step of the test that lacks what it stands on"


REFUSED = {
    "IPS on a VLAN's device": (
        ("firewalls.firewall.ids.interfaces", [30]),
        "netmap looks at whole ports: write lan, which carries VLAN 30"),
    "a DHCP range outside of its network": (
        ("dhcp.firewall.ranges.trusted.first", "10.0.99.5"), "10.0.99.5 is outside of"),
    "large packets at one end of a cable": (
        ("hosts.proxmox.ports.lan10g.mtu", 1500), "its ends have different mtu"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_is_no_lab_at_all(name: str) -> None:
    change, words = REFUSED[name]
    with pytest.raises(LabError) as refused:
        changed(LAB, change)
    assert words in str(refused.value)


def test_they_are_fifteen_and_more() -> None:
    assert len({*MISTAKES, *REFUSED}) >= 15


ELSEWHERE = {
    # virtual machines and the cluster
    "somebody's VM in the place": "recipes/test_phase2:test_a_foreign_vm_is_left_alone",
    "a host that is off": "recipes/test_phase2:test_a_host_that_is_off_is_named",
    "a host of another key": "recipes/test_phase2:test_a_host_with_another_key_is_refused",
    "a download that is another":
        "recipes/test_phase2:test_a_tampered_download_is_not_put_in_place",
    "Proxmox's quorum lost": "contract/test_surprises:no-quorum",
    "etcd's quorum lost":
        "recipes/test_ingress_certificates:"
        "test_of_three_servers_one_may_be_off_and_with_two_etcd_has_no_quorum",
    "a claim without class": "recipes/test_moves:test_a_claim_of_no_class_says_that_it_has_none",
    "a claim that is written to":
        "recipes/test_moves:test_a_claim_that_somebody_writes_to_is_not_copied",
    # graphics cards and models
    "a card in a shared group": "recipes/test_cards_given:group shared with a network card",
    "the host's console": "recipes/test_cards_given:console of the host",
    "IOMMU off": "recipes/test_cards_given:IOMMU off in the firmware",
    "kernel too old": "recipes/test_cards_given:kernel too old",
    "EFI partition full": "recipes/test_cards_given:EFI partition full",
    "no SSH after the restart": "recipes/test_cards_given:no SSH after the restart",
    "a VM with SeaBIOS": "recipes/test_cards_given:VM with SeaBIOS",
    "no reset": "recipes/test_cards_given:no reset",
    "a taint on the node":
        "recipes/test_inference:test_a_taint_that_keeps_the_plugin_away_is_named",
    "wrong RuntimeClass": "recipes/test_inference:test_a_runtime_class_that_no_node_has_is_named",
    "the processor in silence":
        "recipes/test_inference:test_a_card_that_the_server_leaves_out_is_no_success",
    "a model too big":
        "recipes/test_inference:test_a_model_that_does_not_fit_is_refused_before_anything_is_sent",
    "a model of another digest":
        "recipes/test_inference:test_another_digest_than_the_lab_s_stops_before_the_model_is_used",
    "a model too big for all cards together":
        "recipes/test_pooled:"
        "test_a_model_too_big_for_all_cards_is_refused_before_anything_is_sent",
    "a card given twice": "recipes/test_pooled:test_a_card_is_not_given_twice",
    "a machine of a pool out of reach":
        "recipes/test_pooled:test_a_machine_that_the_head_can_t_reach_stops_before_the_model",
    "another release on a machine of a pool":
        "recipes/test_pooled:test_another_release_in_the_place_stops_before_the_model",
    "a page without login": "recipes/test_web_ui:test_a_page_without_a_login_is_no_success",
    "documents read by nobody":
        "recipes/test_web_ui:test_a_wrong_address_of_the_embedding_model_stops_at_the_document",
    "a stand-in without its model":
        "recipes/test_failover:"
        "test_a_server_that_lost_its_model_is_not_taken_for_one_that_stands_in",
    # production
    "ingress without DNS":
        "recipes/test_ingress_certificates:"
        "test_an_ingress_without_dns_stops_where_a_client_asks",
    "certificate of an unknown issuer":
        "recipes/test_ingress_certificates:"
        "test_a_certificate_of_an_unknown_issuer_says_whom_it_misses",
    "an authority of 90 days":
        "recipes/test_ingress_certificates:"
        "test_an_authority_left_to_its_defaults_loses_its_clients",
    "wrong version of a chart":
        "recipes/test_ingress_certificates:test_a_wrong_chart_version_is_told_in_helms_words",
    "definitions left out":
        "recipes/test_ingress_certificates:test_definitions_left_out_stop_before_the_first_issuer",
    "Prometheus on NFS":
        "recipes/test_monitoring:test_prometheus_on_nfs_is_refused_before_anything_runs",
    "a target that is silent":
        "recipes/test_monitoring:test_a_target_that_nobody_answers_at_is_named",
    "a UPS whose server is silent":
        "recipes/test_monitoring:test_a_ups_whose_server_does_not_answer_is_named",
    "a repository that Flux may not read":
        "recipes/test_gitops:"
        "test_a_repository_that_flux_may_not_read_is_told_in_its_own_words",
    "Flux that takes over half":
        "recipes/test_gitops:"
        "test_what_leaves_the_repository_leaves_the_cluster_only_if_flux_took_all_over",
    # backups
    "an expired key": "recipes/test_cloud:test_a_key_that_has_expired_is_told",
    "a backup older than its promise":
        "recipes/test_backup:"
        "test_an_exclusive_lock_stops_the_timers_work_and_the_age_tells",
    "a backup that differs":
        "recipes/test_guest_backup:test_a_flipped_byte_fails_the_drill_and_says_where",
    "a snapshot of etcd that rotted":
        "recipes/test_backup:test_a_snapshot_of_etcd_that_rotted_fails_its_drill",
}  # fmt: skip
"""Those of phases 2 to 4, and where each is seeded: a test, or a row of a table of them."""


def test_those_of_later_phases_are_thirty_and_each_is_where_it_is_said_to_be() -> None:
    tests = Path(__file__).parents[1]
    for mistake, where in ELSEWHERE.items():
        module, _, name = where.partition(":")
        text = (tests / f"{module}.py").read_text()
        found = f"def {name}(" in text or f'    "{name}": ' in text
        assert found, f"{mistake}: {where}"
    assert len(set(ELSEWHERE.values())) >= 30
