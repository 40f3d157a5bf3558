"""One page, one number: wherever a quantity stands, it is the same.

In audit, tables, figures, sweep, runbooks and on the twin.
"""

import re
from pathlib import Path

import pytest

from homelab_lib.audit import facts_media, facts_network, report
from homelab_lib.audit.facts_budgets import memory_facts, power_facts
from homelab_lib.audit.facts_gpu import card_facts, model_facts
from homelab_lib.audit.facts_storage import pool_facts
from homelab_lib.audit.ledger import judge
from homelab_lib.audit.rules.models import needs
from homelab_lib.audit.run import findings
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.lab.per_host import at
from homelab_lib.models.ethernet import tcp_bytes_per_s
from homelab_lib.recipes.nas import pool as pool_recipe
from homelab_lib.sweep.choices import CardsChoice, PoolChoice
from homelab_lib.sweep.evaluate import Evaluator
from homelab_lib.sweep.space import space_of
from homelab_lib.twin.built import built
from homelab_lib.twin.clock import SimulatedClock
from homelab_lib.units import format_bytes, format_ibytes
from homelab_lib.views import budgets, gpu_models, network, pcie_tree, storage, tables
from homelab_lib.views.usage import usage
from homelab_lib.wiring.pcie_link import MPS_BYTES
from homelab_lib.wiring.pcie_tree import leaves, shared_links
from homelab_lib.wiring.serving import run_of

GIB = 2**30
TANK, NIC = "truenas.tank", "hosts.truenas.devices.nic10g"
DATA = Path(__file__).resolve().parents[2] / "data"
LAB = load_lab(DATA)
FOUND = findings(LAB)
JUDGED = {each.claim: each for each in judge(LAB, FOUND)}
SAID = {(each.rule, each.subject): each for each in FOUND}
TEXTS = [
    show(LAB, FOUND, list(JUDGED.values()))
    for show in (report.as_table, report.as_markdown, report.as_json)
]


@pytest.fixture(scope="module")
def swept():
    """The shipped design itself as a variant of the sweep."""
    space = space_of(LAB)
    disk = pool_facts(LAB)[TANK].disk_bytes
    axes = {"pools": (PoolChoice("raidz2", 4, 1, disk),), "cards": (CardsChoice(),),
            "links": space.links[:1], "servings": space.servings[:1]}  # fmt: skip
    one = type(space)(**{f: axes.get(f, getattr(space, f)) for f in space.__dataclass_fields__})
    return space, Evaluator(one)(0)


def bands(text):
    """The bands in a text, in Gb/s."""
    found = re.findall(r"([\d.]+) (?:to|…) ([\d.]+)( GB/s)?", text)
    return [tuple(float(end) * (8 if unit else 1) for end in ends) for *ends, unit in found]


def test_what_a_pool_holds(swept):
    facts = pool_facts(LAB)[TANK]
    usable = facts.capacity().usable_bytes
    assert JUDGED["pool-usable"].number == usable
    assert facts.steps()["usable"] == usable
    assert storage.capacity(facts).loc["= usable", "bytes"] == f"{usable:,}"
    shown = tables.pools(LAB)
    assert format_bytes(usable) in shown[shown["host"] == "truenas"]["usable (predicted)"].iloc[0]
    mine = storage.layouts(facts)["usable"]
    assert format_bytes(usable) in set(mine)
    assert swept[1]["usable_bytes"] == usable
    assert all(format_bytes(usable) in text for text in TEXTS)


def test_what_the_runbook_foretells_of_a_pool_and_what_the_twin_then_shows():
    usable = pool_facts(LAB)[TANK].capacity().usable_bytes
    made = pool_recipe._Made(LAB, at(LAB.pools, TANK))
    assert made.predicted_bytes == usable
    world = built(LAB, before_phase=2, clock=SimulatedClock())
    assert world.machines["truenas"].pools["tank"].usable_bytes == usable


def test_what_the_10g_card_gets_of_its_slot(swept):
    leaf = next(each for each in leaves(LAB, "truenas") if each.name == "nic10g")
    low, high = leaf.payload
    band = (round(low, 2), round(high, 2))
    rule = SAID["link-below-nic", NIC]
    assert rule.number == high
    assert bands(rule.says) == [band]
    need = SAID["link-below-need", "link_budgets.1"]
    assert need.number == JUDGED["bandwidth-nic"].number == high * 1e9 / 8
    for says in (need.says, JUDGED["bandwidth-nic"].says):
        assert f"MPS {MPS_BYTES}" in says
        assert bands(says) == [pytest.approx(band, rel=0.01)]
    row = pcie_tree.bandwidths(LAB).loc["Euqvos M.2 10GbE network card"]
    assert bands(row[f"payload [Gb/s], MPS {MPS_BYTES}"]) == [pytest.approx(band, abs=0.05)]
    assert facts_media.card_link_bps(LAB, "truenas.nic10g") == low * 1e9
    assert swept[0].links[0].bus_bps == low * 1e9
    promise = next(each for each in facts_network.promises(LAB) if each.b == "truenas"
                   and each.a == "proxmox")  # fmt: skip
    assert promise.found.bandwidth_bps == high * 1e9
    # Nowhere in the audit does the card have another band.
    spoken = [each.says for each in (*FOUND, *JUDGED.values()) if "82599" in each.says]
    near = [b for says in spoken for b in bands(says) if "payload" in says]
    assert near
    assert all(found == pytest.approx(band, rel=0.01) for found in near)


@pytest.mark.parametrize("host", list(LAB.hosts))
def test_what_a_shared_link_carries(host):
    shown = pcie_tree.sharing(LAB)
    for link in shared_links(LAB, host):
        subject = f"hosts.{host}.board"
        rows = shown.loc[[f"{host}: {link.title}"]]
        assert rows["asked for"].iloc[0] == f"{link.oversold:.0%}"
        rule = SAID.get(("uplink-shared", subject))
        if rule and link.title in rule.says:
            assert rule.number == link.payload.upper
            assert f"{sum(link.takes.values()):.1f} Gb/s together" in rule.says


def test_what_tcp_carries_over_a_line(swept):
    link = swept[0].links[0]
    shown = network.cables(LAB).loc["dac", "TCP carries"]
    assert format_bytes(tcp_bytes_per_s(link.speed_bps, link.mtu)) in shown
    assert f"MTU {link.mtu}" in shown


def test_what_a_host_has_too_little_memory_by():
    rule = next(each for each in FOUND if each.rule == "memory-sold-twice")
    facts = next(each for each in memory_facts(LAB) if each.host == "proxmox")
    assert facts.room.left_bytes == rule.number
    told = f"{-facts.room.left_bytes / GIB:.1f} GiB too many"
    assert told in rule.says
    claims = [each.says for each in JUDGED.values() if "too many" in each.says]
    assert claims
    assert {re.search(r"[\d.]+ GiB too many", says)[0] for says in claims} == {told}
    assert sum(size for _, size in facts.shares) - facts.installed_bytes == -facts.room.left_bytes
    assert f"{-facts.room.left_bytes / GIB:.1f}" in budgets.memory_bars([facts]).document
    given = facts.room.memory_bytes - facts.room.left_bytes
    drawn = f"{given / facts.room.memory_bytes:.0%}: {format_ibytes(given)} of "
    assert drawn in usage(LAB).document
    assert all(told in text for text in TEXTS)


def test_what_hangs_on_a_ups_draws():
    """The table has what the rule judges, and no line for a UPS on which nothing known hangs."""
    lab = changed(load_lab(DATA / "examples" / "server"), ("upses.rack.part", "eaton-5p-650"))
    rule = next(each for each in findings(lab) if each.rule == "ups-too-small")
    shown = budgets.ups_table(lab, power_facts(lab))
    assert list(shown["at the wall [W]"])[-1] == round(rule.number)
    assert list(shown["it lasts"])[-1] == "switches off: above its rating"
    bare = changed(lab, ("upses.rack.feeds", ["gate"]))
    assert budgets.ups_table(bare, power_facts(bare)) == budgets.NOTHING_DRAWS


@pytest.mark.parametrize("name", [m.name for m in LAB.models.values() if len(m.devices) == 1])
def test_what_a_model_takes(name):
    model = LAB.models[name]
    card = card_facts(LAB)[model.devices[0]]
    shown = model_facts(model.part, model.quant).fit(card, run_of(model))
    assert needs(LAB, model).needed_bytes == shown.needed_bytes
    rows = gpu_models.served(LAB).astype(str)
    left = f"{format_ibytes(shown.available_bytes - shown.needed_bytes)} free"
    assert left in set(rows.to_numpy().ravel())
