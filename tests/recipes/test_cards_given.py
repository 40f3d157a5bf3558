"""What can go wrong on the way of a card into a VM: where it stops, and in which words."""

import subprocess
from dataclasses import replace

import pytest

from homelab_lib.control.proxmox.boot_settings import BootSettings
from homelab_lib.lab import load_lab
from homelab_lib.lab.guests import Container
from homelab_lib.recipes.graphics import passthrough
from homelab_lib.twin.proxmox.boot_loader import CMDLINE, PIN
from homelab_lib.twin.proxmox.container import Container as Running
from homelab_lib.twin.proxmox.pools import ZPool
from homelab_lib.twin.proxmox.storage import Store
from recipes.bench import Bench, Plugged
from standing import differences

LAB = load_lab("tests/recipes/labs/cards.yaml")


def bench(lab=LAB):
    made = Bench(lab, passthrough.steps(lab, 2), phase=2)
    made.wire = Plugged(made.world)
    return made


def node_of(there):
    return there.world.machines["hyper"]


def function(there, device):
    """The first function of a card on the node's bus."""
    there.world.machines["hyper"].learn("pci")
    return next(f for f in node_of(there).pci if f.device == device)


def with_lab(**update):
    return LAB.model_copy(update=update)


def on_intel(lab=LAB, version="8.4"):
    cpu = lab.catalog.cpus["core-i5-12600k"]
    os = lab.hosts["hyper"].os.model_copy(update={"version": version})
    host = lab.hosts["hyper"].model_copy(update={"cpu": cpu, "os": os})
    return lab.model_copy(update={"hosts": lab.hosts | {"hyper": host}})


# What is well ------------------------------------------------------------------------------------


def test_cards_end_in_their_vms_and_these_start_with_the_node():
    there = bench()
    assert there.stops() == ("", "")
    node = node_of(there)
    shown = {vmid: (vm.config.get("hostpci0"), vm.config["onboot"], vm.running)
             for vmid, vm in node.vms.items()}  # fmt: skip
    assert shown == {
        200: (None, "1", True),
        201: ("mapping=gpu-green,pcie=1", "1", True),
        202: ("mapping=gpu-red,pcie=1", "1", True),
    }
    assert {f.class_code for f in there.world.machines["rocm"].bus} == {"0300", "0403"}
    assert node.files.text(PIN).strip() == "6.17.4-2-pve"
    assert there.wire.sent.count("hyper: systemctl reboot") == 1
    kept = node.files.text("/etc/modprobe.d/homelab-vfio.conf")
    assert "softdep amdgpu pre: vfio-pci\nsoftdep snd_hda_intel pre: vfio-pci" in kept
    assert "blacklist" not in kept, "the host's own screen may be on that driver"


def test_all_other_guests_are_off_while_a_card_is_tried_and_start_with_the_node_comes_after_it():
    """A card that hangs may take its node down, and what runs on it with its files open."""
    dns = Container.model_validate(
        {"name": "dns", "host": "hyper", "vmid": 301, "vcpu": 1, "memory_bytes": "512 MiB",
         "disk_bytes": "8 GiB", "storage": "local-zfs", "vlan": 30, "address": "dhcp",
         "exists": True}
    )  # fmt: skip
    there = bench(with_lab(containers={"dns": dns}))
    config = {"hostname": "dns", "tags": "homelab;homelab-cards", "onboot": "1"}
    node_of(there).containers[301] = Running(301, config, running=True)
    assert there.stops() == ("", "")
    sent = [line.removeprefix("hyper: ") for line in there.wire.sent]
    [restart] = [n for n, line in enumerate(sent) if line == "systemctl reboot"]
    [pinned] = [n for n, line in enumerate(sent) if "kernel pin" in line]
    assert pinned < restart
    tried = [n for n, line in enumerate(sent) if "|| true" in line]
    shut = [n for n, line in enumerate(sent) if "/status/shutdown" in line]
    assert len(shut) == 4, "three VMs and a container"
    assert max(shut) < min(tried)
    assert max(tried) < sent.index(next(line for line in sent if "pct start 301" in line))
    for vmid in (201, 202):
        [again] = [n for n in tried if f"off-and-on {vmid}" in sent[n]]
        [boots] = [n for n, line in enumerate(sent) if f"qm set {vmid} --onboot 1" in line]
        assert again < boots, "only what came back starts with the node"
    assert node_of(there).containers[301].running


def test_a_card_that_has_another_place_after_the_restart_is_named_by_that():
    there = bench()
    node = node_of(there)

    def moves(node):
        for each in node.pci:
            each.row["id"] = each.row["id"].replace("0000:04:", "0000:09:")
        for each in node.bus:
            each.slot = each.slot.replace("0000:04:", "0000:09:")

    node.on_boot.append(moves)
    assert there.stops() == ("", "")
    [place] = node.mappings["gpu-red"]["map"]
    assert "path=0000:09:00," in place


def test_a_storage_of_another_machine_may_be_away_after_the_restart():
    """That may be a guest of this very node, which starts only now."""
    there = bench()
    far = Store("far", "nfs", ["backup"], "/mnt/pve/far", 10**12, active=False)
    node_of(there).stores["far"] = far
    assert there.stops() == ("", "")


def test_what_needs_no_setting_needs_no_restart():
    """NVIDIA's card with the kernel's own driver is taken from it as its VM starts."""
    lab = with_lab(gpu_allocation={"green": LAB.gpu_allocation["green"]})
    there = bench(lab)
    assert there.stops() == ("", "")
    assert not [line for line in there.wire.sent if "reboot" in line or "initramfs" in line]
    assert not node_of(there).files.exists("/etc/modprobe.d/homelab-vfio.conf")


def test_a_plan_is_what_is_sent_and_afterwards_there_is_none():
    there = bench()
    planned = there.likeness()
    planned.wire = Plugged(planned.world)
    assert planned.stops() == ("", "")
    assert there.wire.sent == []
    assert there.stops() == ("", "")
    assert there.wire.sent == planned.wire.sent
    again = there.likeness()
    assert again.stops() == ("", "")
    assert again.wire.sent == []


def test_a_card_that_needs_its_rom_starts_once_that_is_there():
    red = LAB.gpu_allocation["red"].model_copy(update={"rom_file": "red.rom"})
    there = bench(with_lab(gpu_allocation=LAB.gpu_allocation | {"red": red}))
    step, said = there.stops()
    assert step == "passthrough"
    assert 'failed to find romfile "/usr/share/kvm/red.rom"' in said
    node_of(there).files.put("/usr/share/kvm/red.rom", "0x55aa")
    assert there.stops() == ("", "")
    assert node_of(there).vms[202].config["hostpci0"] == "mapping=gpu-red,pcie=1,romfile=red.rom"


@pytest.mark.parametrize("kernel", ["6.5.13-6-pve", "6.8.12-20-pve"])
@pytest.mark.parametrize("signed", [False, True], ids=["systemd-boot", "grub"])
def test_intels_iommu_is_asked_for_where_the_kernel_wants_to_be(kernel, signed):
    there = bench(on_intel())
    node = node_of(there)
    node.kernel, node.loader = kernel, "grub" if signed else "uefi"
    node.packages = {name: v for name, v in node.packages.items() if "kernel" not in name}
    before = node.files.text(CMDLINE)
    if kernel < "6.8":  # as far as can be known: there are no groups yet
        step, said = there.stops()
        assert (step, "shows only once the IOMMU is on" in said) == ("boot", True)
    assert there.stops() == ("", "")
    asked = "intel_iommu=on" in node.files.text("/proc/cmdline").split()
    assert asked == (kernel < "6.8")
    file = "/etc/default/grub.d/homelab.cfg" if signed else CMDLINE
    text = node.files.text(file) if node.files.exists(file) else ""
    assert ("intel_iommu=on" in text) == asked
    assert node.files.text(CMDLINE).startswith(before.strip()), "an option was taken away"


@pytest.mark.real
def test_a_shell_adds_the_option_to_what_grub_was_given(tmp_path):
    """grub-mkconfig has its files read by a shell: /etc/default/grub, then those beside it."""
    grub = 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet nomodeset"\n'
    settings = BootSettings("hyper", "pve", ("intel_iommu=on",), (), (), lab="cards")
    [file] = settings._wanted_files(("grub",), "")
    (tmp_path / "grub").write_text(grub)
    (tmp_path / "homelab.cfg").write_text(file.content)
    script = f'. {tmp_path}/grub; . {tmp_path}/homelab.cfg; echo "$GRUB_CMDLINE_LINUX_DEFAULT"'
    said = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["quiet", "nomodeset", "intel_iommu=on"]


# What stops it -----------------------------------------------------------------------------------


def shared(there):
    """The card sits in the group of the network card by which one comes."""
    node = node_of(there)
    first = function(there, "red").group
    for each in node.pci:
        if each.group == first:
            each.row["iommugroup"] = 14


def on_its_screen(there):
    flag = f"/sys/bus/pci/devices/{function(there, 'red').address}/boot_vga"
    node_of(there).files.put(flag, "1\n")


def in_its_memory(there):
    place = function(there, "red").address
    text = f"e0000000-efffffff : {place}\n  e0000000-e00effff : simple-framebuffer\n"
    node_of(there).files.put("/proc/iomem", text)


def switched_off(there):
    node_of(there).iommu_in_firmware = False


def told_off(there):
    node_of(there).files.put("/proc/cmdline", "root=ZFS=rpool/ROOT/pve-1 boot=zfs iommu=off\n")


def ancient(there):
    node_of(there).kernel = "5.15.158-2-pve"


def taken_out(there):
    node = node_of(there)
    node.bus = [each for each in node.bus if each.name != "red"]


def full(there):
    node = node_of(there)
    node.boot_partition_bytes = 2**26
    for disk in node.blocks:
        for part in disk["children"]:
            if part["uuid"]:
                part["size"] = 2**26


def of_the_same_kind(there):
    """A second card of the kind stays with the host: its sound alone is enough."""
    node = node_of(there)
    red = function(there, "red")
    row = red.row | {"id": "0000:21:00.0", "iommugroup": 40}
    node.pci.append(replace(red, row=row, device=""))


def with_other_firmware(there):
    config = node_of(there).vms[202].config
    del config["bios"], config["efidisk0"]


def with_other_chipset(there):
    del node_of(there).vms[202].config["machine"]


def of_somebody(there):
    node_of(there).vms[202].config["tags"] = "games"


def with_another_device(there):
    node_of(there).vms[202].config["hostpci0"] = function(there, "red").slot


def named_by_somebody(there):
    node_of(there).mappings["gpu-red"] = {"map": ["node=pve,path=0000:99:00,id=1002:744c"]}


def without_reset(there):
    there.world.surprise("gpu-no-reset", "hyper", device="red")


def without_reset_in_silence(there):
    there.world.surprise("gpu-no-reset", "hyper", device="red", seen="guest")


def away_after_its_restart(there):
    """It has another address, say: nobody hears of it again."""
    node = node_of(there)
    node.accepts_logins = lambda: node.up and node.boots == 0


def without_a_storage_after_it(there):
    def lost(node):
        node.stores["local-zfs"].active = False

    node_of(there).on_boot.append(lost)


def with_half_a_pool_after_it(there):
    def half(node):
        node.zpools["rpool"] = ZPool("rpool", "mirror", [], 10**12, "DEGRADED")

    node_of(there).on_boot.append(half)


def with_a_network_card_of_another_name_after_it(there):
    """Another card before it on the bus is enough: names are of the place."""

    def renamed(node):
        for each in node.interfaces:
            if each.name == "enp12s0":
                each.name = "enp13s0"

    node_of(there).on_boot.append(renamed)


def beside_somebodys(there):
    node = node_of(there)
    node.vms[200].config["tags"] = "games"


def beside_somebodys_container(there):
    config = {"hostname": "theirs", "onboot": "1"}
    node_of(there).containers[301] = Running(301, config, running=True)


def pinned_memory(there):
    node = node_of(there)
    node.memory_bytes = sum(vm.memory_bytes for vm in node.vms.values()) + 2**30


MISTAKES = {
    "group shared with a network card": (shared, "groups", (
        "red is alone in its IOMMU group", "I226-V", "the host would lose that")),
    "console of the host": (on_its_screen, "groups", (
        "is not the host's console", "boot_vga is 1", "primary display")),
    "framebuffer in its memory": (in_its_memory, "groups", (
        "is not the host's console", "simple-framebuffer lies in its memory")),
    "IOMMU off in the firmware": (switched_off, "groups", (
        "pve has an IOMMU", "switch it on in the firmware")),
    "IOMMU off on the command line": (told_off, "groups", ("take iommu=off off",)),
    "kernel too old": (ancient, "groups", ("new enough", "5.15.158-2-pve", "install a newer one")),
    "card not there": (taken_out, "groups", ("is not on the bus", "seated and powered")),
    "EFI partition full": (full, "boot", (
        "no room for new initial file systems", "EFI partition E014-501F", "apt autoremove")),
    "no SSH after the restart": (away_after_its_restart, "boot", (
        "after the restart with other settings", "go to its console", "Take the pinned kernel",
        "a network card may have another name")),
    "storage gone after the restart": (without_a_storage_after_it, "boot", (
        "the storages of hyper are there: not active: local-zfs",)),
    "pool half gone after the restart": (with_half_a_pool_after_it, "boot", (
        "the pools of pve are ONLINE: rpool is DEGRADED", "zpool status -v")),
    "network card of another name after the restart": (
        with_a_network_card_of_another_name_after_it, "boot", (
            "no enp12s0, but ", "enp13s0")),
    "another of its kind": (of_the_same_kind, "boot", ("is to stay with the host",)),
    "VM with SeaBIOS": (with_other_firmware, "passthrough", (
        "its bios is seabios, and has to be ovmf", "qm destroy 202")),
    "VM with another chipset": (with_other_chipset, "passthrough", ("has to be q35",)),
    "somebody's VM": (of_somebody, "passthrough", ("which is not of lab cards",)),
    "another device there": (with_another_device, "passthrough", (
        "hostpci0 is 0000:04:00", "take them out")),
    "somebody's mapping": (named_by_somebody, "mappings", ("which we did not make",)),
    "no memory left": (pinned_memory, "passthrough", ("-12 (Cannot allocate memory)",)),
    "no reset": (without_reset, "second-start", (
        "does not come back from a reset", "giving up", "Restart hyper itself",
        "onboot stays off")),
    "no reset, and no word of it": (without_reset_in_silence, "second-start", (
        "1002:744c is not there in it", "Restart hyper itself")),
    "somebody's VM beside it": (beside_somebodys, "second-start", (
        "200 (plain)", "they would go down with it")),
    "somebody's container beside it": (beside_somebodys_container, "second-start", (
        "301 (theirs)", "they would go down with it")),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_stops_at_its_step_and_says_what_to_do(name):
    spoil, step, words = MISTAKES[name]
    there = bench()
    spoil(there)
    stopped, said = there.stops()
    assert stopped == step, said
    for each in words:
        assert each in said


# Cut off -----------------------------------------------------------------------------------------


def _state(there):
    """What is to be equal; a boot's own number is not, nor in which of them the settings came."""
    there.world.clock.sleep(120)  # until all is up
    state = there.world.state()["machines"]
    for machine in state.values():
        machine["files"].pop("/var/lib/homelab/boot-settings", None)
    return state


@pytest.fixture(scope="module")
def undisturbed():
    there = bench()
    assert there.stops() == ("", "")
    return _state(there), list(there.wire.sent)


def _again(there):
    """The same command until it gets to its end."""
    for _ in range(8):
        there.wire.off.clear()
        there.world.clock.sleep(60)
        stopped = there.stops()
        if stopped == ("", ""):
            return
    raise AssertionError(stopped)


@pytest.mark.sample
@pytest.mark.parametrize("when", ["before", "after"])
def test_cut_off_at_every_change_it_comes_to_the_same(undisturbed, when):
    state, sent = undisturbed
    for nth in range(len(sent)):
        there = bench()
        there.wire.cut, there.wire.through = when, nth
        assert there.stops() != ("", "")
        there.wire.cut = ""
        _again(there)
        assert differences(_state(there), state) == [], sent[nth]
        there.wire.sent.clear()
        assert there.stops() == ("", "")
        assert there.wire.sent == []


@pytest.mark.sample
def test_the_host_restarts_at_every_change_and_it_comes_to_the_same(undisturbed):
    state, sent = undisturbed
    for nth in range(len(sent)):
        there = bench()
        there.wire.cut, there.wire.through = "after", nth
        there.stops()
        there.wire.cut = ""
        node_of(there).reboot()
        _again(there)
        assert differences(_state(there), state) == [], sent[nth]
