"""Listening to a command: what we do where paramiko is not to be relied on."""

import pytest

from homelab_lib.transport.command import change
from homelab_lib.transport.ssh import Connection
from transport.sshd import Sshd


@pytest.fixture
def connection(tmp_path):
    with Sshd() as server:
        made = Connection(server.endpoint(tmp_path))
        yield made
        made.close()


def test_lost_wake_ups_delay_and_do_not_hang(connection, monkeypatch):
    """Two streams share one pipe in paramiko, each under a lock of its own; wake-ups get lost."""
    monkeypatch.setattr("paramiko.pipe.PosixPipe.set", lambda self: None)
    result = connection.run(change("sh", "-c", "echo out; echo err >&2; exit 3", timeout_s=5))
    assert (result.exit_status, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert result.duration_s < 3
