"""Backups of guests: what is in one, and which of many a policy keeps.

Sources: `PVE::VZDump` (pve-manager 9.2), `PVE::Storage::Plugin` and `PVE::Storage::PBSPlugin`
(pve-storage 9.1): names, and what a listing says of each.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from homelab_lib.twin.machine.entry import Entry
from homelab_lib.twin.machine.files import FileSystem
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.tree import Loader
from homelab_lib.twin.machine.unit import Unit

_PERIODS = {"last": "%Y%m%d%H%M%S", "hourly": "%Y%m%d%H", "daily": "%Y%m%d", "weekly": "%G%V",
            "monthly": "%Y%m", "yearly": "%Y"}  # fmt: skip
_MAGIC = {"zst": b"\x28\xb5\x2f\xfd", "gz": b"\x1f\x8b"}
"""What a packed file begins with: RFC 8878, 3.1.1; RFC 1952, 2.3.1."""
_NAMED = re.compile(
    r"vzdump-(qemu|lxc)-(\d+)-(\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d)\.((?:vma|tar)(?:\.\w+)?)"
)


class Written(bytes):
    """An archive as it lies in a file: whoever copies the file copies what is in it."""

    archive: "Archive"

    def __new__(cls, data: bytes, archive: "Archive") -> "Written":
        made = super().__new__(cls, data)
        made.archive = archive
        return made


@dataclass
class Inside:
    """What is on the disks of a guest: its files, who knows more of them, and what is installed.

    Parameters
    ----------
    entries, loader
        Its files, and who is asked for those that are not here.
    packages, units
        What is installed, and what starts with it.
    vouched
        Whether somebody else has set it up.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    loader: Loader | None = None
    packages: dict[str, str] = field(default_factory=dict)
    units: tuple[str, ...] = ()
    vouched: bool = False

    @classmethod
    def of(cls, guest: Machine) -> "Inside":
        """What is in a guest just now; it goes its own way from here on."""
        units = tuple(name for name, unit in guest.units.items() if unit.enabled)
        files = guest.files
        return cls(_own(files.entries), files.loader, dict(guest.packages), units)

    def put_into(self, guest: Machine) -> None:
        """Have a new guest find it on its disks; on new ones there is nothing."""
        if not self.entries:
            return
        guest.files.entries, guest.files.loader = _own(self.entries), self.loader
        guest.packages = dict(self.packages)
        for name in self.units:
            guest.units[name] = Unit(name, enabled=True)

    def disk(self) -> FileSystem:
        """Its root file system, as it is mounted to be looked at."""
        return FileSystem(self.entries, loader=self.loader, read_only=True)


def _own(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    return {path: replace(entry) for path, entry in entries.items()}


@dataclass
class Archive:
    """A backup of a guest.

    Parameters
    ----------
    kind, vmid
        ``qemu`` or ``lxc``, and whose.
    made_s
        When it was begun [s since 1970].
    config
        The guest's options.
    booted, firmware
        What its disk was made from, and under which firmware it was installed.
    inside
        What was on its disks.
    size_bytes
        What it takes [bytes].
    notes
        What a person reads of it.
    broken
        What is said of it when it is read back whole; empty: it is whole.
    encrypted
        Fingerprint of the key that it needs; empty for none.
    verified, verified_s
        What the last look through it came to, ``ok`` or ``failed``, and when that was [s since
        1970]; empty: there was none.
    protected
        Whether it is kept, whatever a policy says.
    """

    kind: str
    vmid: int
    made_s: float
    config: dict[str, str] = field(default_factory=dict)
    booted: str = ""
    firmware: str = ""
    inside: Inside = field(default_factory=Inside)
    size_bytes: int = 0
    notes: str = ""
    broken: str = ""
    encrypted: str = ""
    verified: str = ""
    verified_s: float = 0.0
    protected: bool = False

    def file_name(self, compressed: str) -> str:
        """Its name on a storage that keeps files; the node's time is UTC."""
        when = datetime.fromtimestamp(self.made_s, UTC)
        form = "vma" if self.kind == "qemu" else "tar"
        return f"vzdump-{self.kind}-{self.vmid}-{when:%Y_%m_%d-%H_%M_%S}.{form}{compressed}"

    @property
    def stream(self) -> bytes:
        """What stands for its bytes, unpacked; a VM's begin as its format has it: pve-qemu's
        vma_spec.txt."""
        return b"VMA\0" + f"{self.kind} {self.vmid} {self.made_s:.0f}\n".encode()

    def written(self, file: str) -> Written:
        """Its bytes in a file of that name, packed as that says."""
        return Written(_MAGIC.get(file.rpartition(".")[2], b"") + self.stream, self)

    @property
    def server_name(self) -> str:
        """Its name on a Proxmox Backup Server."""
        when = datetime.fromtimestamp(self.made_s, UTC)
        return f"{'vm' if self.kind == 'qemu' else 'ct'}/{self.vmid}/{when:%Y-%m-%dT%H:%M:%SZ}"

    def row(self, volid: str, form: str) -> dict[str, Any]:
        """As a listing has it."""
        found: dict[str, Any] = {
            "volid": volid,
            "content": "backup",
            "format": form,
            "subtype": self.kind,
            "vmid": self.vmid,
            "ctime": int(self.made_s),
            "size": self.size_bytes,
        }
        found |= {"notes": self.notes} if self.notes else {}
        found |= {"protected": 1} if self.protected else {}
        found |= {"encrypted": self.encrypted} if self.encrypted else {}
        return found | ({"verification": {"state": self.verified}} if self.verified else {})


def archive_called(file: str) -> Archive | None:
    """What the name of a file in ``dump`` says of it; None where it is no backup's."""
    found = _NAMED.fullmatch(file)
    if found is None:
        return None
    when = datetime.strptime(found[3], "%Y_%m_%d-%H_%M_%S").replace(tzinfo=UTC)
    return Archive(found[1], int(found[2]), when.timestamp())


def form_of(file: str) -> str:
    """What a listing calls the form of a file in ``dump``: ``vma.zst``."""
    found = _NAMED.fullmatch(file)
    return found[4] if found else "raw"


def kept(archives: Mapping[str, Archive], keep: Mapping[str, str]) -> set[str]:
    """The names of one guest's backups that a policy keeps; all of them where it names none.

    One period after the other has its say. What a finer one has found too many is not looked at by
    a coarser one, even where it is the last of its month: `prune_mark_backup_group` of pve-storage.

    Parameters
    ----------
    archives
        By their names.
    keep
        Such as ``keep-daily: 7``.
    """
    counts = {key.removeprefix("keep-"): int(value) for key, value in keep.items()}
    if counts.pop("all", 0) or not any(counts.values()):
        return set(archives)
    safe = {name for name, each in archives.items() if each.protected}
    rows = sorted(archives.keys() - safe, key=lambda n: archives[n].made_s, reverse=True)
    found: dict[str, bool] = {}
    for period, form in _PERIODS.items():
        already = {_slot(archives[name], form) for name, stays in found.items() if stays}
        fresh: set[str] = set()
        for name in rows:
            slot = _slot(archives[name], form)
            if name in found or slot in already:
                continue
            if slot not in fresh and len(fresh) >= counts.get(period, 0):
                break
            found[name] = slot not in fresh
            fresh.add(slot)
    return safe | {name for name, stays in found.items() if stays}


def _slot(archive: Archive, form: str) -> str:
    return datetime.fromtimestamp(archive.made_s, UTC).strftime(form)


def options_in(config: Mapping[str, str]) -> dict[str, str]:
    """A guest's options as its backup keeps them."""
    return {key: value for key, value in config.items() if key != "lock"}
