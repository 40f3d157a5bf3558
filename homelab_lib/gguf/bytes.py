"""The bytes of a GGUF file: numbers, strings and values, one after another, all of them bounded.

Every length is held against what is left of the file before anything is read or kept.

References
----------
ggml, `docs/gguf.md`.
"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from gguf import GGUFValueType

from homelab_lib.errors import BadParameter

MAX_HEADER_BYTES = 128 * 2**20
"""Longest header that is read; those of today's largest vocabularies have some 16 MiB."""

_MAX_STRING_BYTES = 2**20
_MAX_ITEMS = 2**23  # strings in arrays, over the whole header
_MAX_KEPT = 4096  # numbers of an array that are kept: one for every layer, not one for every token
_ARRAY_ITEMS = 64  # an array in an array takes as long as so many strings
_MAX_DEPTH = 4
_CHUNK_BYTES = 256 * 1024

_FORMATS = {
    GGUFValueType.UINT8: "B",
    GGUFValueType.INT8: "b",
    GGUFValueType.UINT16: "H",
    GGUFValueType.INT16: "h",
    GGUFValueType.UINT32: "I",
    GGUFValueType.INT32: "i",
    GGUFValueType.FLOAT32: "f",
    GGUFValueType.BOOL: "B",
    GGUFValueType.UINT64: "Q",
    GGUFValueType.INT64: "q",
    GGUFValueType.FLOAT64: "d",
}
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")

_BLOCK = 256
_SHORT_STRINGS = re.compile(
    b"(?s:"
    + b"|".join(re.escape(_U64.pack(length)) + b".{%d}" % length for length in range(64))
    + b"){%d}+" % _BLOCK
)
"""So many strings in a row, none longer than 63 bytes: five times as fast as to count them out."""


@dataclass(frozen=True)
class Skipped:
    """An array that was stepped over, not kept.

    Parameters
    ----------
    type
        Of its elements, as GGUF calls it: ``STRING``, ``FLOAT32`` …
    count
        How many it has.
    """

    type: str
    count: int


Value = bool | int | float | str | tuple[bool | int | float, ...] | Skipped


def bad(path: Path, offset: int, what: str, fix: str) -> BadParameter:
    """What is wrong with a file, and at which byte."""
    if len(what) > 500:  # a name can have 64 KiB
        what = f"{what[:250]} … {what[-250:]}"
    return BadParameter(f"{path} at byte {offset}: {what}", where=f"{path}: byte {offset}", fix=fix)


class Reader:
    """Goes through a file once, a chunk at a time, and knows where it is."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self._file = file
        self._path = path
        self.size = size
        self._items = 0
        self._chunk = b""
        self._start = 0  # of the chunk, in the file
        self._at = 0  # in the chunk

    @property
    def offset(self) -> int:
        """Where the next byte is in the file."""
        return self._start + self._at

    def fail(self, what: str, *, at: int | None = None, fix: str = "") -> NoReturn:
        """Give up."""
        fix = fix or "download or convert the file again"
        raise bad(self._path, self.offset if at is None else at, what, fix)

    def _room(self, count: int, what: str) -> None:
        """So many bytes have to be left."""
        if count > self.size - self.offset:
            self.fail(
                f"{what} would take {count} bytes, and the file ends {self.size - self.offset} "
                f"bytes on (it has {self.size}): it is truncated or damaged"
            )
        if self.offset + count > MAX_HEADER_BYTES:
            self.fail(f"the header goes on beyond {MAX_HEADER_BYTES} bytes with {what}")

    def _fill(self, count: int) -> None:
        """Have so many bytes in the chunk, which are known to be in the file."""
        pieces, have = [self._chunk[self._at :]], len(self._chunk) - self._at
        self._start, self._at = self.offset, 0
        while have < count:
            piece = self._file.read(max(_CHUNK_BYTES, count - have))
            if not piece:
                self._chunk = b"".join(pieces)
                self.fail("the file became shorter while it was read")
            pieces.append(piece)
            have += len(piece)
        self._chunk = b"".join(pieces)

    def take(self, count: int, what: str) -> bytes:
        """The next bytes."""
        if len(self._chunk) - self._at < count:
            self._room(count, what)
            self._fill(count)
        self._at += count
        return self._chunk[self._at - count : self._at]

    def skip(self, count: int, what: str) -> None:
        """Step over bytes."""
        if self._at + count > len(self._chunk):
            self._room(count, what)
            self._start, self._at, self._chunk = self.offset + count, 0, b""
            self._file.seek(self._start)
        else:
            self._at += count

    def u32(self, what: str) -> int:
        """A 32-bit number."""
        return _U32.unpack(self.take(4, what))[0]

    def u64(self, what: str) -> int:
        """A 64-bit number."""
        return _U64.unpack(self.take(8, what))[0]

    def count(self, what: str, least_bytes: int) -> int:
        """How many there are of something that takes at least so many bytes each."""
        at, number = self.offset, self.u64(what)
        if number * least_bytes > min(self.size, MAX_HEADER_BYTES) - self.offset:
            self.fail(f"{number} {what} do not go into a file of {self.size} bytes", at=at)
        return number

    def string(self, what: str, longest: int = _MAX_STRING_BYTES) -> str:
        """A length and so many bytes of UTF-8."""
        at, length = self.offset, self.u64(what)
        if length > longest:
            self.fail(f"{what} is said to have {length} bytes; at most {longest} are read", at=at)
        try:
            return self.take(length, what).decode("utf-8")
        except UnicodeDecodeError as error:
            self.fail(f"{what} is not UTF-8", at=at + 8 + error.start)

    def skip_strings(self, count: int, what: str) -> None:
        """Step over strings; what is in them is not looked at."""
        while count:
            while count >= _BLOCK and (
                block := _SHORT_STRINGS.match(self._chunk, self._at)
            ):  # all in the chunk, so all in the file
                self._at = block.end()
                count -= _BLOCK
            for _ in range(min(count, _BLOCK)):
                self.skip(self.u64(what), what)
            count -= min(count, _BLOCK)

    def within(self, number: int, what: str) -> None:
        """Keep account of strings and arrays, so that time has a bound, too."""
        self._items += number
        if self._items > _MAX_ITEMS:
            self.fail(f"{what}: more than {_MAX_ITEMS} items in one header")


def _type(reader: Reader, key: str) -> GGUFValueType:
    at, number = reader.offset, reader.u32(f"the type of {key!r}")
    try:
        return GGUFValueType(number)
    except ValueError:
        reader.fail(f"{key!r} has type {number}; GGUF knows 0 to {max(GGUFValueType)}", at=at)


def value(reader: Reader, key: str) -> Value:
    """The type of a value, and the value."""
    kind = _type(reader, key)
    if kind == GGUFValueType.STRING:
        return reader.string(f"the value of {key!r}")
    if kind == GGUFValueType.ARRAY:
        return _array(reader, key, 1)
    return _numbers(reader, key, kind, 1)[0]


def _numbers(
    reader: Reader, key: str, kind: GGUFValueType, count: int
) -> tuple[bool | int | float, ...]:
    layout = struct.Struct(f"<{count}{_FORMATS[kind]}")
    at = reader.offset
    values = layout.unpack(reader.take(layout.size, f"the value of {key!r}"))
    if kind != GGUFValueType.BOOL:
        return values
    for place, value in enumerate(values):
        if value > 1:
            reader.fail(f"{key!r} is a boolean with value {value}", at=at + place)
    return tuple(map(bool, values))


def _array(reader: Reader, key: str, depth: int) -> Value:
    kind, what = _type(reader, key), f"elements of {key!r}"
    if kind == GGUFValueType.ARRAY:
        count = reader.count(what, 12)
        if depth == _MAX_DEPTH:
            reader.fail(f"{key!r} has arrays in arrays, more than {_MAX_DEPTH} deep")
        reader.within(count * _ARRAY_ITEMS, what)
        for _ in range(count):
            _array(reader, key, depth + 1)
    elif kind == GGUFValueType.STRING:
        count = reader.count(what, 8)
        reader.within(count, what)
        reader.skip_strings(count, what)
    else:
        each = struct.calcsize(f"<{_FORMATS[kind]}")
        count = reader.count(what, each)
        if count <= _MAX_KEPT and depth == 1:
            return _numbers(reader, key, kind, count)
        reader.skip(count * each, what)
    return Skipped(kind.name, count)
