"""The lab's alert rules before Prometheus's own tool: what it refuses is never loaded."""

import json
import shutil
import subprocess

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.lab.production import Target
from homelab_lib.recipes.kubernetes import alerts

pytestmark = pytest.mark.real
PROMTOOL = shutil.which("promtool")


@pytest.fixture
def checked(tmp_path):
    """What promtool says of rules: its status, and its words."""
    if PROMTOOL is None:
        pytest.skip("this machine has no promtool (package prometheus)")

    def check(groups):
        file = tmp_path / "rules.yaml"
        file.write_text(json.dumps({"groups": groups}))
        done = subprocess.run(
            [PROMTOOL, "check", "rules", file], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return check


def groups(watches):
    lab = load_lab()
    cluster = lab.clusters["homelab"]
    target = Target(name="proxmox", address="10.0.30.10", watches=watches)
    monitoring = cluster.monitoring.model_copy(update={"targets": (target,)})
    cluster = cluster.model_copy(update={"monitoring": monitoring})
    return alerts.document(lab, cluster, "monitoring")["spec"]["groups"]


def test_it_takes_every_rule(checked):
    of_all = groups(("host", "pool", "link", "ups"))
    status, says = checked(of_all)
    assert status == 0, says
    assert f"{len(of_all[0]['rules'])} rules found" in says


def test_it_would_see_a_slip(checked):
    broken = groups(("pool",))
    broken[0]["rules"][-1]["expr"] += " <"
    status, says = checked(broken)
    assert status != 0
    assert "parse error" in says
