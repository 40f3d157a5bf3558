"""The ledger holds every row of the design, and each claim has the verdict that it should have."""

import json
from collections import Counter

import pytest

from homelab_lib import paths
from homelab_lib.audit import report
from homelab_lib.audit.checks import CHECKS, CannotTell, check, facts
from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.ledger import judge
from homelab_lib.audit.rules import RULES
from homelab_lib.audit.run import findings
from homelab_lib.lab.loader import load_lab

ROWS = {
    "Proxmox Server (AI/Compute Core)": 11,
    "Proxmox Network Interfaces": 3,
    "TrueNAS Server (Storage)": 8,
    "M.2 Bifurcation Configuration (Odroid)": 2,
    "10GbE NIC Details": 5,
    "Firewall/Router": 6,
    "Suricata Performance": 4,
    "Desktop Workstation (New Build)": 6,
    "Edge Device (Home Automation)": 5,
    "Proxmox NVMe Layout": 3,
    "TrueNAS Configuration": 5,
    "VLAN Design (Recommended)": 5,
    "Inter-Node Connectivity": 4,
    "Remote Access": 3,
    "GPU Allocation": 6,
    "LLM VRAM Requirements": 4,
    "Resource Allocation (Proxmox)": 5,
    "What to Skip (For Now)": 4,
    "B580 Transcoding Capabilities": 3,
    "Performance Estimates": 4,
    "New Purchases Required": 8,
    "Potential Sales": 2,
}
"""Rows of the design's tables, heads left out, by the heading above them."""

VERDICTS = {
    "shape-nas": "as-written",
    "shape-usable": "fails",
    "shape-gpu1": "fails",
    "shape-6700": "holds",
    "shape-frigate": "as-written",
    "proxmox-cpu": "holds",
    "proxmox-ram": "holds",
    "proxmox-board": "holds",
    "proxmox-gpu1": "holds",
    "proxmox-gpu2": "holds",
    "proxmox-gpu3": "holds",
    "proxmox-storage": "as-written",
    "proxmox-cooling": "untestable-here",
    "proxmox-case": "untestable-here",
    "proxmox-network": "holds",
    "proxmox-wireless": "fails",
    "driver-note": "fails",
    "nic-aqc113": "contradicts",
    "nic-rtl8126": "fails",
    "nic-mt7925": "fails",
    "driver-advice": "fails",
    "truenas-system": "holds-if",
    "truenas-cpu": "holds",
    "truenas-ram": "holds",
    "truenas-boot": "holds-if",
    "truenas-drives": "holds",
    "truenas-raid": "fails",
    "truenas-network": "holds-if",
    "truenas-egpu": "holds-if",
    "bifurcation": "untestable-here",
    "m2-slot": "holds",
    "m2-split": "holds-if",
    "bandwidth-b580": "holds-if",
    "bandwidth-nic": "fails",
    "x2-enough": "holds",
    "boot-usb": "holds-if",
    "boot-once": "fails",
    "boot-stick": "fails",
    "nas-nic-adapter": "holds",
    "nas-nic-chip": "holds",
    "nas-nic-port": "holds-if",
    "nas-nic-speeds": "fails",
    "nas-nic-driver": "holds",
    "dac-or-fiber": "fails",
    "egpu-chain": "holds-if",
    "b580-codecs": "holds-if",
    "b580-faster": "untestable-here",
    "firewall-cpu": "holds",
    "firewall-ram": "holds",
    "firewall-board": "holds",
    "firewall-storage": "as-written",
    "firewall-network": "holds-if",
    "firewall-os": "as-written",
    "firewall-role": "holds-if",
    "suricata-1g": "holds-if",
    "suricata-2g5": "holds-if",
    "suricata-5g": "fails",
    "suricata-10g": "fails",
    "desktop-cpu": "holds",
    "desktop-ram": "holds",
    "desktop-board": "holds",
    "desktop-gpu": "contradicts",
    "desktop-storage": "untestable-here",
    "desktop-psu": "holds",
    "pi5-system": "holds",
    "pi5-ram": "as-written",
    "pi5-storage": "holds",
    "pi5-accelerator": "holds",
    "pi5-software": "as-written",
    "tier-fast": "holds-if",
    "tier-etcd": "holds-if",
    "tier-volumes": "fails",
    "tier-backups": "holds-if",
    "tier-archive": "holds-if",
    "nvme-1tb": "holds-if",
    "nvme-512-1": "holds",
    "nvme-512-2": "holds",
    "pool-type": "as-written",
    "pool-raw": "holds",
    "pool-usable": "fails",
    "pool-tolerance": "holds",
    "pool-scrub": "as-written",
    "rebuild-hours": "holds-if",
    "ure-one-in-8": "holds-if",
    "raidz1-risk": "holds",
    "capacity-hit": "holds",
    "vlan-1": "holds-if",
    "vlan-10": "holds-if",
    "vlan-20": "holds-if",
    "vlan-30": "holds-if",
    "vlan-40": "holds-if",
    "link-proxmox-truenas": "fails",
    "link-desktop-proxmox": "holds-if",
    "link-desktop-truenas": "holds-if",
    "link-pi5": "holds",
    "backbone": "fails",
    "backbone-onboard": "holds",
    "backbone-2g5": "holds",
    "proxmox-at-2g5": "holds",
    "nfs-over-10g": "fails",
    "backup-over-10g": "fails",
    "iscsi-over-10g": "fails",
    "no-switch": "fails",
    "remote-tailscale": "untestable-here",
    "remote-wireguard": "untestable-here",
    "remote-cloudflare": "untestable-here",
    "no-exposure": "holds",
    "use-4070-ti-super": "holds",
    "use-7900-xt": "holds-if",
    "use-6700-xt": "fails",
    "use-b580": "holds-if",
    "use-7600": "contradicts",
    "use-hailo": "holds",
    "vram-7b": "holds",
    "vram-13b": "fails",
    "vram-30b": "fails",
    "vram-70b": "holds",
    "sum-48": "holds-if",
    "exo-70b": "fails",
    "stack-gpu": "holds-if",
    "exo-clusters": "fails",
    "exo-command": "fails",
    "exo-join": "fails",
    "failover": "contradicts",
    "route-models": "holds-if",
    "one-gpu-worker": "contradicts",
    "pi5-worker": "contradicts",
    "vm-control": "as-written",
    "vm-gpu1": "as-written",
    "vm-gpu2": "holds-if",
    "vm-general": "fails",
    "vm-overhead": "fails",
    "skip-ceph": "as-written",
    "skip-kubernetes": "as-written",
    "skip-rancher": "as-written",
    "skip-mesh": "as-written",
    "media-path": "holds-if",
    "codec-h264": "holds",
    "codec-hevc": "holds",
    "codec-av1": "holds",
    "streams-1080p": "untestable-here",
    "streams-4k": "untestable-here",
    "av1-encode": "holds-if",
    "hdr": "fails",
    "tdarr": "holds-if",
    "igpu-fallback": "holds-if",
    "phase1-pool": "as-written",
    "phase1-shares": "as-written",
    "phase1-b580": "holds-if",
    "phase1-x710": "holds-if",
    "phase1-suricata": "holds-if",
    "phase1-order": "holds",
    "phase1-assemble": "holds",
    "phase2-vms": "contradicts",
    "phase2-nfs": "fails",
    "phase2-workloads": "untestable-here",
    "phase2-kubectl": "holds-if",
    "phase3-passthrough": "untestable-here",
    "phase3-ollama": "holds-if",
    "phase3-exo": "fails",
    "phase3-embeddings": "fails",
    "phase4-gitops": "as-written",
    "pi5-standalone": "contradicts",
    "pi5-independent": "contradicts",
    "hailo-now": "untestable-here",
    "buy-cpu": "untestable-here",
    "buy-board": "holds",
    "buy-x710": "untestable-here",
    "buy-nas-nic": "untestable-here",
    "buy-dac": "fails",
    "buy-usb": "untestable-here",
    "buy-case": "untestable-here",
    "buy-total": "holds-if",
    "sell-7600": "contradicts",
    "sell-6700-xt": "contradicts",
    "sales-cover": "contradicts",
}
"""What comes of every claim on the design as written."""


@pytest.fixture(scope="module")
def written():
    return load_lab(paths.data(), decisions=False)


@pytest.fixture(scope="module")
def found(written):
    return findings(written)


@pytest.fixture(scope="module")
def judged(written, found):
    return {each.claim: each for each in judge(written, found)}


@pytest.fixture(scope="module")
def decided():
    lab = load_lab(paths.data())
    return {each.claim: each for each in judge(lab, findings(lab))}


@pytest.fixture(scope="module")
def minipc():
    return load_lab(paths.data() / "examples" / "minipc")


def items(about):
    """What a claim tells its check, and what `all-of` tells each of its own."""
    yield about
    for item in about.get("all", ()):
        yield from items(item)


# The ledger --------------------------------------------------------------------------------------


def test_every_row_of_every_table_is_a_claim(written):
    assert Counter(claim.table for claim in written.claims if claim.table) == ROWS
    assert sum(ROWS.values()) == 106


def test_a_row_stands_as_it_is_and_once(written):
    rows = [claim for claim in written.claims if claim.table]
    assert all(row.quote.startswith("| ") and row.quote.endswith(" |") for row in rows)
    assert all(row.section == row.table for row in rows)
    assert len({(row.table, row.quote) for row in rows}) == len(rows)


def test_names_are_unique_and_every_check_exists(written):
    names = [claim.name for claim in written.claims]
    assert len(set(names)) == len(names)
    used = {claim.check for claim in written.claims}
    used |= {each["check"] for c in written.claims for each in items(c.about) if "check" in each}
    assert used <= set(CHECKS)
    assert set(CHECKS) <= used, "a check that no claim uses"


def test_every_rule_that_a_claim_asks_for_exists(written):
    asked = set()
    for claim in written.claims:
        for each in items(claim.about):
            rules = each.get("rules", ())
            asked |= set(rules) if isinstance(rules, list) else set()
    assert asked
    assert asked <= set(RULES)


def test_the_other_sentence_is_in_the_ledger_or_in_the_drawing(written):
    quotes = " ".join(claim.quote for claim in written.claims)
    for claim in written.claims:
        for each in items(claim.about):
            assert each.get("other", "") in quotes, claim.name


# Verdicts ----------------------------------------------------------------------------------------


def test_the_verdict_of_every_claim(judged):
    assert {name: each.verdict for name, each in judged.items()} == VERDICTS


def test_judgements_come_in_the_ledgers_order(written, judged):
    assert list(judged) == [claim.name for claim in written.claims]


def test_nothing_breaks_and_everything_says_why(judged, decided):
    for each in (*judged.values(), *decided.values()):
        assert "broke" not in each.says
        assert "Can't be judged" not in each.says
        assert len(each.says) > 10, each.claim


def test_what_only_the_machine_can_tell_names_a_command(judged):
    for each in judged.values():
        if each.verdict == "untestable-here":
            assert "Settled by: " in each.says, each.claim


@pytest.mark.parametrize(
    ("claim", "number", "unit"),
    [
        ("pool-usable", 26_982_326_730_752, "B"),
        ("ure-one-in-8", 3.974e-16, "1/bit"),
        ("bandwidth-nic", 0.9275e9, "B/s"),
        ("suricata-10g", 2.5e9, "bit/s"),
        ("vm-overhead", 128 * 2**30, "B"),
        ("sum-48", 48 * 2**30, "B"),
        ("pool-raw", 56_002_078_572_544, "B"),
    ],
)
def test_the_number(judged, claim, number, unit):
    assert judged[claim].number == pytest.approx(number, rel=1e-3)
    assert judged[claim].unit == unit


@pytest.mark.parametrize(
    ("claim", "after"),
    [
        ("vlan-20", "holds"),  # the switch is a managed one
        ("phase2-nfs", "holds"),
        ("pi5-standalone", "holds"),
        ("pi5-worker", "fails"),  # the side that the decision drops
        ("nic-rtl8126", "fails"),  # DKMS is not required, whoever drives it
        ("link-proxmox-truenas", "fails"),  # 10 Gb/s, and no DAC
        ("use-7600", "holds"),
        ("sales-cover", "fails"),
        ("buy-total", "fails"),  # decisions buy more
        ("no-switch", "fails"),  # over the server VLAN it passes the switch
    ],
)
def test_what_decisions_change(decided, claim, after):
    assert decided[claim].verdict == after


def test_a_judgement_names_only_findings_that_there_are(found, judged):
    there = {finding.rule for finding in found}
    assert all(set(each.findings) <= there for each in judged.values())
    assert judged["link-proxmox-truenas"].findings == ("cable-does-not-fit",)
    assert judged["link-proxmox-truenas"].fix is not None


# Other labs --------------------------------------------------------------------------------------


def test_a_lab_without_claims_has_no_judgements(minipc):
    assert judge(minipc, findings(minipc)) == []


def test_claims_of_another_lab_are_untestable_and_break_nothing(written, minipc):
    lab = minipc.model_copy(update={"claims": written.claims})
    judged = judge(lab, findings(lab))
    assert len(judged) == len(VERDICTS)
    assert not [each.says for each in judged if "broke" in each.says]
    by_name = {each.claim: each for each in judged}
    assert by_name["bandwidth-nic"].verdict == "untestable-here"
    assert by_name["use-b580"].verdict == "untestable-here"


def test_an_unknown_check_and_a_claim_that_says_too_little(written):
    first = written.claims[0]
    odd = first.model_copy(update={"check": "no-such-check"})
    short = first.model_copy(update={"check": "pool-usable", "about": {"pool": "truenas.tank"}})
    wrong = first.model_copy(update={"check": "pool-usable", "about": {"pool": 3, "claimed": []}})
    judged = judge(written.model_copy(update={"claims": (odd, short, wrong)}), [])
    assert [each.verdict for each in judged] == ["untestable-here"] * 3
    assert "no-such-check" in judged[0].says
    assert "'claimed'" in judged[1].says


def test_two_checks_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two checks"):
        check("fact")(facts.fact)


def test_a_path_that_leads_nowhere(written):
    with pytest.raises(CannotTell, match="gpu9"):
        facts.follow(written, "hosts.proxmox.devices.gpu9.part")


def test_a_path_leads_through_a_name_with_dots(written):
    media = written.datasets["truenas"]["tank/media"]
    lab = written.model_copy(update={"datasets": {"truenas": {"tank/media.v2": media}}})
    assert facts.follow(lab, "datasets.truenas.tank/media.v2.share_type")[0] == "MULTIPROTOCOL"


# Reports -----------------------------------------------------------------------------------------

FINDING = {"rule", "severity", "subject", "says", "number", "unit", "evidence", "fix", "assumed"}
CLAIM = {"claim", "section", "quote", "verdict", "says", "number", "unit", "decided",
         "findings", "fix"}  # fmt: skip


def test_the_shape_of_the_json(written, found, judged):
    document = json.loads(report.as_json(written, found, list(judged.values())))
    assert list(document) == ["schema", "lab", "findings", "claims"]
    assert document["schema"] == 1
    assert document["lab"] == "homelab"
    assert len(document["findings"]) == len(found)
    assert len(document["claims"]) == len(VERDICTS)
    assert all(set(each) == FINDING for each in document["findings"])
    assert all(set(each) == CLAIM for each in document["claims"])
    fixes = [each["fix"] for each in document["findings"] if each["fix"]]
    assert fixes
    assert all(set(f) == {"title", "low_usd", "high_usd", "changes"} for f in fixes)
    assert all(set(c) == {"path", "value"} for f in fixes for c in f["changes"])


def test_what_only_the_lab_itself_says_does_not_hold_by_that(judged):
    assert {"transcription"} == {
        ground
        for each in judged.values()
        if each.verdict == "as-written"
        for ground in each.decided
    }
    held = [each for each in judged.values() if each.verdict == "holds"]
    assert all(set(each.decided) - {"transcription"} for each in held)


def test_the_table_fits_a_terminal(written, found, judged):
    text = report.as_table(written, found, list(judged.values()))
    lines = text.splitlines()
    assert lines[0] == written.title
    assert max(map(len, lines)) <= 100
    assert sum(line.startswith("contradicts ") for line in lines) == 12


def test_markdown_cells_are_not_torn_by_a_quoted_row(written, judged):
    fix = Fix("buy | build", 5, 9)
    odd = Finding("a-rule", "stops", "hosts.x", "two\nlines | and a bar", fix=fix)
    text = report.as_markdown(written, [odd], list(judged.values()))
    tables = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    assert {line.replace("\\|", "").count("|") for line in tables} == {6, 7}
    assert "buy \\| build ($5–9)" in text


def test_an_empty_audit_is_reported(minipc):
    assert "Findings: none. Claims: none." in report.as_table(minipc, [], [])
    assert report.as_markdown(minipc, [], []).startswith(f"# {minipc.title}")
    assert json.loads(report.as_json(minipc, [], []))["claims"] == []
