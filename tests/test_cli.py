"""The command line, as a person meets it."""

import json
import os
import signal
import subprocess
import sys

import pytest

from homelab_lib import paths
from homelab_lib.__main__ import main


def test_a_lab_that_hangs_together(capsys):
    assert main(["check"]) == 0
    told = capsys.readouterr().out
    assert "5 hosts, 4 VMs" in told
    assert "Its runbooks, in their order: phase1, phase1_proxmox, " in told


def test_a_lab_without_phases_is_told_that_nothing_is_made_of_it(tmp_path, capsys):
    (tmp_path / "lab.yaml").write_text(
        "name: x\ntitle: X\noperator: {public_key: file:~/k.pub}\n"
        "hosts: {nas: {title: NAS, role: Photos, os: {kind: synology}}}\n"
    )
    assert main(["check", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "X: 1 host, 0 VMs, 0 cables, 0 VLANs, 0 pools. It hangs together." in told
    assert "no runbook makes anything of it yet" in told


def test_a_broken_lab_is_told_all_its_mistakes_at_once(tmp_path, capsys):
    (tmp_path / "lab.yaml").write_text(
        "name: x\ntitle: X\noperator: {public_key: file:~/k.pub}\nhosts: {}\n"
        "vms: {a: {host: nowhere, vmid: 7}}\n"
    )
    assert main(["check", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "lab.yaml:5" in told
    assert told.count("- ") >= 3
    assert "Traceback" not in told


def test_a_folder_that_is_not_there(tmp_path, capsys):
    assert main(["check", str(tmp_path / "nowhere")]) == 1
    assert "there is no such lab" in capsys.readouterr().err


def test_a_record_that_is_not_there(tmp_path, capsys):
    assert main(["record", str(tmp_path / "nowhere")]) == 1
    assert "there is no record" in capsys.readouterr().err


def test_a_path_is_shown_so_that_it_leads_there_from_where_a_person_is(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMELAB_ROOT", str(tmp_path / "project"))
    page = tmp_path / "project" / "reports" / "page.html"
    for folder in ("project", "elsewhere"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "project")
    assert paths.shown(page) == "reports/page.html"
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert paths.shown(page) == str(page)


def test_no_report_yet(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOMELAB_REPORTS", str(tmp_path))
    assert main(["report"]) == 1
    assert "there is no record yet" in capsys.readouterr().err


def test_a_schema_for_the_editor(capsys):
    assert main(["schema"]) == 0
    assert '"hosts"' in capsys.readouterr().out


def test_a_drawing(tmp_path, capsys):
    assert main(["draw", "data/examples/minipc", "-o", str(tmp_path / "a" / "lab.svg")]) == 0
    drawn = (tmp_path / "a" / "lab.svg").read_text()
    assert main(["draw", "data/examples/minipc", "-o", str(tmp_path / "a" / "lab.svg" / "x")]) == 1
    assert (tmp_path / "a" / "lab.svg").read_text() == drawn
    assert (tmp_path / "a" / "lab.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize("words", [[], ["nonsense"]])
def test_words_that_mean_nothing(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 1


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["plna"], "plan"),
        (["apply", "--aprove", "p1"], "--approve"),
        (["plan", "-t", "shs"], "ssh"),
    ],
)
def test_what_was_probably_meant(words, meant, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 1
    told = capsys.readouterr().err
    assert f"did you mean {meant!r}?" in told
    assert f"usage: homelab{f' {words[0]}' if len(words) > 1 else ''} " in told


def test_a_tab_is_called_a_tab(tmp_path, capsys):
    (tmp_path / "lab.yaml").write_text("name: x\nhosts:\n\ta: {}\n")
    assert main(["check", str(tmp_path)]) == 1
    assert "lab.yaml:3: this isn't YAML: a tab stands there" in capsys.readouterr().err


def test_mistakes_for_a_machine_to_read(tmp_path, capsys):
    assert main(["check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"lab": "homelab", "problems": []}
    (tmp_path / "lab.yaml").write_text("name: x\ntitle: X\nhosts: {}\ncabels: []\n")
    assert main(["check", "--json", str(tmp_path)]) == 1
    told = json.loads(capsys.readouterr().out)
    assert any(
        "lab.yaml:4" in each and "did you mean 'cables'" in each for each in told["problems"]
    )


def test_a_record_is_found_from_anywhere_by_the_name_it_was_told_under(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["record", "reports/example"]) == 0
    assert "whole" in capsys.readouterr().out


def test_a_record_for_a_machine_to_read(capsys):
    assert main(["record", "--json", "reports/example"]) == 0
    assert json.loads(capsys.readouterr().out) == {"record": "example", "problems": []}


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (["pl"], {"plan"}),
        (["plan", "data", "phase1_n"], {"phase1_network"}),
        (["plan", "data", "2", "--only", "mach"], {"machines"}),
        (["apply", "data", "2", "--app"], {"--approve"}),
        (["show", "r1"], {"r1"}),
        (["init", "mine", "--like", "mini"], {"minipc"}),
        (["audit", "data/examples/minipc", "--apply", ""], {"capacity-before-overhead"}),
        (["plan", "data", "2", "--seed", ""], set()),
        (["nonsense", ""], set()),
        (["plan", "nowhere", "ph"], set()),
    ],
)
def test_what_a_shell_offers(words, some, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HOMELAB_REPORTS", str(tmp_path))
    (tmp_path / "r1").mkdir()
    (tmp_path / "r1" / "journal.jsonl").touch()
    assert main(["complete", *words]) == 0
    assert set(capsys.readouterr().out.split()) == some


def test_bash_takes_what_is_printed_for_it():
    typed = "COMP_WORDS=(homelab plan data phase1_n); COMP_CWORD=3; _homelab; echo ${COMPREPLY[@]}"
    runs = (
        f'homelab() {{ {sys.executable} -m homelab_lib "$@"; }}; source <(homelab completion bash)'
    )
    ran = subprocess.run(["bash", "-c", f"{runs}; {typed}"], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("phase1_network\n", "")


def test_an_audit_ends_with_1_where_something_fails(capsys):
    assert main(["audit", "--as-written", "--format", "json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    assert {"findings", "claims", "lab"} <= told.keys()


def test_an_audit_of_a_lab_that_is_not_there(tmp_path):
    assert main(["audit", str(tmp_path / "nowhere")]) == 1


@pytest.mark.parametrize("words", [["check"], ["audit", "data/examples/minipc"], ["schema"]])
def test_a_reader_that_goes_away_ends_it_without_a_word(words):
    """`homelab audit | head`: by SIGPIPE, as any program of Unix."""
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run(
        [sys.executable, "-m", "homelab_lib", *words],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (-signal.SIGPIPE, b"")
