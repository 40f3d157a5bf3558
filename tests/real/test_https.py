"""Requests carried by OpenSSH to a real HTTPS service behind it."""

import pytest

from homelab_lib.errors import CertificateRefused, Unreachable
from homelab_lib.secret import Secret
from homelab_lib.transport.certificates import fingerprint, pin
from homelab_lib.transport.fleet import Fleet
from homelab_lib.transport.reads import declare_service
from homelab_lib.transport.request import Request
from real.opensshd import OpenSshd
from transport.appliance import Appliance

pytestmark = pytest.mark.real

declare_service("oven", lambda method, path, query: method == "GET")


@pytest.fixture
def appliance(tmp_path):
    with Appliance(tmp_path) as made:
        yield made


@pytest.fixture
def ask(network, appliance, tmp_path):
    """Asks through an sshd beside the service, which listens on loopback alone."""
    certificates = tmp_path / "certificates"
    with OpenSshd(tmp_path / "sshd") as server:
        endpoints = {"nas": server.endpoint()}
        with Fleet(endpoints, allow_changes=True, certificates=[certificates]) as fleet:

            def ask(method="GET", kind="read", **options):
                options = {"port": appliance.port, "timeout_s": 10} | options
                return fleet.run("nas", Request("oven", method, "/x", kind, **options))

            ask.pin = lambda: pin(certificates, f"nas:{appliance.port}", fingerprint(appliance.der))
            yield ask


def test_large_bodies_both_ways(ask, appliance):
    ask.pin()
    large = "é" * 2**20
    appliance.answer = lambda asked, say: say(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(asked.body), asked.body)
    )
    answered = ask("POST", "change", body=large, auth=("me", Secret("x", lambda: "hush")))
    assert answered.stdout == large


def test_a_stranger_behind_a_friend_is_refused(ask, appliance):
    with pytest.raises(CertificateRefused):
        ask("POST", "change")
    assert appliance.asked == []
    ask.pin()
    assert ask("POST", "change").ok


def test_forwarding_is_not_allowed(network, appliance, tmp_path):
    request = Request("oven", "GET", "/x", "read", port=appliance.port)
    with (
        OpenSshd(tmp_path / "sshd", options=["AllowTcpForwarding no"]) as server,
        Fleet({"nas": server.endpoint()}, allow_changes=True) as fleet,
        pytest.raises(Unreachable, match="AllowTcpForwarding"),
    ):
        fleet.run("nas", request)
