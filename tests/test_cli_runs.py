"""`homelab init`, `plan`, `show` and `records`, as a newcomer meets them."""

import json
import re
import sys

import click
import pytest
import yaml
from jsonschema import Draft202012Validator

from homelab_lib import paths
from homelab_lib.__main__ import main
from homelab_lib.cli import screen
from homelab_lib.cli.runs import _besides
from homelab_lib.lab.document import read


@pytest.fixture
def own(tmp_path, monkeypatch, capsys):
    """A lab made by `init`, with reports and state of its own."""
    monkeypatch.setenv("HOMELAB_REPORTS", str(tmp_path / "reports"))
    monkeypatch.setenv("HOMELAB_STATE", str(tmp_path / "state"))
    folder = tmp_path / "My Lab"
    assert main(["init", str(folder)]) == 0
    assert "homelab plan" in capsys.readouterr().out
    return folder


def test_a_lab_of_ones_own_checks_clean_is_planned_and_leads_on(own, capsys):
    assert main(["check", str(own)]) == 0
    assert (own / "lab.yaml").read_text().count("name: my-lab\n") == 1
    assert (own / "lab.schema.json").is_file()
    capsys.readouterr()

    assert main(["plan", str(own), "2", "--exit-code"]) == 2
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("Plan p")
    assert told[-3].endswith("Nothing was sent.")
    assert told[-2].startswith("Read:  ")
    assert told[-1].startswith("Apply: homelab apply ")
    digest = told[0].split()[1].rstrip(":")

    assert main(["records", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert (row["runbook"], row["mode"], row["status"]) == ("phase2", "plan", "planned")
    for name in (row["run"], row["run"].rpartition("_")[2]):
        assert main(["show", name]) == 0
        assert digest in capsys.readouterr().out
    assert main(["show", row["run"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["plan"] == digest


@pytest.mark.parametrize("like", ["home", "cluster", "server"])
def test_a_lab_like_an_example_is_whole_and_an_editor_completes_it(like, tmp_path, capsys):
    folder = tmp_path / "Our House"
    assert main(["init", str(folder), "--like", like]) == 0
    told = capsys.readouterr().out
    assert re.findall(r"homelab plan .* (phase\w+) ", told)
    assert main(["check", str(folder)]) == 0
    assert main(["audit", str(folder)]) == 0, "an example that stops is no beginning"
    for file in (folder / "lab.yaml", folder / "catalog" / "parts.yaml"):
        first = file.read_text().partition("\n")[0]
        asked_for = file.parent / first.removeprefix("# yaml-language-server: $schema=")
        schema = json.loads(asked_for.read_text())
        written = json.loads(json.dumps(read(file)[0].plain()))
        assert [e.message for e in Draft202012Validator(schema).iter_errors(written)] == []
    parts = yaml.safe_load((folder / "catalog" / "parts.yaml").read_text())
    own = [name for kind in parts.values() for name in kind]
    offered = json.loads((folder / "lab.schema.json").read_text())["$defs"]
    assert set(own) <= set(offered["disks-in-the-catalog"]["enum"]), "its own parts are offered"


def test_a_part_written_since_is_offered_once_asked(own, capsys):
    parts = own / "catalog" / "parts.yaml"
    text = parts.read_text()
    parts.write_text(text + """
upses:
  box-of-mine: {title: A UPS, sources: [its label], rated_va: 700, rated_w: 405}
""")  # fmt: skip
    assert main(["schema", str(own)]) == 0
    assert "lab.schema.json" in capsys.readouterr().out
    offered = json.loads((own / "lab.schema.json").read_text())["$defs"]["upses-in-the-catalog"]
    place = offered["enum"].index("box-of-mine")
    assert offered["enumDescriptions"][place] == "A UPS"


def test_an_example_that_is_none(tmp_path, capsys):
    assert main(["init", str(tmp_path / "x"), "--like", "serfer"]) == 1
    assert "did you mean 'server'?" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_nothing_of_yours_is_written_over(own, capsys):
    before = (own / "lab.yaml").read_text()
    assert main(["init", str(own)]) == 1
    assert "there is something already" in capsys.readouterr().err
    assert (own / "lab.yaml").read_text() == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["plan", "no/such/lab"], "there is no such lab"),
        (["plan", "LAB", "7"], "phase"),
        (["plan", "LAB", "2", "--only", "machine"], "did you mean 'machines'?"),
        (["apply", "LAB", "2", "--approve", "p12"], "add --target ssh"),
        (["apply", "LAB", "2", "--target", "ssh", "--approve", "p12"], "there is no plan 'p12'"),
        (["show", "p12"], "there is no plan and no record 'p12'"),
    ],
)
def test_what_is_wrong_is_said_without_a_kernel(own, words, says, capsys):
    assert main([str(own) if word == "LAB" else word for word in words]) == 1
    told = capsys.readouterr().err
    assert says in told
    assert "Traceback" not in told


def test_who_has_to_act_is_told_so_in_words_of_the_command(own, monkeypatch, capsys):
    def stops(*_, **__):
        raise click.ClickException('do it, then run again with confirm=["cabling", "second-start"]')

    monkeypatch.setattr("papermill.execute.execute_notebook", stops)
    assert main(["apply", str(own), "2", "--confirm", "cabling"]) == 1
    assert "again with --confirm cabling --confirm second-start" in capsys.readouterr().err


def test_no_records_yet(own, capsys):
    assert main(["records"]) == 0
    assert capsys.readouterr().out.split() == [
        "date", "run", "runbook", "target", "mode", "status", "changes",
    ]  # fmt: skip


def test_what_is_printed_for_a_person_is_as_wide_as_the_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen.show(f"  of these: {'1 × file, ' * 20}\n    + make tank\n      $ {'zpool ' * 20}")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-2])) <= 40
    assert lines[-2] == "\x1b[32m    + make tank\x1b[0m"
    assert lines[-1] == f"      $ {'zpool ' * 20}", "what may be copied is not broken"
    monkeypatch.setenv("NO_COLOR", "1")
    screen.show("+ make tank")
    assert capsys.readouterr().out == "+ make tank\n"
    assert screen.table([("run", "changes"), ("r" * 50, "7")], numbers=[1]).splitlines()[1] == (
        f"{'r' * 30}…        7"
    )


@pytest.mark.parametrize("command", ["plan", "apply", "verify", "audit", "twin", "show", "runbook"])
def test_each_option_says_what_it_is_for(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    options = capsys.readouterr().out.partition("options:")[2]
    told = re.split(r"\n  (?=-)", options)[1:]
    assert len(told) > 1
    assert not [each for each in told if not re.search(r"(\s{2,}|\n\s+)\w+ \S+", each)]


def test_the_exit_codes_and_examples_are_in_the_help(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    told = capsys.readouterr().out
    assert "3 an approval is missing; 4 drift" in told
    assert "homelab plan mylab 2 --target ssh" in told


def test_a_plan_says_what_else_its_phase_has_and_what_would_stop_it():
    shipped = list(_besides(str(paths.data()), "phase1_network"))
    assert shipped[0] == "Phase 1 has more runbooks: phase1, phase1_proxmox, phase1_access"
    assert re.fullmatch(r"The audit finds \d+ things that stop: homelab audit \S+", shipped[1])
    home = paths.data() / "examples" / "home"
    assert list(_besides(str(home), "phase1")) == [], "one runbook, and nothing that stops"
