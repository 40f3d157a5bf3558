"""The shipped lab's alert rules for some targets, and promtool, which reckons by them."""

import json
import shutil
import subprocess

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.lab.production import Target
from homelab_lib.recipes.kubernetes import alerts

PROMTOOL = shutil.which("promtool")


@pytest.fixture
def promtool(tmp_path):
    """What promtool says of a document: its status, and its words."""
    if PROMTOOL is None:
        pytest.skip("this machine has no promtool (package prometheus)")

    def run(*words, **documents):
        for name, document in documents.items():
            (tmp_path / f"{name}.yaml").write_text(json.dumps(document))
        command = [PROMTOOL, *words, f"{[*documents][-1]}.yaml"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


NODE = Target(name="proxmox", address="10.0.30.10", watches=("host", "pool", "link"))
UPS = Target(name="ups", address="10.0.30.5", exporter="nut", watches=("ups",))
NAS = Target(name="truenas", address="10.0.30.5", watches=("host", "pool", "link"))
SENDING = Target(name="attic", address="10.0.30.6", exporter="graphite", node_port=30109)
DESKTOP = Target(name="desktop", address="10.0.10.50")
API = Target(
    name="api", address="10.0.30.10", exporter="pve", token_id="me@pve!x", token="env:TOKEN"
)
TARGETS = (NODE, UPS, NAS, SENDING, DESKTOP, API)


def groups(*targets):
    lab = load_lab()
    cluster = lab.clusters["homelab"]
    monitoring = cluster.monitoring.model_copy(update={"targets": targets})
    cluster = cluster.model_copy(update={"monitoring": monitoring})
    return alerts.document(lab, cluster, "monitoring")["spec"]["groups"]


def trial(series, told, minutes=25):
    """A test for promtool: with these series exactly these alerts fire, and the one that always
    does."""
    return {
        "interval": "1m",
        "input_series": [{"series": k, "values": v} for k, v in series.items()],
        "promql_expr_test": [
            {
                "expr": "count by (alertname) (ALERTS{alertstate='firing'})",
                "eval_time": f"{minutes}m",
                "exp_samples": [
                    {"labels": f"{{alertname='{name}'}}", "value": 1}
                    for name in (alerts.SPEAKS, *told)
                ],
            }
        ],
    }


def whole(test):
    """A file of one test."""
    return {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
