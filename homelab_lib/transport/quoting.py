"""Words for whichever shell a login has: sh, bash, zsh, fish, csh and tcsh read them alike.

sshd gives what it is sent to the login shell, and these differ even between single quotes: fish
has escapes there, csh looks for ``!`` and takes no newline. An apostrophe between double quotes
and a backslash before ``\\`` and ``!`` mean the same to all. For a newline there is nothing of the
kind: words that hold one go through ``/bin/sh``.
"""

import re
import shlex
from collections.abc import Iterable

# Nothing to any of them: zsh looks up ``=ls``, and fish ``%self``, where a word begins so.
_PLAIN = re.compile(r"(?![=%])[\w@%+=:,./-]+", re.ASCII)
_APART = re.compile(r"['\\!]")
_NEWLINES = ("/bin/sh", "-c", 'eval "$(printf %b "$1")"', "sh")


def join(words: Iterable[str]) -> str:
    """A command's words as one line."""
    words = list(words)
    if any("\n" in each for each in words):
        script = shlex.join(words).replace("\\", r"\\").replace("\n", r"\0012")
        words = [*_NEWLINES, script]
    return " ".join(map(_word, words))


def _word(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else f"'{_APART.sub(_outside, text)}'"


def _outside(found: re.Match[str]) -> str:
    """A character that may not stand between single quotes, put outside of them."""
    return "'\"'\"'" if found[0] == "'" else f"'\\{found[0]}'"
