"""What kubectl and k3s printed, read by what waits for clusters."""

import json
import re

from contract.readers import Output, reads
from homelab_lib.control.kubernetes.k3s import K3sNode, is_version, version_order
from homelab_lib.control.kubernetes.kubectl import cores, finished_pod, warnings_about
from homelab_lib.control.kubernetes.waits import Bound, Finished, NodesReady, Rollout
from homelab_lib.transport.command import Result


class Cluster:
    """A host that answers with the objects of a row, and else with nothing."""

    name = "k3s-1"

    def __init__(self, row: Output) -> None:
        document = json.loads(row["output"])
        self.items = document.get("items", [document])
        self.kind = document["kind"].removesuffix("List").lower()

    def read(self, *argv, **options):
        kind, *rest = argv[argv.index("get") + 1 :]
        mine = self.items if kind.rstrip("s") == self.kind else []
        if not rest[0].startswith("-"):
            mine = [each for each in mine if each["metadata"]["name"] == rest[0]]
            return Result(0, json.dumps(mine[0]) if mine else "", "")
        return Result(0, json.dumps({"kind": "List", "items": mine}), "")

    def json(self, *argv, **options):
        return json.loads(self.read(*argv).stdout)


@reads("kubectl get nodes -o json")
def nodes(row: Output) -> None:
    cluster = Cluster(row)
    name = cluster.items[0]["metadata"]["name"]
    seen = NodesReady("k3s-1", (name,), row["release"]).observe(cluster)
    assert seen == {name: {"ready": "True", "version": row["release"]}}
    assert NodesReady("k3s-1", (name,), row["release"]).diff(seen).clean
    assert cores(cluster.items[0]["status"]["allocatable"]["cpu"]) in (1, 8)


@reads("kubectl get deploy -o json")
def deployments(row: Output) -> None:
    """Done is what its own condition calls available, with no pod of before left."""
    cluster = Cluster(row)
    for each in cluster.items:
        meta = each["metadata"]
        waits = Rollout("k3s-1", "deployment", meta.get("namespace", ""), meta["name"])
        seen = waits.observe(cluster)
        conditions = {c["type"]: c["status"] for c in each["status"]["conditions"]}
        status = each["status"]
        rest = status.get("replicas", 0) - status.get("updatedReplicas", 0)
        assert waits.diff(seen).clean == (conditions["Available"] == "True" and not rest)


@reads("kubectl get jobs -o json")
def jobs(row: Output) -> None:
    cluster = Cluster(row)
    meta = cluster.items[0]["metadata"]
    job = Finished("k3s-1", meta["namespace"], meta["name"])
    succeeded = bool(cluster.items[0]["status"].get("succeeded"))
    assert job.observe(cluster)["succeeded"] == succeeded
    assert job.diff(job.observe(cluster)).clean == succeeded


@reads("kubectl get pvc -o json")
def claims(row: Output) -> None:
    cluster = Cluster(row)
    for each in cluster.items:
        claim = Bound("k3s-1", each["metadata"]["namespace"], each["metadata"]["name"])
        assert claim.diff(claim.observe(cluster)).clean


@reads("kubectl get events -o json")
def events(row: Output) -> None:
    """The newest warning, whichever field says when it was."""
    cluster = Cluster(row)
    about = next(each for each in cluster.items if each["type"] == "Warning")
    involved = about["involvedObject"]["name"]
    warnings = [each["message"] for each in cluster.items if each["type"] == "Warning"]
    assert warnings_about(cluster, about["metadata"]["namespace"], involved) in warnings
    assert warnings_about(cluster, "", "no-such-object") == ""


@reads("kubectl get pods -o json")
def pods(row: Output) -> None:
    """None of these has come to a good end."""
    assert finished_pod(Cluster(row), "", "") == ("", "")


class Installed:
    """A host whose k3s says its version."""

    name = "k3s-1"

    def __init__(self, output: str) -> None:
        self.output = output

    def read(self, *argv, **options):
        words = argv[2:] if argv[0] == "env" else argv
        if words[0] == "stat":
            paths = words[words.index("--") + 1 :]
            return Result(0, "".join(f"81ed|755|root|root|9|{path}\0" for path in paths), "")
        if words[0] == "sha256sum":
            return Result(0, "".join(f"{'0' * 64}  {path}\0" for path in words[3:]), "")
        if words[0] == "systemctl":
            unit = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n"
            return Result(0, unit, "")
        return Result(0, self.output, "")


@reads("k3s --version")
def version(row: Output) -> None:
    seen = K3sNode("k3s-1", "server", row["release"]).observe(Installed(row["output"]))
    assert seen["version"] == row["release"]
    assert K3sNode("k3s-1", "server", row["release"]).diff(seen).clean


@reads("cat /var/lib/rancher/k3s/k3s.log")
def candidate(row: Output) -> None:
    """A candidate for a release is a version, and below the release."""
    [said] = re.findall(r"Starting k3s (\S+)", row["output"])
    assert is_version(said)
    assert version_order(said) < version_order(said.replace("-rc2", ""))
