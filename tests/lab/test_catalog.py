"""The shipped catalog: nothing in it that no such part has, and nothing without a source."""

import re

import pytest

from homelab_lib.lab.loader import load_catalog
from homelab_lib.lab.part import Part

CATALOG = load_catalog()
PARTS = [
    (kind, part) for kind in type(CATALOG).model_fields for part in CATALOG.kind(kind).values()
]

# What parts of a kind have, from the humblest that people run at home to the dearest of a rack.
BOUNDS = [
    ("cpus", "cores", 1, 192),
    ("cpus", "base_hz", 0.8e9, 5e9),
    ("cpus", "boost_hz", 1e9, 6.5e9),
    ("cpus", "base_power_w", 4, 400),
    ("cpus", "max_power_w", 6, 500),
    ("cpus", "pcie_lanes", 4, 160),
    ("cpus", "memory_channels", 1, 12),
    ("cpus", "memory_max_bytes", 8 * 2**30, 8 * 2**40),
    ("memory", "capacity_bytes", 2**30, 512 * 2**30),
    ("memory", "speed_mtps", 800, 9600),
    ("boards", "memory_slots", 1, 48),
    ("boards", "idle_power_w", 5, 150),
    ("systems", "memory_slots", 0, 32),
    ("systems", "idle_power_w", 1, 150),
    ("systems", "load_power_w", 5, 500),
    ("systems", "needs_supply_w", 5, 1000),
    ("gpus", "vram_bytes", 2 * 2**30, 256 * 2**30),
    ("gpus", "memory_bytes_per_s", 60e9, 10e12),
    ("gpus", "board_power_w", 25, 1200),
    ("gpus", "idle_power_w", 2, 60),
    ("gpus", "length_mm", 140, 360),
    ("gpus", "slots_wide", 1, 4.5),
    ("nics", "port_count", 1, 8),
    ("nics", "power_w", 0.5, 30),
    ("disks", "capacity_bytes", 16e9, 40e12),
    ("disks", "rpm", 5000, 15000),
    ("disks", "annual_failure_rate", 0.002, 0.06),
    ("disks", "unreadable_per_bit", 1e-18, 1e-13),
    ("disks", "outer_bytes_per_s", 80e6, 15e9),
    ("disks", "idle_power_w", 0.02, 9),
    ("disks", "active_power_w", 1, 25),
    ("disks", "spin_up_power_w", 5, 35),
    ("hbas", "power_w", 5, 30),
    ("psus", "power_w", 60, 3000),
    ("psus", "pcie_8pin", 0, 12),
    ("upses", "rated_va", 300, 20000),
    ("upses", "energy_wh", 50, 10000),
    ("switches", "power_w", 1, 1500),
    ("transceivers", "power_w", 0.3, 6),
]


@pytest.mark.parametrize(("kind", "field", "low", "high"), BOUNDS)
def test_what_such_parts_have(kind, field, low, high):
    found = {name: getattr(part, field) for name, part in CATALOG.kind(kind).items()}
    told = {name: value for name, value in found.items() if value is not None}
    assert told, "no part has it"
    assert {name: value for name, value in told.items() if not low <= value <= high} == {}


def test_the_catalog_has_what_people_own():
    """Some of each kind, from several makers: enough to write most labs down without a part."""
    least = {"cpus": 30, "boards": 6, "systems": 5, "gpus": 20, "nics": 15, "disks": 20,
             "hbas": 3, "psus": 12, "upses": 10, "switches": 12, "memory": 10}  # fmt: skip
    short = {kind: len(CATALOG.kind(kind)) for kind, count in least.items()
             if len(CATALOG.kind(kind)) < count}  # fmt: skip
    assert short == {}


def test_every_part_says_where_its_facts_are_from():
    bare = [part.id for _, part in PARTS if not any(len(source) >= 10 for source in part.sources)]
    assert bare == []


def test_a_product_by_name_rests_on_more_than_memory():
    """A part that carries a maker's name has a source that somebody else can look at."""
    memory = re.compile(r"from memory\)?$|^A generic|^The design", re.IGNORECASE)
    generic = ("generic", "sata-", "nvme-", "usb-", "ddr", "cat6", "dac", "switch-", "port-")
    weak = [
        part.id
        for kind, part in PARTS
        if kind not in ("adapters", "backplanes", "accessories", "models", "cables", "nics")
        and all(memory.search(source) for source in part.sources)
        and not part.id.startswith(generic)
        and not re.match(r"(atx|egpu|ups|aio|lpddr)", part.id)
    ]
    assert weak == []


def test_processors_have_one_or_two_threads_a_core_and_boost_above_their_base():
    for name, cpu in CATALOG.cpus.items():
        assert cpu.cores <= cpu.threads <= 2 * cpu.cores, name
        kinds = (cpu.performance_cores, cpu.efficiency_cores)
        assert None in kinds or sum(kinds) == cpu.cores, name
        assert (cpu.boost_hz or 9e9) >= (cpu.base_hz or 0), name
        assert (cpu.max_power_w or 999) >= (cpu.base_power_w or 0), name


def test_a_slot_is_never_narrower_than_its_wiring():
    for board in (*CATALOG.boards.values(), *CATALOG.systems.values()):
        for name, slot in board.slots.items():
            assert (slot.mechanical_lanes or 16) >= (slot.lanes or 0), (board.id, name)
            assert (slot.generation is None) == (slot.lanes is None), (board.id, name)


def test_a_card_draws_no_more_than_its_plugs_and_its_slot_give():
    """75 W from the slot (CEM), 150 W from 8 pins, 75 W from 6, 600 W from a 12VHPWR."""
    gives = {"8-pin": 150, "6-pin": 75, "12VHPWR": 600, "12V-2x6": 600}
    for name, card in CATALOG.gpus.items():
        most = 75 + sum(gives[plug] for plug in card.power_plugs)
        assert (card.board_power_w or 0) <= most, name


def test_sizes_of_disks_are_those_of_the_trade():
    """IDEMA LBA1-03: up to 8 TB, a disk of N GB has 97,696,368 + 1,953,504 x (N - 50) sectors of
    512 bytes; above, as many blocks of 2^21 sectors as hold N GB."""
    for name, disk in CATALOG.disks.items():
        sectors = disk.capacity_bytes // 512
        _, rest = divmod(sectors - 97696368, 1953504)
        if disk.capacity_bytes > 8.1e12:
            _, rest = divmod(sectors, 2**21)
            assert 0 <= disk.capacity_bytes % 1e12 < 2**30, name
        assert rest == 0, name


def test_a_ups_gives_no_more_watts_than_volt_amperes():
    for name, ups in CATALOG.upses.items():
        assert 0.5 * ups.rated_va <= ups.rated_w <= ups.rated_va, name


def test_speeds_stand_from_the_highest_on():
    for kind, part in PARTS:
        speeds: tuple[int, ...] = getattr(part, "speeds_bps", ())
        assert list(speeds) == sorted(speeds, reverse=True), (kind, part.id)


def test_a_kind_of_part_has_a_title_of_its_own():
    titles = [part.title for _, part in PARTS]
    assert sorted({title for title in titles if titles.count(title) > 1}) == []
    assert all(isinstance(part, Part) for _, part in PARTS)
