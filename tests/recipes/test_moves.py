"""A claim's data in another storage class: all of it, and the old kept."""

import pytest

from recipes.in_production import LAB, bench_of, cluster_of, secrets, with_cluster

MOVE = LAB.clusters["homelab"].moves[0]
SPACE = "homelab-test"
__all__ = ["secrets"]


@pytest.fixture
def before():
    """A cluster whose claim on NFS has a file; nothing of it is moved yet."""
    bench = bench_of(LAB, "move-volume-test", storage=True)
    for step in bench.steps[:-1]:
        bench.step(step.name)
    bench.wire.sent.clear()
    return bench


def folder_of(bench, claim):
    """Where a claim's data lie: the files, and the path."""
    cluster = cluster_of(bench)
    volume = cluster.get("PersistentVolumeClaim", claim, SPACE)["spec"]["volumeName"]
    path = cluster.get("PersistentVolume", volume)["spec"]["hostPath"]["path"]
    affinity = cluster.get("PersistentVolume", volume)["spec"]["nodeAffinity"]["required"]
    [node] = affinity["nodeSelectorTerms"][0]["matchExpressions"][0]["values"]
    return cluster.members[node].files, path


def test_all_of_it_is_copied_and_the_old_is_kept(before):
    planned = before.likeness()
    assert planned.stops() == ("", "")
    assert before.stops() == ("", "")
    assert before.wire.sent == planned.wire.sent
    files, path = folder_of(before, MOVE.to)
    assert files.text(f"{path}/probe").startswith("homelab-volume-test")
    old = cluster_of(before).get("PersistentVolumeClaim", MOVE.claim, SPACE)
    assert old["status"]["phase"] == "Bound"
    before.wire.sent.clear()
    assert before.stops() == ("", "")
    again = before.likeness()
    assert again.stops() == ("", "")
    assert before.wire.sent == again.wire.sent == []


def test_whoever_deletes_the_old_claim_later_is_asked_for_it_no_more(before):
    """As the step says: when the new one is proved."""
    assert before.stops() == ("", "")
    cluster_of(before).delete("PersistentVolumeClaim", MOVE.claim, SPACE)
    before.wire.sent.clear()
    before.steps = before.steps[-1:]
    assert before.stops() == ("", "")
    assert before.step("move-volume-test", "verify").status == "already"
    assert before.wire.sent == []


def test_an_old_claim_that_goes_before_it_was_copied_is_missed(before):
    cluster_of(before).delete("PersistentVolumeClaim", MOVE.claim, SPACE)
    before.steps = before.steps[-1:]
    step, says = before.stops()
    assert step == "move-volume-test"
    assert "there is no claim homelab-test/volume-test" in says


def test_a_copy_that_is_another_is_told(before):
    assert before.stops() == ("", "")
    cluster = cluster_of(before)
    [pod] = [p for p in cluster.all("Pod", SPACE) if "move-" in p["metadata"]["name"]]
    log = cluster.logs[pod["metadata"]["uid"]]
    first, *rest = log.split()
    cluster.logs[pod["metadata"]["uid"]] = "\n".join(["0" * len(first), *rest])
    step, says = before.stops()
    assert step == "move-volume-test"
    assert "what is in volume-test-local is what is in volume-test" in says


def test_a_claim_that_somebody_writes_to_is_not_copied(before):
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "writes-all-day", "namespace": SPACE},
        "spec": {
            "containers": [{"name": "it", "image": "nginx:1.29-alpine"}],
            "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": MOVE.claim}}],
        },
    }
    cluster_of(before).create(pod)
    step, says = before.stops()
    assert step == "move-volume-test"
    assert "writes-all-day may write to claim volume-test while it is copied" in says
    assert "--replicas=0" in says
    assert before.wire.sent == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"claim": "nobodys"}, "there is no claim homelab-test/nobodys"),
        ({"storage_class": "nfs-tank"}, "is in class nfs-tank already"),
    ],
)
def test_a_claim_that_can_not_go_there_is_told_before_anything_is_sent(before, changes, says):
    move = MOVE.model_copy(update=changes)
    steps = bench_of(with_cluster(moves=(move,)), storage=True).steps
    before.steps = [each for each in steps if each.name == f"move-{move.claim}"]
    step, said = before.stops()
    assert step == f"move-{move.claim}"
    assert says in said
    assert before.wire.sent == []


def test_a_claim_of_no_class_says_that_it_has_none(before):
    cluster = cluster_of(before)
    claim = cluster.get("PersistentVolumeClaim", MOVE.claim, SPACE)
    del claim["spec"]["storageClassName"]
    before.steps = before.steps[-1:]
    step, says = before.stops()
    assert step == "move-volume-test"
    assert "claim homelab-test/volume-test has no storage class" in says
