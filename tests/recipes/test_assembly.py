"""Machines that are put together by hand: what is signed, what they tell, and what is wrong."""

import pytest

from homelab_lib.errors import Unreachable
from homelab_lib.lab import load_lab
from homelab_lib.recipes.hardware import assembly
from homelab_lib.recipes.hardware.parts import same_processor
from recipes.bench import Bench

LAB = load_lab()


@pytest.fixture
def bench():
    return Bench(LAB, assembly.steps(LAB, 1))


def test_machines_as_described(bench):
    assert bench.stops() == ("", "")
    assert all("apt-get" in line or "systemctl" in line for line in bench.wire.sent), (
        "nothing but the tools to look with"
    )
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []


def with_desktop(**changes):
    desk = LAB.hosts["desktop"].model_copy(update=changes)
    return LAB.model_copy(update={"hosts": LAB.hosts | {"desktop": desk}})


def test_a_processor_for_another_socket_is_told_before_it_is_bought():
    lab = with_desktop(cpu=LAB.catalog.cpus["ryzen-9-9950x"])
    where, said = Bench(lab, assembly.steps(lab, 1)).stops()
    assert where == "fit"
    assert (
        "AMD Ryzen 9 9950X has socket AM5, the MSI MAG B760M Mortar WiFi DDR5 has LGA1700" in said
    )


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        (("ddr4-udimm-16gb", 4), "takes DDR5 in 4 slots; there are 4 modules, and DDR4 UDIMM"),
        (("ddr5-udimm-16gb", 5), "takes DDR5 in 4 slots; there are 5 modules"),
    ],
)
def test_memory_of_another_kind_or_too_many_modules(memory, words):
    part, count = memory
    modules = (
        LAB.hosts["desktop"]
        .memory[0]
        .model_copy(update={"part": LAB.catalog.memory[part], "count": count})
    )
    lab = with_desktop(memory=(modules,))
    where, said = Bench(lab, assembly.steps(lab, 1)).stops()
    assert where == "fit"
    assert words in said


def test_what_no_machine_can_tell_is_signed_once():
    step = next(step for step in assembly.steps(LAB, 1) if step.manual)
    assert step.name == "purchases"
    for title in ("Cat6A cable", "Case (if needed)", "Managed 2.5GbE switch"):
        assert title in step.manual.ask
    assert "Intel X710-DA2" not in step.manual.ask, "the firewall tells of it itself"


def test_a_host_that_is_left_alone_is_signed_only():
    changed = LAB.hosts["pi5"].model_copy(update={"phase": 1})
    lab = LAB.model_copy(update={"hosts": LAB.hosts | {"pi5": changed}})
    names = [step.name for step in assembly.steps(lab, 1) if step.name.endswith("pi5")]
    assert names == ["build-pi5"]


@pytest.mark.parametrize(
    ("host", "lines"),
    [
        ("truenas", ("M2_1 split as 2x2", "Resizable BAR on", "Intel Arc B580")),
        ("desktop", ("LGA1700", "XMP", "5600 MT/s", "0x12b", "memtest86+")),
        ("firewall", ("Intel X710-DA2", "PCIE16")),
    ],
)
def test_the_checklist_has_what_the_parts_want(host, lines):
    said = "\n".join(assembly.checklist(LAB.hosts[host]))
    assert [line for line in lines if line not in said] == []


def narrow(world):
    card = next(each for each in world.machines["truenas"].bus if each.name == "nic10g")
    card.lanes = 1


def other_processor(world):
    world.machines["desktop"].cpu_model = "Intel(R) Core(TM) i5-13400F"


def no_resizable_bar(world):
    card = next(each for each in world.machines["truenas"].bus if each.name == "b580")
    card.window_bytes = 256 * 2**20


def card_missing(world):
    world.machines["firewall"].bus.clear()


def wrong_drive(world):
    world.machines["truenas"].blocks[1]["serial"] = "SOMEBODYS"


def module_missing(world):
    del world.machines["desktop"].modules_fitted[0]


def old_microcode(world):
    files = world.machines["desktop"].files
    files.put("/proc/cpuinfo", files.text("/proc/cpuinfo").replace("0x12b", "0x11d"))


@pytest.mark.parametrize(
    ("mistake", "step", "words"),
    [
        (narrow, "parts-truenas", "x1 at 5 GT/s; x2 at 5 GT/s was foretold: 50% of it"),
        (other_processor, "parts-desktop", "i5-13400F, 20 threads; the lab has 20 of Intel Core"),
        (no_resizable_bar, "parts-truenas", "its largest window is 256 MiB; switch on Above 4G"),
        (card_missing, "parts-firewall", "8086:1572"),
        (wrong_drive, "parts-truenas", "missing: hdd1 (HLNAS14T0001)"),
        (module_missing, "parts-desktop", "3 of 4 modules, 48 GiB"),
        (old_microcode, "parts-desktop", "0x11d"),
    ],
)
def test_a_mistake_stops_at_its_step_with_the_number(bench, mistake, step, words):
    mistake(bench.world)
    where, said = bench.stops()
    assert where == step
    assert words in said


def test_a_machine_that_is_not_there_yet_is_asked_of_a_person(bench):
    bench.wire.off["desktop"] = Unreachable("nobody answers at 10.0.10.50")
    where, said = bench.stops()
    assert where == "parts-desktop"
    assert "a person has to act: install" in said
    assert "does not answer yet" in said


def test_four_modules_below_their_rating_are_told_with_the_number(bench):
    for module in bench.world.machines["desktop"].modules_fitted:
        module.speed_mtps = 4000
    outcome = bench.step("parts-desktop")
    [check] = [each for each in outcome.checks if "runs as fast" in each.title]
    assert check.holds, "no maker promises more for this board"
    assert "4000 MT/s; its modules are rated for 5600, so it is 71% of that" in check.says
    [number] = [each for each in outcome.measurements if each.name == "desktop: memory"]
    assert (number.value, number.predicted) == (4000, 4400), "as such boards are known to do"


def test_memory_below_what_the_board_promises_is_a_fault():
    steps = assembly.steps(LAB, 1, hosts=["proxmox"])
    bench = Bench(LAB, steps)
    assert bench.stops() == ("", "")
    for module in bench.world.machines["proxmox"].modules_fitted:
        module.speed_mtps = 3200
    where, said = bench.stops()
    assert where == "parts-proxmox"
    assert "promised for 4 modules: 3600" in said


@pytest.mark.parametrize(
    ("wanted", "found", "same"),
    [
        ("Intel Core i5-13600K", "13th Gen Intel(R) Core(TM) i5-13600K", True),
        ("Intel Core i5-13600K", "13th Gen Intel(R) Core(TM) i5-13600KF", False),
        ("AMD Ryzen 9 9950X", "AMD Ryzen 9 9950X 16-Core Processor", True),
        ("AMD Ryzen 9 9950X", "AMD Ryzen 9 9950X3D 16-Core Processor", False),
        ("Intel Core i3-N305", "Intel(R) Core(TM) i3-N305", True),
        ("Intel Core i5-12600K", "12th Gen Intel(R) Core(TM) i5-12600K @ 3.70GHz", True),
    ],
)
def test_processors_go_by_their_model(wanted, found, same):
    assert same_processor(wanted, found) is same
