"""What a file system is made of: files, folders and links, and who may do what with them."""

import hashlib
import stat
from dataclasses import dataclass
from typing import TypedDict

ACCESS = "Permission denied"
EXISTS = "File exists"
IS_FOLDER = "Is a directory"
LOOP = "Too many levels of symbolic links"
NOT_EMPTY = "Directory not empty"
NOT_FOLDER = "Not a directory"
NOTHING = "No such file or directory"
NO_SPACE = "No space left on device"
NOT_YOURS = "Operation not permitted"
READ_ONLY = "Read-only file system"
UNREADABLE = "Input/output error"

READ, WRITE, PASS = 4, 2, 1
"""Permissions; of a folder: to list it, to change what is in it, to go through it."""

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}
"""What an entry is, by the kernel's bits."""

_BITS = {kind: bits for bits, kind in KINDS.items()}


class FileError(OSError):
    """A file operation that the kernel refuses; its text is what `strerror` says."""

    @property
    def says(self) -> str:
        return str(self.args[0])


class Facts(TypedDict, total=False):
    """What a new file may be given beside its bytes and its mode; see `Entry`."""

    user: str
    group: str
    digest: str
    size_bytes: int | None
    mtime_s: float


class StandIn(bytes):
    """What is read of a file whose bytes are not here: their digest goes with it, by whatever way
    they are read."""

    digest: str

    def __new__(cls, data: bytes, digest: str) -> "StandIn":
        made = super().__new__(cls, data)
        made.digest = digest
        return made


@dataclass
class Entry:
    """A file, a folder or a link.

    Parameters
    ----------
    kind
        ``file``, ``dir``, ``link``, or something else of `KINDS`.
    data
        Its bytes, or a link's target.
    mode, user, group
        Permission bits and owners.
    digest, size_bytes
        What a file's SHA-256 and size are said to be, where its bytes are not here: an image of
        half a gigabyte, the file of a host that was only asked for its digest.
    served_s
        How long a server took for it [s].
    """

    kind: str
    data: bytes = b""
    mode: int = 0o644
    user: str = "root"
    group: str = "root"
    digest: str = ""
    size_bytes: int | None = None
    mtime_s: float = 0.0
    served_s: float = 0.0

    @property
    def sha256(self) -> str:
        return self.digest or hashlib.sha256(self.data).hexdigest()

    @property
    def size(self) -> int:
        if self.kind == "dir":
            return 4096
        return len(self.data) if self.size_bytes is None else self.size_bytes

    @property
    def raw_mode(self) -> int:
        """``st_mode``: what it is, and its permissions."""
        return _BITS[self.kind] | self.mode


@dataclass(frozen=True)
class Who:
    """Whose process it is that asks.

    Parameters
    ----------
    user, group
        To whom what it makes belongs.
    groups
        All groups that it is in.
    umask
        Permissions that what it makes does not get.
    """

    user: str = "root"
    group: str = "root"
    groups: frozenset[str] = frozenset({"root"})
    umask: int = 0o022

    def may(self, entry: Entry, wanted: int) -> bool:
        """Whether it has all of the wanted permissions."""
        if self.user == "root":
            return not (wanted & PASS and entry.kind == "file" and not entry.mode & 0o111)
        shift = 6 if entry.user == self.user else 3 if entry.group in self.groups else 0
        return entry.mode >> shift & wanted == wanted

    def need(self, entry: Entry, wanted: int) -> None:
        """Raise what the kernel does where they are missing."""
        if not self.may(entry, wanted):
            raise FileError(ACCESS)

    def owns(self, entry: Entry) -> bool:
        """Whether it may change an entry's permissions."""
        return self.user in ("root", entry.user)


ROOT = Who()
