"""A snapshot of a real cluster's etcd, and the cluster that is brought back from it."""

import json
import shutil

import pytest

from kube.conftest import MISSING
from kube.plane import plane
from kube.sides import Real

pytestmark = pytest.mark.kube


def test_a_cluster_is_brought_back_from_its_snapshot(tmp_path, twin):
    if MISSING:
        pytest.skip(f"this machine lacks {', '.join(MISSING)}")
    keeps = "create configmap kept --from-literal=a=b"
    snapshot, torn = tmp_path / "snapshot", tmp_path / "torn"
    folder = tmp_path / "plane"
    folder.mkdir()
    with plane(folder) as made:
        side = Real(made)
        assert side.says(keeps).status == 0
        assert made.etcdctl("snapshot", "save", snapshot).status == 0
        assert side.says("delete configmap kept").status == 0
        assert side.says("create configmap later --from-literal=a=b").status == 0

        status = made.etcdctl("snapshot", "status", snapshot, "-w", "json")
        held = bytearray(snapshot.read_bytes())
        held[5000:5010] = b"0123456789"
        torn.write_bytes(held)
        broken = made.etcdctl("snapshot", "restore", torn, "--data-dir", tmp_path / "x")

        made.stop()
        shutil.move(made.etcd.data, tmp_path / "lost")
        peer = f"here=http://127.0.0.1:{made.etcd.peer}"
        words = ("--name", "here", "--initial-cluster", peer,
                 "--initial-advertise-peer-urls", peer.partition("=")[2])  # fmt: skip
        into = ("snapshot", "restore", snapshot, "--data-dir", made.etcd.data)
        assert made.etcdctl(*into, *words).status == 0
        again = made.etcdctl(*into, *words)
        made.start()
        assert side.says("get configmap kept -o name").out == "configmap/kept\n"
        assert side.says("get configmap later").status == 1

    # The twin's, of which an etcdctl of its own time says the same.
    server = twin.cluster.server
    server.packages["etcd-client"] = "3.5.16-4"
    assert server.run("sudo -n -- k3s etcd-snapshot save --name x").finished().status == 0
    at = "/var/lib/rancher/k3s/server/db/snapshots"
    name = server.files.listdir(at)[-1]

    def run(words):
        return server.run(f"sudo -n -- etcdctl snapshot {words}").finished()

    here = json.loads(run(f"status {at}/{name} -w json").out)
    assert here.keys() == json.loads(status.out).keys()
    bad = bytearray(server.files.read(f"{at}/{name}"))
    bad[0] ^= 1
    server.files.put(f"{at}/torn", bytes(bad))
    answer = run(f"restore {at}/torn --data-dir /root/x")
    assert (answer.status, broken.status) == (1, 1)
    assert "expected sha256 [" in answer.err.decode()
    assert "expected sha256 [" in broken.err
    assert run(f"restore {at}/{name} --data-dir /root/y").status == 0
    assert (run(f"restore {at}/{name} --data-dir /root/y").status, again.status) == (1, 1)
