"""The numbers behind the figures of the planning notebooks."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from homelab_lib.audit import facts_network
from homelab_lib.audit.facts_budgets import power_facts
from homelab_lib.audit.facts_gpu import card_facts, model_facts
from homelab_lib.audit.facts_losses import losses
from homelab_lib.audit.facts_storage import other_layouts, pool_facts, rated_pools
from homelab_lib.lab import load_lab
from homelab_lib.views import budgets, gpu_models, network, pcie_tree, storage, style
from homelab_lib.wiring.pcie_tree import leaves, shared_links
from homelab_lib.wiring.serving import Run

ROOT = Path(__file__).resolve().parents[2]
MINIPC = ROOT / "data" / "examples" / "minipc"
NOTEBOOKS = ("01_storage", "02_pcie", "03_gpu_models")


@pytest.fixture(scope="module", params=[None, MINIPC], ids=["shipped", "minipc"])
def any_lab(request):
    return load_lab(request.param)


@pytest.fixture(scope="module")
def lab():
    return load_lab()


# Storage -----------------------------------------------------------------------------------------


def test_every_byte_of_the_labels_goes_somewhere(any_lab):
    for pool in pool_facts(any_lab).values():
        for layout in [pool, *other_layouts(pool)]:
            steps = layout.steps()
            assert sum(steps.values()) == pool.disks * pool.disk_bytes
            assert min(steps.values()) >= 0
            assert steps["usable"] == layout.capacity().usable_bytes


def test_four_disks_of_14_tb_in_raidz2(lab):
    pool = storage.main_pool(lab)
    assert pool.name == "tank"
    assert pool.steps()["usable"] == 26_982_326_730_752
    table = storage.capacity(pool)
    assert table.loc["= usable", "bytes"] == "26,982,326,730,752"


def test_one_in_eight_is_one_cell_of_a_table(lab):
    table = storage.unreadable(storage.main_pool(lab))
    assert table.loc["one disk, full", "at 1e-15 per bit"] == "10.6%"
    assert table.loc["all 3 survivors, 100% full", "at 1e-14 per bit"] == "96.5%"
    assert table.loc["all 3 survivors, 80% full", "1 in 8 takes a rate of"] == "4.97e-16"


def test_a_rebuild_is_slowed_by_the_uplink_only_where_it_is_narrow(lab):
    pool = storage.main_pool(lab)
    assert pool.uplink.startswith("ASMedia")
    assert pool.uplink_bps == pytest.approx(712e6, rel=0.01)
    assert pool.rebuild(1.0, 1.0) == pool.rebuild(1.0, 1.0, shared=False)
    narrow = replace(pool, uplink_bps=pool.uplink_bps / 4)
    assert narrow.rebuild(1.0, 1.0) > pool.rebuild(1.0, 1.0)
    assert storage.rebuild(narrow).loc["100%", "the shared link adds"] != "nothing"


def test_two_ways_to_the_same_chance(any_lab):
    for pool in rated_pools(any_lab).values():
        found = losses(pool)
        assert [each.layout for each in found if each.planned] == [pool.title]
        for each in found:
            assert list(each.markov) == sorted(each.markov)
            for chain, low, mean, high in zip(
                each.chain, each.low, each.played, each.high, strict=True
            ):
                # 95 % intervals miss once in twenty; none is off by twice its width
                assert mean - 2 * (mean - low) < chain < mean + 2 * (high - mean)


def test_more_parity_is_safer_and_smaller(lab):
    pool = storage.main_pool(lab)
    raidz = [other for other in other_layouts(pool) if other.layout.startswith("raidz")]
    assert [other.parity for other in raidz] == [1, 2]
    one, two = (other.loss(98, 10) for other in raidz)
    assert one / two > 1000
    sizes = [other.capacity().usable_bytes for other in other_layouts(pool)[:3]]
    assert sizes == sorted(sizes, reverse=True)


def test_a_pool_of_unknown_disks_says_so(lab):
    pool = pool_facts(lab)["proxmox.rpool"]
    assert losses(pool) == []
    assert "not known" in repr(storage.loss_curve(pool))
    for table in (storage.rebuild, storage.layouts, storage.agreement):
        assert "catalog does not say" in table(pool).iloc[0, 0]


@pytest.mark.parametrize(
    ("chance", "said"),
    [(0.125, "1 in 8"), (1 / 2958, "1 in 2,960"), (6e-8, "1 in 16.7 million"), (0, "never"),
     (1 / 999.6, "1 in 1,000"), (2e-10, "1 in 5 billion")],
)  # fmt: skip
def test_odds_as_people_say_them(chance, said):
    assert storage.odds(chance) == said


# PCI Express -------------------------------------------------------------------------------------


def _leaf(lab, host, name):
    return next(leaf for leaf in leaves(lab, host) if leaf.name == name)


def test_the_10g_card_gets_two_lanes_of_its_own_generation(lab):
    card = _leaf(lab, "truenas", "nic10g")
    assert (card.gets.gen, card.gets.lanes) == (2, 2)
    assert card.payload == pytest.approx((5.53, 7.42), abs=0.01)
    assert card.verdict == "short"
    assert card.path == ("M2_1", "m2-2x2")


def test_a_slot_gives_lanes_to_its_neighbour(lab):
    first, second = _leaf(lab, "proxmox", "gpu1"), _leaf(lab, "proxmox", "gpu2")
    assert first.gets.lanes == second.gets.lanes == 8
    assert first.could.lanes == 16
    assert "PCIE2" in first.note
    devices = {name: each for name, each in lab.hosts["proxmox"].devices.items() if name != "gpu2"}
    alone = lab.hosts["proxmox"].model_copy(update={"devices": devices})
    without = lab.model_copy(update={"hosts": lab.hosts | {"proxmox": alone}})
    assert _leaf(without, "proxmox", "gpu1").gets.lanes == 16


def test_no_device_gets_more_than_it_could(any_lab):
    for host in any_lab.hosts:
        for leaf in leaves(any_lab, host):
            assert leaf.share is None or 0 < leaf.share <= 1


def test_a_shared_link_is_divided_and_not_multiplied(any_lab):
    for host in any_lab.hosts:
        for link in shared_links(any_lab, host):
            assert sum(link.gets.values()) <= link.carries_gbps * (1 + 1e-9)
            assert all(link.gets[name] <= alone for name, alone in link.takes.items())


def test_the_chipset_is_promised_twice_over(lab):
    (chipset,) = shared_links(lab, "proxmox")
    assert chipset.oversold == pytest.approx(2.35, abs=0.01)
    assert set(chipset.takes) == {"gpu3", "nvme1", "nvme2", "lan10g", "lan5g"}


# Models on cards ---------------------------------------------------------------------------------


def test_what_fits_where(lab):
    found = gpu_models.contexts(lab)
    assert found["qwen2.5-32b Q4_K_M"]["proxmox.gpu1"] == 0
    assert 0 < found["qwen2.5-32b Q4_K_M"]["proxmox.gpu2"] < 8192
    assert not any(found["llama-3.1-70b Q4_K_M"].values())
    assert found["llama-3.1-8b Q4_K_M"]["desktop.gpu"] >= 8192


def test_the_largest_context_is_the_largest(lab):
    for card in card_facts(lab).values():
        for model in gpu_models.models_to_ask(lab):
            tokens = model.largest_context(card)
            if tokens:
                assert model.fit(card, Run(tokens)).fits
            if tokens < model.part.context_length // 256 * 256:
                assert not model.fit(card, Run(tokens + 256)).fits


def test_a_model_is_the_sum_of_what_lies_on_the_card(lab):
    model = model_facts(lab.catalog.models["llama-3.1-8b"], "Q4_K_M")
    assert model.weights.rests_on == "tensors"
    # a log of llama.cpp: 4,685 MiB in the file, of which the embedding stays in main memory
    assert round(model.weights.file_bytes / 2**20) == 4685
    assert round(model.weights_bytes / 2**20) == 4403
    with pytest.raises(ValueError, match="at Q9 is not known"):
        model_facts(model.part, "Q9")


def test_seventy_billion_need_one_runtime_for_all_cards(lab):
    table = gpu_models.pooled(lab)
    layers = list(table["layers by card"])
    assert "holds 36 of them" in layers[0]
    assert "holds 57 of them" in layers[1]
    assert layers[2] == "29 + 38 + 13"


def test_what_does_not_fit_has_ways_out():
    table = gpu_models.ways_out(load_lab(decisions=False))
    assert {name for name, _ in table.index} == {"chat-large on RX 7900 XT"}
    assert "✓" not in table.iloc[0]["context, cache q8_0"]
    assert "✓" in table.xs("Q4_K_S", level="quant").iloc[0]["context, cache q8_0"]


def test_a_lab_without_cards_says_so():
    mini = load_lab(MINIPC)
    assert gpu_models.contexts(mini) is not None
    assert gpu_models.NO_CARD in gpu_models.heat_map(mini).document
    for table in ("cards", "served", "ways_out", "pooled", "together"):
        assert getattr(gpu_models, table)(mini).iloc[0, 0] == gpu_models.NO_CARD


# Budgets -----------------------------------------------------------------------------------------


def test_what_a_draw_is_guessed_for_is_called_as_people_call_it(any_lab):
    """Never by its name in the catalog, whatever the lab has in it."""
    catalog = any_lab.catalog
    parts = {*catalog.disks, *catalog.boards, *catalog.nics, *catalog.accelerators}
    table = budgets.power_table(power_facts(any_lab))
    named = {name for cell in table["guessed"] for name in cell.split("; ")} - {"–"}
    assert named
    assert not named & {*parts, *(n for host in any_lab.hosts.values() for n in host.devices)}


# Drawings and notebooks --------------------------------------------------------------------------


def test_drawings_come_out_the_same_and_without_a_date(any_lab):
    pool = storage.main_pool(any_lab)
    makers = [lambda: storage.waterfall(pool), lambda: storage.loss_curve(pool)]
    makers += [lambda host=host: pcie_tree.tree(any_lab, host) for host in any_lab.hosts]
    makers.append(lambda: gpu_models.heat_map(any_lab))
    for make in makers:
        document = make().document
        assert make().document == document
        assert "<dc:date>" not in document
        assert "\\math" not in document, "no formula stands there unread"


def test_every_table_can_be_made_of_any_lab(any_lab):
    assert len(pcie_tree.bandwidths(any_lab))
    assert len(pcie_tree.sharing(any_lab))
    pool = storage.main_pool(any_lab)
    assert len(storage.layouts(pool)) == len(other_layouts(pool))
    assert list(storage.by_failure_rate(pool, (0.01,)).columns) == ["1.00%", "1.57%"]
    assert len(storage.uplink(pool)) > 20


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_planning_notebook_takes_the_lab_as_a_parameter(name):
    notebook = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code[0]["metadata"].get("tags") == ["parameters"]
    assert "lab_folder" in "".join(code[0]["source"])
    assert all(len(cell["source"]) <= 12 for cell in code)


# Colours ------------------------------------------------------------------------------------------

# How a deuteranope sees linear light: Machado, Oliveira and Fernandes (2009), severity 1.
_DEUTERANOPE = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
                (-0.011820, 0.042940, 0.968881))  # fmt: skip


def _light(colour):
    values = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]


def _lab(light):
    """CIELAB of linear sRGB under D65."""
    to_xyz = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = (np.dot(row, light) for row in to_xyz)
    x, y, z = (
        (v / white) ** (1 / 3) if v / white > 0.008856 else 7.787 * v / white + 16 / 116
        for v, white in zip(xyz, (0.9505, 1.0, 1.089), strict=True)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _seen(colour):
    light = _light(colour)
    return _lab([min(max(np.dot(row, light), 0.0), 1.0) for row in _DEUTERANOPE])


@pytest.mark.parametrize(
    ("one", "other"),
    [(style.GOOD, style.WARN), (style.GOOD, style.BAD), (style.BUSY, style.WARN),
     (style.WARN, style.BAD), (style.GOOD, style.BUSY),
     (style.PALE[style.GOOD], style.PALE[style.WARN])],
)  # fmt: skip
def test_a_deuteranope_tells_good_from_bad(one, other):
    assert (
        math.dist(_seen(one), _seen(other)) > 20
    )  # the green and red that were: 16, and 6 where pale
    assert style.HATCH[style.GOOD] != style.HATCH[style.WARN] != style.HATCH[style.BAD]


@pytest.mark.parametrize("colour", [style.GOOD, style.BUSY, style.WARN, style.BAD, style.SOFT,
                                    style.QUIET, style.INK])  # fmt: skip
def test_text_in_a_colour_can_be_read_on_the_paper(colour):
    bright = np.dot((0.2126, 0.7152, 0.0722), _light(colour))
    assert 1.05 / (bright + 0.05) >= 4.5  # WCAG AA


def test_a_figure_brings_its_own_paper(lab):
    found = network.passages(lab).document
    assert f"fill: {style.PAPER}" in found.partition('id="axes_1"')[0]
    assert found.count("✕ refused") == sum(
        not each.allowed
        for (source, target), each in facts_network.passages(lab).items()
        if source != target and source in lab.vlans
    )
