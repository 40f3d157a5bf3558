"""A machine's files: what is in them, whose they are, what is mounted where."""

import hashlib
import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


class FileError(OSError):
    """A file operation that the kernel refuses; its text is what `strerror` says."""

    @property
    def says(self) -> str:
        return str(self.args[0])


@dataclass
class Entry:
    """A file, a folder or a link.

    Parameters
    ----------
    kind
        ``file``, ``dir`` or ``link``.
    data
        Its bytes, or a link's target.
    mode, user, group
        Permission bits and owners.
    digest, size_bytes
        What a file's SHA-256 and size are said to be, where its bytes are not here: an image of
        half a gigabyte, the file of a host that was only asked for its digest.
    """

    kind: str
    data: bytes = b""
    mode: int = 0o644
    user: str = "root"
    group: str = "root"
    digest: str = ""
    size_bytes: int | None = None
    mtime_s: float = 0.0

    @property
    def sha256(self) -> str:
        return self.digest or hashlib.sha256(self.data).hexdigest()

    @property
    def size(self) -> int:
        return len(self.data) if self.size_bytes is None else self.size_bytes


@dataclass(frozen=True)
class Mount:
    """A file system put in the place of a folder."""

    target: str
    files: "FileSystem"
    root: str
    source: str
    fstype: str
    options: str = "rw,relatime"


@dataclass
class FileSystem:
    """A tree of entries by absolute path.

    Parameters
    ----------
    entries
        What is there.
    loader
        Asked for a path that isn't in `entries`; gives the entry of the real host, or None for
        nothing there, or raises `FileError` where the real host can't tell.
    full
        No space left: nothing grows.
    read_only
        Nothing is written.
    """

    entries: dict[str, Entry] = field(default_factory=lambda: {"/": Entry("dir", mode=0o755)})
    mounts: dict[str, Mount] = field(default_factory=dict)
    loader: Callable[[str], Entry | None] | None = None
    full: bool = False
    read_only: bool = False
    _asked: set[str] = field(default_factory=set)

    # ------------------------------------------------------------------ looking

    def entry(self, path: str, *, follow: bool = True) -> Entry | None:
        """What is at `path`, or None."""
        files, inner = self._place(path)
        found = files._own(inner)
        if found is not None and found.kind == "link" and follow:
            target = posixpath.join(posixpath.dirname(path), found.data.decode())
            return self.entry(target)
        return found

    def exists(self, path: str) -> bool:
        return self.entry(path) is not None

    def is_dir(self, path: str) -> bool:
        found = self.entry(path)
        return found is not None and found.kind == "dir"

    def read(self, path: str) -> bytes:
        """The bytes of a file.

        Raises
        ------
        FileError
            It isn't there, or is a folder.
        """
        found = self.entry(path)
        if found is None:
            raise FileError("No such file or directory")
        if found.kind == "dir":
            raise FileError("Is a directory")
        return found.data

    def text(self, path: str) -> str:
        """A file as text; empty where there is none."""
        return self.read(path).decode(errors="replace") if self.exists(path) else ""

    def listdir(self, path: str) -> list[str]:
        """Names in a folder, sorted."""
        files, inner = self._place(path)
        prefix = inner.rstrip("/") + "/"
        names = {
            other[len(prefix) :].partition("/")[0]
            for other in files.entries
            if other.startswith(prefix) and other != prefix
        }
        own = path.rstrip("/") + "/"
        names |= {t[len(own) :].partition("/")[0] for t in self.mounts if t.startswith(own)}
        return sorted(names)

    def walk(self, path: str) -> Iterator[str]:
        """`path` and everything below it."""
        yield path
        if self.is_dir(path):
            for name in self.listdir(path):
                yield from self.walk(posixpath.join(path, name))

    # ------------------------------------------------------------------ changing

    def write(
        self, path: str, data: bytes | str, *, mode: int | None = None, **facts: object
    ) -> None:
        """Make or replace a file, keeping its mode and owners unless they are given."""
        files, inner = self._place(path)
        old = files._own(inner)
        if old is not None and old.kind == "dir":
            raise FileError("Is a directory")
        parent = files._own(posixpath.dirname(inner))
        if parent is None or parent.kind != "dir":
            raise FileError("No such file or directory")
        files._may_write()
        content = data.encode() if isinstance(data, str) else data
        if files.full and content:
            raise FileError("No space left on device")
        new = Entry("file", content)
        if old is not None:
            new.mode, new.user, new.group = old.mode, old.user, old.group
        if mode is not None:
            new.mode = mode
        for name, value in facts.items():
            setattr(new, name, value)
        files.entries[inner] = new

    def put(self, path: str, data: bytes | str, *, mode: int = 0o644, **facts: object) -> None:
        """Make a file and the folders above it."""
        self.mkdir(posixpath.dirname(path), parents=True)
        self.write(path, data, mode=mode, **facts)

    def mkdir(
        self, path: str, *, parents: bool = False, mode: int = 0o755, user: str = "root"
    ) -> None:
        """Make a folder; those above it are root's."""
        found = self.entry(path)
        if found is not None:
            if parents and found.kind == "dir":
                return
            raise FileError("File exists")
        above = posixpath.dirname(path)
        if not self.is_dir(above):
            if not parents:
                raise FileError("No such file or directory")
            self.mkdir(above, parents=True)
        files, inner = self._place(path)
        files._may_write()
        files.entries[inner] = Entry("dir", mode=mode, user=user, group=user)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        files, inner = self._place(path)
        files._may_write()
        files.entries[inner] = Entry("link", target.encode(), mode=0o777)

    def remove(self, path: str, *, recursive: bool = False) -> None:
        """Take a file away, or a folder with all that is in it."""
        files, inner = self._place(path)
        if files._own(inner) is None:
            raise FileError("No such file or directory")
        below = [p for p in files.entries if p.startswith(inner.rstrip("/") + "/")]
        if self.is_dir(path) and not recursive:
            raise FileError("Is a directory")
        if any(target == path or target.startswith(path + "/") for target in self.mounts):
            raise FileError("Device or resource busy")
        files._may_write()
        for each in (*below, inner):
            files.entries.pop(each, None)
            files._asked.add(each)

    def rename(self, old: str, new: str) -> None:
        """Move a file or folder over what is there."""
        files, inner = self._place(old)
        others, target = self._place(new)
        entry = files._own(inner)
        if entry is None:
            raise FileError("No such file or directory")
        if others._own(posixpath.dirname(target)) is None:
            raise FileError("No such file or directory")
        files._may_write()
        others._may_write()
        moved = {p: e for p, e in files.entries.items() if p.startswith(inner + "/")}
        for path in (inner, *moved):
            files.entries.pop(path, None)
            files._asked.add(path)
        others.entries[target] = entry
        for path, each in moved.items():
            others.entries[target + path[len(inner) :]] = each

    # -------------------------------------------------------------------- mounts

    def mount(self, mount: Mount) -> None:
        """Put another file system over a folder."""
        if not self.is_dir(mount.target):
            raise FileError("No such file or directory")
        self.mounts[mount.target] = mount

    def umount(self, target: str) -> None:
        """Take the file system away again."""
        if target not in self.mounts:
            raise FileError("not mounted")
        del self.mounts[target]

    def _place(self, path: str) -> tuple["FileSystem", str]:
        """The file system that holds `path`, and its path there."""
        path = posixpath.normpath(posixpath.join("/", path))
        best = max(
            (t for t in self.mounts if path == t or path.startswith(t.rstrip("/") + "/")),
            key=len,
            default=None,
        )
        if best is None:
            return self, path
        mount = self.mounts[best]
        inner = posixpath.normpath(f"{mount.root.rstrip('/')}/{path[len(best) :].lstrip('/')}")
        return mount.files._place(inner)

    def _own(self, path: str) -> Entry | None:
        if path not in self.entries and self.loader is not None and path not in self._asked:
            self._asked.add(path)
            found = self.loader(path)
            if found is not None:
                self._adopt(path, found)
        return self.entries.get(path)

    def _adopt(self, path: str, entry: Entry) -> None:
        above = posixpath.dirname(path)
        if self._own(above) is None:  # what is in a folder that isn't there: it came meanwhile
            self._adopt(above, Entry("dir", mode=0o755))
        self.entries[path] = entry

    def _may_write(self) -> None:
        if self.read_only:
            raise FileError("Read-only file system")


def absolute(path: str, home: str = "/root") -> str:
    """A path as programs see it that are started in the home folder."""
    if path == "~" or path.startswith("~/"):
        path = home + path[1:]
    return posixpath.normpath(posixpath.join(home, path))
