"""Certificates of host keys, made here as an authority makes them."""

from base64 import b64decode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    SSHCertificateBuilder,
    SSHCertificateType,
)
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.errors import HostKeyRefused
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.host_certificates import why_not
from homelab_lib.transport.hostkeys import HostKey, check

NOW_S = 1_800_000_000
NAS = Endpoint("nas", "10.0.30.10", 2222)
HOST = ed25519.Ed25519PrivateKey.generate()
AUTHORITY = ed25519.Ed25519PrivateKey.generate()


def text(key):
    """A public key as known_hosts has it."""
    form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(*form).decode()


def blob(key):
    return b64decode(text(key).split()[1])


def certificate(
    *,
    authority=AUTHORITY,
    names=(b"10.0.30.10",),
    kind=SSHCertificateType.HOST,
    valid=(NOW_S - 60, NOW_S + 60),
    critical=(),
):
    made = (
        SSHCertificateBuilder()
        .public_key(HOST.public_key())
        .serial(1)
        .type(kind)
        .key_id(b"nas")
        .valid_principals(list(names))
        .valid_after(valid[0])
        .valid_before(valid[1])
    )
    for name in critical:
        made = made.add_critical_option(name, b"")
    return b64decode(made.sign(authority).public_bytes().split()[1])


def judged(made, *, name="10.0.30.10", authority=AUTHORITY, revoked=(), signatures=""):
    return why_not(
        made,
        name,
        {blob(authority)},
        revoked={blob(key) for key in revoked},
        signatures=signatures,
        now_s=NOW_S,
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: AUTHORITY,
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP521R1()),
        lambda: rsa.generate_private_key(65537, 2048),
    ],
    ids=["ed25519", "P-256", "P-521", "RSA"],
)
def test_every_kind_of_authority(make):
    authority = make()
    assert judged(certificate(authority=authority), authority=authority) == ""


@pytest.mark.parametrize(
    ("changed", "asked", "why"),
    [
        ({}, {"name": "10.0.30.1"}, "it is for 10.0.30.10, and this is 10.0.30.1"),
        ({"names": [b"*"]}, {}, "it is for *, and"),
        ({"kind": SSHCertificateType.USER}, {}, "a user's"),
        ({"valid": (NOW_S + 1, NOW_S + 9)}, {}, "not valid yet"),
        ({"valid": (0, NOW_S)}, {}, "expired"),
        ({"critical": [b"force-command"]}, {}, "critical options"),
        ({}, {"authority": HOST}, "no @cert-authority"),
        ({}, {"revoked": [AUTHORITY]}, "is revoked"),
        ({}, {"signatures": "rsa-sha2-512"}, "signed with ssh-ed25519"),
        ({}, {"signatures": "-ssh-ed25519"}, "signed with ssh-ed25519"),
    ],
)
def test_why_one_does_not_help(changed, asked, why):
    assert why in judged(certificate(**changed), **asked)


@given(st.data())
def test_a_certificate_that_was_changed_anywhere_vouches_for_nobody(data):
    made = bytearray(certificate())
    place = data.draw(st.integers(0, len(made) - 1))
    made[place] ^= data.draw(st.integers(1, 255))
    assert judged(bytes(made)) != ""


@given(st.binary(max_size=80))
def test_what_is_no_certificate_is_none(junk):
    assert judged(junk) != ""


def test_a_bare_key_is_none():
    assert judged(blob(HOST)) == "it is a bare key"


def _passes(file, line, made=None, endpoint=NAS):
    file.write_text(line + "\n")
    check(endpoint, HostKey.parse(text(HOST)), [file], made, now_s=NOW_S)
    return True


@pytest.mark.parametrize("name", ["[10.0.30.10]:2222", "10.0.30.10", "10.0.*", "*"])
def test_an_authority_for_the_name_lets_the_host_pass(tmp_path, name):
    line = f"@cert-authority {name} {text(AUTHORITY)}"
    assert _passes(tmp_path / "known", line, certificate())
    with pytest.raises(HostKeyRefused, match="nobody has vouched"):
        _passes(tmp_path / "known", line)  # that it shows no certificate is no key known
    with pytest.raises(HostKeyRefused, match="expired"):
        _passes(tmp_path / "known", line, certificate(valid=(0, 9)))


def test_an_authority_is_not_the_host(tmp_path):
    with pytest.raises(HostKeyRefused, match="nobody has vouched"):
        _passes(tmp_path / "known", f"@cert-authority * {text(HOST)}")


def test_a_known_key_is_enough_whatever_its_certificate(tmp_path):
    line = f"10.0.30.10 {text(HOST)}"
    assert _passes(tmp_path / "known", line, certificate(valid=(0, 9)))


def test_a_revoked_key_passes_with_no_certificate(tmp_path):
    lines = f"@cert-authority * {text(AUTHORITY)}\n@revoked * {text(HOST)}"
    with pytest.raises(HostKeyRefused, match="@revoked"):
        _passes(tmp_path / "known", lines, certificate())


def test_a_key_known_by_the_bare_name_counts_where_none_is_by_name_and_port(tmp_path):
    bare, other = f"10.0.30.10 {text(HOST)}", f"[10.0.30.10]:2222 {text(AUTHORITY)}"
    assert _passes(tmp_path / "known", bare)
    with pytest.raises(HostKeyRefused, match="has changed"):
        _passes(tmp_path / "known", f"{bare}\n{other}")
    aliased = Endpoint("nas", "10.0.30.10", 2222, host_key_alias="store")
    with pytest.raises(HostKeyRefused, match="nobody has vouched"):
        _passes(tmp_path / "known", bare, endpoint=aliased)
