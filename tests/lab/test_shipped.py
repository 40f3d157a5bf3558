"""The shipped lab says what the design says, and its decisions change what they say they change."""

import ipaddress

import pytest

from homelab_lib import paths
from homelab_lib.lab import load_lab
from homelab_lib.lab.catalog import Catalog
from homelab_lib.lab.per_host import every

GIB = 2**30
FILES = sorted(paths.data().glob("*.yaml")) + sorted((paths.data() / "catalog").glob("*.yaml"))


@pytest.fixture(scope="module")
def written():
    """The design as written."""
    return load_lab(paths.data(), decisions=False)


@pytest.fixture(scope="module")
def decided():
    """The design with its decisions."""
    return load_lab(paths.data())


def cable(lab, name):
    return next(each for each in lab.cables if each.name == name)


def decision(lab, id_):
    return next(each for each in lab.decisions if each.id == id_)


# Form --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_file_begins_with_its_schema_and_a_comment(file):
    first, second = file.read_text().splitlines()[:2]
    schema = first.removeprefix("# yaml-language-server: $schema=")
    assert (file.parent / schema).is_file()
    assert second.startswith("# ")


def test_the_shipped_lab_is_the_default(decided):
    assert load_lab() == decided


def test_every_part_has_a_source_and_says_how_well_it_is_known(decided):
    for kind in Catalog.model_fields:
        parts = decided.catalog.kind(kind)
        assert parts, kind
        assert all(part.sources and all(part.sources) for part in parts.values())


def test_every_section_of_the_design_is_there(written):
    sections = (
        "hosts switches cables vlans links remote_access pools datasets nfs_shares smb_shares "
        "storages tiers vms reservations images downloads clusters gpu_allocation models services "
        "phases purchases claimed_total sales claimed_sales decisions references skipped "
        "leave_standalone software_stack inference_options best_practices flows link_budgets "
        "codecs transcoding inspection model_classes pooled_vram firewalls dhcp dns ntp nas"
    )
    assert [name for name in sections.split() if not getattr(written, name)] == []
    assert not written.rules  # the design has none


def test_addresses_serials_and_macs_are_there_and_made_up(written):
    for host in written.hosts.values():
        assert all(disk.serial for disk in host.disks.values()), host.name
        assert all(port.mac.startswith("02:") for port in host.ports.values()), host.name
    assert all(vm.mac.startswith("02:") for vm in written.vms.values())


# Hardware ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "cpu", "threads", "memory_gib", "board"),
    [
        ("proxmox", "ryzen-9-9950x", 32, 128, "asrock-x870-taichi-creator"),
        ("truenas", "core-i3-n305", 8, 32, "odroid-h4-ultra"),
        ("firewall", "core-i5-12600k", 16, 32, "asus-prime-b660m-a-d4"),
        ("desktop", "core-i5-13600k", 20, 64, "msi-mag-b760m-mortar-wifi-ddr5"),
        ("pi5", "bcm2712", 4, 8, "raspberry-pi-5"),
    ],
)
def test_machines(written, host, cpu, threads, memory_gib, board):
    machine = written.hosts[host]
    assert machine.cpu.id == cpu
    assert machine.threads == threads
    assert machine.memory_bytes == memory_gib * GIB
    assert machine.board.id == board
    assert len(written.hosts) == 5


def test_who_is_administered_and_how(written):
    assert {name: host.os.kind for name, host in written.hosts.items()} == {
        "proxmox": "proxmox",
        "truenas": "truenas",
        "firewall": "opnsense",
        "desktop": "linux",
        "pi5": "haos",
    }
    assert written.hosts["proxmox"].os.node == "pve"
    assert written.hosts["pi5"].standalone
    assert [name for name, host in written.hosts.items() if host.ssh is None] == ["pi5"]


def test_graphics_cards(written):
    vram = {
        f"{name}.{card}": part.vram_bytes // GIB
        for name, host in written.hosts.items()
        for card, part in host.gpus.items()
    }
    assert vram == {
        "proxmox.gpu1": 16,
        "proxmox.gpu2": 20,
        "proxmox.gpu3": 12,
        "truenas.b580": 12,
        "desktop.gpu": 8,
    }
    assert {a.device for a in written.gpu_allocation.values()} == {*vram, "pi5.hailo"}


def test_the_claimed_memory_of_the_cards_is_theirs(written):
    for allocation in written.gpu_allocation.values():
        host, _, name = allocation.device.partition(".")
        part = written.hosts[host].devices[name].part
        assert allocation.claimed_vram_bytes == getattr(part, "vram_bytes", None)


def test_the_odroids_slot_is_split_for_card_and_egpu(written):
    devices = written.hosts["truenas"].devices
    assert devices["m2-2x2"].slot == "M2_1"
    assert devices["oculink"].slot == "m2-2x2.1"
    assert devices["egpu-dock"].slot == "oculink.1"
    assert devices["b580"].slot == "egpu-dock.1"
    assert devices["nic10g"].slot == "m2-2x2.2"
    assert devices["b580"].psu is not None
    assert devices["m2-2x2"].part.needs_mode in written.hosts["truenas"].board.slots["M2_1"].modes
    assert len(written.hosts["truenas"].chain) == 6


def test_disks(written):
    data = [disk for disk in written.hosts["truenas"].disks.values() if disk.role == "data"]
    assert len(data) == 4
    assert {disk.capacity_bytes for disk in data} == {14_000_519_643_136}
    nvme = written.hosts["proxmox"].disks.values()
    assert [disk.claimed_capacity_bytes // 10**9 for disk in nvme] == [1000, 512, 512]
    assert written.hosts["truenas"].disks["boot"].slot == "USB3_1"


# Network -----------------------------------------------------------------------------------------


def test_vlans(written):
    assert {id_: vlan.subnet for id_, vlan in written.vlans.items()} == {
        1: "10.0.1.0/24",
        10: "10.0.10.0/24",
        20: "10.0.20.0/24",
        30: "10.0.30.0/24",
        40: "10.0.40.0/24",
    }


def test_the_firewall_is_every_vlans_gateway(written):
    port = written.hosts["firewall"].ports["lan"]
    own = {1: port.address, **port.addresses}
    gateways = {id_: str(ipaddress.ip_interface(address).ip) for id_, address in own.items()}
    assert gateways == {id_: vlan.gateway for id_, vlan in written.vlans.items()}
    assert written.hosts["firewall"].ports["sfp1"].interface == "ixl0"


def test_links(written):
    speeds = {link.name: link.claimed_speed_bps for link in written.links}
    assert speeds == {
        "proxmox-truenas": 10_000_000_000,
        "desktop-proxmox": 2_500_000_000,
        "desktop-truenas": 2_500_000_000,
        "pi5-lan": 1_000_000_000,
    }
    assert [link.name for link in written.links if link.direct and link.critical] == [
        "proxmox-truenas"
    ]


def test_the_direct_link_has_a_network_of_its_own(written):
    ends = cable(written, "dac")
    assert (ends.a, ends.b) == ("proxmox.lan10g", "truenas.sfp")
    a = ipaddress.ip_interface(written.hosts["proxmox"].ports["lan10g"].address)
    b = ipaddress.ip_interface(written.hosts["truenas"].ports["sfp"].address)
    assert a.network == b.network == ipaddress.ip_network("10.0.60.0/30")
    assert written.hosts["proxmox"].ports["lan10g"].bridge is None


def test_ways_in(written):
    assert [way.method for way in written.remote_access if way.recommended] == ["Tailscale"]
    assert len(written.remote_access) == 3


# Storage -----------------------------------------------------------------------------------------


def test_the_pool_as_promised(written):
    tank = written.pools["truenas"]["tank"]
    assert tank.layout == "raidz2"
    assert tank.disks == ("hdd1", "hdd2", "hdd3", "hdd4")
    assert tank.claimed_raw_bytes == 56 * 10**12
    assert tank.claimed_usable_bytes == 28 * 10**12
    assert tank.claimed_failures == 2
    assert tank.scrub == "monthly"
    assert len(tank.reasons) == 4
    assert tank.phase == 1


def test_what_phase_2_exports(written):
    share = written.nfs_shares["truenas"]["k3s"]
    assert (share.dataset, share.path) == ("tank/k3s", "/mnt/tank/k3s")
    assert share.networks == ("10.0.30.0/24",)
    assert (share.maproot_user, share.phase) == ("root", 2)
    assert [each.id for each in every(written.datasets) if each.phase == 2] == ["truenas.tank/k3s"]
    assert len(every(written.datasets)) == 5


def test_tiers(written):
    assert {name: len(tier.contents) for name, tier in written.tiers.items()} == {
        "fast": 4,
        "bulk": 5,
        "archive": 1,
    }
    assert written.tiers["archive"].offsite == ("Backblaze B2", "second location")


# What runs ---------------------------------------------------------------------------------------


def test_vms(written):
    table = {
        name: (vm.vmid, vm.vcpu, vm.memory_bytes // GIB, vm.disk_bytes // GIB, vm.address)
        for name, vm in written.vms.items()
    }
    assert table == {
        "k3s-control": (201, 4, 8, 64, "10.0.30.21/24"),
        "k3s-gpu1": (202, 8, 32, 128, "10.0.30.22/24"),
        "k3s-gpu2": (203, 8, 32, 128, "10.0.30.23/24"),
    }
    assert written.vms["k3s-gpu1"].gpus == ("gpu1",)
    assert written.vms["k3s-gpu2"].gpus == ("gpu2",)
    assert {vm.phase for vm in written.vms.values()} == {2}


def test_all_memory_and_all_threads_are_given_away(written):
    """4+8+8+8+4 of 32 threads, and 8+32+32+40+16 of 128 GiB: nothing is left for the ARC."""
    users = [*written.vms.values(), *written.reservations.values()]
    assert sum(user.vcpu for user in users) == 32
    assert sum(user.memory_bytes for user in users) == 128 * GIB


def test_the_cluster_as_drawn_and_as_planned(written):
    cluster = written.clusters["homelab"]
    assert cluster.servers == ("k3s-control",)
    assert cluster.agents == ("k3s-gpu1", "k3s-gpu2")
    assert [node.where for node in cluster.drawn] == ["Proxmox", "Proxmox", "Pi5"]
    assert [workload.name for workload in cluster.workloads] == ["nginx", "whoami"]
    assert cluster.clients == ("desktop",)


def test_downloads_are_pinned_and_fit_together(written):
    cluster = written.clusters["homelab"]
    installer = written.downloads[cluster.installer]
    kubectl = written.downloads[cluster.kubectl]
    assert kubectl.version == cluster.version.partition("+")[0]
    assert f"/{kubectl.version}/" in kubectl.url
    assert "/0136cf258954a458da1404858396342724b93d24/" in installer.url
    image = written.images[written.vms["k3s-control"].image]
    assert image.filename.endswith(".qcow2")
    digests = {each.sha256 for each in (installer, kubectl, image)}
    assert len(digests) == 3
    assert not any(len(set(digest)) < 10 for digest in digests)  # nobody's placeholder


def test_models_to_serve(written):
    served = {model.part.id: model.devices for model in written.models.values()}
    assert len(served["llama-3.1-70b"]) == 3
    assert served["nomic-embed-text-v1.5"] == ("proxmox.gpu3",)
    assert {model.server for model in written.models.values()} == {"Ollama", "Exo"}


# Estimates ---------------------------------------------------------------------------------------


def test_estimates(written):
    assert [budget.provided_bytes_per_s for budget in written.link_budgets] == [2e9, 2e9]
    assert len(written.codecs) == 3
    assert len(written.transcoding) == 8
    assert [row.internet_bps for row in written.inspection] == [
        1_000_000_000,
        2_500_000_000,
        5_000_000_000,
        10_000_000_000,
    ]
    assert [row.size for row in written.model_classes] == ["7B", "13B", "30-34B", "70B"]
    assert written.pooled_vram[0].claimed_bytes == 48 * GIB


# Project -----------------------------------------------------------------------------------------


def test_phases_and_tasks(written):
    assert [phase.name for phase in written.phases] == [
        "foundation",
        "kubernetes",
        "gpu",
        "production",
    ]
    assert [len(phase.tasks) for phase in written.phases] == [3, 5, 5, 4]
    assert [len(task.tasks) for task in written.phases[0].tasks] == [4, 3, 3]
    assert not any(task.done for phase in written.phases for task in phase.tasks)


def test_the_shopping_list_adds_up_to_what_it_claims(written):
    assert len(written.purchases) == 7
    assert sum(each.price.low_usd for each in written.purchases) == 605
    assert sum(each.price.high_usd for each in written.purchases) == 660
    assert written.claimed_total.low_usd == 605
    assert written.claimed_total.high_usd == 660
    assert [each.name for each in written.purchases if each.optional] == ["usb-boot", "case"]


def test_sales(written):
    prices = [(each.price.low_usd, each.price.high_usd) for each in written.sales]
    assert prices == [(200, 230), (180, 200)]


def test_what_is_linked_skipped_and_advised(written):
    sections = [reference.section for reference in written.references]
    assert {section: sections.count(section) for section in sections} == {
        "Documentation": 2,
        "Hardware": 5,
        "Software": 7,
        "Drivers": 3,
    }
    assert [each.technology for each in written.skipped] == [
        "Ceph",
        "Full Kubernetes",
        "Rancher",
        "Istio/Service Mesh",
    ]
    assert len(written.software_stack) == 3
    assert [option.name for option in written.inference_options] == ["exo", "multi-endpoint"]
    assert written.flows["transcoding"].stations[0] == "Client"


# Decisions ---------------------------------------------------------------------------------------


def test_decisions_have_reasons(decided):
    assert [each.id for each in decided.decisions] == [
        "managed-switch",
        "copper-10g-link",
        "nfs-over-server-vlan",
        "pi5-stays-standalone",
        "in-tree-rtl8126",
        "rules-between-vlans",
        "keep-both-cards",
        "tdarr-on-the-nas",
        "vm-for-embeddings",
        "embeddings-by-ollama",
        "large-model-fits",
        "failover-on-the-desktop",
    ]
    assert all(each.reason and each.answers and each.changes for each in decided.decisions)


def test_a_switch_that_knows_vlans(written, decided):
    before, after = written.switches["switch"], decided.switches["switch"]
    assert not before.managed
    assert all(port.vlan is None and not port.tagged for port in before.ports.values())
    assert after.managed
    assert [after.ports[f"p{n}"].vlan for n in range(1, 6)] == [30, 30, 10, 1, 20]
    assert after.ports["p4"].tagged == (10, 20, 30, 40)


def test_both_ends_of_every_switch_cable_agree_on_vlans(decided):
    for each in decided.cables:
        host, _, port = each.a.partition(".")
        other, _, switch_port = each.b.partition(".")
        if other in decided.switches:
            a = decided.hosts[host].ports[port]
            b = decided.switches[other].ports[switch_port]
            assert (a.vlan, a.tagged) == (b.vlan, b.tagged), each.name


def test_a_cable_that_fits(written, decided):
    before, after = cable(written, "dac"), cable(decided, "dac")
    jack = written.hosts["proxmox"].ports["lan10g"]
    cage = written.hosts["truenas"].ports["sfp"]
    assert (jack.connector, cage.connector) == ("RJ45", "SFP+")
    assert before.part.connectors == ("SFP+", "SFP+")
    assert after.part.connectors == ("RJ45", "RJ45")
    assert (after.b_transceiver.cage, after.b_transceiver.connector) == ("SFP+", "RJ45")
    assert decision(decided, "copper-10g-link").cost.low_usd == 45


def test_volumes_over_a_network_that_the_vms_are_in(written, decided):
    def server(lab):
        return ipaddress.ip_address(lab.clusters["homelab"].storage_class.server_address)

    vms = ipaddress.ip_interface(written.vms["k3s-control"].address).network
    assert server(written) not in vms
    assert server(decided) in vms


def test_the_pi_stays_out_of_the_cluster(written, decided):
    assert written.clusters["homelab"].host_agents == ("pi5",)
    assert written.leave_standalone[0].host == "pi5"
    assert decided.clusters["homelab"].host_agents == ()


def test_the_kernels_own_driver(written, decided):
    before, after = (lab.hosts["proxmox"].ports["lan5g"] for lab in (written, decided))
    assert before.driver == "r8126"
    assert before.kernel_status == "Out-of-tree DKMS required"
    assert after.driver == after.part.driver == "r8169"


def test_rules_let_the_desktop_reach_the_servers_and_no_more(decided):
    allowed = {(rule.source, rule.destination) for rule in decided.rules if rule.allow}
    assert (10, 30) in allowed
    assert (10, "internet") in allowed
    assert (30, "internet") in allowed
    assert not {(20, 30), (40, 30), (20, 10), (40, 10), (30, 10), (30, 1)} & allowed


def test_cards_are_not_both_sold_and_used(written, decided):
    used = {device for model in written.models.values() for device in model.devices}
    assert {sale.taken_from for sale in written.sales} <= used
    assert decided.sales == ()
