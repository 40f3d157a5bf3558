"""One page, one number: wherever a quantity stands, it is the same.

In audit, tables, figures, sweep, runbooks and on the twin.
"""

import html
import re
from pathlib import Path

import nbformat
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


# What people read: the notebooks as they are stored (nbval holds their outputs), audit, report ----


def page(text):
    """What a person reads of a page, in one line."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


def notebook(number):
    """A notebook's prose, and what each cell shows as a browser does."""
    (file,) = (DATA.parent / "notebooks").glob(f"{number}_*.ipynb")
    said = []
    for cell in nbformat.read(file, as_version=4).cells:
        if cell.cell_type == "markdown":
            said.append(cell.source)
        for output in cell.get("outputs", ()):
            shown = output.get("data", {"text/plain": output.get("text", "")})
            ways = ("text/html", "text/markdown", "image/svg+xml", "text/plain")
            said.append(next(str(shown[way]) for way in ways if way in shown))
    return page(" ".join(said))


PAGES = {
    number: notebook(number)
    for number in ("00", "01", "02", "03", "04", "05", "06", "07", "08", "09")
}
PAGES |= {"audit": page(TEXTS[1]), "report": page(
    (DATA.parent / "reports" / "example" / "report.html").read_text())}  # fmt: skip


def written(leaf, digits):
    return " to ".join(f"{end:.{digits}f}" for end in leaf.payload)


def numbers():
    """What is said in several places: what it is, and on which page it stands after which words."""
    usable = pool_facts(LAB)[TANK].capacity().usable_bytes
    lacks = (
        f"{-next(e for e in memory_facts(LAB) if e.host == 'proxmox').room.left_bytes / GIB:.1f}"
    )
    card = next(each for each in leaves(LAB, "truenas") if each.name == "nic10g")
    sata = next(e for e in shared_links(LAB, "truenas") if "ASM1064" in e.title).payload
    power = next(each for each in power_facts(LAB) if each.supply == "proxmox")
    yield "usable [TB]", f"{usable / 1e12:.2f}", {
        "00": r"raidz2 of 4 56 TB = [\d.]+ TiB (\S+) TB", "01": r"= usable [\d,]+ (\S+) TB",
        "07": r"ZFS leaves (\S+) TB", "audit": r"ZFS leaves (\S+) TB"}  # fmt: skip
    yield (
        "usable as planned [TB]",
        f"{usable / 1e12:.2f}",
        {"01": r"\(planned\) ([\d.]+) TB", "07": r"raidz2 of 4 of 14 TB leaves (\S+) TB"},
    )
    yield "usable [TiB]", f"{usable / 2**40:.2f}", {
        "00": r"raidz2 of 4 56 TB = \S+ TiB \S+ TB = (\S+) TiB",
        "01": r"= usable [\d,]+ \S+ TB (\S+) TiB", "05": r"\*\*tank\*\* (\S+) TiB can be used",
        "07": r"ZFS leaves \S+ TB \((\S+) TiB\)"}  # fmt: skip
    yield (
        "memory promised too often [GiB]",
        lacks,
        {
            "05": r"proxmox(?: [\d.]+){4} -([\d.]+)",
            "07": r"promised: (\S+) GiB too many",
            "08": r"is ruled out: proxmox is promised (\S+) GiB more",
            "audit": r"(\S+) GiB too many",
        },
    )
    yield (
        "the 10G card's slot [Gb/s]",
        written(card, 2),
        {
            "07": r"trains to PCI Express 2\.0 x2: (\S+ to \S+) Gb/s of payload",
            "audit": r"trains to PCI Express 2\.0 x2: (\S+ to \S+) Gb/s of payload",
        },
    )
    yield (
        "the same, in short",
        written(card, 1),
        {"02": r"with two lanes that leaves (\S+ to \S+) Gb/s of payload"},
    )
    yield (
        "its table",
        written(card, 1).replace("to", "…"),
        {"02": r"Gen2 x4 Gen2 x2 \S+ (\S+ … \S+)"},
    )
    yield (
        "the most of it [Gb/s]",
        f"{card.payload.upper:.2f}",
        {"04": r"proxmox ↔ truenas 10 Gb/s (\S+) Gb/s"},
    )
    yield (
        "what is sure of it [Gb/s]",
        f"{card.payload.lower:.2f}",
        {"08": r"(\S+) Gb/s, by the network card"},
    )
    yield (
        "the disks' controller [MB/s]",
        f"{sata.lower / 8 * 1e3:.0f}",
        {"01": r"SATA controller: (\d+) MB/s sure"},
    )
    yield "the same [Gb/s]", f"{sata.lower:.1f}", {"02": r"SATA controller (\S+) \(Gen3 x1\)"}
    yield "its least supply [W]", f"{power.least_w:.0f}", {
        "05": r"proxmox \d+ \d+ \d+ (\d+) –",
        "07": r"Proxmox Server takes a supply of at least (\d+) W",
        "audit": r"Proxmox Server takes a supply of at least (\d+) W"}  # fmt: skip
    idle_w = round(sum(each.needs.idle_w / 0.9 for each in power_facts(LAB)))
    yield "idle at the wall [W]", f"{idle_w}", {"05": r"900 216 idle (\d+)"}
    yield (
        "left of a circuit [W]",
        f"{0.8 * 15 * 120 - idle_w:.0f}",
        {"05": r"has \*\*(\d+) W\*\* left"},
    )
    odds = re.search(r"\(planned\) \S+ TB \d (1 in \S+ million)", PAGES["01"])[1]
    yield (
        "whether the pool is lost in ten years",
        odds,
        {"01": r"(?:109 million|800 raidz2 of 4 \(planned\)|So read a)[ \"]+(1 in \S+ million)"},
    )
    passed = facts_media.inspection_bounds(LAB, "firewall", 5000)[0]
    house = r"At most (\S+) Gb/s reach the house, held by lan"
    alone = r"(\S+) Mb/s in one flow, with 5000 rules"
    yield "what the firewall passes [Gb/s]", f"{passed.throughput_bps / 1e9:g}", {
        "06": r"\*\*(?:within|beyond)\*\* (\S+) Gb/s, which is what lan lets pass",
        "07": house, "audit": house}  # fmt: skip
    yield "of one flow [Mb/s]", f"{passed.flow_bps / 1e6:.2f}", {
        "06": r"a single flow 5,000 (\S+) Mb/s", "07": alone, "audit": alone}  # fmt: skip
    b580 = facts_media.card_link_bps(LAB, "truenas.b580")
    yield "the B580's slot [Gb/s]", f"{b580 / 1e9:.1f}", {
        "02": r"Arc B580 truenas Gen4 x8 Gen3 x2 \S+ (\S+) …",
        "audit": r"the link carries (\S+) Gb/s"}  # fmt: skip
    yield (
        "the same, in the notebook of films",
        f"{b580 / 1e9:.2f}",
        {"06": r"Arc B580 \(truenas\) \S+ \S+ streams (\S+) Gb/s"},
    )
    ports = (LAB.hosts["desktop"].ports["lan"], LAB.switches["switch"].ports["p3"])
    speed = max(set.intersection(*(set(port.speeds_bps) for port in ports)))
    yield "the desktop's cable [Gb/s]", f"{speed / 1e9:g}", {
        "00": r"desktop-switch desktop\.lan \(RJ45\) switch\.p3 \(RJ45\) Cat6 (\S+) Gb/s",
        "09": r"(\S+) Gb/s: desktop\.lan"}  # fmt: skip
    claims = len(findings(load_lab(DATA, decisions=False)))
    yield (
        "findings",
        f"{claims}** findings as written, **{len(FOUND)}",
        {"07": r"\*\*(\d+\*\* findings as written, \*\*\d+)"},
    )
    cluster = next(iter(LAB.clusters.values()))
    cores = sum(LAB.vms[n].vcpu for n in (*cluster.servers, *cluster.agents)
                if LAB.vms[n].phase == 2)  # fmt: skip
    yield (
        "processors of the cluster",
        f"{cores}",
        dict.fromkeys(("09", "report"), r"allocatable processors (\d+) processors"),
    )


@pytest.mark.parametrize(
    ("what", "wanted", "places"), [*numbers()], ids=lambda each: str(each)[:40]
)
def test_one_page_one_number(what, wanted, places):
    for number, words in places.items():
        found = re.findall(words, PAGES[number])
        assert found, f"page {number} does not say it any more: {what}"
        assert set(found) == {wanted}, f"page {number}: {what}"
