"""What the twin's charts install, against the charts themselves; and our objects, against the
schemas of their kinds."""

import json

import pytest

from contract.carried_out import objects
from contract.kubernetes_schemas import why_not
from contract.oracle import contract
from homelab_lib.lab import load_lab
from homelab_lib.lab.production import Acme
from homelab_lib.recipes.kubernetes import certificates, gitops, ingress, monitoring, moves
from homelab_lib.twin.kubernetes import charts

pytestmark = pytest.mark.contract
FACTS = contract("charts.json")["charts"]
NOT_MADE = ("prometheus", "traefik")  # nothing of ours installs them
OTHERWISE = ("open-webui",)  # with its parts switched off; see below
CHARTS = sorted(FACTS.keys() - {*NOT_MADE, *OTHERWISE})
LAB = load_lab()
CLUSTER = LAB.clusters["homelab"]
MINORS = ("1.34", "1.37")
_STRICT = ("Certificate", "ClusterIssuer", "PrometheusRule", "ScrapeConfig")


def row(chart):
    return next(each for each in charts.table() if each["chart"] == chart)


@pytest.mark.parametrize("name", CHARTS)
def test_the_table_has_what_the_chart_renders(name):
    facts = FACTS[name]
    chart = facts["chart"]
    ours = row(chart)
    assert facts["version"] in ours["versions"]
    oci = facts["repo"].startswith("oci://")
    repo = facts["repo"].removesuffix(f"/{chart}") if oci else facts["repo"]
    assert repo.rstrip("/") in ours["repos"]
    names = {"release": facts["release"]}
    names["full"] = facts["release"] if chart in facts["release"] else f"{facts['release']}-{chart}"
    rendered = facts["ours"]
    workloads = {(w["kind"], w["name"].format(**names)) for w in ours["workloads"]}
    assert workloads == {(each["kind"], each["name"]) for each in rendered["workloads"]}
    parts = {f"Service/{each['name'].format(**names)}" for each in ours.get("services", ())}
    parts |= {f"{each['kind']}/{each['name'].format(**names)}" for each in ours.get("objects", ())
              if "unless_off" not in each}  # fmt: skip
    assert parts <= set(rendered["objects"])
    defined = {
        each["metadata"]["name"]
        for version, kinds in ours.get("crds", {}).items()
        for kind in kinds
        for each in [charts.definition(version, kind)]
    }
    assert defined == set(rendered["crds"])


def test_the_shipped_lab_s_charts_are_those_that_were_rendered():
    """A value of ours was seen in what a chart renders only if it is that chart."""
    named = [service.chart for service in LAB.services.values() if service.chart is not None]
    named += CLUSTER.device_plugins.values()
    if CLUSTER.nfs is not None:
        named.append(CLUSTER.nfs.chart)
    rendered = {(each["chart"], each["version"]) for each in FACTS.values()}
    others = {each.chart for each in named if (each.chart, each.version) not in rendered}
    assert others == {"flux2"}, "of which there is no rendering"
    assert len(named) > 6


def test_what_open_webui_brings_unasked_is_known():
    facts, ours = FACTS["open-webui"], row("open-webui")
    assert facts["version"] in ours["versions"]
    assert facts["repo"].rstrip("/") in ours["repos"]
    names = {"release": facts["release"], "full": facts["release"]}
    brought = {(w["kind"], w["name"].format(**names)) for w in ours["workloads"]}
    assert brought == {(each["kind"], each["name"]) for each in facts["default"]["workloads"]}
    images = {each["image"] for each in ours["workloads"]}
    assert images == set(facts["default"]["images"]) - {"busybox"}


def test_kinds_of_the_whole_cluster_and_of_a_namespace_are_told_apart():
    for chart in ("cert-manager", "kube-prometheus-stack"):
        for version, kinds in row(chart).get("crds", {}).items():
            for kind in kinds:
                scope = charts.definition(version, kind)["spec"]["scope"]
                assert (scope == "Cluster") == (kind.startswith("ClusterIssuer"))


def documents():
    yield from ingress.WayIn(LAB, CLUSTER, 4).documents()
    issuing = certificates.Issuing(LAB, CLUSTER, CLUSTER.certificates, 4)
    watch = monitoring.Watch(LAB, CLUSTER, CLUSTER.monitoring, 4)
    kept = gitops.Repository(LAB, CLUSTER, CLUSTER.gitops, 4)
    yield from (kept.source(), kept.kustomization())
    move = moves.Moving(LAB, CLUSTER, CLUSTER.moves[0])
    yield from (move.new_claim("1Gi"), move.copying())
    for part in (issuing, issuing.release, watch, watch.release, kept.release, kept.contents):
        yield from part.documents()


@pytest.mark.parametrize("minor", MINORS)
def test_every_object_of_ours_is_taken(minor):
    judged = 0
    for document in documents():
        verdict = why_not(document, minor)
        if document["kind"] == "AlertmanagerConfig":
            assert verdict is None, "its schema is there now: judge it"
            continue
        assert verdict == "", f"{document['kind']}: {verdict}"
        judged += 1
    assert judged >= 12


def in_public():
    """Certificates from a public authority besides, which the shipped lab has none from."""
    acme = Acme(
        server="https://acme-staging-v02.api.letsencrypt.org/directory",
        email="me@example.org",
        zones=("home.arpa",),
        token="env:DNS_TOKEN",
    )
    described = CLUSTER.certificates.model_copy(update={"acme": acme})
    cluster = CLUSTER.model_copy(update={"certificates": described})
    return certificates.Issuing(LAB, cluster, described, 4)


def test_an_issuer_by_dns_is_one_of_cert_manager_s():
    found = {each["metadata"]["name"]: each for each in in_public().documents()}
    for name in ("letsencrypt", "ingress-public", "default"):
        assert why_not(found[name], MINORS[0]) == ""
    [solver] = found["letsencrypt"]["spec"]["acme"]["solvers"]
    solver["dns01"]["cloudflare"]["apiTokenSecret"] = solver["dns01"]["cloudflare"].pop(
        "apiTokenSecretRef"
    )
    assert why_not(found["letsencrypt"], MINORS[0]), "a slip in it would be seen"


def test_cert_manager_asks_servers_that_see_the_zone_as_the_world_does():
    """Names that its chart has in `values.yaml` of v1.21.1; with split DNS the house's own servers
    never show the proof."""
    values = in_public().release.chart.values
    assert values["dns01RecursiveNameserversOnly"] is True
    assert values["dns01RecursiveNameservers"] == "1.1.1.1:53,9.9.9.9:53"


def test_a_slip_in_one_of_them_would_be_seen():
    for document in documents():
        if document["kind"] in _STRICT:
            broken = {**document, "spec": {**document["spec"], "zzz": {"a": 1}, "duration": 7,
                                           "groups": 7, "acme": 7, "jobName": 7}}  # fmt: skip
            assert why_not(broken, MINORS[0])


def test_what_we_wait_for_is_what_the_charts_bring():
    """Names of services by which Prometheus and Alertmanager are asked."""
    facts = contract("charts.json")["charts"]["kube-prometheus-stack"]
    watch = monitoring.Watch(LAB, CLUSTER, CLUSTER.monitoring, 4)
    assert f"Service/{watch.prometheus.service}" in facts["ours"]["objects"]
    assert f"Service/{watch.alertmanager.service}" in facts["ours"]["objects"]
    backend = LAB.services["grafana"].backend.partition(":")[0]
    assert f"Service/{backend}" in facts["ours"]["objects"]


READ = {
    ("dcgm-exporter", "4.8.2"): ("tolerations",),
    ("flux2", "2.18.3"): (
        "helmController.create",
        "imageAutomationController.create",
        "imageReflectionController.create",
        "kustomizeController.container.additionalArgs",
    ),
    ("kube-prometheus-stack", "88.5.3"): (
        "alertmanager.alertmanagerSpec.alertmanagerConfiguration",
        "alertmanager.alertmanagerSpec.storage",
        "prometheus-node-exporter.extraArgs",
    ),
    ("ollama", "1.77.0"): ("image.tag", "lifecycle", "service.nodePort", "service.type"),
    ("open-webui", "16.0.0"): (
        "enableOpenaiApi",
        "extraEnvVars",
        "persistence.enabled",
        "persistence.size",
        "readinessProbe",
        "startupProbe",
        "websocket.manager",
        "websocket.redis.enabled",
    ),
}
"""What was not rendered, and stands in the `values.yaml` of that very version of a chart."""
OPEN = ("nodeSelector",)  # its keys are labels


def keys(values, place=""):
    """Every value that is set, by the keys that lead to it."""
    for key, value in values.items():
        here = f"{place}.{key}" if place else key
        if isinstance(value, dict) and value and key not in OPEN:
            yield from keys(value, here)
        else:
            yield here


def test_each_value_that_we_give_a_chart_is_one_of_it(carried):
    """Helm passes over a value that a chart does not have, and says nothing."""
    known: dict[tuple[str, str], set[str]] = {}
    for each in FACTS.values():
        place = (each["chart"], each["version"])
        known.setdefault(place, set()).update(keys(each["values"] or {}))
    for place, some in READ.items():
        known.setdefault(place, set()).update(some)
    unknown, given = set(), set()
    for each in (each["spec"] for each in objects(carried) if each["kind"] == "HelmChart"):
        place = (each["chart"], each["version"])
        for key in keys(json.loads(each.get("valuesContent") or "{}")):
            given.add((*place, key))
            if not any(key == one or key.startswith(f"{one}.") for one in known.get(place, ())):
                unknown.add((*place, key))
    assert len(given) > 40
    assert unknown == set()
    unused = {
        (*place, one)
        for place, some in READ.items()
        for one in some
        if not any(at[:2] == place and f"{at[2]}.".startswith(f"{one}.") for at in given)
    }
    assert unused == set(), "nothing of ours gives these any more"
