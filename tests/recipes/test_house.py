"""The whole house on one twin, the look at it weeks later, and the page of it."""

import json
from html import escape
from html.parser import HTMLParser

import pytest

from homelab_lib import paths
from homelab_lib.errors import StepFailed
from homelab_lib.house import House
from homelab_lib.house_page import body, manual_steps, write
from homelab_lib.lab import load_lab
from homelab_lib.target import TwinTarget
from homelab_lib.twin import decays
from homelab_lib.views.sales import needs, to_see_to

MINIPC = str(paths.data() / "examples" / "minipc")


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory):
    """Reports and state of their own."""
    folder = tmp_path_factory.mktemp("house")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMELAB_STATE", str(folder / "state"))
        patch.setenv("HOMELAB_REPORTS", str(folder / "reports"))
        yield folder / "reports"


@pytest.fixture(scope="module")
def house(surroundings):
    """The small lab, carried out from its first runbook to its last."""
    with House(MINIPC, seed=1) as house:
        assert house.books[-1] == "phase2"
        for book in house.books:
            assert "A second run sent nothing" in house.carry_out(book).text
        house.look()
        yield house


@pytest.mark.sample
def test_what_decays_is_found_and_nothing_else(house):
    try:
        told = house.decay(40.0).text
        assert house.decayed
        assert "40 days passed" in told
        cards = house.look().text
        assert "▲ What runs" in cards
        unexplained, house.decayed = house.decayed, []
        with pytest.raises(StepFailed, match="found: "):
            house.look()
        house.decayed = [*unexplained, (decays.named_decay("ids-dies"), "mini")]
        with pytest.raises(StepFailed, match="not found: ids-dies on mini"):
            house.look()
    finally:
        house.decayed = []


def test_the_seed_picks_what_decays():
    twin = TwinTarget.before_phase(load_lab(), 2)
    try:
        sets = {tuple(d.name for d, _ in decays.drawn(twin.world, seed)) for seed in range(8)}
        assert len(sets) > 4
        again = decays.drawn(twin.world, 3)
        assert again == decays.drawn(twin.world, 3)
        for seed in range(8):
            where = [name for _, name in decays.drawn(twin.world, seed)]
            assert len(where) == len(set(where)), "one a machine"
        for seed in range(300):
            names = [decay.name for decay, _ in decays.drawn(twin.world, seed)]
            assert len(names) == 3
            assert not {"ips-holds-back", "restic-half-locked"} <= set(names), "one hides the other"
    finally:
        twin.close()


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links, self.fetched = [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "a":
            self.links.append(given["href"])
        self.fetched += [value for key, value in attrs if key == "src" or tag == "link"]


def test_the_page_is_whole_by_itself_and_leads_to_each_run(house, surroundings):
    file = write(load_lab(MINIPC))
    text = file.read_text()
    page = _Page()
    page.feed(text)
    assert page.fetched == []
    assert page.links
    for link in page.links:
        assert (file.parent / link).exists(), link
    assert "rehearsed" in text
    assert "What a person still has to do" in text


def test_a_task_is_done_only_where_all_its_steps_are(house, surroundings):
    lab = load_lab()
    assert "not run" in body(lab), "the shipped lab has no run here"
    folder = surroundings / "2026-01-01_phase2_ssh_rabc123"
    step = {"title": "", "status": "changed", "changes_sent": 1, "start_s": 0.0, "end_s": 60.0}
    steps = [step | {"step": name, "measurements": []} for name in ("server", "agents", "share")]
    steps[0]["measurements"] = [{"name": "speed", "value": 110.0, "unit": "replicas",
                                 "predicted": 100.0, "evidence": "measured"}]  # fmt: skip
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps({
        "lab": lab.name, "runbook": "phase2", "target": "ssh", "mode": "apply", "steps": steps,
        "status": "completed", "evidence": "measured", "started": "2026-01-01", "changes_sent": 3,
        "ended": "2026-01-01T10:00:00", "run_id": "rabc123"}))  # fmt: skip
    text = body(lab)
    rows = {row.partition("</b>")[0]: row for row in text.split("<tr><td><b>")[1:]}
    assert ">measured<" in rows["Install k3s cluster"]
    assert "partly done" in rows["Mount TrueNAS NFS for persistent volumes"]
    assert "not run" in rows["Set up kubectl on desktop"]
    assert "+10.0%" in text


def test_the_last_look_is_told_with_what_was_found_and_what_mends_it(house, surroundings):
    lab = load_lab()
    folder = surroundings / "2026-03-01_health_ssh_rdef456"
    check = {"title": "pool tank is whole", "holds": False, "says": "it is DEGRADED",
             "looks_at": "runs"}  # fmt: skip
    begun = {"start_s": 0.0, "end_s": 1.0, "changes_sent": 0, "measurements": [], "note": ""}
    there = {"host": "truenas", "name": "share", "status": "drift", "sent": []}
    steps = [
        begun | {"step": "pools-truenas", "title": "Pools", "status": "drift", "checks": [check],
                 "resources": []},
        begun | {"step": "phase1:nas-nfs", "title": "Share", "status": "drift", "checks": [],
                 "resources": [there | {"wants": ["make <NFS> share"], "mendable": True}]},
        begun | {"step": "phase2:machines", "title": "VMs", "status": "drift", "checks": [],
                 "resources": [there | {"wants": ["VM 201 is locked"], "mendable": False}]},
    ]  # fmt: skip
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps({
        "lab": lab.name, "runbook": "health", "target": "ssh", "mode": "verify", "steps": steps,
        "status": "drift", "evidence": "measured", "started": "2026-03-01", "changes_sent": 0,
        "ended": "2026-03-01T10:00:00", "run_id": "rdef456"}))  # fmt: skip
    text = body(lab).partition("The last look at everything")[2]
    assert "0 of 3 looks found all well" in text
    assert "pool tank is whole: it is DEGRADED" in text
    assert "make &lt;NFS&gt; share<br>mended by phase1, step nas-nfs" in text
    assert "VM 201 is locked<br>found by phase2, step machines, which sends nothing" in text


def test_what_a_person_has_to_do_keeps_its_lines(house):
    [switch] = [ask for name, ask in manual_steps(load_lab()).items() if name == "phase1:switch"]
    first, second, *_ = switch.splitlines()
    assert escape(f"{first}\n{second}").replace("\n", "<br>") in body(load_lab())


def test_what_is_sold_says_what_still_needs_it():
    lab = load_lab(decisions=False)
    cards = {sale.name: sale for sale in lab.sales}
    wanted = needs(lab, cards["rx-6700-xt"].taken_from)
    lines = to_see_to(lab, cards["rx-6700-xt"])
    assert [line for line in lines if line.startswith("still needed by")] == [
        f"still needed by {key}: change that first" for key in wanted
    ]
    vms = {name: vm.model_dump() for name, vm in lab.vms.items()}
    used = [name for name, vm in vms.items() if "gpu3" in json.dumps(vm, default=str)]
    assert {f"vms.{name}" for name in used} <= {".".join(key.split(".")[:2]) for key in wanted}
    assert needs(lab, "nobody.nothing") == []


@pytest.mark.parametrize(
    "seed", [pytest.param(0, marks=pytest.mark.sample), *(pytest.param(n, marks=pytest.mark.long)
                                                         for n in (1, 2))]
)  # fmt: skip
def test_the_shipped_house(seed, tmp_path, monkeypatch):
    monkeypatch.setenv("HOMELAB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HOMELAB_REPORTS", str(tmp_path / "reports"))
    with House(seed=seed) as house:
        for book in house.books:
            house.carry_out(book)
        house.look()
        house.decay(40.0)
        assert len(house.decayed) == 3
        house.look()
        house.page()
    assert (tmp_path / "reports" / "index.html").exists()
