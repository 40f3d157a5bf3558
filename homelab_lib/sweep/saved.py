"""The file of a sweep: a head line that says of which, then a row a line, as they come."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from homelab_lib.errors import BadParameter

Row = dict[str, Any]


class Saved:
    """Rows that are kept, and those that were found.

    Parameters
    ----------
    stream
        Where rows are added; None: nowhere.
    rows
        What was there, by the variant's number.
    """

    def __init__(self, stream: IO[str] | None, rows: dict[int, Row]) -> None:
        self._stream = stream
        self.rows = rows

    @classmethod
    def open(cls, file: str | Path | None, digest: str) -> "Saved":
        """The file of a sweep, made where there is none.

        A last line without its end was cut off by an interruption: it is taken away.

        Parameters
        ----------
        file
            The file; None: nothing is kept.
        digest
            The space's.

        Raises
        ------
        BadParameter
            The file is none of a sweep, is of another one, or can't be read in the middle.
        """
        if file is None:
            return cls(None, {})
        path = Path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.read_bytes() if path.exists() else b""
        kept = whole[: whole.rfind(b"\n") + 1]
        if whole and not kept and not whole.startswith(b'{"sweep"'):
            raise _refusal(path, "it is none of a sweep")
        rows = _rows(path, kept, digest) if kept else {}
        stream = path.open("r+" if whole else "w", encoding="utf-8", newline="\n")
        stream.seek(len(kept))
        stream.truncate()
        saved = cls(stream, rows)
        if not kept:
            _append(stream, [json.dumps({"sweep": digest})])
        return saved

    def add(self, rows: Sequence[Row]) -> None:
        """Keep these rows; they are on the disk when this returns."""
        if self._stream is not None:
            _append(self._stream, [json.dumps(row, ensure_ascii=False) for row in rows])

    def __enter__(self) -> "Saved":
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()


def _append(stream: IO[str], lines: list[str]) -> None:
    stream.write("".join(f"{line}\n" for line in lines))
    stream.flush()
    os.fsync(stream.fileno())


def _rows(path: Path, text: bytes, digest: str) -> dict[int, Row]:
    lines = text.decode("utf-8").splitlines()
    rows: dict[int, Row] = {}
    for number, line in enumerate(lines, start=1):
        try:
            found = json.loads(line)
            if number == 1:
                head = found["sweep"]
            else:
                rows[found["variant"]] = found
        except (ValueError, KeyError, TypeError):
            raise _refusal(path, f"line {number} is none of a sweep's") from None
    if head != digest:
        raise _refusal(path, "it is of another lab, other axes or another version")
    return rows


def _refusal(path: Path, why: str) -> BadParameter:
    return BadParameter(
        f"this sweep can't go on from the file: {why}",
        where=str(path),
        fix="name another file, or take this one away",
    )
