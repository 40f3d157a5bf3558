"""What the twin's `lspci`, `pciconf` and `dmidecode` print, read by those who read real ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homelab_lib.control.linux import hardware, pci
from homelab_lib.control.linux.pci import Link
from homelab_lib.control.opnsense import hardware as freebsd
from homelab_lib.lab import changes as lab_changes
from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built
from homelab_lib.twin.machine.bus import Function, on_bus
from homelab_lib.twin.machine.memory_module import Module
from homelab_lib.twin.machine.program import Call

LAB = load_lab()
WORLD = built(LAB, before_phase=1)
RATES = st.sampled_from([2.5, 5.0, 8.0, 16.0, 32.0])
LANES = st.sampled_from([1, 2, 4, 8, 16])
WINDOWS = st.integers(28, 36).map(lambda power: 1 << power)


def said(name, *words):
    reply = WORLD.machines[name].call(Call(words)).finished()
    assert reply.status == 0, reply.err
    return reply.out.decode()


@st.composite
def functions(draw):
    """Cards on a bus, some with a switch of their own."""
    found, bus = [], 0
    for number in range(draw(st.integers(1, 5))):
        card = draw(st.sampled_from([("8086:e20b", "0300"), ("10de:2705", "0300"),
                                     ("8086:10fb", "0200"), ("1e60:2864", "0b40")]))  # fmt: skip
        bus += 3
        window = draw(WINDOWS) if card[1] == "0300" else 0
        found.append(
            Function(
                f"card{number}",
                f"0000:{bus:02x}:00.0",
                *card,
                "A card",
                "driver",
                "",
                draw(RATES),
                draw(LANES),
                draw(RATES),
                draw(LANES),
                window,
                max(window, draw(WINDOWS)) if window else 0,
            )
        )
    return found


@settings(max_examples=50, deadline=None)
@given(functions())
def test_cards_are_read_as_they_are_whatever_is_inside_of_them(bus):
    machine = WORLD.machines["proxmox"]
    machine.bus, before = bus, machine.bus
    try:
        found = pci.parse(said("proxmox", "lspci", "-Dnnvv"))
    finally:
        machine.bus = before
    assert [(c.slot, c.id, c.class_code) for c in found] == [
        (f.slot, f.id, f.class_code) for f in bus
    ]
    assert [c.link for c in found] == [Link(f.speed_gtps, f.lanes) for f in bus]
    assert [c.could for c in found] == [Link(f.could_gtps, f.could_lanes) for f in bus]
    assert [c.bar_bytes.get(2, 0) for c in found] == [f.window_bytes for f in bus]
    assert [c.resizable_bytes.get(2, (0,))[-1] for c in found] == [
        f.could_window_bytes for f in bus
    ]


def test_only_root_sees_links():
    call = Call(("lspci", "-Dnnvv"), user="homelab")
    text = WORLD.machines["proxmox"].call(call).finished().out.decode()
    assert {card.link for card in pci.parse(text)} == {None}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([8, 16, 32, 48]), st.integers(0, 9000)), min_size=1,
                max_size=8))  # fmt: skip
def test_memory_is_read_as_it_is(sizes):
    machine = WORLD.machines["desktop"]
    machine.modules_fitted = [
        Module(f"D{n}", gib << 30, "DDR5", "DIMM", 5600, speed)
        for n, (gib, speed) in enumerate(sizes)
    ]
    machine.packages["dmidecode"] = "3.6-2"
    found = hardware.modules(said("desktop", "dmidecode", "-t", "memory"))
    assert [(each.size_bytes, each.speed_mtps or 0) for each in found] == [
        (gib << 30, speed) for gib, speed in sizes
    ]


def test_a_firewall_tells_of_both_ports_of_a_card():
    found = freebsd.parse(said("firewall", "pciconf", "-l", "-v", "-c"))
    assert [(c.slot, c.driver, c.link) for c in found if c.id == "8086:1572"] == [
        ("0000:01:00.0", "ixl0", Link(8.0, 8)),
        ("0000:01:00.1", "ixl1", Link(8.0, 8)),
    ]


@pytest.mark.parametrize("host", [name for name, host in LAB.hosts.items() if host.board])
def test_no_two_cards_are_in_one_place(host):
    slots = [each.slot for each in on_bus(LAB, host)]
    assert len(slots) == len(set(slots))


def test_cards_of_a_host_whose_board_nobody_knows():
    """They are there, with the links that they can have."""
    lab = load_lab()
    host = lab.hosts["truenas"]
    slots = [
        (f"hosts.truenas.{room}.{name}.slot", None)
        for room in ("devices", "disks")
        for name, item in getattr(host, room).items()
        if item.slot
    ]
    bare = lab_changes.changed(lab, *slots, ("hosts.truenas.board", None))
    known = {each.id for each in on_bus(lab, "truenas")}
    assert {each.id for each in on_bus(bare, "truenas")} >= known - {""}
    assert all(each.lanes == each.could_lanes for each in on_bus(bare, "truenas"))


def test_a_machine_without_cards_has_a_bus():
    lab = load_lab("data/examples/minipc")
    machine = built(lab, before_phase=1).machines["mini"]
    machine.bus.clear()
    machine.packages["pciutils"] = "1"
    said = machine.run("lspci -Dnnvv").finished()
    assert (said.status, pci.parse(said.out.decode())) == (0, [])
    assert b"Host bridge" in said.out
