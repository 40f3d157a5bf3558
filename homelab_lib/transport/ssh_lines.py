"""The lines of an ssh_config, taken apart as OpenSSH does.

Source: ssh_config(5); ``strdelim`` and ``argv_split`` in OpenSSH's misc.c.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from homelab_lib.transport.ssh_said import OTHER_NAMES

_KEYWORD = re.compile(r'[ \t\r]*(?:"(?P<quoted>[^"]*)"|(?P<bare>[^ \t\r="]+))[ \t\r]*=?[ \t\r]*')
_ESCAPED = "\"'\\"


@dataclass(frozen=True)
class Line:
    """One line that says something.

    Parameters
    ----------
    place
        ``file:line``.
    keyword
        Its first word, in lower case and by its present name.
    words
        The others, without their quotes; None where a quote has no end.
    rest
        The same as it stands there, for what takes a whole line.
    """

    place: str
    keyword: str
    words: tuple[str, ...] | None
    rest: str


def lines(text: str, file: str) -> Iterator[Line]:
    """The lines of a configuration but for comments and empty ones."""
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.rstrip(" \t\r\n\f")
        found = _KEYWORD.match(line)
        keyword = (found["quoted"] or found["bare"] or "") if found else ""
        if keyword and not keyword.startswith("#"):
            assert found is not None
            rest = line[found.end() :]
            known = OTHER_NAMES.get(keyword.lower(), keyword.lower())
            yield Line(f"{file}:{number}", known, split(rest), rest)


def lines_of(file: str) -> list[Line]:
    """The lines of a file; none where it can't be read."""
    try:
        text = Path(file).read_text(errors="surrogateescape")
    except OSError:
        return []
    return list(lines(text, file))


def split(text: str) -> tuple[str, ...] | None:
    """Words between blanks, with quotes and a few escapes, up to a comment."""
    words: list[str] = []
    word, quote = None, ""
    place = 0
    while place < len(text):
        here, after = text[place], text[place + 1 : place + 2]
        if word is None and here in " \t":
            place += 1
            continue
        if word is None:
            if here == "#":
                break
            word = ""
        if here == "\\" and after and (after in _ESCAPED or (after == " " and not quote)):
            word += after
            place += 1
        elif not quote and here in " \t":
            words.append(word)
            word = None
        elif not quote and here in "\"'":
            quote = here
        elif here == quote:
            quote = ""
        else:
            word += here
        place += 1
    if quote:
        return None
    return (*words, word) if word is not None else tuple(words)


def quoted(text: str) -> str:
    """One word of a configuration."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
