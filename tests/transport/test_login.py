"""Getting in, and what is heard of a host that refuses."""

import pytest

from homelab_lib.errors import AuthenticationRefused
from homelab_lib.transport.command import read
from homelab_lib.transport.ssh import Connection
from transport.sshd import Sshd

BOOTING = "System is booting up. Unprivileged users are not permitted to log in yet."


@pytest.fixture
def refusing(tmp_path):
    """A server that takes no key, and the way to it."""
    with Sshd() as server:
        server.accepts_keys = False
        yield Connection(server.endpoint(tmp_path))


def test_a_refusal_carries_the_host_s_own_words(refusing, monkeypatch):
    words = f"\r\n{BOOTING}\r\n\x1b[2J"
    monkeypatch.setattr("transport.sshd._Rules.get_banner", lambda _: (words, "en"))
    with pytest.raises(AuthenticationRefused, match="refused every key") as caught:
        refusing.run(read("true"))
    assert caught.value.says.splitlines()[0] == BOOTING
    assert f"it says: {BOOTING}" in caught.value.what
    assert "\x1b" not in caught.value.says


def test_a_host_that_refuses_without_a_word_says_nothing(refusing):
    with pytest.raises(AuthenticationRefused) as caught:
        refusing.run(read("true"))
    assert caught.value.says == ""
    assert "it says" not in caught.value.what
