"""Proxmox Backup Servers that nodes know: whom they let in, and what they keep.

Source: `PVE::Storage::PBSPlugin` (pve-storage 9.1): each time the storage is used the server is
asked for its datastores, with the token, its certificate being known by its fingerprint; the words
are those of `PVE::APIClient::LWP` (pve-apiclient 3.4). Guessed: that a server which nobody here has
described refuses the connection, and what a key's file holds beside its fingerprint.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field

from homelab_lib.twin.proxmox.archives import Archive
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.schema import PveError
from homelab_lib.twin.proxmox.storage import Store

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

    def refuses(self, user: str, secret: str) -> bool:
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
    if server.refuses(user, secret):
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
    if store.options.get("encryption-key") == "autogen":
        draw = f"{node.world.rng.getrandbits(256):064x}"
        digest = hashlib.sha256(draw.encode()).hexdigest()
        shown = ":".join(digest[i : i + 2] for i in range(0, 64, 2))
        text = f'{{"kdf":null,"data":"{draw}","fingerprint":"{shown}"}}\n'
        node.files.put(f"{KEYS}/{store.name}.enc", text, mode=0o600)
        store.options["encryption-key"] = shown
    if why := why_not(node, store):
        for end in ("pw", "enc"):
            if node.files.exists(f"{KEYS}/{store.name}.{end}"):
                node.files.remove(f"{KEYS}/{store.name}.{end}")
        raise PveError(f"create storage failed: {why}")
