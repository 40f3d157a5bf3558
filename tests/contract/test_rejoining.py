"""A worker that was made anew under its old name: the server knew another one."""

import pytest

from standing import standing

pytestmark = pytest.mark.contract

SECRET = "Secret kube-system/k3s-gpu1.node-password.k3s"
SKIP = {"skip": "workloads,desktop,volume"}


@pytest.fixture
def there(tmp_path, monkeypatch):
    with standing(tmp_path, monkeypatch) as lab:
        planned = lab.run("plan", **SKIP)
        assert planned.error is None
        assert lab.run("apply", planned.digest, **SKIP).error is None
        yield lab


def test_its_old_password_has_to_be_forgotten_by_name(there):
    node = there.world.machines["proxmox"]
    for line in ("qm stop 202", "qm set 202 --protection 0", "qm destroy 202"):
        assert node.run(line).finished().status == 0
    planned = there.run("plan", **SKIP)
    refused = there.run("apply", planned.digest, **SKIP)
    assert SECRET in str(refused.error), "it is in the plan, and has to be named"
    applied = there.run("apply", planned.digest, allow_destroy=[SECRET], **SKIP)
    assert applied.error is None
    assert refused.sent + applied.sent == planned.changes
    assert there.run("verify", **SKIP).error is None


def test_a_worker_that_is_kept_out_says_so_at_once(there):
    """Somebody took its password away, or it came back from an old copy."""
    worker = there.world.machines["k3s-gpu1"]
    cluster = there.world.clusters["k3s-control"]
    worker.files.put("/etc/rancher/node/password", "another\n", mode=0o600)
    cluster.delete("Node", "k3s-gpu1")
    worker.run("sudo -n -- systemctl restart k3s-agent").finished()
    there.world.clock.sleep(20)
    assert cluster.get("Node", "k3s-gpu1") is None
    ran = there.run("plan", **SKIP)
    assert "takes k3s-gpu1 for an impostor" in str(ran.error)
    assert "delete secret k3s-gpu1.node-password.k3s" in str(ran.error)
    secret = "sudo -n -- k3s kubectl -n kube-system delete secret k3s-gpu1.node-password.k3s"
    assert cluster.server.run(secret).finished().status == 0
    there.world.clock.sleep(60)
    assert cluster.get("Node", "k3s-gpu1"), "it went on knocking"
