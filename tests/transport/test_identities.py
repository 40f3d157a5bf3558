"""Which keys are offered, and which lists of algorithms leave what."""

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from homelab_lib.transport.algorithms import chosen
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.identities import keys, public_half

FORM = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH


@pytest.fixture
def pair(tmp_path):
    """Writes a key pair: `pair("id", passphrase=b"…")` gives file and public half."""

    def write(name, passphrase=None):
        key = Ed25519PrivateKey.generate()
        lock = (
            serialization.BestAvailableEncryption(passphrase)
            if passphrase
            else serialization.NoEncryption()
        )
        form = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
        (tmp_path / name).write_bytes(key.private_bytes(*form, lock))
        return tmp_path / name, key.public_key().public_bytes(*FORM).decode()

    return write


class Agent:
    """An agent that holds public halves."""

    def __init__(self, *halves):
        self.keys = [
            paramiko.AgentKey(self, paramiko.pkey.PublicBlob.from_string(half).key_blob, "held")
            for half in halves
        ]

    def get_keys(self):
        return self.keys


def labels(endpoint, agent=None):
    tried = []
    return [label for label, _ in keys(endpoint, agent, tried)], tried


def endpoint(*files, **settings):
    return Endpoint("nas", "10.0.30.10", identity_files=tuple(map(str, files)), **settings)


@pytest.mark.parametrize("passphrase", [None, b"secret"])
def test_the_public_half_stands_in_the_private_key(pair, passphrase):
    file, half = pair("id", passphrase)
    assert public_half(file).split() == half.split()
    file.with_suffix(".pub").write_text(f"{half} beside\n")
    assert public_half(file) == f"{half} beside"
    assert public_half(file.with_suffix(".pub")) == f"{half} beside"


@pytest.mark.parametrize("text", ["", "hello", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----"])
def test_what_is_no_key_has_no_public_half(tmp_path, text):
    (tmp_path / "id").write_text(text)
    assert public_half(tmp_path / "id") is None
    assert public_half(tmp_path / "gone") is None


def test_a_key_in_an_agent_is_offered_once_and_in_the_file_s_turn(pair):
    (first, _), (second, half), (_, other) = pair("a"), pair("b"), pair("c")
    agent = Agent(other, half)
    assert labels(endpoint(first, second), agent)[0] == [
        str(first),
        str(second),
        "the agent's held",
    ]
    only = labels(endpoint(first, second, identities_only=True), agent)
    assert only[0] == [str(first), str(second)]


def test_a_public_half_stands_for_the_agent_s_key(pair, tmp_path):
    _, half = pair("a")
    (tmp_path / "half.pub").write_text(half)
    wanted = endpoint(tmp_path / "half.pub", identities_only=True)
    assert labels(wanted, Agent(half)) == ([str(tmp_path / "half.pub")], [])
    offered, tried = labels(wanted, Agent(pair("c")[1]))
    assert offered == []
    assert "a public key, and no agent" in tried[0]


def test_what_can_not_be_offered_is_told_with_the_reason(pair, tmp_path):
    locked, _ = pair("locked", b"secret")
    (tmp_path / "junk").write_text("junk")
    offered, tried = labels(endpoint(locked, tmp_path / "gone", tmp_path / "junk"))
    assert offered == []
    assert f"ssh-add {locked}" in tried[0]
    assert "no such file" in tried[1]
    assert tried[2].startswith(f"{tmp_path / 'junk'}: ")
    file, _ = pair("id")
    accepted = (("pubkeyacceptedalgorithms", "rsa-sha2-512"),)
    assert labels(endpoint(file, algorithms=accepted)) == (
        [],
        [f"{file}: PubkeyAcceptedAlgorithms leaves out ssh-ed25519"],
    )


@pytest.mark.parametrize(
    ("spec", "left"),
    [
        ("", ["a1", "a2", "b"]),
        ("b,a1", ["b", "a1"]),
        ("b,never", ["b"]),
        ("never", []),
        ("c,a*", ["c", "a1", "a2"]),
        ("+c", ["a1", "a2", "b", "c"]),
        ("+b,never", ["a1", "a2", "b"]),
        ("-a?", ["b"]),
        ("^b,c", ["b", "c", "a1", "a2"]),
    ],
)
def test_a_list_of_algorithms(spec, left):
    assert list(chosen(spec, ["a1", "a2", "b"], ["a1", "c"])) == left
