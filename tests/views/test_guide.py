"""Guides: what the runbooks do, as pages to read, and never out of date."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from homelab_lib.__main__ import main
from homelab_lib.runbook.plan import Plan, PlannedChange
from homelab_lib.runbook.step import Manual, Runbook, Step
from homelab_lib.views.guide import guide

ROOT = Path(__file__).resolve().parents[2]


def _plan(*changes: PlannedChange) -> Plan:
    return Plan("phase1", "lab", "", "twin", ("key", "vlan", "nas"), (), changes)


STEPS = Runbook(
    "phase1",
    "Phase 1",
    (
        Step(
            "key", "Give us a key", manual=Manual("make one:\n      [ ] a key\n      [ ] a secret")
        ),
        Step("vlan", "Make the VLAN", why="It parts the house.", needs=("key",)),
        Step("nas", "Share files"),
    ),
)
VLAN = PlannedChange("vlan", "fw", "vlan 10", "make VLAN 10", "POST https://x/y {}", undo="take it")
FILE = PlannedChange("nas", "nas", "file /a", "write /a", "sh -c 'rm `x`' /a", shows="```\n")


def test_a_step_has_its_reason_what_a_person_does_and_what_is_sent():
    page = guide("Firewall", [(STEPS, _plan(VLAN, FILE))], ("fw", "Firewall"))
    assert "It parts the house." in page
    assert "- [ ] a key\n- [ ] a secret" in page  # vlan needs it
    assert "  POST https://x/y {}" in page
    assert "Undo: take it" in page
    assert "Share files" not in page


def test_the_text_of_a_file_stands_for_how_it_is_written_and_can_hold_fences():
    page = guide("All", [(STEPS, _plan(FILE))], ())
    assert "sh -c" not in page
    assert "  ````\n  ```\n  ````" in page
    assert "Write /a (nas)" in page


def test_a_host_that_is_not_there(capsys):
    assert main(["guide", "data", "phase1", "--host", "fridge"]) == 1
    assert "there is no host 'fridge'" in capsys.readouterr().err


def test_links_of_the_pages_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    assert len(pages) > 6
    for page in pages:
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            assert link.startswith("http") or (page.parent / link).exists(), (page.name, link)


def test_files_that_the_pages_name_are_there():
    for page in ROOT.glob("docs/*-*.md"):
        for name in re.findall(r"`((?:homelab_lib|tests|data)/[\w/.-]+)`", page.read_text()):
            assert (ROOT / name).exists(), (page.name, name)


@pytest.mark.sample
@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("opnsense-setup-guide.md", ["phase1", "--host", "firewall"]),
        ("x870-taichi-creator-network-setup.md", ["phase1_proxmox", "phase1_network"]),
    ],
)
def test_the_shipped_guides_are_what_the_runbooks_do(tmp_path, monkeypatch, file, words):
    monkeypatch.setenv("HOMELAB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HOMELAB_REPORTS", str(tmp_path / "reports"))
    shipped = (ROOT / "docs" / file).read_text()
    title = shipped.partition("\n")[0].removeprefix("# ")
    again = tmp_path / file
    command = [sys.executable, "-m", "homelab_lib", "guide", "data", *words, "--title", title]
    subprocess.run([*command, "-o", str(again)], cwd=ROOT, check=True)
    assert again.read_text() == shipped, "make guides"
