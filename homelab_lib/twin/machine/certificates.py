"""Certificates that machines show and believe: real ones, that are drawn from a seed.

Source: RFC 5280; curl's words for exit status 60.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
"""What programs believe on Debian: `update-ca-certificates` writes it."""
_ORDER = int("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551", 16)
_UNKNOWN = "unable to get local issuer certificate"


@dataclass(frozen=True)
class Identity:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        ).decode()


def drawn(seed: str) -> ec.EllipticCurvePrivateKey:
    """A key, the same for the same seed."""
    number = int.from_bytes(hashlib.sha512(seed.encode()).digest())
    return ec.derive_private_key(number % (_ORDER - 1) + 1, ec.SECP256R1())


def issued(
    names: Sequence[str],
    key: ec.EllipticCurvePrivateKey,
    issuer: Identity | None,
    *,
    now_s: float,
    valid_s: float,
    authority: bool = False,
) -> Identity:
    """A certificate.

    Parameters
    ----------
    names
        The first one is its common name, and of one that is no authority all are its DNS names.
    key
        Whose it is.
    issuer
        Who signs it; None: itself.
    now_s, valid_s
        From when on, and how long it is valid [s].
    authority
        Whether it may sign others.
    """
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0][:64])])
    begins = datetime.fromtimestamp(int(now_s), UTC)
    serial = hashlib.sha256(f"{names}{now_s}".encode()).digest()[:12]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(serial) + 1)
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(seconds=valid_s))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        san = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(san, critical=False)
    signer = issuer.key if issuer else key
    certificate = builder.sign(signer, hashes.SHA256(), ecdsa_deterministic=True)
    return Identity(certificate, key)


def parsed(pem: str) -> list[x509.Certificate]:
    """The certificates of a file; none where it holds none."""
    return x509.load_pem_x509_certificates(pem.encode()) if "BEGIN CERTIFICATE" in pem else []


def described(certificate: x509.Certificate) -> str:
    """What ``curl -v`` tells of what a server shows (lib/vtls/openssl.c)."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    lines = (
        "Server certificate:",
        f" subject: {certificate.subject.rfc4514_string()}",
        f" start date: {begins:%b %e %H:%M:%S %Y} GMT",
        f" expire date: {ends:%b %e %H:%M:%S %Y} GMT",
        f" issuer: {certificate.issuer.rfc4514_string()}",
    )
    return "".join(f"* {line}\n" for line in lines)


def pin(certificate: x509.Certificate) -> str:
    """What ``curl --pinnedpubkey`` knows a certificate's key by."""
    key = certificate.public_key()
    public = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256//{base64.b64encode(hashlib.sha256(public).digest()).decode()}"


def objection(
    chain: Sequence[x509.Certificate],
    believed: Sequence[x509.Certificate],
    name: str,
    now_s: float | None,
) -> str:
    """Why a client does not take what a server shows; empty where it does.

    Parameters
    ----------
    chain
        What it shows, its own certificate first.
    believed
        Whom the client believes.
    name
        The name that it was asked by.
    now_s
        The time [s]; None where nobody knows it.
    """
    at = chain[0]
    for between in [*chain[1:], *believed]:
        if at in believed:
            break
        if _signed(at, between):
            at = between
    if at not in believed:
        alone = at.issuer == at.subject
        return "self-signed certificate" if alone and at is chain[0] else _UNKNOWN
    if now_s is not None:
        now = datetime.fromtimestamp(now_s, UTC)
        if any(not c.not_valid_before_utc <= now <= c.not_valid_after_utc for c in (*chain, at)):
            return "certificate has expired"
    return "" if name in _names(chain[0]) else f"no alternative certificate subject name {name}"


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return found.value.get_values_for_type(x509.DNSName)
