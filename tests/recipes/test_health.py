"""A look at everything: clean where all was carried out, and each thing that is amiss found by what
mends it."""

import shutil

import pytest

from homelab_lib import paths
from homelab_lib.errors import BadParameter, Drift, Refused
from homelab_lib.lab import load_lab
from homelab_lib.recipes import health
from homelab_lib.runbook.proof import check
from homelab_lib.session import run as session
from homelab_lib.session.rehearsed import before
from homelab_lib.target import TwinTarget
from homelab_lib.transport.command import change, read

MINIPC = paths.data() / "examples" / "minipc"


@pytest.fixture(scope="module")
def house():
    """The small lab, on which all its runbooks were carried out."""
    twin = before(load_lab(MINIPC), None)
    yield twin
    twin.close()


@pytest.fixture
def look(house, tmp_path, monkeypatch):
    """Looks at everything, as the notebook does; gives the run and the cards."""
    monkeypatch.setenv("HOMELAB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HOMELAB_REPORTS", str(tmp_path / "reports"))
    runs = []

    def looked():
        run = session.begin("health", mode="verify", lab=str(MINIPC), on=house)
        runs.append(run)
        return run, [run.look(part) for part in health.parts(run.runbook)]

    yield looked
    for run in runs:
        run.close()


def test_what_was_just_made_is_well(house, look):
    stands = house.world.state()
    run, cards = look()
    assert "completed" in run.finish().text
    assert all("find all well" in card.text and "▲" not in card.text for card in cards)
    assert house.world.state() == stands, "looking changed something"
    assert list(check(run.record.folder)) == []


def test_what_is_amiss_is_told_with_what_was_looked_at_and_what_mends_it(house, look):
    k3s = house.world.machines["play"].units["k3s"]
    snippet = "/var/lib/vz/snippets/homelab-vendor.yaml"
    kept = house.world.machines["mini"].files.text(snippet)
    config = house.world.machines["mini"].vms[101].config
    config["lock"] = "backup"
    house.world.machines["mini"].files.put(snippet, "# somebody's own\n")
    k3s.enabled = False
    try:
        run, cards = look()
        with pytest.raises(Drift) as caught:
            run.finish()
    finally:
        house.world.machines["mini"].files.put(snippet, kept)
        k3s.enabled = True
        del config["lock"]
    told = "\n".join(card.text for card in cards)
    assert "runs: start k3s with the machine" in told
    assert "mended by phase2, step server" in told
    assert "      written: " in told
    assert "mended by phase2, step image" in told
    assert "then `qm unlock 101`" in told
    assert "found by phase2, step machines, which sends nothing against it" in told
    assert "phase2:server" in caught.value.what
    assert "phase2:image" in caught.value.what
    assert "its plan (mode=plan) shows how" in caught.value.fix


def test_a_host_that_is_off_hides_no_other(house, look):
    house.world.machines["play"].power_off()
    try:
        run, _ = look()
    finally:
        house.world.machines["play"].power_on()
        house.world.clock.sleep(600.0)
    steps = {outcome.step: outcome for outcome in run.outcomes}
    assert steps["phase2:workloads"].status == "drift"
    assert steps["phase2:room"].status == "already", "the node is well"
    assert "not reached" not in {outcome.status for outcome in run.outcomes}


def test_it_has_nothing_to_send(tmp_path):
    with pytest.raises(BadParameter, match="mode is 'apply'"):
        session.begin("health", lab=str(MINIPC))


def test_a_host_that_is_kept_apart_is_asked_and_never_changed():
    lab = load_lab(MINIPC)
    apart = lab.hosts["mini"].model_copy(update={"standalone": True})
    twin = TwinTarget.before_phase(lab.model_copy(update={"hosts": {"mini": apart}}), 2)
    try:
        assert twin.link.allow_changes
        assert twin.link.run("mini", read("true")).ok
        with pytest.raises(Refused, match="mini is kept apart"):
            twin.link.run("mini", change("touch", "/root/x"))
        with pytest.raises(Refused, match="mini is kept apart"):
            twin.link.run_many("mini", [read("true"), change("touch", "/root/x")])
        assert not twin.world.machines["mini"].files.exists("/root/x")
    finally:
        twin.close()


def test_every_step_that_a_machine_can_tell_of_is_looked_at_and_names_its_runbook():
    lab = load_lab()
    books = health.carried_out(lab)
    looks = health.runbook(lab, lambda vm: "ssh-ed25519 AAAA", books)
    assert set(health.parts(looks)) - {""} == {book.name for book in books}
    some = health.runbook(lab, lambda vm: "", health.carried_out(lab, ["phase1_network"]))
    assert set(health.parts(some)) - {""} == {"phase1_network"}


def test_an_answer_without_what_the_lab_expects_says_what_that_is(house, tmp_path, monkeypatch):
    monkeypatch.setenv("HOMELAB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HOMELAB_REPORTS", str(tmp_path / "reports"))
    lab = tmp_path / "lab"
    shutil.copytree(MINIPC, lab)
    text = (lab / "lab.yaml").read_text()
    (lab / "lab.yaml").write_text(text.replace('"Hostname: whoami"', '"Hostname: who-am-i"'))
    run = session.begin("phase2", mode="verify", lab=str(lab), on=house)
    try:
        told = run.step("workloads").text
    finally:
        run.close()
    assert "Hostname: whoami-" in told
    assert "has no “Hostname: who-am-i” in it" in told
