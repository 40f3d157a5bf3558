"""Certificates of hosts' HTTPS services: who is known, who is a stranger.

A file of ours holds a line for each, ``HOST:PORT FINGERPRINT``, the fingerprint being the SHA-256
of the whole certificate as ``openssl x509 -fingerprint -sha256`` prints it. No authority vouches
for an appliance at home, so it is this very certificate or none.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from homelab_lib.errors import CertificateRefused, HomelabError
from homelab_lib.regular_file import read_ours
from homelab_lib.transport import pins

_FINGERPRINT = re.compile(r"[0-9a-f]{2}(:?[0-9a-f]{2}){31}", re.IGNORECASE)


@dataclass(frozen=True)
class Pin:
    """A certificate that somebody has vouched for.

    Parameters
    ----------
    fingerprint
        SHA-256 of its DER form, ``AB:CD:…``.
    place
        ``file:line`` where it stands.
    """

    fingerprint: str
    place: str


def fingerprint(certificate: bytes) -> str:
    """Of a certificate in DER form, as openssl prints it."""
    return hashlib.sha256(certificate).digest().hex(":").upper()


def pinned(service: str, files: Iterable[Path]) -> list[Pin]:
    """What `files` hold for a service, named ``HOST:PORT``. Read anew each time."""
    found = []
    for file in files:
        if not file.exists():
            continue
        lines = read_ours(file).decode(errors="replace").splitlines()
        for number, line in enumerate(lines, start=1):
            words = line.split()
            if len(words) == 2 and words[0] == service and _FINGERPRINT.fullmatch(words[1]):
                plain = words[1].replace(":", "").upper()
                found.append(Pin(bytes.fromhex(plain).hex(":").upper(), f"{file}:{number}"))
    return found


def check(service: str, certificate: bytes, files: Iterable[Path]) -> None:
    """Let a service pass if the certificate it has shown is pinned.

    Raises
    ------
    CertificateRefused
        With the fingerprints, and the line that would make it known.
    """
    files = list(files)
    shown, known = fingerprint(certificate), pinned(service, files)
    if any(pin.fingerprint == shown for pin in known):
        return
    port = service.rpartition(":")[2]
    compare = (
        "compare it with what the host's own console prints for\n"
        f"    openssl s_client -connect 127.0.0.1:{port} </dev/null | "
        "openssl x509 -noout -fingerprint -sha256\n  and if it is the same"
    )
    if files:
        write = f"    echo '{service} {shown}' >> '{files[0]}'"
    else:
        write = f"    write {service} {shown} into a file of certificates, and give that to the run"
    if known:
        lines = "".join(f"\n    pinned: {pin.fingerprint} in {pin.place}" for pin in known)
        raise CertificateRefused(
            f"{service} is not who it was: its certificate has changed\n    shown:  {shown}{lines}",
            where=service,
            fix=f"{compare}, take out the old line and write the new one:\n{write}",
        )
    raise CertificateRefused(
        f"{service} shows a certificate that nobody has vouched for: {shown}",
        where=service,
        fix=f"{compare}:\n{write}",
    )


def pin(file: Path, service: str, shown: str) -> None:
    """Write down a fingerprint as the service's only one; one that was learned in a trusted way.

    Parameters
    ----------
    file
        A file of ours; made if missing. What it held for the service is replaced.
    service
        ``HOST:PORT``.
    shown
        The fingerprint.

    Raises
    ------
    HomelabError
        It is none.
    """
    if not _FINGERPRINT.fullmatch(shown):
        raise HomelabError(f"this is not the SHA-256 of a certificate: {shown[:80]!r}")
    pins.pin(file, service, shown, f"the certificate of {service}")
