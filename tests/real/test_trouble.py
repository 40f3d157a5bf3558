"""An sshd that dies, hangs or comes back: what is known, what is asked again, what is not."""

import os
import threading
import time
from contextlib import suppress

import pytest

from homelab_lib.errors import HomelabError, OutcomeUnknown, TooSlow, Unreachable
from homelab_lib.transport.command import change, read
from homelab_lib.transport.ssh import BACKOFF_S
from real.opensshd import until

pytestmark = pytest.mark.real


class Caller(threading.Thread):
    """Runs a command beside the test, and keeps its result or error."""

    def __init__(self, connection, command):
        super().__init__(daemon=True)
        self.connection, self.command, self.outcome = connection, command, None
        self.start()

    def run(self):
        try:
            self.outcome = self.connection.run(self.command)
        except HomelabError as error:
            self.outcome = error

    def end(self):
        self.join(20)
        assert not self.is_alive(), f"no end of {self.command.line}"
        return self.outcome


@pytest.fixture
def pipe(tmp_path):
    """A named pipe: `cat` on it waits for us, and we can tell that it does."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    yield path
    os.close(os.open(path, os.O_RDWR))  # lets go whoever still waits


def writer(pipe):
    """The pipe's other end, once somebody reads."""
    opened = []

    def is_read():
        with suppress(OSError):
            opened.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        return opened

    until(f"somebody reads {pipe}", is_read)
    return os.fdopen(opened[0], "w")


def test_a_change_whose_host_dies_is_unknown_and_not_sent_again(server, connect, tmp_path):
    started, pauses = tmp_path / "started", []
    with server() as host:
        link = connect(host.endpoint(), sleep=pauses.append)
        script = f"echo once >> {started}; exec sleep 60"
        caller = Caller(link, change("sh", "-c", script))
        until("it runs", started.exists)
        host.kill()
        outcome = caller.end()
    assert isinstance(outcome, OutcomeUnknown)
    assert "the connection broke" in outcome.what
    assert started.read_text() == "once\n"
    assert pauses == []


def test_a_read_whose_host_dies_is_asked_again(server, connect, pipe):
    pauses = []
    with server() as host:

        def sleep(pause_s):
            pauses.append(pause_s)
            host.start()

        caller = Caller(connect(host.endpoint(), sleep=sleep), read("cat", str(pipe)))
        first = writer(pipe)
        host.kill()
        first.close()
        with writer(pipe) as second:
            second.write("here")
        assert caller.end().stdout == "here"
    assert pauses == [BACKOFF_S[0]]


def test_a_read_whose_host_stays_dead_says_so(server, connect, pipe):
    pauses = []
    with server() as host:
        caller = Caller(connect(host.endpoint(), sleep=pauses.append), read("cat", str(pipe)))
        with writer(pipe):
            host.kill()
            outcome = caller.end()
    assert isinstance(outcome, Unreachable)
    assert outcome.where == f"{host.address}:{host.port}"
    assert pauses == list(BACKOFF_S)


def test_a_read_that_kills_its_link_twice_is_given_up(server, connect, pipe):
    with server() as host:
        caller = Caller(
            connect(host.endpoint(), sleep=lambda pause_s: host.start()), read("cat", str(pipe))
        )
        for _ in range(2):
            with writer(pipe):
                host.kill()
        outcome = caller.end()
    assert isinstance(outcome, Unreachable)
    assert "twice" in outcome.what


def test_a_change_that_is_killed_there_is_unknown(connection):
    with pytest.raises(OutcomeUnknown, match="without an exit status"):
        connection.run(change("sh", "-c", "kill -9 $$"))
    assert connection.run(read("true")).ok


@pytest.mark.parametrize("command", [read("true"), change("true")], ids=["read", "change"])
def test_a_host_that_restarted_between_commands_is_found_again(server, connect, command):
    pauses = []
    with server() as host:
        link = connect(host.endpoint(), sleep=pauses.append)
        assert link.run(command).ok
        host.kill()
        host.start()
        assert link.run(command).ok
    assert pauses == []


def test_a_host_that_comes_back_late_is_waited_for(server, connect):
    pauses = []

    def sleep(pause_s):
        pauses.append(pause_s)
        if len(pauses) == len(BACKOFF_S):
            host.start()

    with server() as host:
        link = connect(host.endpoint(), sleep=sleep)
        assert link.run(read("true")).ok
        host.kill()
        assert link.run(change("true")).ok
    assert pauses == list(BACKOFF_S)


def test_reconnecting_shows_that_the_way_is_open(server, connect):
    with server() as host:
        link = connect(host.endpoint())
        script = change("sh", "-c", "echo $SSH_CONNECTION")
        before = link.run(script).stdout
        link.reconnect()
        assert link.run(script).stdout != before
        host.kill()
        with pytest.raises(Unreachable, match="nothing listens there"):
            link.reconnect()


# ------------------------------------------------------------------ hanging


def test_a_host_that_hangs_at_the_door(server, connect):
    with server() as host:
        host.freeze()
        begun = time.monotonic()
        with pytest.raises(Unreachable, match="not as an SSH server should"):
            connect(host.endpoint(connect_timeout_s=0.5)).run(read("true"))
        assert time.monotonic() - begun < 3


@pytest.mark.parametrize(("kind", "raised"), [("read", TooSlow), ("change", OutcomeUnknown)])
def test_a_host_that_hangs_under_a_command(server, connect, pipe, kind, raised):
    command = {"read": read, "change": change}[kind]("cat", str(pipe), timeout_s=1.0)
    with server() as host:
        link = connect(host.endpoint())
        link.run(read("true"))
        caller = Caller(link, command)
        with writer(pipe):
            host.freeze()
            begun = time.monotonic()
            outcome = caller.end()
            assert time.monotonic() - begun < 2
        assert type(outcome) is raised
        assert "no end within 1 s" in outcome.what
        host.thaw()
        assert link.run(read("true")).ok


def test_a_host_that_hangs_between_commands(server, connect):
    """The link is open, and nobody opens a channel on it: a change was surely not sent."""
    with server() as host:
        link = connect(host.endpoint(connect_timeout_s=0.5))
        link.run(read("true"))
        host.freeze()
        with pytest.raises(Unreachable, match="no longer answers"):
            link.run(change("true"))
        host.thaw()
        assert link.run(change("true")).ok


def test_an_idle_link_is_kept_alive(server, connect, monkeypatch):
    monkeypatch.setattr("homelab_lib.transport.login.KEEPALIVE_S", 1)
    with server() as host:
        connect(host.endpoint()).run(read("true"))
        until("a keepalive arrives", lambda: "keepalive@" in host.log.read_text())
