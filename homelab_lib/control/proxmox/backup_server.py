"""A Proxmox Backup Server as a node's storage: known by its certificate, entered by a token.

The token's secret goes in by standard input: `pvesm` reads a line from there where that is no
terminal. Whoever loses the encryption key has lost the backups, and it lies on the node alone.

Sources: `PVE::CLI::pvesm`, `PVE::Storage::PBSPlugin` (pve-storage 9.1), `PVE::PTY::read_password`.
"""

from dataclasses import dataclass, field
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import SCALAR
from homelab_lib.control.proxmox.storage import is_active, storage_row
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.secret import Secret
from homelab_lib.transport.command import change

KEYS = "/etc/pve/priv/storage"
_PLACE = ("server", "datastore", "username")


@dataclass(frozen=True)
class BackupServer:
    """A storage that is a datastore of a Proxmox Backup Server.

    Parameters
    ----------
    host, node, storage
        The machine, its node name, and the storage's id.
    server, datastore, username
        Where, which, and as whom: a token, ``pve@pbs!node``.
    fingerprint
        SHA-256 of the server's certificate, as it shows it at its own console.
    encrypted
        Whether backups are encrypted on the node, before they leave it.
    secret
        The token's.
    """

    host: str
    node: str
    storage: str
    server: str
    datastore: str
    username: str
    fingerprint: str
    encrypted: bool
    secret: Secret = field(repr=False)
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"storage {self.storage}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        row = storage_row(host, self.storage)
        if row is None:
            return None
        keys = ("type", *_PLACE, "fingerprint", "encryption-key")
        kept = {key: row[key] for key in keys if key in row}
        answers.expected(kept, {str: SCALAR}, host=host.name, line="pvesh get /storage")
        found: dict[str, Any] = {key: str(value) for key, value in kept.items()}
        return found | {"active": is_active(host, self.node, self.storage)}

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is None:
            key = ("--encryption-key", "autogen") if self.encrypted else ()
            call = change(
                *("pvesm", "add", "pbs", self.storage, "--server", self.server),
                *("--datastore", self.datastore, "--username", self.username),
                *("--fingerprint", self.fingerprint, "--content", "backup", "--nodes", self.node),
                *(*key, "--password"),
                stdin=Secret(self.secret.name, lambda: self.secret.reveal().strip() + "\n"),
                sudo=True,
                timeout_s=self.timeout_s,
            )
            how = ", with a key of its own that the backups are encrypted by" * self.encrypted
            what = f"enter datastore {self.datastore} of {self.server} as {self.username}{how}"
            return Diff((Change(what, call, undo=f"pvesm remove {self.storage}"),))
        wanted = {"type": "pbs"} | {key: getattr(self, key) for key in _PLACE}
        other = [
            f"{k} {observed.get(k, 'none')}" for k, v in wanted.items() if observed.get(k) != v
        ]
        if other:
            return Diff(
                conflict=f"storage {self.storage} is there, with {', '.join(other)}; nothing is "
                "done to it: call ours otherwise, or describe it as it is"
            )
        if observed.get("fingerprint", "").lower() != self.fingerprint.lower():
            return Diff(
                conflict=f"storage {self.storage} knows its server by another certificate than the "
                "lab does: it was made anew, or somebody else answers. Compare both with what "
                "`proxmox-backup-manager cert info` says at the server's console"
            )
        if self.encrypted and not observed.get("encryption-key"):
            return Diff(
                conflict=f"storage {self.storage} encrypts nothing, and is described as encrypted: "
                f"what is there stays as it is. Give it a key by hand: pvesm set {self.storage} "
                "--encryption-key autogen"
            )
        if not observed["active"]:
            return Diff(
                waiting=f"{self.server} does not let {self.node} in, or does not answer: its "
                "token, its certificate, or the rights on its datastore"
            )
        return Diff()
