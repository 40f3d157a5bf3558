"""Certificates by their dates: the one that a web server shows, and those in a file.

Sources: curl, lib/vtls/openssl.c and lib/vtls/gtls.c (what ``-v`` tells); RFC 5280, 4.1.2.5.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime

from cryptography import x509

from homelab_lib import answers
from homelab_lib.control.linux.looking import read_file
from homelab_lib.runbook.resource import Host
from homelab_lib.transport.command import read

_ENDS = re.compile(r"^\*\s+expire date: (.+?)\s*$", re.MULTILINE)
_WRITTEN = ("%b %d %H:%M:%S %Y GMT", "%a, %d %b %Y %H:%M:%S GMT")
"""By OpenSSL, and by GnuTLS."""


def shown_until_s(host: Host, hostname: str) -> tuple[float | None, str]:
    """Until when the certificate is good that a machine is shown under a name [s since 1970].

    It is asked for without being believed: one that has expired is told by its date, too.

    Returns
    -------
    The moment, and nothing; or None, and why nobody showed one.
    """
    words = ("curl", "-sSIkv", "-m", "20", f"https://{hostname}/")
    said = host.read(*words, ok=None)
    dates = _ENDS.findall(said.stderr)
    if not dates:
        lines = [line for line in said.stderr.strip().splitlines() if line.startswith("curl:")]
        return None, (lines or ["the server shows no certificate"])[-1]
    text = " ".join(dates[-1].split())
    for form in _WRITTEN:
        with suppress(ValueError):
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp(), ""
    raise answers.not_understood(host.name, read(*words).line, f"no date: {host.cut(text, 60)!r}")


def written_until_s(host: Host, path: str) -> float:
    """Until when the first certificate of a file is good [s since 1970].

    Raises
    ------
    NotUnderstood
        There is no certificate in it.
    """
    text = read_file(host, path)
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        why = f"no certificate: {host.cut(text, 40)!r}"
        raise answers.not_understood(host.name, read("cat", path).line, why) from None
    return found[0].not_valid_after_utc.timestamp()
