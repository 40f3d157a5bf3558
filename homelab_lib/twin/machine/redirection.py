"""Redirections: where a command reads and prints."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from homelab_lib.twin.machine.entry import IS_FOLDER, NOT_FOLDER, NOTHING, FileError, Who
from homelab_lib.twin.machine.expansion import Expansion
from homelab_lib.twin.machine.files import FileSystem
from homelab_lib.twin.machine.lexer import Syntax
from homelab_lib.twin.machine.program import Call, Pipe
from homelab_lib.twin.machine.script import Redirection


@dataclass
class Streams:
    """Where a command reads and prints: what it prints is collected, in order."""

    source: Pipe
    out: bytearray
    err: bytearray


@dataclass
class Target:
    """A file that is printed to; it is written when the command has ended."""

    path: str
    text: bytearray = field(default_factory=bytearray)

    def written(self, files: FileSystem, who: Who) -> str:
        """Write it; why that failed, or nothing."""
        try:
            if self.path:
                files.write(self.path, bytes(self.text), who)
        except FileError as error:
            return error.says
        return ""


def redirected(
    redirections: Sequence[Redirection],
    streams: Streams,
    expansion: Expansion,
    call: Call,
) -> tuple[Streams, list[Target]]:
    """The streams of a command, and the files that must be written when it has ended.

    Raises
    ------
    FileError
        A file can't be opened; its text is what dash says.
    """
    files, who = expansion.files, expansion.who
    own = Streams(streams.source, streams.out, streams.err)
    targets: list[Target] = []
    for each in redirections:
        if each.operator in ("<<", "<<-"):
            own.source = Pipe(expansion.document(each.body).encode(errors="surrogateescape"))
            continue
        word = expansion.text(each.target)
        if each.operator == "<":
            own.source = _opened(files, call.path(word), word, who)
        elif each.operator == ">&" and word in ("1", "2") and each.number in (1, 2):
            _send(own, each.number, own.out if word == "1" else own.err)
        elif each.operator in (">", ">>", ">|") and each.number in (1, 2):
            target = _target(files, call.path(word), word, who, each.operator == ">>")
            targets.append(target)
            _send(own, each.number, target.text)
        else:
            raise Syntax(f"this twin can't redirect {each.number}{each.operator}{word}")
    return own, targets


def _send(streams: Streams, number: int, place: bytearray) -> None:
    if number == 1:
        streams.out = place
    else:
        streams.err = place


def _opened(files: FileSystem, path: str, word: str, who: Who) -> Pipe:
    if path == "/dev/null":
        return Pipe()
    try:
        return Pipe(files.read(path, who))
    except FileError as error:
        if error.says == IS_FOLDER:
            return Pipe(fault=IS_FOLDER)
        raise FileError(f"cannot open {word}: {_dash(error, 'No such file')}") from None


def _target(files: FileSystem, path: str, word: str, who: Who, append: bool) -> Target:
    if path == "/dev/null":
        return Target("")
    try:
        there = append and files.entry(path, who) is not None
        old = files.read(path) if there else b""
        files.write(path, old, who)
    except FileError as error:
        why = _dash(error, "Directory nonexistent")
        raise FileError(f"cannot create {word}: {why}") from None
    return Target(path, bytearray(old))


def _dash(error: FileError, nothing: str) -> str:
    """The error in dash's words, which are not those of the C library."""
    return nothing if error.says in (NOTHING, NOT_FOLDER) else error.says
