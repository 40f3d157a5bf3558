"""A server that means no good: each of its ways ends in a clear error, soon."""

import socket
import threading

import pytest

from homelab_lib.errors import AuthenticationRefused, HomelabError, OutcomeUnknown, Unreachable
from homelab_lib.transport.command import change, read
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.fleet import Fleet
from homelab_lib.transport.ssh import Connection
from transport.sshd import Sshd, real_shell


@pytest.fixture
def over():
    """Lets whoever waits for it go at the end."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def greeted_by():
    """A port where each link is greeted by a function, and the way to it."""
    listener = socket.create_server(("127.0.0.1", 0))
    links = []

    def start(greet):
        def serve():
            while True:
                try:
                    links.append(listener.accept()[0])
                except OSError:
                    return
                threading.Thread(target=greet, args=(links[-1],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        return Endpoint("evil", "127.0.0.1", port, use_agent=False, connect_timeout_s=0.5)

    yield start
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for link in links:
        link.close()


def _flood(text):
    def flood(link):
        try:
            while True:
                link.sendall(text)
        except OSError:
            pass

    return flood


@pytest.mark.parametrize(
    "greet",
    [
        _flood(b"X" * 4096),
        _flood(b"hello there\r\n" * 100),
        _flood(b"\r\n"),
        lambda link: link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        lambda link: link.sendall(b"SSH-1.5-old\r\n"),
        lambda link: link.sendall(b"SSH-2.0-x\r\n" + b"\xff" * 5000),
        lambda link: (link.sendall(b"SSH-2.0-x\r\n"), link.shutdown(socket.SHUT_WR)),
        lambda link: link.close(),
        lambda link: None,
    ],
)
def test_whoever_greets_in_another_way_is_no_ssh_server(greeted_by, greet):
    with pytest.raises(Unreachable, match=r"not as an SSH server should: \w") as caught:
        Connection(greeted_by(greet)).run(read("id"))
    assert len(caught.value.what) < 500


def test_one_letter_at_a_time_is_too_slow(greeted_by, over):
    def drip(link):
        while not over.wait(0.02):
            link.sendall(b"x")

    with pytest.raises(Unreachable, match="not as an SSH server should"):
        Connection(greeted_by(drip)).run(read("id"))
    over.set()


def test_what_a_stranger_says_can_not_move_the_cursor(greeted_by):
    greet = _flood(b"\x1b]0;pwn\x07\x1b[2J\xc2\x9b31m\r\n")
    with pytest.raises(Unreachable) as caught:
        Connection(greeted_by(greet)).run(read("id"))
    assert not set(str(caught.value)) & {"\x1b", "\x07", "\x9b", "\r"}


@pytest.fixture
def evil(tmp_path):
    """Its server, and a fleet that is to talk to it."""
    with Sshd() as server:
        endpoint = server.endpoint(tmp_path, name="evil", connect_timeout_s=0.5)
        with Fleet({"evil": endpoint}, allow_changes=True) as fleet:
            yield server, fleet


@pytest.fixture
def turn(evil):
    """Lets the fleet get to know it, and then turns it evil: `turn(answer)`."""
    server, fleet = evil

    def after(answer):
        server.answer = real_shell
        assert fleet.run("evil", read("true")).ok
        server.answer = answer

    return after


def test_it_hangs_while_it_lets_us_in(evil, over, monkeypatch):
    _, fleet = evil
    monkeypatch.setattr("transport.sshd._Rules.check_auth_publickey", lambda *_: over.wait(30))
    with pytest.raises(AuthenticationRefused, match=r"no answer within 0\.5 s"):
        fleet.run("evil", read("id"))


def test_it_hangs_when_a_channel_is_opened(evil, over, monkeypatch):
    _, fleet = evil
    monkeypatch.setattr("transport.sshd._Rules.check_channel_request", lambda *_: over.wait(30))
    with pytest.raises(Unreachable, match="no longer answers"):
        fleet.run_many("evil", [change("true", "x"), change("true", "y")])


def test_it_hangs_when_a_command_is_started(evil, over, turn):
    server, fleet = evil
    turn(real_shell)
    server.accepts_exec = lambda: over.wait(30)
    with pytest.raises(OutcomeUnknown, match=r"no end within 0\.5 s"):
        fleet.run("evil", change("true", "x", timeout_s=0.5))
    with pytest.raises(HomelabError, match=r"no end within 0\.5 s"):
        fleet.run("evil", read("id", timeout_s=0.5))
    with pytest.raises(HomelabError, match=r"no end within 0\.5 s: true") as caught:
        fleet.run("evil", change("true", "x", timeout_s=0.5))
    assert not isinstance(caught.value, OutcomeUnknown)  # it asked first, on this new connection


def _endless(send):
    def answer(call):
        while True:
            getattr(call.channel, send)(b"A" * 65536)

    return answer


@pytest.mark.parametrize("answer", [_endless("sendall"), _endless("sendall_stderr")])
def test_it_never_stops_talking(evil, answer, turn, monkeypatch):
    monkeypatch.setattr("homelab_lib.transport.channel.MAX_OUTPUT_BYTES", 2**20)
    _, fleet = evil
    turn(answer)
    with pytest.raises(OutcomeUnknown, match="1 MiB of output"):
        fleet.run("evil", change("true", "x"))
    with pytest.raises(HomelabError, match="1 MiB of output"):
        fleet.run("evil", read("id"))
    turn(answer)
    outcomes = fleet.run_many("evil", [change("true", "x"), change("true", "y")])
    assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown, OutcomeUnknown]


@pytest.mark.parametrize(
    "answer",
    [
        lambda call: call.channel.sendall(b"half an ans") or call.drop_the_link(),
        lambda call: call.channel.sendall(b"no status"),
        lambda call: call.drop_the_link(),
    ],
)
def test_it_stops_half_way(evil, answer, turn):
    _, fleet = evil
    turn(answer)
    with pytest.raises(OutcomeUnknown):
        fleet.run("evil", change("true", "x"))
    with pytest.raises(Unreachable, match="twice"):
        fleet.run("evil", read("id"))
    turn(answer)
    outcomes = fleet.run_many("evil", [change("true", "x"), read("id")])
    assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown, OutcomeUnknown]
