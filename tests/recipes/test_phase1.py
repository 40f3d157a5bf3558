"""Phase 1 of the shipped lab, each of its runbooks as a person runs it: planned, approved, carried
out, run again, verified; each on a lab on which those before it were carried out."""

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.recipes import named, runbook, runbooks
from homelab_lib.runbook.proof import check
from homelab_lib.session.rehearsed import before, earlier, rehearse
from releases import RELEASES, lab_of
from standing import standing as serve_standing

SECRETS = ("OPNSENSE_API_KEY", "OPNSENSE_API_SECRET", "NAS_FAMILY_PASSWORD", "TAILSCALE_AUTH_KEY")
PHASE1 = [each.name for each in runbooks(load_lab()) if each.phase == 1]


def test_phase_1_is_four_runbooks():
    assert PHASE1 == ["phase1", "phase1_proxmox", "phase1_network", "phase1_access"]


@pytest.mark.sample
@pytest.mark.parametrize("name", PHASE1)
@pytest.mark.parametrize("releases", RELEASES, ids=" ".join)
def test_plan_apply_apply_again_verify(releases, name, tmp_path, monkeypatch):
    for secret in SECRETS:
        monkeypatch.setenv(secret, f"nobody's {secret.lower()}")
    folder = lab_of(tmp_path / "lab", releases)
    path = str(folder)
    with serve_standing(tmp_path / "there", monkeypatch, path=path, runbook=name) as there:
        before = there.world.state()
        planned = there.run("plan")
        assert planned.error is None
        assert planned.changes > 2
        assert there.world.state() == before, "a plan changed something"

        unsigned = there.run("apply", planned.digest)
        signs = ["" if unsigned.error is None else str(unsigned.error)]
        assert unsigned.error is None or "a person has to act" in signs[0]

        everything = {"confirm": list(_steps(name))}
        applied = there.run("apply", planned.digest, **everything)
        assert applied.error is None
        assert unsigned.sent + applied.sent == planned.changes, "what was sent is what was planned"
        assert list(check(applied.record)) == []

        again = there.run("apply", planned.digest, **everything)
        assert (again.error, again.sent) == (None, 0)
        verified = there.run("verify")
        assert (verified.error, verified.sent) == (None, 0)
        assert there.run("plan").changes == 0


def _steps(name):
    what = named(name)
    return runbook(load_lab(), what.phase, lambda vm: "", what.part).names


@pytest.mark.sample
def test_phase_2_is_carried_out_on_what_phase_1_has_made():
    lab = load_lab()
    wanted = named("phase2")
    assert [each.name for each in earlier(lab, wanted)] == PHASE1
    twin = before(lab, wanted)
    try:
        assert twin.world.machines["truenas"].pools
        rehearse(lab, wanted, twin)
    finally:
        twin.close()
