"""A tree of entries: where a path leads in it, and what is mounted where.

Paths are walked as the kernel walks them: each folder on the way must let one through, a link is
followed to where it leads, ``..`` is the folder above the one that one has come to.
"""

import posixpath
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from homelab_lib.twin.machine.entry import (
    ACCESS,
    LOOP,
    NOT_FOLDER,
    NOTHING,
    PASS,
    ROOT,
    Entry,
    FileError,
    Who,
)

Loader = Callable[[Sequence[str]], Mapping[str, Entry | FileError]]
_MOST_LINKS = 40


@dataclass(frozen=True)
class Mount:
    """A file system put in the place of a folder."""

    target: str
    files: "Tree"
    root: str
    source: str
    fstype: str
    options: str = "rw,relatime"


@dataclass
class Tree:
    """A tree of entries by absolute path.

    Parameters
    ----------
    entries
        What is there.
    loader
        Asked for paths that aren't in `entries`; gives what the real host has there, and an error
        where it can't tell. What it says nothing of is not there.
    full
        No space left: nothing grows.
    read_only
        Nothing is written.
    failing
        The disk under it fails: nothing is read or written.
    """

    entries: dict[str, Entry] = field(default_factory=lambda: {"/": Entry("dir", mode=0o755)})
    mounts: dict[str, Mount] = field(default_factory=dict)
    loader: Loader | None = None
    full: bool = False
    read_only: bool = False
    failing: bool = False
    _asked: set[str] = field(default_factory=set)
    _untold: dict[str, str] = field(default_factory=dict)

    # ------------------------------------------------------------------ the way

    def resolve(self, path: str, who: Who = ROOT, *, follow: bool = True) -> str:
        """Where a path leads, without links on the way; at its end is what there is, or nothing.

        Raises
        ------
        FileError
            The way is barred, missing, or leads in circles.
        """
        if not path:
            raise FileError(NOTHING)
        self._load(path)
        here, links, parts = "/", 0, deque(path.split("/"))
        while parts:
            part = parts.popleft()
            folder = self._at(here)
            if part in ("", "."):
                if folder is not None and folder.kind != "dir":
                    raise FileError(NOT_FOLDER)
                continue
            if folder is None:
                raise FileError(NOTHING)
            if folder.kind != "dir":
                raise FileError(NOT_FOLDER)
            who.need(folder, PASS)
            if part == "..":
                here = posixpath.dirname(here)
                continue
            there = posixpath.join(here, part)
            found = self._at(there)
            if found is None or found.kind != "link" or not (follow or parts):
                here = there
                continue
            links += 1
            if links > _MOST_LINKS:
                raise FileError(LOOP)
            if folder.mode & 0o1002 == 0o1002 and found.user not in (who.user, folder.user):
                raise FileError(ACCESS)  # fs.protected_symlinks
            target = found.data.decode()
            here = "/" if target.startswith("/") else here
            parts.extendleft(reversed(target.split("/")))
            self._load(posixpath.join(here, target))
        return here

    def _at(self, path: str) -> Entry | None:
        files, inner = self._place(path)
        return files._own(inner)

    def _place(self, path: str) -> tuple["Tree", str]:
        """The file system that holds a path without links, and its path there."""
        inside = [t for t in self.mounts if path == t or path.startswith(t.rstrip("/") + "/")]
        if not inside:
            return self, path
        best = max(inside, key=len)
        mount = self.mounts[best]
        inner = posixpath.normpath(f"{mount.root.rstrip('/')}/{path[len(best) :].lstrip('/')}")
        return mount.files._place(inner)

    def _own(self, path: str) -> Entry | None:
        if path not in self.entries:
            self._ask(path)
        if path in self._untold:
            raise FileError(self._untold[path])
        return self.entries.get(path)

    def _load(self, path: str) -> None:
        """Ask for all of a path at once, where it has to be asked for."""
        files, inner = self._place(posixpath.normpath(posixpath.join("/", path)))
        files._ask(inner)

    def _ask(self, path: str) -> None:
        if self.loader is None or path in self._asked:
            return
        way = [path]
        while way[-1] != "/":
            way.append(posixpath.dirname(way[-1]))
        wanted = [p for p in reversed(way) if p not in self._asked]
        self._asked.update(wanted)
        for place, found in self.loader(wanted).items():
            if isinstance(found, FileError):
                self._untold[place] = found.says
            else:
                self.entries.setdefault(place, found)

    # ------------------------------------------------------------------ looking

    def entry(self, path: str, who: Who = ROOT, *, follow: bool = True) -> Entry | None:
        """What is at `path`; None for nothing.

        Raises
        ------
        FileError
            It can't be told.
        """
        try:
            return self._at(self.resolve(path, who, follow=follow))
        except FileError as error:
            if error.says in (NOTHING, NOT_FOLDER):
                return None
            raise

    def stat(self, path: str, who: Who = ROOT, *, follow: bool = True) -> Entry:
        """What is at `path`.

        Raises
        ------
        FileError
            Nothing, or it can't be told.
        """
        found = self._at(self.resolve(path, who, follow=follow))
        if found is None:
            raise FileError(NOTHING)
        return found

    # -------------------------------------------------------------------- mounts

    def mount(self, mount: Mount) -> None:
        """Put another file system over a folder."""
        if self.stat(mount.target).kind != "dir":
            raise FileError(NOT_FOLDER)
        self.mounts[mount.target] = mount

    def umount(self, target: str) -> None:
        """Take the file system away again."""
        if target not in self.mounts:
            raise FileError("not mounted")
        del self.mounts[target]
