"""Proxmox Backup Servers that nodes know: whom they let in, and what they keep.

Source: `PVE::Storage::PBSPlugin` (pve-storage 9.1): each time the storage is used the server is
asked for its datastores, with the token, its certificate being known by its fingerprint; the words
are those of `PVE::APIClient::LWP` (pve-apiclient 3.4). A key's file, its fingerprint, and what the
client says of a backup that another key has encrypted: proxmox-backup 3.2.4,
pbs-key-config/src/lib.rs, pbs-tools/src/crypt_config.rs, pbs-datastore/src/manifest.rs. Guessed:
that a server which nobody here has described refuses the connection.
"""

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from homelab_lib.twin.proxmox.archives import Archive
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.schema import PveError
from homelab_lib.twin.proxmox.storage import Store
from homelab_lib.twin.world import World

KEYS = "/etc/pve/priv/storage"


@dataclass
class Server:
    """A server.

    Parameters
    ----------
    fingerprint
        Of its certificate.
    datastores
        Its datastores, and the backups in each.
    tokens
        Whom it lets in, and by which secret; None: by any.
    """

    fingerprint: str
    datastores: dict[str, dict[str, Archive]] = field(default_factory=dict)
    tokens: dict[str, str | None] = field(default_factory=dict)

    def refuses(self, user: str, secret: str, now_s: float) -> bool:
        """Whether it lets somebody in by a secret."""
        return user not in self.tokens or self.tokens[user] not in (None, secret)

    def shown_to(self, user: str) -> Collection[str]:
        """The datastores that somebody may use; of others it does not say that they are there."""
        return self.datastores.keys()


def served(node: ProxmoxNode, store: Store) -> dict[str, Archive]:
    """The backups in a storage's datastore.

    Raises
    ------
    PveError
        The server is not there, is another one, or does not let the node in.
    """
    if why := why_not(node, store):
        raise PveError(why)
    server = node.backup_servers.get(str(store.options.get("server")))
    return server.datastores[str(store.options["datastore"])] if server else store.archives


def why_not(node: ProxmoxNode, store: Store) -> str:
    """Why a storage's datastore can't be used; empty where it can."""
    options = store.options
    address, name = str(options.get("server")), store.name
    server = node.backup_servers.get(address)
    begin = f"{name}: error fetching datastores - "
    if server is None:  # of one that somebody else has described nothing is known
        refused = f"500 Can't connect to {address}:8007 (Connection refused)"
        return "" if store.active else begin + refused
    if str(options.get("fingerprint", "")).lower() != server.fingerprint.lower():
        return f"{begin}fingerprint '{server.fingerprint.upper()}' not verified, abort!"
    user = str(options.get("username", "root@pam"))
    secret = node.files.text(f"{KEYS}/{name}.pw").strip()
    if server.refuses(user, secret, node.now_s()):
        return f"{begin}401 Unauthorized"
    wanted = str(options.get("datastore"))
    if wanted not in server.shown_to(user):
        return f"{name}: Cannot find datastore '{wanted}', check permissions and existence!"
    return ""


def entered(node: ProxmoxNode, store: Store, password: str) -> None:
    """What making such a storage leaves: the secret, and the key where one is to be.

    Raises
    ------
    PveError
        The server does not let the node in: then there is no storage.
    """
    node.files.put(f"{KEYS}/{store.name}.pw", f"{password}\n", mode=0o600)
    given = str(store.options.get("encryption-key", ""))
    if given:
        text = _drawn(node) if given == "autogen" else given
        key = _loaded(text)
        if "data" not in key:
            why = "Value does not seems like a valid, JSON formatted encryption key!"
            raise PveError(f"create storage failed: {why}")
        node.files.put(f"{KEYS}/{store.name}.enc", f"{text}\n", mode=0o600)
        store.options["encryption-key"] = key.get("fingerprint") or "1"
        store.key = fingerprint_of(b64decode(key["data"]))
    if why := why_not(node, store):
        left(node, store)
        raise PveError(f"create storage failed: {why}")


def left(node: ProxmoxNode, store: Store) -> None:
    """Forget the secrets of such a storage."""
    for end in ("pw", "enc"):
        if node.files.exists(f"{KEYS}/{store.name}.{end}"):
            node.files.remove(f"{KEYS}/{store.name}.{end}")


# Keys --------------------------------------------------------------------------------------------

_SHORT = len("ab:") * 8 - 1
"""Of a fingerprint, what people are shown of it."""
_FINGERPRINT_OF = hashlib.sha256(b"Proxmox Backup Encryption Key Fingerprint").digest()


def fingerprint_of(key: bytes) -> str:
    """By what a key is known."""
    derived = hashlib.pbkdf2_hmac("sha256", key, b"_id_key", 10)
    return hashlib.sha256(_FINGERPRINT_OF + derived).digest().hex(":")


def _drawn(node: ProxmoxNode) -> str:
    key = node.world.rng.getrandbits(256).to_bytes(32, "big")
    made = datetime.fromtimestamp(int(node.now_s()), UTC).isoformat().replace("+00:00", "Z")
    parts = {"kdf": None, "created": made, "modified": made, "data": b64encode(key).decode()}
    return json.dumps(parts | {"fingerprint": fingerprint_of(key)}, separators=(",", ":"))


def _loaded(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def key_printed(world: World, reference: str) -> str | None:
    """The key that a person has on paper by now and types where a drill asks for it: that of the
    storage whose backups the drill restores. None: a reference to something else, or no key yet."""
    for drill in world.lab.backups.guest_drills.values():
        backup = world.lab.backups.guests[drill.backup]
        path = f"{KEYS}/{backup.storage}.enc"
        if (drill.from_paper, drill.carried_by) == (reference, None):
            node = world.machines[backup.host]
            return node.files.text(path) if node.files.exists(path) else None
    return None


def not_opened(store: Store, archive: Archive) -> str:
    """Why the client does not open a backup with the key that its storage has here; empty where it
    does. Of a key that somebody else has entered only the fingerprint is known."""
    said = str(store.options.get("encryption-key", ""))
    known = store.key or said
    if store.key and said not in ("1", known):
        return (
            f"KeyConfig contains wrong fingerprint {said[:_SHORT]}, contained key has fingerprint "
            f"{known[:_SHORT]}"
        )
    if not archive.encrypted or archive.encrypted == known:
        return ""
    whose = f"key {archive.encrypted[:_SHORT]}"
    if not known:
        return f"missing key - manifest was created with {whose}"
    return f"wrong key - manifest's {whose} does not match provided key {known[:_SHORT]}"
