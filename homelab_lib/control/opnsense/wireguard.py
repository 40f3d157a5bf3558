"""WireGuard of an OPNsense: its instances and their peers, and who has come in.

Sources: the controllers and models below ``OPNsense/Wireguard`` of 26.1 and 26.7. Any valid base64
passes for a key there, and the same port, name or address twice: the lab's own checks refuse those.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from homelab_lib.control.opnsense.api import Api
from homelab_lib.control.opnsense.row import Row
from homelab_lib.errors import BadParameter
from homelab_lib.runbook.resource import Host
from homelab_lib.secret import Secret

_KEY_BYTES = 32
_SHOW = {"rows": [{"type?": str, "public-key?": str, "latest-handshake?": (int, str)}]}


@dataclass(frozen=True)
class KeyedRow(Row):
    """A row with secrets in it, that are sent when it is made or is changed, and never looked at.

    Parameters
    ----------
    secrets
        By the field's name.
    """

    secrets: Mapping[str, Secret] = field(default_factory=dict, repr=False, kw_only=True)

    def _document(self, values: Mapping[str, str]) -> dict[str, Any]:
        return super()._document(values) | dict(self.secrets)


def public_half(private: Secret) -> str:
    """The public key of a private one.

    Raises
    ------
    BadParameter
        What is kept there is no private key of WireGuard.
    """
    try:
        raw = base64.b64decode(private.reveal().strip(), validate=True)
    except ValueError:
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise BadParameter(
            f"{private.name} is no private key of WireGuard",
            where=private.name,
            fix="make one with  wg genkey  and keep it there: 32 bytes in base64",
        )
    public = X25519PrivateKey.from_private_bytes(raw).public_key()
    return base64.b64encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def handshakes(api: Api, host: Host) -> dict[str, int]:
    """When each peer last shook hands, by its public key; 0 for never [s since 1970]."""
    rows = api.ask(host, "wireguard/service/show", _SHOW)["rows"]
    found = {}
    for row in rows:
        when = str(row.get("latest-handshake", 0))
        if row.get("type") == "peer" and row.get("public-key"):
            found[row["public-key"]] = int(when) if when.isdecimal() else 0
    return found
