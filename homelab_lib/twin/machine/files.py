"""A machine's files: what is in them, and what the kernel lets whom do with them."""

import posixpath
from collections.abc import Iterator
from typing import Unpack

from homelab_lib.twin.machine.entry import (
    EXISTS,
    IS_FOLDER,
    NO_SPACE,
    NOT_EMPTY,
    NOT_FOLDER,
    NOT_YOURS,
    NOTHING,
    PASS,
    READ,
    READ_ONLY,
    ROOT,
    UNREADABLE,
    WRITE,
    Entry,
    Facts,
    FileError,
    StandIn,
    Who,
)
from homelab_lib.twin.machine.tree import Tree

_STICKY, _SETGID = 0o1000, 0o2000


class FileSystem(Tree):
    """Files that are read and changed.

    Whoever does it is given as `who`; without it, it is the twin itself, and nothing stops it.
    """

    # ------------------------------------------------------------------ looking

    def exists(self, path: str) -> bool:
        return self.entry(path) is not None

    def is_dir(self, path: str, who: Who = ROOT) -> bool:
        found = self.entry(path, who)
        return found is not None and found.kind == "dir"

    def read(self, path: str, who: Who = ROOT) -> bytes:
        """The bytes of a file.

        Raises
        ------
        FileError
            It isn't there, is a folder, or is not for everybody.
        """
        found = self.stat(path, who)
        who.need(found, READ)
        if found.kind == "dir":
            raise FileError(IS_FOLDER)
        if self._place(self.resolve(path, who))[0].failing:
            raise FileError(UNREADABLE)
        return StandIn(found.data, found.digest) if found.digest else found.data

    def text(self, path: str) -> str:
        """A file as text; empty where there is none."""
        return self.read(path).decode(errors="replace") if self.exists(path) else ""

    def listdir(self, path: str, who: Who = ROOT) -> list[str]:
        """Names in a folder, sorted."""
        place = self.resolve(path, who)
        folder = self._at(place)
        if folder is None:
            raise FileError(NOTHING)
        if folder.kind != "dir":
            raise FileError(NOT_FOLDER)
        who.need(folder, READ)
        files, inner = self._place(place)
        if files.failing:
            raise FileError(UNREADABLE)
        prefix, own = inner.rstrip("/") + "/", place.rstrip("/") + "/"
        below = {p[len(prefix) :] for p in files.entries if p.startswith(prefix) and p != prefix}
        below |= {t[len(own) :] for t in self.mounts if t.startswith(own)}
        return sorted({name.partition("/")[0] for name in below})

    def walk(self, path: str, who: Who = ROOT) -> Iterator[str]:
        """`path` and everything below it; links are not followed."""
        yield path
        found = self.entry(path, who, follow=False)
        if found is not None and found.kind == "dir":
            for name in self.listdir(path, who):
                yield from self.walk(posixpath.join(path, name), who)

    # ------------------------------------------------------------------ changing

    def write(
        self,
        path: str,
        data: bytes | str,
        who: Who = ROOT,
        *,
        mode: int | None = None,
        **facts: Unpack[Facts],
    ) -> None:
        """Make or replace a file, keeping its mode and owners unless they are given."""
        place = self.resolve(path, who)
        old = self._at(place)
        content = data.encode() if isinstance(data, str) else data
        if old is None:
            new = self._made(place, "file", 0o666, who)
        elif old.kind == "dir":
            raise FileError(IS_FOLDER)
        else:
            who.need(old, WRITE)
            new = old  # what is known by another name is the same file
        files, inner = self._writable(place)
        if files.full and content:
            raise FileError(NO_SPACE)
        new.data, new.digest, new.size_bytes = content, "", None
        new.mode = new.mode if mode is None else mode
        for name, value in facts.items():
            setattr(new, name, value)
        files.entries[inner] = new

    def put(
        self, path: str, data: bytes | str, *, mode: int = 0o644, **facts: Unpack[Facts]
    ) -> None:
        """Make a file and the folders above it."""
        self.mkdir(posixpath.dirname(path), parents=True)
        self.write(path, data, mode=mode, **facts)

    def make_folder(self, path: str, *, mode: int = 0o755, **facts: Unpack[Facts]) -> None:
        """Have a folder there, with exactly that mode and those owners."""
        self.mkdir(path, parents=True)
        folder = self.stat(path)
        folder.mode = mode
        for name, value in facts.items():
            setattr(folder, name, value)

    def mkdir(
        self, path: str, who: Who = ROOT, *, parents: bool = False, mode: int | None = None
    ) -> None:
        """Make a folder; with `parents` those above it too, and one that is there will do."""
        if not path:
            raise FileError(NOTHING)
        path = path.rstrip("/") or "/"
        if parents and path != "/" and self.entry(posixpath.dirname(path), who) is None:
            self.mkdir(posixpath.dirname(path), who, parents=True)
        place = self.resolve(path, who, follow=False)
        if self._at(place) is not None:
            if parents and self.is_dir(place, who):
                return
            raise FileError(EXISTS)
        made = self._made(place, "dir", 0o777, who)
        made.mode = made.mode if mode is None else mode
        files, inner = self._writable(place)
        files.entries[inner] = made

    def link(self, path: str, target: str, who: Who = ROOT) -> None:
        """Make a symbolic link."""
        place = self.resolve(path, who, follow=False)
        if self._at(place) is not None:
            raise FileError(EXISTS)
        made = self._made(place, "link", 0o777, who)
        files, inner = self._writable(place)
        made.data, made.mode = target.encode(), 0o777
        files.entries[inner] = made

    def hard_link(self, path: str, entry: Entry, who: Who = ROOT) -> None:
        """Give a file another name."""
        place = self.resolve(path, who, follow=False)
        if self._at(place) is not None:
            raise FileError(EXISTS)
        self._folder(place, who)
        files, inner = self._writable(place)
        files.entries[inner] = entry

    def names_of(self, entry: Entry) -> int:
        """How many names a file has; of a folder, its own and those that its folders have for
        it."""
        if entry.kind != "dir":
            return sum(each is entry for each in self.entries.values())
        own = next((p for p, each in self.entries.items() if each is entry), "/")
        inside = (f"{own.rstrip('/')}/{name}" for name in self.listdir(own))
        return 2 + sum(self.stat(path, follow=False).kind == "dir" for path in inside)

    def _made(self, place: str, kind: str, mode: int, who: Who) -> Entry:
        """A new entry, as a process makes it in a folder."""
        folder = self._folder(place, who)
        inherits = folder.mode & _SETGID
        mode = mode & ~who.umask | (inherits if kind == "dir" else 0)
        return Entry(kind, mode=mode, user=who.user, group=folder.group if inherits else who.group)

    def _folder(self, place: str, who: Who) -> Entry:
        """The folder that something is in, which must be the process's to change."""
        folder = self._at(posixpath.dirname(place))
        if folder is None:
            raise FileError(NOTHING)
        if folder.kind != "dir":
            raise FileError(NOT_FOLDER)
        who.need(folder, WRITE | PASS)
        return folder

    def _writable(self, place: str) -> tuple[Tree, str]:
        files, inner = self._place(place)
        if files.failing:
            raise FileError(UNREADABLE)
        if files.read_only:
            raise FileError(READ_ONLY)
        return files, inner

    def _leaving(self, path: str, who: Who) -> tuple[str, Entry]:
        """What is to be taken out of its folder."""
        place = self.resolve(path, who, follow=False)
        entry = self._at(place)
        if entry is None:
            raise FileError(NOTHING)
        folder = self._folder(place, who)
        if folder.mode & _STICKY and who.user not in ("root", folder.user, entry.user):
            raise FileError(NOT_YOURS)
        if any(target == place or target.startswith(f"{place}/") for target in self.mounts):
            raise FileError("Device or resource busy")
        return place, entry

    def remove(self, path: str, who: Who = ROOT, *, recursive: bool = False) -> None:
        """Take a file away; a folder only where it is empty, or with all that is in it."""
        place, entry = self._leaving(path, who)
        if entry.kind == "dir" and (inside := self.listdir(place)):
            if not recursive:
                raise FileError(NOT_EMPTY)
            who.need(entry, READ)
            for name in inside:
                self.remove(posixpath.join(place, name), who, recursive=True)
        files, inner = self._writable(place)
        files.entries.pop(inner, None)
        files._asked.add(inner)

    def rename(self, old: str, new: str, who: Who = ROOT) -> None:
        """Move a file or folder over what is there."""
        place, entry = self._leaving(old, who)
        target = self.resolve(new, who, follow=False)
        there = self._at(target)
        self._folder(target, who)
        if there is not None and there is not entry:
            self._leaving(target, who)
            if there.kind == "dir" and entry.kind != "dir":
                raise FileError(IS_FOLDER)
            if there.kind != "dir" and entry.kind == "dir":
                raise FileError(NOT_FOLDER)
            if there.kind == "dir" and self.listdir(target):
                raise FileError(NOT_EMPTY)
        files, inner = self._writable(place)
        others, inner_target = self._writable(target)
        moved = {p: e for p, e in files.entries.items() if p == inner or p.startswith(f"{inner}/")}
        for path in moved:
            del files.entries[path]
            files._asked.add(path)
        for path, each in moved.items():
            others.entries[inner_target + path[len(inner) :]] = each

    def chmod(self, path: str, mode: int, who: Who = ROOT) -> None:
        """Change permissions."""
        entry = self.stat(path, who)
        if not who.owns(entry):
            raise FileError(NOT_YOURS)
        self._writable(self.resolve(path, who))
        entry.mode = mode

    def chown(
        self, path: str, user: str, group: str, who: Who = ROOT, *, follow: bool = True
    ) -> None:
        """Change owners; an empty word leaves one as it is. Only root gives files away."""
        entry = self.stat(path, who, follow=follow)
        mine = who.owns(entry) and user in ("", entry.user) and group in ("", *who.groups)
        if who.user != "root" and not mine:
            raise FileError(NOT_YOURS)
        self._writable(self.resolve(path, who, follow=follow))
        entry.user, entry.group = user or entry.user, group or entry.group
