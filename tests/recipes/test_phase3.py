"""Phase 3 from end to end over SSH, on a lab that isn't there: from the bus to the answers."""

import pytest

from homelab_lib.runbook.proof import check
from recipes.test_web_ui import SECRETS
from standing import served

pytestmark = pytest.mark.sample

AGREED = {"confirm": ["second-start", "failover"]}


def test_what_is_planned_is_sent_once_and_verify_is_clean(tmp_path, monkeypatch):
    with served(tmp_path / "lab", runbook="phase3") as there:
        there.surround(monkeypatch)
        for name, value in SECRETS.items():
            monkeypatch.setenv(name, value)
        planned = there.run("plan", **AGREED)
        assert planned.error is None
        applied = there.run("apply", planned.digest, **AGREED)
        assert applied.error is None
        assert applied.sent == planned.changes
        assert list(check(applied.record)) == []
        again = there.run("apply", planned.digest, **AGREED)
        assert (again.error, again.sent) == (None, 0)
        verified = there.run("verify")
        assert (verified.error, verified.sent) == (None, 0)
