"""Who is let in, who is refused, and what a person is told about it."""

import os
import shutil
import subprocess

import pytest

from homelab_lib.errors import AuthenticationRefused, HostKeyRefused
from homelab_lib.transport.command import change, read
from real.opensshd import make_key, public
from real.users import NO_PASSWORD, WITH_PASSWORD

pytestmark = pytest.mark.real

KINDS = ["ed25519", "ecdsa", "rsa"]
needs_sudo = pytest.mark.skipif(not shutil.which("sudo"), reason="this machine has no sudo")


def fingerprint(key):
    """As OpenSSH's own tool tells it."""
    told = subprocess.run(["ssh-keygen", "-lf", f"{key}.pub"], capture_output=True, check=True)
    return told.stdout.decode().split()[1]


# ---------------------------------------------------------------- host keys


def test_an_unknown_host_is_refused_and_the_advice_lets_it_in(server, connect):
    with server() as host:
        host.known_hosts.write_text("")
        with pytest.raises(HostKeyRefused, match="nobody has vouched for") as caught:
            connect(host.endpoint()).run(read("true"))
        assert fingerprint(host.host_keys[0]) in caught.value.what
        subprocess.run(["sh", "-c", caught.value.fix.splitlines()[-1]], check=True)
        assert connect(host.endpoint()).run(read("true")).ok


def test_a_changed_key_is_refused_with_both_fingerprints_and_the_line(server, connect, tmp_path):
    with server() as host:
        old = make_key(tmp_path / "old")
        host.known_hosts.write_text(f"# a comment\n{host.key_name} {public(old)}\n")
        with pytest.raises(HostKeyRefused, match="has changed") as caught:
            connect(host.endpoint()).run(read("true"))
        assert fingerprint(host.host_keys[0]) in caught.value.what
        assert f"{fingerprint(old)} in {host.known_hosts}:2" in caught.value.what
        assert caught.value.where == f"{host.address}:{host.port}"
        assert "userauth-request" not in host.log.read_text()  # no key of ours was shown to it


@pytest.mark.parametrize("known", range(3), ids=KINDS)
def test_one_known_key_of_several_is_enough(server, connect, known):
    with server(key_kinds=KINDS) as host:
        host.vouch(public(host.host_keys[known]))
        assert connect(host.endpoint()).run(read("true")).ok


def test_a_host_key_that_is_revoked(server, connect):
    with server() as host, host.known_hosts.open("a") as file:
        print("@revoked *", public(host.host_keys[0]), file=file, flush=True)
        with pytest.raises(HostKeyRefused, match="revoked"):
            connect(host.endpoint()).run(read("true"))


def test_names_hashed_by_ssh_keygen_are_found(server, connect):
    with server() as host:
        subprocess.run(
            ["ssh-keygen", "-H", "-f", str(host.known_hosts)], check=True, capture_output=True
        )
        assert host.address not in host.known_hosts.read_text()
        assert connect(host.endpoint()).run(read("true")).ok


# ----------------------------------------------------------------- our keys


def test_a_wrong_key_is_refused_and_named(nas, connect, tmp_path):
    stranger = make_key(tmp_path / "stranger")
    with pytest.raises(AuthenticationRefused, match="it refused every key") as caught:
        connect(nas.endpoint(identity_files=(str(stranger),))).run(read("true"))
    assert f"tried: {stranger}" in caught.value.what
    assert f"ssh-copy-id -p {nas.port} " in caught.value.fix


def test_the_right_key_after_wrong_ones(nas, connect, tmp_path):
    keys = [make_key(tmp_path / name) for name in "ab"]
    files = (*map(str, keys), str(tmp_path / "none"), str(nas.client_key))
    assert connect(nas.endpoint(identity_files=files)).run(read("true")).ok


def test_more_keys_than_the_host_has_patience_for(server, connect, tmp_path):
    files = tuple(str(make_key(tmp_path / name)) for name in "abcd")
    with (
        server(options=["MaxAuthTries 2"]) as host,
        pytest.raises(AuthenticationRefused, match="it closed the connection") as caught,
    ):
        connect(host.endpoint(identity_files=files)).run(read("true"))
    assert caught.value.what.count("tried:") < len(files)


def test_a_host_that_takes_no_keys(server, connect):
    options = ["PubkeyAuthentication no", "PasswordAuthentication yes"]
    with server(options=options) as host, pytest.raises(AuthenticationRefused, match="password"):
        connect(host.endpoint()).run(read("true"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_client_key(server, connect, kind, tmp_path):
    key = make_key(tmp_path / kind, kind)
    with server() as host:
        (host.folder / "authorized_keys").write_text(public(key))
        assert connect(host.endpoint(identity_files=(str(key),))).run(read("true")).ok


# --------------------------------------------------------------------- sudo


@needs_sudo
def test_sudo_without_a_password(login):
    user = login("s", sudo=NO_PASSWORD)
    assert user.run(read("id", "-u")).stdout != "0\n"
    assert user.run(read("id", "-u", sudo=True)).stdout == "0\n"
    words = ["-rf", "$(id)", "a b", "'"]
    told = user.run(change("printf", "%s\\0", *words, sudo=True))
    assert told.stdout.split("\0")[:-1] == words


@needs_sudo
def test_a_program_s_own_failure_is_not_taken_for_a_refusal_of_sudo(login):
    told = login("s", sudo=NO_PASSWORD).run(change("sh", "-c", "echo no >&2; exit 1", sudo=True))
    assert (told.exit_status, told.stderr) == (1, "no\n")


@needs_sudo
@pytest.mark.parametrize("rule", [WITH_PASSWORD, ""], ids=["with a password", "not at all"])
def test_sudo_that_wants_a_password_is_refused_and_nothing_runs(login, rule, tmp_path):
    user = login("p", sudo=rule)
    with pytest.raises(
        AuthenticationRefused, match="may not use sudo without a password"
    ) as caught:
        user.run(change("touch", str(tmp_path / "made"), sudo=True))
    name = user.endpoint.user
    assert "password is required" in caught.value.what
    assert f"{name} ALL=(ALL) NOPASSWD: ALL" in caught.value.fix
    assert os.listdir(tmp_path) == []
