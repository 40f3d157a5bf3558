"""Host keys: who is known, who is a stranger, and how a key becomes known.

The format is that of known_hosts in sshd(8): names (plain, patterns or hashed), key type, key.
A host is who we take it for if any file has its very key. Nothing is ever trusted on first use.
"""

import base64
import binascii
import hashlib
import hmac
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from homelab_lib import durable
from homelab_lib.errors import HomelabError, HostKeyRefused
from homelab_lib.transport.endpoint import Endpoint

_pinning = threading.Lock()


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
    revoked
        Marked ``@revoked``: whoever shows it is refused.
    """

    kind: str
    data: str
    place: str = ""
    revoked: bool = False

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

    def __str__(self) -> str:
        return f"{self.algorithm} {self.fingerprint}"

    def same_as(self, other: "HostKey") -> bool:
        return (self.kind, self.data) == (other.kind, other.data)


def known_keys(name: str, files: Iterable[Path]) -> list[HostKey]:
    """Every key that `files` hold for the host known as `name`.

    Read anew each time, since keys are pinned while a run goes on.
    """
    found = []
    for file in files:
        try:
            lines = file.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise HomelabError(f"can't read {file}: {error.strerror}", where=str(file)) from None
        for number, line in enumerate(lines, start=1):
            words = line.split()
            marker = words.pop(0) if words and words[0].startswith("@") else ""
            if len(words) < 3 or marker not in ("", "@revoked") or not _names(words[0], name):
                continue
            try:
                key = HostKey.parse(f"{words[1]} {words[2]}")
            except HomelabError:
                continue  # a line that is no key can vouch for nobody
            found.append(HostKey(key.kind, key.data, f"{file}:{number}", bool(marker)))
    return found


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


def check(endpoint: Endpoint, shown: HostKey, files: Iterable[Path]) -> None:
    """Let the host pass if the key it has shown is known, and not revoked.

    Raises
    ------
    HostKeyRefused
        With the fingerprint, and the line that would make the key known.
    """
    files = list(files)
    known = known_keys(endpoint.key_name, files)
    same = [key for key in known if key.same_as(shown)]
    if same and not any(key.revoked for key in same):
        return
    file = files[0] if files else Path("~/.ssh/known_hosts")
    add = f"echo '{endpoint.key_name} {shown.kind} {shown.data}' >> '{file}'"
    if same:
        what = f"{endpoint.name} shows a host key that is marked @revoked: {shown}"
        add = "find out why it was revoked; give the host a new key"
    elif known:
        pinned = "".join(f"\n    pinned: {key} in {key.place}" for key in known)
        what = f"{endpoint.name} is not who it was: its host key has changed"
        what += f"\n    shown:  {shown}{pinned}"
        holding = {key.place.rpartition(":")[0] for key in known}
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
    with _pinning:
        old = file.read_text().splitlines() if file.exists() else []
        kept = [line for line in old if line.split(maxsplit=1)[:1] != [endpoint.key_name]]
        lines = [*kept, f"{endpoint.key_name} {new.kind} {new.data}"]
        try:
            durable.private_folder(file.parent)
            durable.replace(file, "".join(f"{line}\n" for line in lines), mode=durable.PRIVATE)
        except OSError as error:
            raise HomelabError(
                f"the host key of {endpoint.name} can't be pinned: {error.strerror}",
                where=str(file),
                fix="make room there, then run the same command again",
            ) from None
