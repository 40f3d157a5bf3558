"""What a drill restores a VM from: the storage that it is backed up to, a copy by restic of what
lies there, or a backup server that is entered for the time of the drill and left again.

What is there of a Proxmox Backup Server are chunks, from which nobody but another such server makes
a VM. So a server in another place is entered itself, as it would be by a node that was installed
after a fire: under a storage's name that no storage had, by what stands on paper.

Sources: `PVE::CLI::pvesm`, `PVE::Storage::PBSPlugin` (pve-storage 9.1): the token's secret is read
from standard input, a line of it; the key is a file that is named, and is kept with the storage in
a folder for root alone; both go with the storage. `extractconfig` reads a backup's first file, for
which the client compares the key with the one that the backup's manifest names (proxmox-backup,
`BackupManifest::check_fingerprint`).
"""

from dataclasses import dataclass, field

from homelab_lib import answers
from homelab_lib.answers import SCALAR
from homelab_lib.control.proxmox import drill_script as script
from homelab_lib.control.proxmox.storage import storage_row
from homelab_lib.runbook.resource import Change, Host
from homelab_lib.secret import Secret
from homelab_lib.transport.command import change

_PLACE = ("server", "datastore", "username")


@dataclass(frozen=True)
class Stored:
    """The storage with the backups.

    Parameters
    ----------
    storage
        Its id.
    """

    storage: str
    paper: None = None
    told: str = "the newest backup"
    lines: str = script.FROM_STORAGE

    @property
    def begins(self) -> str:
        """How what it was restored from is called, to begin with."""
        return f"{self.storage}:"

    @property
    def place(self) -> str:
        """What the script finds backups by."""
        return self.storage

    def words(self, paper: str) -> tuple[str, ...]:
        """What else the script is given."""
        return ()


@dataclass(frozen=True)
class Carried:
    """A copy by restic that carries the backups of a storage to another place.

    Parameters
    ----------
    backup, tags
        What it is called, and what marks its snapshots.
    restic
        How restic is called to get at it.
    paper
        What stands on paper, a line each: the key and the login at an S3. None: what lies on the
        node is used.
    """

    backup: str
    tags: str
    restic: tuple[str, ...]
    paper: Secret | None = field(default=None, repr=False)

    @property
    def begins(self) -> str:
        """How what it was restored from is called, to begin with."""
        return "/"

    @property
    def place(self) -> str:
        """What the script finds copies by."""
        return self.tags

    @property
    def lines(self) -> str:
        """The script."""
        return script.FROM_COPY if self.paper is None else script.FROM_COPY_BY_PAPER

    @property
    def told(self) -> str:
        """For people."""
        alone = ", with the key on paper alone," * (self.paper is not None)
        return f"what the newest copy of {self.backup} carries{alone}"

    def words(self, paper: str) -> tuple[str, ...]:
        """What else the script is given: restic."""
        return self.restic


@dataclass(frozen=True)
class Entered:
    """A datastore of a Proxmox Backup Server, entered by what stands on paper.

    Parameters
    ----------
    storage
        The id under which it is entered for the time of the drill; it has our mark.
    node
        The node.
    server, datastore, username, fingerprint
        Where, which, as whom, and by which certificate it is known.
    paper
        What stands on paper: the token's secret, and in the next line the key.
    """

    storage: str
    node: str
    server: str
    datastore: str
    username: str
    fingerprint: str
    paper: Secret = field(repr=False)
    lines: str = script.FROM_SERVER_BY_PAPER

    @property
    def begins(self) -> str:
        """How what it was restored from is called, to begin with."""
        return f"{self.storage}:"

    @property
    def place(self) -> str:
        """What the script finds backups by."""
        return self.storage

    @property
    def told(self) -> str:
        """For people."""
        where = f"datastore {self.datastore} of {self.server}"
        return (
            f"the newest backup in {where}, entered as storage {self.storage} with the key and the "
            "token on paper alone and left again,"
        )

    def words(self, paper: str) -> tuple[str, ...]:
        """What else the script is given: what `pvesm` is told of it."""
        return (
            *("--server", self.server, "--datastore", self.datastore, "--username", self.username),
            *("--fingerprint", self.fingerprint, "--content", "backup", "--nodes", self.node),
            *("--encryption-key", f"{paper}.key"),
        )

    def left(self, host: Host) -> dict[str, str] | None:
        """What of it a drill that was broken off has left; None for nothing."""
        row = storage_row(host, self.storage)
        if row is None:
            return None
        kept = {key: row[key] for key in ("type", *_PLACE) if key in row}
        answers.expected(kept, {str: SCALAR}, host=host.name, line="pvesh get /storage")
        return {key: str(value) for key, value in kept.items()}

    def other(self, left: dict[str, str]) -> str:
        """In what a storage of that name is not ours, in words; empty where it is."""
        wanted = {"type": "pbs"} | {key: getattr(self, key) for key in _PLACE}
        other = [key for key, value in wanted.items() if left.get(key) != value]
        return ", ".join(f"{key} {left.get(key, 'none')}" for key in other)

    def leaving(self, drill: str) -> Change:
        """Leave it, where that was not done."""
        call = change("pvesm", "remove", self.storage, sudo=True, timeout_s=60.0)
        return Change(
            f"leave datastore {self.datastore} of {self.server}, which a {drill} that was broken "
            f"off has entered as storage {self.storage}: token and key go with it",
            call,
            undo="the next drill enters it again; what is in the datastore stays",
        )


Source = Stored | Carried | Entered
