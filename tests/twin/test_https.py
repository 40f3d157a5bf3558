"""A machine's REST side, reached as a real one is: through its SSH server, by a pinned key."""

import json

import pytest

from homelab_lib.errors import CertificateRefused, OutcomeUnknown, Unreachable
from homelab_lib.lab import load_lab
from homelab_lib.secret import Secret
from homelab_lib.target import TwinTarget
from homelab_lib.transport.reads import declare_service
from homelab_lib.transport.request import Request
from homelab_lib.twin.built import built
from homelab_lib.twin.machine.https import Answered

declare_service("counter", lambda method, path, query: method == "GET")


@pytest.fixture
def world():
    """A world in which one machine counts what is posted to it."""
    world = built(load_lab(), before_phase=2, seed=7)
    machine, kept = world.machines["truenas"], []

    def handler(asked):
        if "authorization" not in asked.headers:
            return Answered(401)
        if asked.method == "POST":
            kept.append(json.loads(asked.body))
        return Answered(body=json.dumps({"kept": kept, "query": asked.query}))

    machine.https[443] = handler
    return world


@pytest.fixture
def target(world):
    target = TwinTarget(world.lab, world, allow_changes=True)
    yield target
    target.close()


AUTH = ("key", Secret("x", lambda: "hush"))


def post(value):
    return Request("counter", "POST", "/add", "change", body=value, auth=AUTH, timeout_s=10)


GET = Request("counter", "GET", "/all", "read", query={"a": "b c"}, auth=AUTH, timeout_s=10)


def test_what_is_sent_is_kept_and_read_back(target):
    assert target.link.run("truenas", post({"n": "é" * 50_000})).ok
    result = target.link.run("truenas", GET)
    assert json.loads(result.stdout) == {"kept": [{"n": "é" * 50_000}], "query": {"a": "b c"}}


def test_who_does_not_say_who_it_is_is_refused(target):
    request = Request("counter", "GET", "/all", "read", timeout_s=10)
    assert target.link.run("truenas", request).exit_status == 401


def test_a_port_where_nothing_listens(target):
    with pytest.raises(Unreachable, match="can't be reached through truenas"):
        target.link.run("truenas", Request("counter", "GET", "/", "read", port=444))


def test_its_certificate_is_its_own_and_the_same_each_time(target, world):
    world.machines["truenas"].https[8443] = world.machines["truenas"].https[443]
    with pytest.raises(CertificateRefused):
        target.link.run("truenas", Request("counter", "GET", "/", "read", port=8443))
    again = built(world.lab, before_phase=2, seed=7)
    other = built(world.lab, before_phase=2, seed=8)
    ours = world.machines["truenas"].https_identity.certificate
    assert again.machines["truenas"].https_identity.certificate == ours
    assert other.machines["truenas"].https_identity.certificate != ours
    assert again.machines["proxmox"].https_identity.certificate != ours


@pytest.mark.parametrize(("fault", "kept"), [("cut-before", 0), ("cut-after", 1)])
def test_a_link_cut_leaves_a_change_unknown(target, world, fault, kept):
    world.faults.arm(fault, "POST .*/add")
    with pytest.raises(OutcomeUnknown):
        target.link.run("truenas", post(1))
    assert len(json.loads(target.link.run("truenas", GET).stdout)["kept"]) == kept
