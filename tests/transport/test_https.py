"""Requests carried through the SSH connection: what arrives, and what is known when it fails."""

import base64
import json
import socket
import threading
import time

import pytest

from homelab_lib.errors import (
    CertificateRefused,
    HomelabError,
    HostKeyRefused,
    NotSent,
    OutcomeUnknown,
    Refused,
    Unreachable,
)
from homelab_lib.secret import Secret
from homelab_lib.transport.certificates import check, fingerprint, pin, pinned
from homelab_lib.transport.command import Result, change
from homelab_lib.transport.fleet import Fleet
from homelab_lib.transport.reads import declare_service
from homelab_lib.transport.request import Request
from transport.appliance import Appliance
from transport.sshd import Sshd

SECRET = "kN7vXq2LmT9wRz4YpB6cJ8hD"
KEY = Secret("env:KEY", lambda: "the-key")
HUSH = Secret("env:SECRET", lambda: SECRET)

declare_service("toaster", lambda method, path, query: method == "GET" and "/get" in path)


@pytest.fixture
def sshd():
    with Sshd() as server:
        yield server


@pytest.fixture
def appliance(tmp_path):
    with Appliance(tmp_path) as made:
        yield made


@pytest.fixture
def fleet(sshd, appliance, tmp_path):
    file = tmp_path / "certificates"
    pin(file, f"firewall:{appliance.port}", fingerprint(appliance.der))
    endpoint = sshd.endpoint(tmp_path, name="firewall")
    with Fleet({"firewall": endpoint}, allow_changes=True, certificates=[file]) as made:
        yield made


@pytest.fixture
def ask(fleet, appliance):
    def ask(method="GET", path="/api/get", kind="read", **options):
        options = {"port": appliance.port, "timeout_s": 5.0} | options
        return fleet.run("firewall", Request("toaster", method, path, kind, **options))

    return ask


def say(*parts):
    return lambda asked, write: [write(part) for part in parts]


def test_it_arrives_whole(ask, appliance):
    body = {"alias": {"name": "dns", "content": "é"}}
    result = ask(
        "POST", "/api/set/1", "change", query={"a": "b c"}, body=body, auth=(KEY, HUSH)
    )  # fmt: skip
    assert (result.exit_status, result.stdout) == (0, "{}")
    arrived = appliance.asked[0]
    assert (arrived.method, arrived.target) == ("POST", "/api/set/1?a=b+c")
    assert json.loads(arrived.body) == body
    assert arrived.headers["Content-Type"].startswith("application/json")
    basic = base64.b64encode(f"the-key:{SECRET}".encode()).decode()
    assert arrived.headers["Authorization"] == f"Basic {basic}"


def test_a_token_alone_is_a_bearer(ask, appliance):
    ask(auth=HUSH)
    assert appliance.asked[0].headers["Authorization"] == f"Bearer {SECRET}"


def test_a_secret_may_stand_in_the_body_and_is_not_shown(ask, appliance):
    request = Request(
        "toaster", "POST", "/api/set", "change", body={"user": [{"password": HUSH}]}, auth=HUSH
    )
    for shown in (request.line, repr(request), str(request.payload)):
        assert SECRET not in shown
        assert "password" not in shown
    ask("POST", "/api/set", "change", body=request.body)
    assert json.loads(appliance.asked[0].body) == {"user": [{"password": SECRET}]}
    assert request.secrets == (HUSH, HUSH)


def test_text_goes_as_it_is(ask, appliance):
    ask("POST", "/api/set", "change", body="plain\n")
    assert appliance.asked[0].body == b"plain\n"
    assert appliance.asked[0].headers["Content-Type"].startswith("text/plain")


def test_a_status_that_is_not_2xx_is_the_exit_status(ask, appliance):
    appliance.answer = say(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nno!\n")
    result = ask()
    assert (result.exit_status, result.stdout) == (401, "no!\n")
    assert result.stderr == "401 Unauthorized"


def test_a_body_in_pieces_and_one_without_a_length(ask, appliance):
    head = b"HTTP/1.1 200 OK\r\n"
    appliance.answer = say(head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"0\r\n\r\n")
    assert ask().stdout == "abc"
    appliance.answer = say(head + b"\r\nup to the end")
    assert ask().stdout == "up to the end"


def test_only_what_its_room_has_declared_is_a_read():
    for words in (
        ("toaster", "POST", "/api/get"),
        ("toaster", "GET", "/api/set"),
        ("kettle", "GET", "/api/get"),
    ):
        with pytest.raises(ValueError, match="can't be typed read"):
            Request(*words, "read")


@pytest.mark.parametrize(
    "wrong",
    [
        ("TRACE", "/"),
        ("GET", "api/get"),
        ("GET", "/a b"),
        ("GET", "/a\r\nX: y"),
        ("GET", "/a?b=c"),
        ("GET", "/é"),
        ("GET", "/a#b"),
    ],
)
def test_what_can_not_be_sent_is_refused_at_once(wrong):
    with pytest.raises(ValueError, match=r"."):
        Request("toaster", *wrong, "change")


def test_a_plan_sends_no_change(sshd, appliance, tmp_path):
    request = Request("toaster", "POST", "/x", "change", port=appliance.port)
    with (
        Fleet({"f": sshd.endpoint(tmp_path)}, allow_changes=False) as fleet,
        pytest.raises(Refused),
    ):
        fleet.run("f", request)
    assert appliance.asked == []


# ------------------------------------------------------------------------- certificates


def test_a_stranger_is_told_nothing(sshd, appliance, tmp_path):
    file = tmp_path / "none-yet"
    endpoints = {"firewall": sshd.endpoint(tmp_path, name="firewall")}
    with Fleet(endpoints, allow_changes=True, certificates=[file]) as fleet:
        request = Request("toaster", "POST", "/x", "change", auth=HUSH, port=appliance.port)
        with pytest.raises(CertificateRefused) as refused:
            fleet.run("firewall", request)
        assert appliance.asked == []
        shown = fingerprint(appliance.der)
        line = f"firewall:{appliance.port} {shown}"
        assert f"echo '{line}' >> '{file}'" in refused.value.fix
        file.write_text(f"{line}\n")
        assert fleet.run("firewall", request).ok
        assert isinstance(refused.value, HostKeyRefused)


def test_one_who_has_changed_is_shown_with_both_fingerprints(tmp_path):
    file = tmp_path / "certificates"
    pin(file, "firewall:443", "AB:" * 31 + "AB")
    with pytest.raises(CertificateRefused) as refused:
        check("firewall:443", b"other", [file])
    assert fingerprint(b"other") in str(refused.value)
    assert f"{'AB:' * 31}AB in {file}:1" in str(refused.value)


def test_the_fingerprint_is_what_openssl_prints():
    # openssl x509 -inform DER -fingerprint -sha256, of any bytes: SHA-256 of "abc" (FIPS 180-2)
    assert fingerprint(b"abc").replace(":", "").lower() == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert fingerprint(b"abc").startswith("BA:78:16:")


def test_a_pin_holds_for_its_service_and_in_any_spelling(tmp_path):
    file = tmp_path / "certificates"
    digest = fingerprint(b"x")
    file.write_text(f"# ours\nfirewall:443 {digest.replace(':', '').lower()}\nfirewall:443 tail\n")
    assert [each.fingerprint for each in pinned("firewall:443", [file])] == [digest]
    assert pinned("firewall:8443", [file]) == []
    check("firewall:443", b"x", [file])
    pin(file, "firewall:443", fingerprint(b"y"))
    assert [each.fingerprint for each in pinned("firewall:443", [file])] == [fingerprint(b"y")]
    with pytest.raises(HomelabError, match="not the SHA-256"):
        pin(file, "firewall:443", "AB:CD")


# -------------------------------------------------------------------------------- trouble


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-what\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200,
    ],
)
def test_an_answer_that_is_none(ask, appliance, answer):
    appliance.answer = say(answer)
    with pytest.raises(OutcomeUnknown, match="only a look at the host can tell"):
        ask("POST", "/x", "change")
    assert len(appliance.asked) == 1
    with pytest.raises(Unreachable, match="twice"):
        ask()
    assert len(appliance.asked) == 3


def test_a_read_is_asked_again_once(ask, appliance):
    answers = iter([b"HTTP/1.1 2"])
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    appliance.answer = lambda asked, write: write(next(answers, whole))
    assert ask().stdout == "ok"


def test_an_answer_without_end_is_cut(ask, appliance, monkeypatch):
    monkeypatch.setattr("homelab_lib.transport.https.MAX_OUTPUT_BYTES", 2**16)

    def endless(asked, write):
        write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            write(b"x" * 2**14)

    appliance.answer = endless
    with pytest.raises(OutcomeUnknown, match="MiB"):
        ask("POST", "/x", "change")


def test_its_time_is_bounded_however_it_drips(ask, appliance):
    over = threading.Event()

    def drip(asked, write):
        write(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.02):
            write(b"X")

    appliance.answer = drip
    begun = time.monotonic()
    with pytest.raises(OutcomeUnknown, match=r"no end within 0\.3 s"):
        ask("POST", "/x", "change", timeout_s=0.3)
    over.set()
    assert time.monotonic() - begun < 5


def test_nothing_listens_there(ask):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable, match="can't be reached through firewall"):
        ask("POST", "/x", "change", port=port)


def test_what_listens_there_speaks_no_tls(ask, sshd):
    with pytest.raises(Unreachable, match="does not speak TLS"):
        ask("POST", "/x", "change", port=sshd.port)


def test_what_listens_there_says_nothing(ask):
    late = pytest.raises(Unreachable, match=r"no answer within 0\.3 s")
    with socket.create_server(("127.0.0.1", 0)) as mute, late:
        ask("POST", "/x", "change", port=mute.getsockname()[1], timeout_s=0.3)


def test_a_link_lost_under_a_change(ask, appliance, sshd):
    def drop(asked, write):
        for transport in sshd.transports:
            transport.close()

    appliance.answer = drop
    with pytest.raises(OutcomeUnknown):
        ask("POST", "/x", "change")


def test_requests_and_commands_keep_their_order(fleet, appliance, tmp_path):
    trace = tmp_path / "trace"
    look = change("sh", "-c", f"ls {trace}")
    appliance.answer = lambda asked, write: (
        trace.exists() and trace.unlink(),
        write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
    )
    outcomes = fleet.run_many(
        "firewall",
        [
            change("touch", str(trace)),
            look,
            Request("toaster", "POST", "/x", "change", port=appliance.port),
            look,
        ],
    )
    assert [o.exit_status if isinstance(o, Result) else type(o) for o in outcomes] == [
        *(0, 0, 500),
        NotSent,
    ]
    assert not trace.exists()
