"""Certificates of host keys, as an authority signs them.

Source: PROTOCOL.certkeys of OpenSSH; ``sshkey_cert_check_host`` in its sshkey.c.
"""

from base64 import b64decode, b64encode
from collections.abc import Container

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import SSHCertificate, SSHCertificateType

from homelab_lib.transport.algorithms import chosen

CERTIFIED = "-cert-v01@openssh.com"
_SAFE = (  # without SHA-1
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)


def why_not(
    blob: bytes,
    name: str,
    authorities: Container[bytes],
    *,
    revoked: Container[bytes],
    signatures: str,
    now_s: float,
) -> str:
    """Why a host's certificate vouches for nobody; empty if it does.

    Parameters
    ----------
    blob
        The certificate, as it came.
    name
        The host's name, without a port.
    authorities
        The keys of those who may certify it, as blobs.
    revoked
        Keys that nobody may use, as blobs.
    signatures
        The algorithms that an authority may sign with, as in CASignatureAlgorithms; empty for
        those that are safe.
    now_s
        The time [s since 1970].
    """
    try:
        certificate = serialization.load_ssh_public_identity(_string(blob) + b" " + b64encode(blob))
        if not isinstance(certificate, SSHCertificate):
            return "it is a bare key"
        signer = _key(certificate)
    except (ValueError, UnsupportedAlgorithm) as error:
        return f"it can't be read: {error}"
    # Last in it are two strings: who signed it, and the signature, which begins with its kind.
    signature = blob.rpartition(len(signer).to_bytes(4) + signer)[2]
    algorithm = _string(signature[4:]).decode(errors="replace")
    named = [principal.decode(errors="replace") for principal in certificate.valid_principals]
    if certificate.type != SSHCertificateType.HOST:
        return "it is a user's, and not a host's"
    if signer in revoked:
        return "the authority that signed it is revoked"
    if signer not in authorities:
        return "no @cert-authority for this host has signed it"
    if algorithm not in chosen(signatures, _SAFE):
        return f"it is signed with {algorithm}, which CASignatureAlgorithms leaves out"
    try:
        certificate.verify_cert_signature()
    except InvalidSignature:
        return "its signature is not the authority's"
    if certificate.critical_options:
        return "it has critical options, which no host's may have"
    if name not in named:  # newer versions of ssh take patterns, others don't
        return f"it is for {', '.join(named) or 'nobody by name'}, and this is {name}"
    if not certificate.valid_after <= now_s < certificate.valid_before:
        return "it is not valid yet" if now_s < certificate.valid_after else "it has expired"
    return ""


def _key(certificate: SSHCertificate) -> bytes:
    """The key of whoever has signed it."""
    openssh = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return b64decode(certificate.signature_key().public_bytes(*openssh).split()[1])


def _string(data: bytes) -> bytes:
    """The string at the beginning: its length, and so many bytes (RFC 4251, 5)."""
    return data[4 : 4 + int.from_bytes(data[:4])]
