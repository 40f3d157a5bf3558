"""Strangers are refused, with what a person needs to decide."""

import base64
import hmac
import os
from pathlib import Path

import pytest

from homelab_lib.errors import HomelabError, HostKeyRefused
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.hostkeys import HostKey, check, known_keys, pin

# Keys with the fingerprints that `ssh-keygen -lf` prints for them.
ED25519 = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDazPdHjuPXYVwjeL8YS/dey4/DqfIQB+UTlelIAzUTO",
    "SHA256:EKJScEnPvLaqS9qHNeQirXS+vnHUoy1oS7apBr3ix4M",
)
ECDSA = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPcVljYlxlun"
    "BJkUSJWPIZ/wD+MsfIvXMmDzJ0dq73kEhS7khBMXyn1002zeQiReZyRsmk3LQ/+wpoY5u2GOuog=",
    "SHA256:bmjuRtkk38a91VVJBbaIfoeu3wi+SSLUKZxBnf4zPSw",
)
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPqAhtu6g/pZ63axQJ64JixN2KfmuEjfrCDgPk7EVLyP"

NAS = Endpoint("nas", "10.0.30.10")
KEY = HostKey.parse(ED25519[0])


@pytest.fixture
def file(tmp_path):
    return tmp_path / "known_hosts"


def _knows(file, line, name="10.0.30.10"):
    file.write_text(line + "\n")
    own = [key for key in known_keys(name, [file]) if not key.marker]
    return [key.same_as(KEY) for key in own] == [True]


@pytest.mark.parametrize(("key", "fingerprint"), [ED25519, ECDSA])
def test_fingerprints_are_those_of_ssh_keygen(key, fingerprint):
    assert HostKey.parse(key).fingerprint == fingerprint


@pytest.mark.parametrize(
    "text", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa " + ED25519[0].split()[1], "a b c"]
)
def test_what_is_no_key_is_no_key(text):
    with pytest.raises(HomelabError, match="not a public host key"):
        HostKey.parse(text)


@pytest.mark.parametrize(
    "names",
    [
        "10.0.30.10",
        "nas,10.0.30.10",
        "10.0.30.*",
        "10.0.3?.10",
        "10.0.*,!10.0.20.*",
    ],
)
def test_lines_that_mean_the_host(file, names):
    assert _knows(file, f"{names} {ED25519[0]} comment")


@pytest.mark.parametrize(
    "line",
    [
        f"10.0.30.1 {ED25519[0]}",
        f"10.0.30.100 {ED25519[0]}",
        f"10x0x30x10 {ED25519[0]}",
        f"[10.0.30.10]:2222 {ED25519[0]}",
        f"*,!10.0.30.10 {ED25519[0]}",
        f"# 10.0.30.10 {ED25519[0]}",
        f"@cert-authority * {ED25519[0]}",
        "10.0.30.10 ssh-ed25519",
        "10.0.30.10 ssh-ed25519 not-a-key",
        f"|1|broken {ED25519[0]}",
        "",
    ],
)
def test_lines_that_do_not(file, line):
    assert not _knows(file, line)


def test_a_port_of_its_own(file):
    assert _knows(file, f"[10.0.30.10]:2222 {ED25519[0]}", "[10.0.30.10]:2222")
    assert not _knows(file, f"10.0.30.10 {ED25519[0]}", "[10.0.30.10]:2222")


def test_hashed_names(file):
    salt = b"12345678901234567890"
    digest = hmac.digest(salt, b"10.0.30.10", "sha1")
    hashed = "|1|" + "|".join(base64.b64encode(part).decode() for part in (salt, digest))
    assert _knows(file, f"{hashed} {ED25519[0]}")
    assert not _knows(file, f"{hashed} {ED25519[0]}", "10.0.30.11")


def test_a_file_that_is_not_there_knows_nobody(file):
    assert known_keys("10.0.30.10", [file]) == []


def test_a_file_that_can_not_be_read_is_an_error(tmp_path):
    with pytest.raises(HomelabError, match="a folder, no regular file"):
        known_keys("10.0.30.10", [tmp_path])


def test_the_null_device_is_no_file_of_known_hosts():
    assert known_keys("10.0.30.10", [Path(os.devnull)]) == []


def test_a_known_host_passes(file):
    file.write_text(f"10.0.30.10 {ED25519[0]}\n")
    check(NAS, KEY, [file])


def test_any_file_can_vouch(tmp_path):
    stale, fresh = tmp_path / "stale", tmp_path / "fresh"
    stale.write_text(f"10.0.30.10 {OTHER}\n")
    fresh.write_text(f"10.0.30.10 {ED25519[0]}\n")
    check(NAS, KEY, [stale, fresh])


def test_an_unknown_host_is_refused_with_the_line_to_add(file):
    with pytest.raises(HostKeyRefused, match="nobody has vouched for") as caught:
        check(NAS, KEY, [file])
    assert ED25519[1] in caught.value.what
    assert caught.value.where == "10.0.30.10:22"
    assert f"echo '10.0.30.10 {ED25519[0]}' >> '{file}'" in caught.value.fix
    assert "ssh_host_ed25519_key.pub" in caught.value.fix


def test_following_the_advice_helps(file):
    with pytest.raises(HostKeyRefused) as caught:
        check(NAS, KEY, [file])
    line = caught.value.fix.partition("echo '")[2].partition("'")[0]
    file.write_text(line)
    check(NAS, KEY, [file])


def test_a_changed_key_is_refused_and_the_old_one_is_named(file):
    file.write_text(f"# mine\n10.0.30.10 {OTHER}\n")
    with pytest.raises(HostKeyRefused, match="has changed") as caught:
        check(NAS, KEY, [file])
    assert f"{HostKey.parse(OTHER).fingerprint} in {file}:2" in caught.value.what
    assert ED25519[1] in caught.value.what
    assert f"ssh-keygen -R '10.0.30.10' -f '{file}'" in caught.value.fix


def test_a_key_of_another_kind_is_no_excuse(file):
    file.write_text(f"10.0.30.10 {ECDSA[0]}\n")
    with pytest.raises(HostKeyRefused, match="has changed"):
        check(NAS, KEY, [file])


def test_a_revoked_key_is_refused_even_where_it_is_also_known(file):
    file.write_text(f"10.0.30.10 {ED25519[0]}\n@revoked * {ED25519[0]}\n")
    with pytest.raises(HostKeyRefused, match="revoked"):
        check(NAS, KEY, [file])


def test_a_pinned_key_is_known(tmp_path):
    file = tmp_path / "state" / "known_hosts"
    pin(file, NAS, ED25519[0] + " root@nas\n")
    check(NAS, KEY, [file])
    assert file.read_text() == f"10.0.30.10 {ED25519[0]}\n"


def test_a_pin_replaces_what_was_there_for_the_host_and_nothing_else(file):
    other = Endpoint("pve", "10.0.30.11")
    pin(file, other, OTHER)
    pin(file, NAS, OTHER)
    pin(file, NAS, ECDSA[0])
    pin(file, NAS, ED25519[0])
    assert file.read_text() == f"10.0.30.11 {OTHER}\n10.0.30.10 {ED25519[0]}\n"
    assert [path.name for path in file.parent.iterdir()] == ["known_hosts"]


def test_what_is_no_key_is_not_pinned(file):
    with pytest.raises(HomelabError, match="not a public host key"):
        pin(file, NAS, "cat: /etc/ssh/ssh_host_ed25519_key.pub: No such file or directory")
    assert not file.exists()
