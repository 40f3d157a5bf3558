"""A fix is written into the lab as a decision: it cures, and all that was written stays."""

import shutil
from pathlib import Path

import pytest

from homelab_lib.__main__ import main
from homelab_lib.audit.cure import cure
from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import RULES
from homelab_lib.audit.run import findings
from homelab_lib.errors import BadParameter, LabError
from homelab_lib.lab import deciding, load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.lab.deciding import decide

DATA = Path(__file__).resolve().parents[2] / "data"
RULE = "capacity-before-overhead"
OTHER = {
    "id": "other", "title": "No: it is, \"quoted\"", "reason": "1e9", "answers": [],
    "changes": [{"path": "hosts.mini.title", "value": "0x1F"}],
}  # fmt: skip


@pytest.fixture
def mini(tmp_path):
    shutil.copytree(DATA / "examples" / "minipc", tmp_path / "mini")
    return tmp_path / "mini"


@pytest.fixture
def written(tmp_path):
    """The design as written, before anybody decided anything."""
    shutil.copytree(DATA, tmp_path / "lab", ignore=shutil.ignore_patterns("examples"))
    (tmp_path / "lab" / "decisions.yaml").unlink()
    return tmp_path / "lab"


def test_what_is_applied_is_in_the_lab_and_cures(written, capsys):
    before = {file.name: file.read_text() for file in written.glob("*.yaml")}
    answered = {each.subject for each in cure(load_lab(written), RULE).answered}
    assert main(["audit", str(written), "--apply", RULE]) == 0
    told = capsys.readouterr().out
    lab = load_lab(written)
    assert answered
    assert not answered & {each.subject for each in RULES[RULE](lab)}
    assert [each.id for each in lab.decisions] == [RULE]
    assert lab.decisions[0].answers == (RULE,)
    assert all(subject in told for subject in answered)
    assert {name: (written / name).read_text() for name in before} == before


@pytest.mark.sample
def test_every_fix_that_an_audit_offers_cures_one_after_the_other():
    """Long: that each can be tried alone, `test_rules.py` holds at every change."""
    lab, cured = load_lab(DATA, decisions=False), set()
    offered = {each.rule for each in findings(lab) if each.fix and each.fix.changes}
    for rule in sorted(offered):
        if any(each.fix and each.fix.changes for each in RULES[rule](lab)):  # else by another's
            lab = changed(lab, *cure(lab, rule).changes)
            cured.add(rule)
    assert len(cured) > 18
    left = [each for each in findings(lab) if each.rule in cured and each.fix]
    assert not [each.rule for each in left if each.fix.changes and each.severity == "stops"]


def test_a_switch_of_whose_ports_nothing_is_written_is_set_up_as_the_other_ends_are(tmp_path):
    text = (DATA.parent / "tests" / "recipes" / "labs" / "cards.yaml").read_text()
    (tmp_path / "lab.yaml").write_text(
        text.replace(", ports: {p1: {vlan: 30}, p2: {vlan: 30}}", "")
    )
    rule = "vlans-differ-at-ends"
    assert len(list(RULES[rule](load_lab(tmp_path)))) == 2
    assert main(["audit", str(tmp_path), "--apply", rule]) == 0
    lab = load_lab(tmp_path)
    assert [lab.switches["switch"].ports[name].vlan for name in ("p1", "p2", "p3")] == [
        30,
        30,
        None,
    ]
    assert list(RULES[rule](lab)) == []


def test_the_supply_that_is_offered_for_a_card_bears_it():
    path = "hosts.truenas.devices.b580"
    lab = changed(
        load_lab(DATA, decisions=False), (f"{path}.part", "rx-7900-xt"), (f"{path}.psu", None)
    )
    lab = changed(lab, *cure(lab, "card-without-power").changes)
    assert lab.hosts["truenas"].devices["b580"].psu is not None
    assert f"{path}.psu" not in {each.subject for each in RULES["supply-too-small"](lab)}


PLACES = {
    "no decisions yet": ("", "decisions:\n  - id: other"),
    "none so far": ("decisions: []  # none so far\n", "# none so far\ndecisions:\n  - id: other"),
    "between others": (
        "decisions:\n"
        "# by me\n"
        "- {id: mine, title: Mine, reason: So., answers: [], changes: []}\n"
        "\n"
        "# what we own\n"
        "sales: []\n",
        "\n\n- id: other\n",
    ),
}


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("alone", [False, True])
def test_the_text_that_is_there_stays(name, alone, mini):
    more, wanted = PLACES[name]
    file = mini / "lab.yaml"
    file.write_text(file.read_text() + more)
    text = file.read_text()
    place, lab = decide(file if alone else mini, OTHER)
    now = place.read_text()
    assert wanted in now
    if place == file:
        kept = [line for line in text.splitlines() if line and not line.startswith("decisions:")]
        assert [line for line in now.splitlines() if line in kept] == kept
    assert lab.hosts["mini"].title == "0x1F"
    assert lab == load_lab(file if alone else mini)
    assert (lab.decisions[-1].title, lab.decisions[-1].reason) == (OTHER["title"], "1e9")


def test_the_ends_of_lines_stay_as_they_are(mini):
    file = mini / "lab.yaml"
    text = file.read_text() + PLACES["between others"][0]
    file.write_bytes(text.replace("\n", "\r\n").encode())
    decide(mini, OTHER)
    now = file.read_bytes()
    assert b"\r\n- id: other\r\n" in now
    assert now.count(b"\n") == now.count(b"\r\n")


def test_a_file_that_somebody_changes_meanwhile_keeps_what_he_wrote(mini, monkeypatch):
    file = mini / "decisions.yaml"
    file.write_text(PLACES["between others"][0])

    def slow(place):
        if place != mini:
            file.write_text("# by me, just now\n" + PLACES["between others"][0])
        return load_lab(place)

    monkeypatch.setattr(deciding, "load_lab", slow)
    with pytest.raises(LabError, match="was changed meanwhile"):
        decide(mini, OTHER)
    assert file.read_text().startswith("# by me, just now\n")
    assert "other" not in file.read_text()


def test_a_file_that_others_share_by_a_link_is_left_alone(mini, tmp_path):
    shared = tmp_path / "shared.yaml"
    shared.write_text(PLACES["between others"][0])
    (mini / "decisions.yaml").symlink_to(shared)
    with pytest.raises(LabError, match="is a link"):
        decide(mini, OTHER)
    assert shared.read_text() == PLACES["between others"][0]


def test_a_file_that_can_not_be_written_says_so(mini, monkeypatch):
    def full(file, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(deciding.durable, "replace", full)
    with pytest.raises(LabError, match="No space left on device"):
        decide(mini, OTHER)


def test_a_name_that_is_taken_gets_a_number(mini):
    decide(mini, OTHER)
    again = OTHER | {"changes": [{"path": "hosts.mini.role", "value": "r"}]}
    _, lab = decide(mini, again)
    assert [each.id for each in lab.decisions] == ["other", "other-2"]


@pytest.mark.parametrize(
    ("more", "changes", "says"),
    [
        ("", [{"path": "hosts.mini.titel", "value": "x"}], "titel"),
        ("", [{"path": "hosts.nobody.title", "value": "x"}], "nobody"),
        ("decisions: [{id: a, title: A, reason: R, answers: [], changes: []}]\n", [], "brackets"),
    ],
)
def test_a_lab_that_would_be_wrong_is_left_alone(more, changes, says, mini):
    file = mini / "lab.yaml"
    file.write_text(file.read_text() + more)
    before = {each: each.read_text() for each in mini.glob("*.yaml")}
    with pytest.raises(LabError, match=says):
        decide(mini, OTHER | {"changes": changes})
    assert {each: each.read_text() for each in mini.glob("*.yaml")} == before


def test_what_another_decision_changes_already_is_not_changed_again(mini):
    decide(mini, OTHER)
    with pytest.raises(LabError, match="changed by another decision already"):
        decide(mini, OTHER)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("no-such-rule", "there is no rule"),
        ("memory-sold-twise", "did you mean 'memory-sold-twice'?\n  next:  one of backup-in-same"),
        ("cable-too-long", "nothing to say"),
        ("uplink-shared", "no fix that can be written down"),
    ],
)
def test_what_can_not_be_applied_says_why(rule, says, capsys):
    assert main(["audit", str(DATA), "--apply", rule]) == 1
    assert says in capsys.readouterr().err


def test_a_fix_that_does_not_cure_or_stops_something_else_is_not_written(monkeypatch, mini):
    def useless(lab):
        yield Finding("useless", "note", "title", "So.", fix=Fix("x", changes=(("title", "T"),)))

    def harmful(lab):
        if lab.hosts["mini"].cpu:
            fix = Fix("x", changes=(("hosts.mini.cpu", None),))
            yield Finding("harmful", "note", "title", "So.", fix=fix)
        else:
            yield Finding("gone", "stops", "hosts.mini", "It has no processor.")

    monkeypatch.setitem(RULES, "useless", useless)
    monkeypatch.setitem(RULES, "harmful", harmful)
    monkeypatch.setitem(RULES, "gone", lambda lab: (f for f in harmful(lab) if f.rule == "gone"))
    lab = load_lab(mini)
    with pytest.raises(BadParameter, match="says the same afterwards"):
        cure(lab, "useless")
    with pytest.raises(BadParameter, match="It has no processor"):
        cure(lab, "harmful")
