"""The same questions to a real control plane and to the twin: the same answers."""

import copy
import json
import re

import pytest

from homelab_lib.control.kubernetes.nodes import NodeLabels
from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.transport.command import Result
from kube.sides import newer, shown, told, with_managers

pytestmark = pytest.mark.kube

APPLY = "apply --server-side --field-manager=homelab -f -"
OTHER = APPLY.replace("homelab", "other")
CARD = {"limits": {"nvidia.com/gpu": "1"}}


def pod(name, resources=None, **spec):
    container = {"name": "c", "image": "busybox:1.37", "resources": resources or {}}
    whole = {"restartPolicy": "Never", "containers": [container]} | spec
    meta = {"name": name, "namespace": "test", "labels": {"run": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": whole}


def deployment(name, replicas=1, image="busybox:1.37", selector=None):
    labels = {"app": name}
    template = {"containers": [{"name": "c", "image": image}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "test", "labels": {"of": "homelab"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": selector or labels},
            "template": {"metadata": {"labels": labels}, "spec": template},
        },
    }


def job(name, **spec):
    container = {"name": "c", "image": "busybox:1.37"}
    template = {"restartPolicy": "Never", "containers": [container]} | spec
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "test"},
        "spec": {"template": {"spec": template}},
    }


def claim(name, **spec):
    wants = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": name, "namespace": "test"}
    kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    return kind | {"metadata": meta, "spec": wants | spec}


def volume(name):
    return [{"name": "v", "persistentVolumeClaim": {"claimName": name}}]


def class_of(name, provisioner):
    head = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"}
    return head | {"metadata": {"name": name}, "provisioner": provisioner}


def both(real, twin, ask):
    """What each of them answers."""
    there, here = ask(real), ask(twin)
    assert here == there
    return there


def said(side, line, document=None):
    """What a call prints, in today's words."""
    reply = side.says(line, document)
    return reply.status, newer(reply.out), newer(reply.err)


# Claims -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "spec", "reason"),
    [
        ("no-class", {}, "WaitForFirstConsumer"),
        ("empty-class", {"storageClassName": ""}, "FailedBinding"),
        ("unknown-class", {"storageClassName": "nope"}, "ProvisioningFailed"),
        ("driverless", {"storageClassName": "driverless"}, "ExternalProvisioning"),
    ],
)
def test_a_claim_that_gets_no_volume_and_why(real, twin, name, spec, reason):
    def ask(side):
        side.says(APPLY, class_of("driverless", "nfs.csi.k8s.io"))
        assert side.says(APPLY, claim(name, **spec)).status == 0
        events = told(side, name)
        found = shown(side, f"pvc {name}")
        return found["status"]["phase"], found["spec"].get("storageClassName"), events

    phase, _, events = both(real, twin, ask)
    assert phase == "Pending"
    assert {each for _, each, _ in events} == {reason}


@pytest.mark.parametrize("name", ["unbound", "missing"])
def test_a_pod_whose_claim_is_not_bound_waits(real, twin, name):
    def ask(side):
        if name == "unbound":
            side.says(APPLY, claim("unbound", storageClassName="nope"))
        assert side.says(APPLY, pod(f"with-{name}", volumes=volume(name))).status == 0
        return told(side, f"with-{name}")

    both(real, twin, ask)


# Nodes ------------------------------------------------------------------------------------------

TOLERATES = {"key": "gpu", "operator": "Equal", "value": "slow", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("selects", {"nodeSelector": {"kubernetes.io/hostname": "k3s-gpu3"}}),
        ("nowhere", {"nodeSelector": {"no": "such"}}),
        ("greedy", {"resources": {"requests": {"memory": "900Gi", "cpu": "1"}}}),
        ("greedy-twice", {"resources": {"requests": {"memory": "900Gi", "cpu": "100"}}}),
        ("cards", {"resources": {"limits": {"nvidia.com/gpu": "3"}}}),
        ("cards-and-memory", {"resources": {"limits": {"nvidia.com/gpu": "3", "memory": "9Ti"}}}),
        ("unknown-resource", {"resources": {"limits": {"amd.com/gpu": "1"}}}),
    ],
)
def test_a_pod_that_no_node_takes_and_the_words_for_it(real, twin, name, made):
    def ask(side):
        assert side.says(APPLY, pod(name, **made)).status == 0
        return told(side, name, reason="FailedScheduling")

    ((_, _, message),) = both(real, twin, ask)
    assert message.startswith("0/4 nodes are available: ")


def test_a_card_is_given_once_and_again_when_it_is_free(real, twin):
    def ask(side):
        assert side.says(APPLY, pod("holds", CARD, restartPolicy="Always")).status == 0
        side.until(lambda: shown(side, "pod holds").get("status", {}).get("phase") == "Running")
        assert side.says(APPLY, pod("waits", CARD)).status == 0
        events = told(side, "waits", reason="FailedScheduling")
        side.says("delete pod holds -n test")
        side.until(lambda: shown(side, "pod waits").get("status", {}).get("phase") == "Succeeded")
        return events, shown(side, "pod waits")["spec"]["nodeName"]

    (events, node) = both(real, twin, ask)
    assert "Insufficient nvidia.com/gpu" in str(events)
    assert node == "k3s-gpu1"


def test_a_toleration_lets_a_pod_in(real, twin):
    def ask(side):
        here = {"nodeSelector": {"kubernetes.io/hostname": "k3s-gpu3"}}
        assert side.says(APPLY, pod("tolerates", tolerations=[TOLERATES], **here)).status == 0
        side.until(
            lambda: shown(side, "pod tolerates").get("status", {}).get("phase") == "Succeeded"
        )
        return shown(side, "pod tolerates")["spec"]["nodeName"]

    assert both(real, twin, ask) == "k3s-gpu3"


@pytest.mark.parametrize("ended", [True, False])
def test_anti_affinity_knows_no_pod_that_has_ended(real, twin, ended):
    name = "ended" if ended else "alive"

    def ask(side):
        here = {"nodeSelector": {"kubernetes.io/hostname": "k3s-gpu2"}}
        policy = "Never" if ended else "Always"
        assert side.says(APPLY, pod(name, restartPolicy=policy, **here)).status == 0
        phase = "Succeeded" if ended else "Running"
        side.until(lambda: shown(side, f"pod {name}").get("status", {}).get("phase") == phase)
        apart = {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "labelSelector": {"matchLabels": {"run": name}},
                        "topologyKey": "kubernetes.io/hostname",
                    }
                ]
            }
        }
        assert side.says(APPLY, pod(f"beside-{name}", affinity=apart, **here)).status == 0
        if not ended:
            return told(side, f"beside-{name}", reason="FailedScheduling")
        side.until(
            lambda: shown(side, f"pod beside-{name}").get("status", {}).get("phase") == "Succeeded"
        )
        return shown(side, f"pod beside-{name}")["spec"]["nodeName"]

    both(real, twin, ask)


def test_a_pod_of_a_lost_node_goes_when_its_time_is_up_and_stays_until_it_is_back(real, twin):
    """It tolerates that for five seconds; nobody says so of the others, and these have 300."""
    lost = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
    document = deployment("lost")
    spec = document["spec"]["template"]["spec"]
    spec |= {
        "nodeSelector": {"kubernetes.io/hostname": "k3s-gpu2"},
        "tolerations": [lost | {"tolerationSeconds": 5}],
    }
    stays = pod("stays", restartPolicy="Always", nodeSelector=spec["nodeSelector"])

    def pods(side):
        """Of each: whether it is to go, whether it has a node, whether it is ready."""
        found = shown(side, "pods -l app=lost")["items"]
        return sorted(
            (
                "deletionTimestamp" in each["metadata"],
                "nodeName" in each["spec"],
                any(
                    (c["type"], c["status"]) == ("Ready", "True")
                    for c in each.get("status", {}).get("conditions", ())
                ),
            )
            for each in found
        )

    def ask(side):
        assert side.says(APPLY, document).status == 0
        assert side.says(APPLY, stays).status == 0
        side.until(lambda: pods(side) == [(False, True, True)])
        side.until(lambda: shown(side, "pod stays").get("status", {}).get("phase") == "Running")
        side.silence("k3s-gpu2", away=True)
        found = [side.until(lambda: (seen := pods(side)) != [(False, True, True)] and seen)]
        found.append(side.until(lambda: (seen := pods(side))[1:] and seen))
        left = shown(side, "pod stays")
        found.append(("deletionTimestamp" in left["metadata"], left["status"]["phase"]))
        side.silence("k3s-gpu2", away=False)
        side.until(lambda: pods(side) == [(False, True, True)])
        side.says("delete pod stays -n test")
        side.says("delete deployment lost -n test")
        return found

    assert both(real, twin, ask) == [
        [(False, True, False)],
        [(False, False, False), (True, True, False)],
        (False, "Running"),
    ]


# What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        pod("no-such-runtime", runtimeClassName="nope"),
        pod("asks", {"requests": {"nvidia.com/gpu": "1"}}),
        pod("half", {"limits": {"nvidia.com/gpu": "500m"}}),
        pod("more", {"limits": {"nvidia.com/gpu": "2"}, "requests": {"nvidia.com/gpu": "1"}}),
        pod("nowhere") | {"metadata": {"name": "x", "namespace": "no-such"}},
        deployment("two", selector={"app": "x"}),
    ],
    ids=lambda document: document["metadata"]["name"],
)  # fmt: skip
def test_what_the_api_refuses_and_its_words(real, twin, document):
    def ask(side):
        status, out, err = said(side, APPLY, document)
        # Values are shown as Go prints them, and that has changed.
        return status, out, re.sub(r"Invalid value: [^:]*(:[^ ][^:]*)*: ", "Invalid value: ", err)

    status, _, _ = both(real, twin, ask)
    assert status == 1


@pytest.mark.parametrize("document", [deployment("bad"), job("bad-job")], ids=["Deployment", "Job"])
def test_pods_that_are_refused_are_told_by_their_owner(real, twin, document):
    document = copy.deepcopy(document)
    document["spec"]["template"]["spec"]["runtimeClassName"] = "nope"
    name = document["metadata"]["name"]

    def ask(side):
        assert side.says(APPLY, document).status == 0
        events = told(side, name, reason="FailedCreate")
        return {
            (kind, why, re.sub(r'bad-\w+-"', 'bad-DRAWN-"', text)) for kind, why, text in events
        }

    ((_, _, message),) = both(real, twin, ask)
    assert 'RuntimeClass "nope" not found' in message


LINES = (
    "get pod nope -n test",
    "get frobs",
    "get pod nope -A",
    "delete pod nope -n test",
    "create namespace test",
    "get pods -n no-such -o name",
    "label node k3s-gpu1 kubernetes.io/hostname=x",
    "label node nope a=b",
)


@pytest.mark.parametrize("line", LINES)
def test_lines_that_come_to_nothing(real, twin, line):
    both(real, twin, lambda side: said(side, line))


# Fields and their managers ----------------------------------------------------------------------


def test_a_field_that_another_manages_is_not_changed(real, twin):
    first, second = deployment("owned", 2), deployment("owned", 3, "busybox:1.36")

    def ask(side):
        answers = [said(side, APPLY, first), said(side, OTHER, first), said(side, OTHER, second)]
        answers += [said(side, f"{OTHER} --force-conflicts", second), said(side, APPLY, first)]
        found = shown(side, "deployment owned")["spec"]
        return answers, found["replicas"], found["template"]["spec"]["containers"][0]["image"]

    answers, replicas, _ = both(real, twin, ask)
    assert [status for status, *_ in answers] == [0, 0, 1, 0, 1]
    assert answers[2][2].startswith("error: Apply failed with 2 conflicts: conflicts with")
    assert replicas == 3


def test_what_two_say_stays_until_neither_does(real, twin):
    def ask(side):
        document = deployment("shared")
        document["metadata"]["labels"]["both"] = "yes"
        less = copy.deepcopy(document)
        del less["metadata"]["labels"]["both"]
        found = []
        for line, each in ((APPLY, document), (OTHER, document), (APPLY, less), (OTHER, less)):
            assert side.says(line, each).status == 0
            found.append(shown(side, "deployment shared")["metadata"]["labels"].get("both"))
        return found

    assert both(real, twin, ask) == ["yes", "yes", "yes", None]


def test_a_label_that_a_person_changed_is_theirs(real, twin):
    document = deployment("labelled")

    def ask(side):
        assert side.says(APPLY, document).status == 0
        line = "label deployment labelled -n test"
        answers = [said(side, f"{line} of=me"), said(side, f"{line} of=me --overwrite")]
        answers += [said(side, APPLY, document), said(side, f"{APPLY} --force-conflicts", document)]
        return answers, shown(side, "deployment labelled")["metadata"]["labels"]

    answers, labels = both(real, twin, ask)
    assert "kubectl-label" in answers[2][2]
    assert labels["of"] == "homelab"


def test_what_a_person_changed_of_ours_is_put_back_by_the_call_that_a_plan_shows(real, twin):
    document = deployment("edited")

    def ask(side):
        first = Applied("k3s-control", "homelab", document)
        answers = []
        for line in (None, "label deployment edited -n test of=me --overwrite"):
            if line is not None:
                assert side.says(line).status == 0
            (change,) = first.diff(with_managers(side, "deployment edited")).changes
            words = change.call.argv[change.call.argv.index("apply") :]
            answers.append(said(side, " ".join(words), json.loads(change.call.stdin)))
        return answers, first.diff(shown(side, "deployment edited")).clean

    assert both(real, twin, ask) == (
        [(0, "deployment.apps/edited serverside-applied\n", "")] * 2,
        True,
    )


def test_what_is_shown_of_managers(real, twin):
    document, other = deployment("managed", 2), deployment("managed", 2)
    document["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
    del other["spec"]["template"]["spec"]["containers"][0]["image"]

    def ask(side):
        assert side.says(APPLY, document).status == 0
        assert side.says(OTHER, other).status == 0
        assert side.says("label deployment managed -n test of=me --overwrite").status == 0
        found = with_managers(side, "deployment managed")["metadata"]["managedFields"]
        return {
            each["manager"]: (each["operation"], each["fieldsV1"])
            for each in found
            if each["manager"] != "kube-controller-manager"
        }

    found = both(real, twin, ask)
    assert {who: how for who, (how, _) in found.items()} == {
        "homelab": "Apply", "other": "Apply", "kubectl-label": "Update",
    }  # fmt: skip


class Asked:
    """A host that asks one side for a node."""

    name = "k3s-control"

    def __init__(self, side):
        self._side = side

    def read(self, *words, **_):
        return Result(
            0, json.dumps(with_managers(self._side, f"node {words[words.index('node') + 1]}")), ""
        )


def test_a_node_s_label_is_ours_until_somebody_else_sets_it(real, twin):
    def ask(side):
        found = []
        for line, value in (
            ("label node k3s-control shelf=attic", "cellar"),
            ("label node k3s-control shelf-", "cellar"),
            (None, "roof"),
            ("label node k3s-control shelf=attic --overwrite", "roof"),
        ):
            if line is not None:
                assert side.says(line).status == 0
            labels = NodeLabels("k3s-control", "homelab", "k3s-control", {"shelf": value})
            diff = labels.diff(labels.observe(Asked(side)))
            found.append(diff.conflict)
            for change in diff.changes:
                words = change.call.argv[change.call.argv.index("label") :]
                found.append((change.replaces, said(side, " ".join(words))))
                assert labels.diff(labels.observe(Asked(side))).clean
        assert side.says("label node k3s-control shelf-").status == 0
        return found

    found = both(real, twin, ask)
    sent = (0, "node/k3s-control labeled\n", "")
    assert found[1:5] == ["", ("", sent), "", ("shelf=cellar", sent)]
    assert all("shelf=attic (by kubectl-label)" in each for each in (found[0], found[5]))


def test_what_a_controller_manages_is_a_conflict_and_what_a_person_scaled_is_taken_back(real, twin):
    document = deployment("scaled", 2)

    def ask(side):
        ours = Applied("k3s-control", "homelab", document)
        assert side.says(APPLY, ours.whole).status == 0
        found = []
        for manager in ("kubectl", "kube-controller-manager"):
            line = APPLY.replace("homelab", manager)
            assert side.says(f"{line} --force-conflicts", deployment("scaled", 3)).status == 0
            diff = ours.diff(with_managers(side, "deployment scaled"))
            found.append((diff.conflict, [each.call.line for each in diff.changes]))
            found.append(said(side, APPLY, ours.whole)[0])
        return found

    (person, (call,)), refused, (conflict, none), again = both(real, twin, ask)
    assert (person, refused, again, none) == ("", 1, 1, []), "the API refuses both without force"
    assert "--force-conflicts" in call
    assert "kube-controller-manager and kubectl manage spec.replicas" in conflict


def test_where_nobody_is_written_down_the_api_takes_all_for_anothers(real):
    document = deployment("bereft", 2)
    ours = Applied("k3s-control", "homelab", document)
    assert said(real, APPLY, ours.whole)[0] == 0
    words = ["patch", "deployment", "bereft", "-n", "test", "--type=json", "-p"]
    away = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]},
            {"op": "replace", "path": "/spec/replicas", "value": 3}]  # fmt: skip
    assert real.plane.kubectl([*words, json.dumps(away[1:])], "").status == 0
    assert real.plane.kubectl([*words, json.dumps(away[:1])], "").status == 0
    diff = ours.diff(with_managers(real, "deployment bereft"))
    assert "before-first-apply manages spec.replicas" in diff.conflict
    status, _, err = said(real, APPLY, ours.whole)
    assert (status, '"before-first-apply"' in err, ".spec.replicas" in err) == (1, True, True)


def test_a_value_of_a_secret_that_another_wrote_is_the_others(real, twin):
    head = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "word", "namespace": "test"}}
    ours, theirs = (head | {"data": {"word": text}} for text in ("b3Vycw==", "dGhlaXJz"))

    def ask(side):
        edited = f"{OTHER.replace('other', 'kubectl')} --force-conflicts"
        answers = [said(side, APPLY, ours), said(side, edited, theirs), said(side, APPLY, ours)]
        return [*answers, said(side, f"{APPLY} --force-conflicts", ours)]

    answers = both(real, twin, ask)
    assert [status for status, *_ in answers] == [0, 0, 1, 0]
    assert ".data.word" in answers[2][2]


def test_what_was_applied_by_a_client_is_its_manager_s(real, twin):
    first, second = deployment("by-hand"), deployment("by-hand", 2)

    def ask(side):
        answers = [said(side, "apply -f -", first), said(side, "apply -f -", first)]
        return [*answers, said(side, APPLY, first), said(side, APPLY, second)]

    answers = both(real, twin, ask)
    assert [status for status, *_ in answers] == [0, 0, 0, 1]


# Differences ------------------------------------------------------------------------------------


def changed_lines(reply):
    """What a difference takes away and adds, without what only the server writes."""
    lines = [
        each
        for each in reply.out.splitlines()
        if each[:1] in "+-" and each[:3] not in ("+++", "---")
    ]
    written = re.compile(r"[+-]\s+(generation|resourceVersion|uid|creationTimestamp|time):")
    return [each for each in lines if not written.match(each)]


@pytest.mark.parametrize(
    ("how", "status"), [("same", 0), ("other", 1), ("refused", 2), ("conflict", 2)]
)
def test_what_diff_exits_with(real, twin, how, status):
    name = f"differs-{how}"
    document = deployment(name)
    after = deployment(name, image="busybox:1.36") if how in ("other", "conflict") else document
    if how == "refused":
        after = document | {"spec": document["spec"] | {"nonsense": 1}}
    manager = "other" if how == "conflict" else "homelab"

    def ask(side):
        assert side.says(APPLY, document).status == 0
        side.until(lambda: shown(side, f"deployment {name}").get("status", {}).get("readyReplicas"))
        line = f"diff --server-side --field-manager={manager} -f -"
        reply = side.says(line, after)
        pods = shown(side, f"deployment {name}")["spec"]["template"]["spec"]
        assert pods["containers"][0]["image"] == "busybox:1.37", "it only looks"
        return reply.status, changed_lines(reply)

    found, lines = both(real, twin, ask)
    assert found == status
    assert bool(lines) == (how == "other")


# What comes of it -------------------------------------------------------------------------------


def test_a_job_that_has_ended_says_so_and_its_template_can_not_change(real, twin):
    document = job("works")

    def ask(side):
        assert side.says(APPLY, document).status == 0
        side.until(lambda: shown(side, "job works").get("status", {}).get("succeeded"))
        found = shown(side, "job works")["status"]
        kinds = {(c["type"], c["status"]) for c in found["conditions"]} - {
            ("SuccessCriteriaMet", "True")
        }
        status, _, err = said(side, APPLY, job("works", serviceAccountName="x"))
        return found["succeeded"], kinds, status, "field is immutable" in err

    assert both(real, twin, ask) == (1, {("Complete", "True")}, 1, True)
