"""A claim restored beside itself: compared, deleted, and the living one only read."""

import pytest

from homelab_lib.control.kubernetes.claim_drill import SPACE
from homelab_lib.control.linux.drills import last_drill
from homelab_lib.lab.backups import Backups
from homelab_lib.recipes.backup import files as backup
from recipes.in_production import LAB, bench_of, cluster_of, secrets

__all__ = ["secrets"]
CLAIM, KEY = "volume-test-local", "correct horse battery staple"
_DAY_S = 86_400.0


def described(machine):
    return Backups.model_validate(
        {
            "repositories": {
                "second": {
                    "url": "rest:https://second.example.org:8000/house/",
                    "password": "env:RESTIC_KEY",
                    "offsite": True,
                    "medium": "a disk in another town",
                    "phase": 4,
                }
            },
            "files": {
                "claims": {
                    "machine": machine,
                    "paths": ["/var/lib/rancher/k3s/storage"],
                    "repository": "second",
                    "schedule": "0 4 * * *",
                    "keep": {"daily": 7},
                    "phase": 4,
                }
            },
            "claim_drills": {
                "probe": {
                    "backup": "claims",
                    "cluster": "homelab",
                    "namespace": "homelab-test",
                    "claim": CLAIM,
                    "files": 3,
                    "phase": 4,
                }
            },
        }
    )


def volume_of(bench, namespace, claim):
    """Node and folder of a claim; nothing where there is none."""
    cluster = cluster_of(bench)
    found = cluster.get("PersistentVolumeClaim", claim, namespace)
    if found is None:
        return "", ""
    spec = cluster.get("PersistentVolume", found["spec"]["volumeName"])["spec"]
    [term] = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    return term["matchExpressions"][0]["values"][0], spec["hostPath"]["path"]


@pytest.fixture
def standing(monkeypatch):
    """A cluster with a claim on a node that holds some files, and a drill of it."""
    monkeypatch.setenv("RESTIC_KEY", KEY)
    bench = bench_of(LAB, "move-volume-test", storage=True)
    assert bench.stops() == ("", "")
    node, folder = volume_of(bench, "homelab-test", CLAIM)
    files = bench.world.machines[node].files
    for number in range(6):
        files.put(f"{folder}/rows/{number} of six", f"row {number}\n" * 50)
    bench.lab = bench.world.lab.model_copy(update={"backups": described(node), "nas": {}})
    bench.steps = tuple(backup.steps(bench.lab, 4))
    bench.wire.sent.clear()
    return bench, bench.world.machines[node], folder


def _contents(files, folder):
    return {p: files.entry(p).data for p in files.walk(folder) if files.entry(p).kind == "file"}


def test_restored_beside_the_living_one_compared_and_deleted(standing):
    bench, node, folder = standing
    before = _contents(node.files, folder)
    planned = bench.likeness()
    assert planned.stops() == ("", "")
    assert bench.stops() == ("", "")
    assert bench.wire.sent == planned.wire.sent
    last = last_drill(bench.engine().context.host(node.name), "probe")
    assert list(last.files.values()) == ["same"] * 3
    assert _contents(node.files, folder) == before
    assert volume_of(bench, SPACE, "drill-probe") == ("", "")
    store = folder.rpartition("/")[0]
    assert [p for p in node.files.walk(store) if "drill" in p] == []
    assert list(node.files.walk("/var/lib/homelab/drills"))[1:] == ["/var/lib/homelab/drills/probe"]
    bench.wire.sent.clear()
    assert bench.stops() == ("", "")
    assert bench.wire.sent == []
    bench.world.clock.sleep(91 * _DAY_S)
    assert bench.stops() == ("", "")
    assert any("/var/lib/homelab/drills/probe.claim" in line for line in bench.wire.sent), (
        "held anew"
    )


def test_what_differs_fails_it_and_the_next_one_begins_with_an_empty_claim(standing):
    bench, node, folder = standing
    path = f"{folder}/rows/2 of six"
    bench.step("copy-claims")
    entry = node.files.entry(path)
    was, mtime_s = entry.data, entry.mtime_s
    for each in node.files.walk(folder):
        entry = node.files.entry(each)
        if entry.kind == "file":  # it rotted here: same size, same time
            node.files.write(each, b"X" + entry.data[1:], mtime_s=entry.mtime_s)
    where, said = bench.stops()
    assert where == "drill-probe"
    assert "differs" in said
    assert volume_of(bench, SPACE, "drill-probe")[0] == node.name, "it can be looked at"
    node.files.write(path, was, mtime_s=mtime_s)
    for each in _contents(node.files, folder):
        entry = node.files.entry(each)
        node.files.write(each, _first(bench, each), mtime_s=entry.mtime_s)
    assert bench.stops() == ("", "")
    assert volume_of(bench, SPACE, "drill-probe") == ("", "")


def test_room_for_it_is_looked_at_before_anything_is_restored(standing):
    bench, node, folder = standing
    node.files.put(f"{folder}/rows/a large one", "x" * 65_536)
    node.root_bytes = 8 * 1024
    before = set(node.files.entries)
    where, said = bench.stops()
    assert where == "drill-probe"
    assert "KiB free: make room" in said
    gone = set(node.files.entries) - before
    assert not [path for path in gone if "/rows/" in path], "nothing was brought back"
    node.root_bytes = 32 * 2**30
    assert bench.stops() == ("", "")


def _first(bench, path):
    [repository] = bench.world.repositories.repositories.values()
    return repository.snapshots[0].files[path].data


@pytest.mark.sample
def test_cut_off_at_any_of_its_changes_it_ends_as_undisturbed(standing):
    bench, node, folder = standing
    for step in bench.steps[:-2]:
        bench.step(step.name)
    living, cuts = _contents(node.files, folder), 0
    for through in range(20):
        note = "/var/lib/homelab/drills/probe"
        if node.files.exists(note):
            node.files.remove(note)
        for how in ("before", "after"):
            bench.wire.cut, bench.wire.through = how, through
            stopped = bench.stops()
            bench.wire.cut, bench.wire.off = "", {}
            cuts += stopped != ("", "")
            assert bench.stops() == ("", "")
            assert volume_of(bench, SPACE, "drill-probe") == ("", "")
            assert _contents(node.files, folder) == living
            node.files.remove(note)
        if stopped == ("", ""):
            break
    assert cuts >= 10


def test_a_claim_of_somebody_elses_in_the_place_is_left_alone(standing):
    bench, _, _ = standing
    cluster = cluster_of(bench)
    bench.step("copy-claims")
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "drill-probe", "namespace": SPACE},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "local-path",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    cluster.create(claim)
    bench.wire.sent.clear()
    where, said = bench.stops()
    assert where == "drill-probe"
    assert "we did not make it" in said
    assert not any("delete" in line for line in bench.wire.sent)


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        ("nobody", "there is no claim homelab-test/nobody"),
        ("volume-test", "is no folder of one node"),
    ],
)
def test_what_is_no_claim_on_the_node_is_told(standing, claim, says):
    bench, _, _ = standing
    kept = bench.lab.backups
    drill = kept.claim_drills["probe"].model_copy(update={"claim": claim})
    kept = kept.model_copy(update={"claim_drills": {"probe": drill}})
    bench.steps = tuple(backup.steps(bench.lab.model_copy(update={"backups": kept}), 4))
    where, said = bench.stops()
    assert where == "drill-probe"
    assert says in said


def test_a_claim_that_lies_on_another_node_is_told(standing):
    bench, node, _ = standing
    other = next(name for name in bench.lab.clusters["homelab"].vms if name != node.name)
    lab = bench.lab.model_copy(update={"backups": described(other)})
    bench.steps = tuple(backup.steps(lab, 4))
    bench.world.machines[other].files.mkdir("/var/lib/rancher/k3s/storage", parents=True)
    where, said = bench.stops()
    assert where == "drill-probe"
    assert f"lies on {node.name}, and claims copies folders of {other}" in said
