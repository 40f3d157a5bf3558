"""Requests carried by OpenSSH to a real HTTPS service behind it."""

import base64
import json
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import pytest

from homelab_lib.errors import CertificateRefused, OutcomeUnknown, Unreachable
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
            ask.server = server
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


SECRET = "s3cr3t-of-the-oven"
KEY = ("the-key", Secret("oven", lambda: SECRET))


def test_key_and_secret_arrive_and_nobody_else_sees_them(ask, appliance):
    """As OPNsense takes them: Basic, inside of TLS, inside of SSH; on no command line."""
    ask.pin()
    seen = []

    def answer(asked, say):
        for each in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has just ended
                seen.append(each.read_bytes())
        say(b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"result":"saved"}')

    appliance.answer = answer
    answered = ask("POST", "change", body={"rule": {"enabled": "1"}}, auth=KEY)
    assert json.loads(answered.stdout) == {"result": "saved"}
    arrived = appliance.asked[0]
    assert json.loads(arrived.body) == {"rule": {"enabled": "1"}}
    shown = base64.b64encode(f"the-key:{SECRET}".encode()).decode()
    assert arrived.headers["Authorization"] == f"Basic {shown}"
    told = [ask.server.log.read_bytes(), *seen]
    assert seen
    assert not any(word.encode() in each for word in (SECRET, shown) for each in told)


def test_who_is_not_known_there_is_told_so(ask, appliance):
    """401 is an answer: it was understood, and nothing was done."""
    ask.pin()
    body = b'{"status":401,"message":"Authentication Failed"}'
    appliance.answer = lambda asked, say: say(
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    answered = ask("POST", "change", auth=KEY)
    assert (answered.ok, answered.exit_status) == (False, 401)
    assert "Authentication Failed" in answered.stdout + answered.stderr
    assert len(appliance.asked) == 1


def test_one_who_has_another_certificate_now_is_refused(ask, appliance, tmp_path):
    ask.pin()
    assert ask().ok
    with Appliance(tmp_path) as other:
        pin(tmp_path / "certificates", f"nas:{other.port}", fingerprint(appliance.der))
        with pytest.raises(CertificateRefused) as refused:
            ask("POST", "change", port=other.port)
    assert other.asked == []
    shown = f"{refused.value.what} {refused.value.fix}"
    assert fingerprint(appliance.der) in shown
    assert fingerprint(other.der) in shown


def test_sshd_dies_in_the_middle_of_it(ask, appliance):
    """A change that got there: what came of it is not known, and it is not sent again. A read is
    asked again, once there is somebody to ask."""
    ask.pin()
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b"x" * 400

    def dies(asked, say):
        say(begun)
        ask.server.kill()
        ask.server.start()

    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    once = defaultdict(lambda: lambda asked, say: say(whole), {1: dies, 2: dies})
    appliance.answer = lambda asked, say: once[len(appliance.asked)](asked, say)
    with pytest.raises(OutcomeUnknown, match="only a look at the host can tell"):
        ask("POST", "change", auth=KEY)
    assert len(appliance.asked) == 1
    assert ask(auth=KEY).stdout == "ok"
    assert [asked.method for asked in appliance.asked] == ["POST", "GET", "GET"]


def test_forwarding_is_not_allowed(network, appliance, tmp_path):
    request = Request("oven", "GET", "/x", "read", port=appliance.port)
    with (
        OpenSshd(tmp_path / "sshd", options=["AllowTcpForwarding no"]) as server,
        Fleet({"nas": server.endpoint()}, allow_changes=True) as fleet,
        pytest.raises(Unreachable, match="AllowTcpForwarding"),
    ):
        fleet.run("nas", request)
