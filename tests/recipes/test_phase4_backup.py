"""Backups of the shipped lab as a person makes them: planned, approved, carried out, run again."""

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.recipes import named, runbook
from homelab_lib.runbook.proof import check
from standing import standing as serve_standing

NAME = "phase4_backup"
SECRETS = (
    *("B2_KEY_ID", "B2_APPLICATION_KEY", "B2_ENCRYPTION_PASSWORD", "B2_ENCRYPTION_SALT"),
    *("SECOND_PASSWORD", "SECOND_ENCRYPTION_PASSWORD", "RESTIC_B2_PASSWORD"),
    *("RESTIC_SECOND_PASSWORD", "RESTIC_SECOND_LOGIN_KEY"),
    *("OPNSENSE_COPY_KEY", "OPNSENSE_COPY_SECRET"),
)

DESTROYED = ("VM 9201 (drill of k3s-control)", "claim homelab-drill/drill-volume")
"""What drills have restored beside the living ones."""


@pytest.mark.sample
def test_plan_apply_apply_again_verify(tmp_path, monkeypatch):
    for secret in SECRETS:
        monkeypatch.setenv(secret, f"nobody's {secret.lower()}")
    what = named(NAME)
    names = list(runbook(load_lab(), what.phase, lambda vm: "", what.part).names)
    assert names[:2] == ["key-b2", "key-second"]
    assert names[-1] == "three-two-one"
    with serve_standing(tmp_path, monkeypatch, runbook=NAME) as there:
        before = there.world.state()
        planned = there.run("plan")
        assert planned.error is None
        assert there.world.state() == before, "a plan changed something"
        unsigned = there.run("apply", planned.digest)
        assert "a person has to act" in str(unsigned.error)
        everything = {"confirm": names, "allow_destroy": list(DESTROYED)}
        applied = there.run("apply", planned.digest, **everything)
        assert applied.error is None
        assert unsigned.sent + applied.sent == planned.changes, "what was sent is what was planned"
        assert list(check(applied.record)) == []
        again = there.run("apply", planned.digest, **everything)
        assert (again.error, again.sent) == (None, 0)
        verified = there.run("verify")
        assert (verified.error, verified.sent) == (None, 0)
        there.world.clock.sleep(40 * 86_400)
        assert there.run("verify").error is None, "the timers have gone on by themselves"
        assert not any(b"nobody's" in file.read_bytes() for file in tmp_path.rglob("*.json*"))
