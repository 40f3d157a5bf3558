"""Whatever the lab's data hold, each word arrives as exactly one word."""

import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from homelab_lib.transport.channel import csh_word
from homelab_lib.transport.command import change

# Prints each argument between NULs, so that nothing in it can be mistaken for a boundary.
PRINT = ("printf", "%s\\0")

hostile = st.text(
    alphabet=st.one_of(
        st.sampled_from("'\"\\!$`\n\r\t*?~{}[]();|&<>#^%@-= ab"),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    max_size=16,
)
words = st.lists(hostile, min_size=1, max_size=5)


def _arrived(shell: str, line: str) -> list[str]:
    ran = subprocess.run([shell, "-c", line], capture_output=True, check=True)
    assert ran.stderr == b""
    return ran.stdout.decode().split("\0")[:-1]


@given(words)
@example(["", "-rf", "--", "$(reboot)", "`reboot`", "a\nb", "'; reboot; '", "é\u202e\U0001f4a3"])
@settings(max_examples=150, deadline=None)
def test_through_sh(words):
    assert _arrived("sh", change(*PRINT, *words).line) == words


@pytest.mark.skipif(not shutil.which("csh"), reason="no csh on this machine (package tcsh)")
@given(words)
@example(["!!", "a!b", "\\!", "a\nb", "'!'", ""])
@settings(max_examples=60, deadline=None)
def test_through_csh(words):
    line = f"/bin/sh -c {csh_word(change(*PRINT, *words).line)}"
    assert _arrived("csh", line) == words
