"""Whatever the lab's data hold, each word arrives as exactly one word."""

import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

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


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "fish", "tcsh"])
@given(words)
@example(["", "-rf", "--", "$(reboot)", "`reboot`", "a\nb", "'; reboot; '", "é\u202e\U0001f4a3"])
@example(["!!", "a!b", "\\!", "'!'", "\\", "\\\\", "\\'", "=ls", "%self", "^a^b", "~", "{a,b}"])
@example(["\n", "!\\\n'", "a\\0012b", "%b%s"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_words_arrive_through_whichever_shell_the_login_has(shell, words):
    if shutil.which(shell) is None:
        pytest.skip(f"this machine has no {shell}")
    assert _arrived(shell, change(*PRINT, *words).line) == words


def test_what_needs_no_quotes_has_none_and_what_people_read_stays_readable():
    line = change("qm", "set", "301", "--net0", "virtio,bridge=vmbr0", "--name", "a b").line
    assert line == "qm set 301 --net0 virtio,bridge=vmbr0 --name 'a b'"
