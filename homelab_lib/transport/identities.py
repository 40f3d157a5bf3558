"""The keys that we come with: identity files, their certificates, and the agent's keys.

Source: ssh_config(5), IdentityFile, CertificateFile, IdentitiesOnly; PROTOCOL.key of OpenSSH.
"""

import base64
import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import SSHCertificate

from homelab_lib.errors import HomelabError
from homelab_lib.transport.algorithms import chosen
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.host_certificates import CERTIFIED
from homelab_lib.transport.hostkeys import HostKey
from homelab_lib.transport.library import paramiko

ACCEPTED = "pubkeyacceptedalgorithms"
_PLAIN = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
KINDS = (*_PLAIN, *(f"{kind}{CERTIFIED}" for kind in _PLAIN))
_PATIENCE_S = 60.0  # for an agent that asks its person first
_PRIVATE = re.compile(
    rb"-----BEGIN OPENSSH PRIVATE KEY-----(.+?)-----END OPENSSH PRIVATE KEY-----", re.DOTALL
)
_MAGIC = b"openssh-key-v1\0"


class Agent(paramiko.agent.AgentSSH):
    """A connection to an agent's socket.

    Parameters
    ----------
    path
        Of the socket.

    Raises
    ------
    OSError, paramiko.SSHException
        Nobody listens there, or it is no agent.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        link = socket.socket(socket.AF_UNIX)
        try:
            link.settimeout(_PATIENCE_S)
            link.connect(path)
            self._connect(link)
        except BaseException:
            link.close()
            raise

    def close(self) -> None:
        self._close()


def agent_of(endpoint: Endpoint, tried: list[str]) -> Agent | None:
    """The agent that the endpoint names; one that can't be asked goes into `tried`."""
    path = endpoint.agent or os.environ.get("SSH_AUTH_SOCK", "")
    if not endpoint.use_agent or not path:
        return None
    try:
        return Agent(path)
    except (OSError, paramiko.SSHException) as error:
        tried.append(f"the agent at {path}: {getattr(error, 'strerror', None) or error}")
        return None


def public_half(file: str | Path) -> str | None:
    """The public half of an identity file: ``ssh-ed25519 AAAA… comment``; None if there is none.

    The file may be it, it may lie beside it, or it stands unencrypted within the private key.
    """
    for path in (Path(file), Path(f"{file}.pub")):
        with suppress(OSError, UnicodeDecodeError, HomelabError):
            text = path.read_text().strip()
            return text if HostKey.parse(text) else None
    with suppress(OSError, ValueError):
        found = _PRIVATE.search(Path(file).read_bytes())
        data = base64.b64decode(found[1]) if found else b""
        if data.startswith(_MAGIC):
            rest = data[len(_MAGIC) :]
            for _ in range(3):  # cipher, kdf, its options
                rest = rest[4 + int.from_bytes(rest[:4]) :]
            key = rest[8 : 8 + int.from_bytes(rest[4:8])]  # after the number of keys
            kind = key[4 : 4 + int.from_bytes(key[:4])].decode()
            return f"{kind} {base64.b64encode(key).decode()}"
    return None


def keys(
    endpoint: Endpoint, agent: paramiko.agent.AgentSSH | None, tried: list[str]
) -> Iterator[tuple[str, paramiko.PKey]]:
    """The keys to offer: identity files first, then the agent's others; of each key first its
    certificates.

    A key that the agent has is offered from there, so that its file need not be read. What can't
    be used is put into `tried` with the reason.
    """
    held = {}
    for key in agent.get_keys() if agent else ():
        if key.get_name().endswith(CERTIFIED) and key.inner_key is not None:
            # Signed for as a whole: an agent may have it and not the bare key.
            key.public_blob, key.inner_key = key.inner_key.public_blob, None
        held[key.get_base64()] = key
    ours = _Ours(endpoint, tried)
    for file in endpoint.identity_files:
        public = public_half(file)
        key = held.pop(public.split()[1], None) if public else None
        key = key or _from_file(file, tried)
        if key is not None:
            yield from ours.offers(file, key)
    for key in held.values() if not endpoint.identities_only else ():
        yield from ours.offers(f"the agent's {key.comment or key.get_name()}", key)


class _Ours:
    """What may be offered, and the certificates to each key."""

    def __init__(self, endpoint: Endpoint, tried: list[str]) -> None:
        self.tried = tried
        self.bits = endpoint.required_rsa_bits
        self.accepted = chosen(dict(endpoint.algorithms).get(ACCEPTED, ""), KINDS)
        self.files = endpoint.certificate_files

    def offers(self, label: str, key: paramiko.PKey) -> Iterator[tuple[str, paramiko.PKey]]:
        """A key with each of its certificates, and by itself."""
        kind = key.get_name()
        if kind == "ssh-rsa" and key.get_bits() < self.bits:
            self.tried.append(f"{label}: RequiredRSASize asks for {self.bits} bits")
            return
        for name, certificate in self._certificates(label, key.get_base64()):
            if self._may(name, kind + CERTIFIED):
                key.public_blob = certificate
                yield name, key
                key.public_blob = None
        if self._may(label, kind):
            yield label, key

    def _may(self, label: str, kind: str) -> bool:
        names = [kind.replace("ssh-rsa", name) for name in ("rsa-sha2-512", "rsa-sha2-256")]
        wanted = names if "ssh-rsa" in kind else [kind]
        if not set(wanted) & set(KINDS) or set(wanted) & set(self.accepted):
            return True
        self.tried.append(f"{label}: PubkeyAcceptedAlgorithms leaves out {kind}")
        return False

    def _certificates(self, label: str, data: str) -> Iterator[tuple[str, paramiko.PublicBlob]]:
        """The certificates of a key, from the files that are named or lie beside it."""
        for file in self.files or (f"{label}-cert.pub",):
            try:
                text = Path(file).read_text()
                certificate = serialization.load_ssh_public_identity(text.strip().encode())
                key = certificate.public_key() if isinstance(certificate, SSHCertificate) else None
                if key is None:
                    raise ValueError("it is no certificate")
                openssh = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
                if key.public_bytes(*openssh).split()[1].decode() == data:
                    yield file, paramiko.pkey.PublicBlob.from_string(text.strip())
            except FileNotFoundError:
                if self.files:
                    self._note(f"{file}: there is no such certificate")
            except (OSError, ValueError, UnsupportedAlgorithm) as error:
                self._note(f"{file}: {error}")

    def _note(self, text: str) -> None:
        if text not in self.tried:
            self.tried.append(text)


def _from_file(file: str, tried: list[str]) -> paramiko.PKey | None:
    """A private key; one that can't be used is put into `tried`."""
    with suppress(OSError, UnicodeDecodeError, HomelabError):
        HostKey.parse(Path(file).read_text())
        tried.append(f"{file}: a public key, and no agent that we may ask has the other half")
        return None
    try:
        key = paramiko.PKey.from_path(file)
    except FileNotFoundError:
        tried.append(f"{file}: there is no such file")
    except (TypeError, paramiko.PasswordRequiredException):
        tried.append(f"{file}: it has a passphrase; `ssh-add {file}` first")
    except (
        *(OSError, ValueError, UnsupportedAlgorithm),
        *(paramiko.SSHException, paramiko.UnknownKeyType),
    ) as error:
        tried.append(f"{file}: {error}")
    else:
        key.public_blob = None  # certificates come by themselves
        return key
    return None
