"""Host keys: who is known, who is a stranger, and how a key becomes known.

The format is that of known_hosts in sshd(8): names (plain, patterns or hashed), key type, key.
A host is who we take it for if any file has its very key, or the key of an authority that has
certified it. Nothing is ever trusted on first use.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from homelab_lib.errors import HomelabError, HostKeyRefused
from homelab_lib.regular_file import read_ours
from homelab_lib.transport import pins
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.host_certificates import why_not

REVOKED, AUTHORITY = "@revoked", "@cert-authority"


@dataclass(frozen=True)
class HostKey:
    """A public key as known_hosts has it.

    Parameters
    ----------
    kind
        ``ssh-ed25519``, ``ecdsa-sha2-nistp256``, ``ssh-rsa`` …
    data
        The key in base64.
    place
        ``file:line`` where it stands; empty for one that a host has shown.
    marker
        ``@revoked``: whoever shows it is refused; ``@cert-authority``: whom it has certified may
        pass.
    """

    kind: str
    data: str
    place: str = ""
    marker: str = ""

    @classmethod
    def parse(cls, text: str) -> "HostKey":
        """From ``ssh-ed25519 AAAA… comment``, as in an ``ssh_host_*_key.pub``.

        Raises
        ------
        HomelabError
            It is no public key.
        """
        kind, data = [*text.split(maxsplit=2), "", ""][:2]
        try:
            blob = base64.b64decode(data, validate=True)
        except binascii.Error:
            blob = b""
        if blob[4 : 4 + int.from_bytes(blob[:4])] != kind.encode() or not kind:
            raise HomelabError(f"this is not a public host key: {text[:80]!r}")
        return cls(kind, data)

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` prints it."""
        digest = hashlib.sha256(base64.b64decode(self.data)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    @property
    def algorithm(self) -> str:
        """``ED25519``, ``ECDSA``, ``RSA``."""
        return self.kind.removeprefix("ssh-").split("-")[0].upper()

    @property
    def revoked(self) -> bool:
        return self.marker == REVOKED

    @property
    def authority(self) -> bool:
        return self.marker == AUTHORITY

    def __str__(self) -> str:
        return f"{self.algorithm} {self.fingerprint}"

    def same_as(self, other: "HostKey") -> bool:
        return (self.kind, self.data) == (other.kind, other.data)


def known_keys(name: str, files: Iterable[Path]) -> list[HostKey]:
    """Every key that `files` hold for the host known as `name`: its own, those of authorities that
    may certify it, and revoked ones.

    Read anew each time, since keys are pinned while a run goes on.
    """
    found = []
    for file in files:
        for number, line in enumerate(_lines(file), start=1):
            words = line.split()
            marker = words.pop(0) if words and words[0].startswith("@") else ""
            if len(words) < 3 or marker not in ("", REVOKED, AUTHORITY):
                continue
            if not _names(words[0], name):
                continue
            try:
                key = HostKey.parse(f"{words[1]} {words[2]}")
            except HomelabError:
                continue  # a line that is no key can vouch for nobody
            found.append(HostKey(key.kind, key.data, f"{file}:{number}", marker))
    return found


def keys_for(endpoint: Endpoint, files: Iterable[Path]) -> list[HostKey]:
    """What is known of a host: by its name and port, or else by the bare name, as ssh does."""
    files = list(files)
    known = known_keys(endpoint.key_name, files)
    if endpoint.key_name != endpoint.principal and all(key.revoked for key in known):
        known += known_keys(endpoint.principal, files)
    return known + _revoked_outright(endpoint)


def _revoked_outright(endpoint: Endpoint) -> list[HostKey]:
    """The keys of RevokedHostKeys. ssh refuses every host if such a file can't be read."""
    found = []
    for file in map(Path, endpoint.revoked_keys_files):
        text = _lines(file, needed=True)
        if text and text[0].startswith("SSHKRL"):
            raise HomelabError(
                f"{file} is a binary revocation list, which we can't read",
                where=str(file),
                fix="list the keys as text in RevokedHostKeys, one a line",
            )
        for number, line in enumerate(text, start=1):
            with suppress(HomelabError):
                key = HostKey.parse(line)
                found.append(HostKey(key.kind, key.data, f"{file}:{number}", REVOKED))
    return found


def _lines(file: Path, *, needed: bool = False) -> list[str]:
    """The lines of a file; none of one that is not there, unless it is needed."""
    try:
        if file.samefile(os.devnull):  # ``UserKnownHostsFile /dev/null`` means that there is none
            return []
    except FileNotFoundError:
        if not needed:
            return []
    except OSError:
        pass  # what is wrong with it is said by whoever reads it
    return read_ours(file).decode(errors="replace").splitlines()


def _names(patterns: str, name: str) -> bool:
    """Whether a line's first field means the host: hashed, or patterns with ``*``, ``?``, ``!``."""
    if patterns.startswith("|1|"):
        try:
            salt, digest = (base64.b64decode(part) for part in patterns[3:].split("|"))
        except ValueError:
            return False
        return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)
    meant = False
    for pattern in patterns.lower().split(","):
        bare = re.escape(pattern.removeprefix("!")).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(bare, name):
            if pattern.startswith("!"):
                return False
            meant = True
    return meant


def check(
    endpoint: Endpoint,
    shown: HostKey,
    files: Iterable[Path],
    certificate: bytes | None = None,
    *,
    now_s: float | None = None,
) -> None:
    """Let the host pass if the key it has shown is known or certified, and not revoked.

    Parameters
    ----------
    endpoint
        The host.
    shown
        Its key.
    files
        The known_hosts.
    certificate
        With which it has shown the key.
    now_s
        The time, for the certificate [s since 1970]; None for the clock's.

    Raises
    ------
    HostKeyRefused
        With the fingerprint, and the line that would make the key known.
    """
    files = list(files)
    known = keys_for(endpoint, files)
    own = [key for key in known if not key.authority and not key.revoked]
    revoked = [key for key in known if key.revoked]
    file = files[0] if files else Path("~/.ssh/known_hosts")
    add = f"echo '{endpoint.key_name} {shown.kind} {shown.data}' >> '{file}'"
    uncertified = ""
    if certificate is not None:
        authorities = [key for key in known if key.authority]
        uncertified = why_not(
            certificate,
            endpoint.principal,
            {base64.b64decode(key.data) for key in authorities},
            revoked={base64.b64decode(key.data) for key in revoked},
            signatures=dict(endpoint.algorithms).get("casignaturealgorithms", ""),
            now_s=time.time() if now_s is None else now_s,
        )
    bad = next((key for key in revoked if key.same_as(shown)), None)
    if bad is not None:
        what = f"{endpoint.name} shows a host key that is marked @revoked: {shown}"
        what += f"\n    revoked: in {bad.place}"
        add = "find out why it was revoked; give the host a new key"
    elif (certificate is not None and not uncertified) or any(key.same_as(shown) for key in own):
        return
    elif own:
        pinned = "".join(f"\n    pinned: {key} in {key.place}" for key in own)
        what = f"{endpoint.name} is not who it was: its host key has changed"
        what += f"\n    shown:  {shown}{pinned}"
        holding = {key.place.rpartition(":")[0] for key in own}
        forget = "".join(
            f"\n    ssh-keygen -R '{endpoint.key_name}' -f '{f}'" for f in sorted(holding)
        )
        add = f"if you know that it was installed anew, forget the old key:{forget}\n    {add}"
    else:
        what = f"{endpoint.name} shows a host key that nobody has vouched for: {shown}"
        add = (
            "compare it with what the host's own console prints for\n"
            "    ssh-keygen -lf /etc/ssh/ssh_host_"
            f"{shown.algorithm.lower()}_key.pub\n  and if it is the same:\n    {add}"
        )
    if uncertified:
        what += f"\n    its certificate does not help: {uncertified}"
    raise HostKeyRefused(what, where=endpoint.place, fix=add)


def pin(file: Path, endpoint: Endpoint, key: str) -> None:
    """Write down `key` as the host's one and only; one that was learned in a trusted way.

    Parameters
    ----------
    file
        A known_hosts of ours; made if missing. What it held for the host is replaced.
    endpoint
        The host.
    key
        Its public key, as in its ``ssh_host_*_key.pub``.
    """
    new = HostKey.parse(key)
    pins.pin(file, endpoint.key_name, f"{new.kind} {new.data}", f"the host key of {endpoint.name}")
