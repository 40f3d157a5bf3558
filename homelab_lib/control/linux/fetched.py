"""What an appliance is set to, fetched by a timer of a machine, whole or not at all.

It comes over the network by the appliance's own API, to a server that is known by its public key
alone (``pinnedpubkey``): an appliance issues its certificate itself, and names nobody in it that
could be asked for. Where key and secret go is told by a file for root alone, never by words on a
command line. What came is looked at before it takes the old one's place; the parser's own words
would quote the file, so that nothing of them is kept.

Sources: curl(1); xmllint(1); opnsense/core, `OPNsense/Core/Api/BackupController.php`, which answers
200 and nothing where there is no backup.
"""

import base64
import hashlib
import re
import shlex
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from homelab_lib import answers
from homelab_lib.control.clock import clock_s, is_new
from homelab_lib.control.linux.looking import look_at_file, read_file
from homelab_lib.control.linux.units import unit_properties
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import NOTHING_TO_UNDO, Change, Diff, Host
from homelab_lib.secret import Secret
from homelab_lib.transport.command import change, read
from homelab_lib.units import format_age

FOLDER = "/etc/homelab/fetched"
_LARGEST_BYTES = 2**25  # thirty times what a firewall with much in it has
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----[\w+/=\s]+-----END CERTIFICATE-----", re.ASCII
)
_MOMENT = re.compile(r"\d{1,10}", re.ASCII)


def pin_of(host: Host, port: int) -> str:
    """What curl knows a server by: the digest of its public key, as the server itself shows it on
    its own loopback, where nobody stands between.

    Parameters
    ----------
    host, port
        The appliance, and where its web interface listens.

    Raises
    ------
    StepFailed
        It shows no certificate.
    NotUnderstood
        What it shows is none.
    """
    words = ("curl", "-sSIk", "-m", "20", "-w", "%{certs}", f"https://127.0.0.1:{port}/")
    said = host.read(*words, ok=None)
    found = _CERTIFICATE.search(said.stdout)
    if found is None:
        why = host.cut((said.stderr.strip().splitlines() or ["nothing"])[-1], 200)
        raise StepFailed(
            f"the web interface of {host.name} shows no certificate: {why}",
            where=f"{host.name}: port {port}",
            fix="see that it runs, by HTTPS, and on this port",
        )
    try:
        key = x509.load_pem_x509_certificate(found[0].encode()).public_key()
    except ValueError:
        line = read(*words).line
        raise answers.not_understood(host.name, line, "no certificate that can be read") from None
    public = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256//{base64.b64encode(hashlib.sha256(public).digest()).decode()}"


def asked_by(url: str, pin: str, key: Secret, secret: Secret) -> Secret:
    """What curl is told, as its file of options has it: where, whom it believes, and the login."""
    return Secret(
        secret.name,
        lambda: (
            f'url = "{url}"\ninsecure\npinnedpubkey = "{pin}"\n'
            f'user = "{_quoted(key)}:{_quoted(secret)}"\n'
        ),
    )


def _quoted(secret: Secret) -> str:
    return secret.reveal().strip().replace("\\", "\\\\").replace('"', '\\"')


def fetch_commands(options: str, path: str, ends: str) -> tuple[str, ...]:
    """What fetches a configuration that is XML, and keeps the old one unless a whole one came.

    Parameters
    ----------
    options
        The file with what curl is told.
    path
        Where it goes.
    ends
        What its last line has to have, such as ``</opnsense>``.
    """
    new = f"{path}.new"
    curl = shlex.join(("/usr/bin/curl", "-fsS", "-m", "120", "-K", options, "-o", new))
    # What is sent beyond the largest is cut off by the kernel, and none of it stays on the disk.
    blocks, gone = _LARGEST_BYTES // 512, f"{{ rm -f -- {shlex.quote(new)}; false; }}"
    bounded = f"ulimit -f {blocks}; {curl} || {gone}"
    return (
        shlex.join(("/bin/sh", "-c", bounded)),
        shlex.join(("/bin/sh", "-c", f"/usr/bin/xmllint --noout {shlex.quote(new)} 2> /dev/null")),
        shlex.join(("/usr/bin/grep", "-q", "-e", ends, new)),
        shlex.join(("/usr/bin/mv", "-fT", "--", new, path)),
        shlex.join(("/bin/sh", "-c", f"date +%s > {shlex.quote(noted(path))}")).replace("%", "%%"),
    )


def noted(path: str) -> str:
    """Where it is noted when a configuration was fetched last."""
    return f"{path}.when"


@dataclass(frozen=True)
class Fetched:
    """A configuration that was fetched not longer ago than was promised.

    Parameters
    ----------
    host, unit
        The machine, and the service that fetches it.
    appliance, path
        Whose, and where it lies.
    within_s
        How long ago that may be [s].
    timeout_s
        How long it may take [s].
    """

    host: str
    unit: str
    appliance: str
    path: str
    within_s: float
    timeout_s: float = 180.0

    @property
    def name(self) -> str:
        return f"configuration of {self.appliance}"

    def observe(self, host: Host) -> dict[str, Any]:
        unit = unit_properties(host, f"{self.unit}.service", "LoadState", "ActiveState")
        return {"age_s": age_s(host, self.path), "unit": unit["ActiveState"]}

    def diff(self, observed: dict[str, Any]) -> Diff:
        age, failed = observed["age_s"], observed["unit"] == "failed"
        if is_new(age, self.within_s) and not failed:
            return Diff()
        if observed["unit"] == "activating":
            return Diff(waiting=f"{self.unit} is at work")
        why = "none is here" if age is None else f"the newest is {format_age(age)}"
        why += ", and the last time failed" * failed
        call = change("systemctl", "start", self.unit, sudo=True, timeout_s=self.timeout_s)
        undo = f"{NOTHING_TO_UNDO}: it only reads there; rm {self.path} takes the copy away"
        summary = f"fetch the configuration of {self.appliance} onto {self.host}: {why}"
        return Diff((Change(summary, call, undo=undo),))


def age_s(host: Host, path: str) -> float | None:
    """How long ago a configuration was fetched [s]; None where there is none.

    Raises
    ------
    StepFailed
        The machine does not say.
    """
    if look_at_file(host, path) is None:
        return None
    text = read_file(host, noted(path)).strip()
    if not text:
        return None
    if not _MOMENT.fullmatch(text):
        said = host.cut(text, 80)
        raise StepFailed(
            f"{noted(path)} on {host.name} is no note of when it was fetched: {said!r}",
            where=f"{host.name}: {noted(path)}",
            fix="look at it, then remove it; it is fetched again then",
        )
    return clock_s(host) - float(text)
