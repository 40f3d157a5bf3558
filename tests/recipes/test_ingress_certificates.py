"""Ingress and certificates of phase 4: real certificates on a twin, and clients that check them.

A wrong setting has a cluster of its own: some are tried at every change, and CI has all.
"""

import copy
import json

import pytest

from homelab_lib.control.kubernetes.certificates import Issued
from homelab_lib.lab.production import Acme, Authority
from homelab_lib.runbook.step import Step
from homelab_lib.twin.kubernetes.certificates import CERTIFICATES
from homelab_lib.twin.machine.program import Reply
from recipes import in_production
from recipes.in_production import bench_of, cluster_of, secrets, with_cluster, with_service

# Grafana is published, too, and made by a step that is not asked here.
LAB = in_production.with_service("grafana", hostname=None, backend=None)
ONLY = ("ingress", "certificates", "trust")
__all__ = ["secrets"]


@pytest.fixture(scope="module")
def _done():
    bench = bench_of(LAB, *ONLY)
    planned = bench.likeness()
    assert planned.stops() == ("", "")
    assert bench.stops() == ("", "")
    assert bench.wire.sent == planned.wire.sent, "a plan is what is sent"
    return bench


@pytest.fixture
def done(_done):
    """After it was applied once; the desktop's files are put back afterwards."""
    desktop = _done.world.machines["desktop"]
    files = copy.deepcopy(desktop.files)
    _done.wire.sent.clear()
    yield _done
    desktop.files = files


def curl(bench, name, *words):
    reply = (
        bench.world.machines["desktop"]
        .run(" ".join(("curl -sS", *words, f"https://{name}/")))
        .finished()
    )
    return reply.status, (reply.out + reply.err).decode()


def test_a_second_run_and_a_second_plan_send_nothing(done):
    assert done.stops() == ("", "")
    assert done.wire.sent == []
    again = done.likeness()
    assert again.stops() == ("", "")
    assert again.wire.sent == []
    assert done.step("certificates", "verify").status == "already"


def test_a_client_that_believes_the_authority_is_answered_and_no_other_is(done):
    assert curl(done, "nginx.home.arpa")[0] == 0, "it was taken among the believed"
    status, says = curl(done, "nginx.home.arpa", "--cacert /dev/null")
    assert (status, "unable to get local issuer" in says) == (60, True)
    desktop = done.world.machines["desktop"]
    more = "10.0.30.21 other.home.arpa\n"
    desktop.files.put("/etc/hosts", desktop.files.text("/etc/hosts") + more)
    status, says = curl(done, "other.home.arpa")
    assert (status, "no alternative certificate subject name" in says) == (60, True)


def test_plain_http_is_sent_on(done):
    desktop = done.world.machines["desktop"]
    assert desktop.run("curl -sS http://nginx.home.arpa/").finished().out == b"Moved Permanently"
    assert b"Welcome to nginx" in desktop.run("curl -sSL http://nginx.home.arpa/").finished().out


def test_no_private_key_comes_to_a_client_or_a_command_line(done):
    root = done.world.machines["desktop"].files.text(
        "/usr/local/share/ca-certificates/homelab-ca.crt"
    )
    assert root.startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE" not in root


def test_the_authority_outlives_its_first_quarter_with_its_key(done):
    cluster = cluster_of(done)
    kept = copy.deepcopy(cluster.objects)
    before = cluster.get("Secret", "homelab-ca", "cert-manager")["data"]["tls.key"]
    for wait_s in (100 * 86400, 60):
        done.world.clock.sleep(wait_s)
        cluster.settle()
    assert cluster.get("Secret", "homelab-ca", "cert-manager")["data"]["tls.key"] == before
    renewed = cluster.get(CERTIFICATES, "ingress-default", "kube-system")["status"]["revision"]
    assert renewed > 1, "what it signs was renewed meanwhile"
    assert curl(done, "nginx.home.arpa")[0] == 0
    cluster.objects = kept


@pytest.mark.slow
def test_an_authority_that_is_renewed_keeps_its_key_and_its_clients():
    """cert-manager 1.18 and later makes a new key by default: types_certificate.go."""
    short = Authority(common_name="Home lab CA", valid_h=240, renew_before_h=120)
    lab = with_cluster(lab=LAB, certificates__authority=short, certificates__valid_h=100)
    bench = bench_of(lab, *ONLY)
    assert bench.stops() == ("", "")
    cluster = cluster_of(bench)
    key = cluster.get("Secret", "homelab-ca", "cert-manager")["data"]["tls.key"]
    for wait_s in (6 * 86400, 60):
        bench.world.clock.sleep(wait_s)
        cluster.settle()
    assert cluster.get(CERTIFICATES, "homelab-ca", "cert-manager")["status"]["revision"] > 1
    assert cluster.get("Secret", "homelab-ca", "cert-manager")["data"]["tls.key"] == key
    assert curl(bench, "nginx.home.arpa")[0] == 0


@pytest.mark.sample
def test_an_authority_left_to_its_defaults_loses_its_clients():
    """What the corrections warn of: 90 days, and then another key."""
    bench = bench_of(LAB, *ONLY)
    assert bench.stops() == ("", "")
    cluster = cluster_of(bench)
    spec = cluster.get(CERTIFICATES, "homelab-ca", "cert-manager")["spec"]
    for key in ("duration", "renewBefore", "privateKey"):
        del spec[key]
    cluster.installed.clear()
    cluster.settle()
    for wait_s in (100 * 86400, 60):
        bench.world.clock.sleep(wait_s)
        cluster.settle()
    status, says = curl(bench, "nginx.home.arpa")
    assert (status, "unable to get local issuer certificate" in says) == (60, True)


# Seeded mistakes ---------------------------------------------------------------------------------


def test_an_ingress_without_dns_stops_where_a_client_asks():
    step, says = bench_of(LAB, *ONLY, names="").stops()
    assert step == "trust"
    assert "no name server that desktop asks knows nginx.home.arpa" in says
    assert "among its aliases" in says


def test_a_certificate_of_an_unknown_issuer_says_whom_it_misses(done):
    wanted = json.dumps(
        {
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": {"name": "lost", "namespace": "default"},
            "spec": {
                "secretName": "lost",
                "dnsNames": ["lost.home.arpa"],
                "issuerRef": {"kind": "ClusterIssuer", "name": "nobody"},
            },
        }
    )
    server = done.world.machines["k3s-control"]
    assert server.run("sudo k3s kubectl apply -f -", wanted.encode()).finished().status == 0
    done.world.clock.sleep(30)
    other = copy.copy(done)
    other.steps = (asks_for("lost"),)
    step, says = other.stops()
    assert step == "lost"
    assert 'Referenced "ClusterIssuer" not found' in says
    assert '"nobody" not found' in says
    cluster_of(done).delete(CERTIFICATES, "lost", "default")


def asks_for(name):
    return Step(name, name, ensure=lambda ctx: [Issued("k3s-control", "default", name)])


@pytest.mark.sample
def test_a_wrong_chart_version_is_told_in_helms_words():
    step, says = bench_of(with_service("cert-manager", chart__version="v1.99.0"), *ONLY).stops()
    assert step == "certificates"
    assert 'chart "cert-manager" version "v1.99.0" not found' in says


def test_of_three_servers_one_may_be_off_and_with_two_etcd_has_no_quorum():
    """What is said then is what k3s says: k3s-io/k3s#3513."""
    lab = with_cluster(
        lab=LAB, servers=("k3s-control", "k3s-gpu1", "k3s-gpu2"), agents=("k3s-gpu3",)
    )
    bench = bench_of(lab, "ingress")
    bench.world.machines["k3s-gpu1"].power_off()
    assert bench.steps[0].name == "workloads"
    said = bench.world.machines["k3s-control"].run("sudo k3s kubectl get nodes -o name").finished()
    assert said.status == 0
    bench.world.machines["k3s-gpu2"].power_off()
    step, says = bench.stops()
    assert step == "workloads"
    assert "of several servers half or more are off, and etcd has no quorum" in says
    assert "the server is currently unable to handle the request" in says


def test_a_name_that_is_not_sent_on_is_told_whatever_traefik_was_started_with(done):
    """Another router before it, say: what a client is answered counts."""
    server = done.world.machines["k3s-control"]

    def plain(call, go):
        asked = call.argv[0] == "curl" and "Host: nginx.home.arpa" in call.argv
        return Reply(0, b"Welcome to nginx! 200") if asked else None

    server.instead.append(plain)
    step, says = done.stops()
    server.instead.remove(plain)
    assert step == "ingress"
    assert "nginx.home.arpa is sent on to https: status 200" in says


def test_a_missing_ingress_class_is_named():
    lab = with_cluster(lab=LAB, ingress__class_name="nginx")
    step, says = bench_of(lab, "ingress").stops()
    assert step == "ingress"
    assert "ingress class nginx: is missing: no ingress with it is ever answered" in says


def test_definitions_left_out_stop_before_the_first_issuer():
    lab = with_service("cert-manager", chart__values={"crds": {"enabled": False}})
    step, says = bench_of(lab, *ONLY).stops()
    assert step == "certificates"
    assert "does not answer for certificates.cert-manager.io" in says


# A public authority ------------------------------------------------------------------------------


def with_acme(zone):
    acme = Acme(
        server="https://acme-staging-v02.api.letsencrypt.org/directory",
        email="me@example.org",
        zones=(zone,),
        token="env:DNS_TOKEN",
    )
    return with_cluster(lab=LAB, certificates__acme=acme)


def test_names_of_a_zone_of_ours_get_a_public_certificate(monkeypatch):
    monkeypatch.setenv("DNS_TOKEN", "Zone-token-0123456789")
    bench = bench_of(with_acme("home.arpa"), *ONLY)
    assert bench.stops() == ("", "")
    cluster = cluster_of(bench)
    public = cluster.get(CERTIFICATES, "ingress-public", "kube-system")
    assert public["spec"]["issuerRef"]["name"] == "letsencrypt"
    assert "Zone-token-0123456789" not in json.dumps(
        [each for key, each in cluster.objects.items() if key[0] != "Secret"]
    )
    assert not any("Zone-token" in line for line in bench.wire.sent)


@pytest.mark.parametrize("outside", [True, False])
@pytest.mark.slow
def test_where_the_house_answers_for_the_zone_the_proof_is_looked_for_outside(monkeypatch, outside):
    """cert-manager.io, DNS01: with split DNS its own check never sees the record."""
    monkeypatch.setenv("DNS_TOKEN", "Zone-token-0123456789")
    own = {} if outside else {"dns01RecursiveNameserversOnly": False}
    values = {"crds": {"enabled": True}, **own}
    bench = bench_of(with_service("cert-manager", with_acme("home.arpa"), chart__values=values),
                     *ONLY)  # fmt: skip
    bench.world.resolvers.append(
        lambda source, name: "10.0.30.21" if name.endswith(".home.arpa") else ""
    )
    step, says = bench.stops()
    assert step == ("" if outside else "certificates")
    waits = 'Waiting for DNS-01 challenge propagation: DNS record for "nginx.home.arpa" not yet'
    assert (waits in says) == (not outside)


def test_a_token_that_is_missing_stops_by_its_reference():
    step, says = bench_of(with_acme("home.arpa"), *ONLY).stops()
    assert step == "certificates"
    assert "DNS_TOKEN" in says
