"""The tables of what means "not yet", on what programs really say."""

import re

import pytest

import homelab_lib.control  # noqa: F401  (its rooms declare their answers)
from homelab_lib.errors import AuthenticationRefused
from homelab_lib.runbook import busy
from homelab_lib.transport.command import Result, change, read
from homelab_lib.transport.request import Request

KUBECTL = ("k3s", "kubectl", "get", "nodes", "-o", "json")
APPLY = ("k3s", "kubectl", "apply", "--server-side", "-f", "-")
APT = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "nfs-common")
NOT_YET = [
    (KUBECTL, "The connection to the server 127.0.0.1:6443 was refused - did you specify the right "
     "host or port?", False),
    (KUBECTL, "Error from server: etcdserver: leader changed", False),
    (APPLY, "Error from server: etcdserver: request timed out", False),
    (KUBECTL, "Error from server (ServiceUnavailable): the server is currently unable to handle the"
     " request", False),
    (KUBECTL, "Unable to connect to the server: net/http: TLS handshake timeout", False),
    (("k3s", "kubectl", "get", "--raw", "/readyz"), 'Error from server (InternalError): an error '
     'on the server ("[+]ping ok\\n[-]etcd failed: reason withheld\\nreadyz check failed") has '
     "prevented the request from succeeding", False),
    (APPLY, 'Error from server (InternalError): Internal error occurred: failed calling webhook '
     '"webhook.cert-manager.io": failed to call webhook: Post "https://cert-manager-webhook.cert-'
     'manager.svc:443/mutate?timeout=10s": no endpoints available for service '
     '"cert-manager-webhook"', True),
    (APPLY, 'Error from server (InternalError): Internal error occurred: failed calling webhook '
     '"validate.nginx": Post "https://x.svc:443/n": dial tcp 10.43.9.1:443: connect: connection '
     "refused", True),
    (APT, "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1423 "
     "(unattended-upgr)\nE: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend),"
     " is another process using it?", True),
    (("qm", "start", "201"), "can't lock file '/var/lock/qemu-server/lock-201.conf' - got timeout",
     True),
    (("pvesh", "set", "/nodes/pve/qemu/201/resize"), "trying to acquire lock...\ncan't lock file "
     "'/var/lock/pve-manager/pve-storage-local-zfs' - got timeout", True),
    (("pvesm", "status"), "cfs-lock 'file-storage_cfg' error: got lock request timeout", True),
    (("midclt", "call", "system.info"), "ConnectionRefusedError: [Errno 111] Connection refused",
     False),
    (("python3", "-c", "…", "user.create"), "truenas_api_client.exc.ClientException: Failed "
     "connection handshake", False),
    (("upsc", "ups@localhost"), "Error: Driver not connected", False),
    (("upsc", "ups@localhost"), "Error: Data stale", False),
    (("systemctl", "start", "k3s"), "Failed to start k3s.service: Transaction for k3s.service/start"
     " is destructive (reboot.target has 'start' job queued, but 'stop' is included in "
     "transaction).", True),
    (("configctl", "filter", "reload"), "configd socket missing (@/var/run/configd.socket)", True),
]  # fmt: skip
ANSWERS = [
    (KUBECTL, 'Error from server (NotFound): nodes "k3s" not found'),
    (KUBECTL, 'Error from server (Forbidden): nodes is forbidden: User "x" cannot list resource'),
    (APPLY, 'Error from server (Invalid): Service "x" is invalid: spec.ports: Required value'),
    (APPLY, 'Error from server: admission webhook "validate.example" denied the request: no'),
    (APT, "E: Unable to locate package nfs-comon"),
    (APT, "E: Could not open lock file /var/lib/dpkg/lock-frontend - open (13: Permission denied)"),
    (("qm", "start", "201"), "Configuration file 'nodes/pve/qemu-server/201.conf' does not exist"),
    (("qm", "create", "201"), "unable to create VM 201 - VM 201 already exists on node 'pve'"),
    (("midclt", "call", "pool.query"), "[EINVAL] pool_create.name: Invalid name"),
    (("cat", "/x"), "cat: /x: No such file or directory"),
    (("systemctl", "start", "x"), "Failed to start x.service: Unit x.service not found."),
    (("configctl", "filter", "reload"), "usage: configctl [-h] [-d] [-e] [-f] [-q]"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "says", "undone"), NOT_YET)
def test_it_is_not_yet(words, says, undone):
    found = busy.meaning(change(*words), Result(1, "", says + "\n"))
    assert found is not None
    assert found.undone is undone


@pytest.mark.parametrize(("words", "says"), ANSWERS)
def test_it_is_an_answer(words, says):
    assert busy.meaning(change(*words), Result(1, "", says + "\n")) is None


@pytest.mark.parametrize("page", ["404 page not found\n", "no available server\n", "Bad Gateway"])
def test_a_page_of_an_ingress_that_was_just_made(page):
    curl = read("curl", "-sS", "-m", "10", "-H", "Host: whoami.home.arpa", "http://10.0.30.21/")
    assert busy.meaning(curl, Result(0, page, "")) is not None
    for other in ("Hostname: whoami-1\n", f"<html>{page}</html>", f"it says: {page}"):
        assert busy.meaning(curl, Result(0, other, "")) is None


APPLY_RULES = Request("opnsense", "POST", "/api/firewall/filter/apply", "change", body={})
RUNNING = Request("opnsense", "GET", "/api/core/firmware/running", "read")


@pytest.mark.parametrize(
    ("request_", "status", "body", "undone"),
    [
        (RUNNING, 0, '{"status":"busy"}', False),
        (RUNNING, 503, "<h1>503 Service Unavailable</h1>", True),
        (APPLY_RULES, 503, "<h1>503 Service Unavailable</h1>", True),
        (APPLY_RULES, 500, '{"errorMessage":"Template generation failed for internal service '
         '\\"unbound\\". See backend log for details."}', False),
    ],
)  # fmt: skip
def test_a_firewall_that_is_at_work(request_, status, body, undone):
    found = busy.meaning(request_, Result(status, body, f"{status} x" if status else ""))
    assert found is not None
    assert found.undone is undone


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (0, '{"status":"ready"}'),
        (0, '{"status":""}'),
        (404, '{"errorMessage":"Endpoint not found"}'),
        (500, '{"errorMessage":"Cannot delete alias x. Currently in use by \\n503 "}'),
    ],
)
def test_a_firewall_that_has_answered(status, body):
    said = Result(status, body, f"{status} x" if status else "")
    assert busy.meaning(RUNNING, said) is None


def test_a_service_without_pods_is_no_api_server_that_is_overloaded():
    asked = read(
        *KUBECTL[:3], "--raw", "/api/v1/namespaces/m/services/http:p:9090/proxy/api/v1/rules"
    )
    head = "Error from server (ServiceUnavailable): "
    told = {
        'no endpoints available for service "http:p:9090"\n': "no pod of a service is ready",
        "the server is currently unable to handle the request\n": "the API server is overloaded or "
        "starting, or of several servers half or more are off, and etcd has no quorum",
    }
    for says, means in told.items():
        found = busy.meaning(asked, Result(1, "", head + says))
        assert found is not None
        assert found.means == means


def test_a_login_while_the_system_boots():
    says = "pve refuses root: it closed the connection\n    it says: {}"
    booting = '"System is booting up. Unprivileged users are not permitted to log in yet.'
    assert busy.refused_for_now(AuthenticationRefused(says.format(booting)))
    assert not busy.refused_for_now(AuthenticationRefused(says.format("Welcome to Ubuntu 24.04")))


def test_what_is_declared_can_be_read_and_says_where_it_is_from():
    found = list(busy.declared())
    assert len(found) > 15
    for program, answer in found:
        assert program
        assert re.compile(answer.says)
        assert answer.source, answer
        assert answer.means[:1].islower(), "it stands in the middle of a sentence"
        assert not re.search(answer.says, "")
