"""A command is words with a type; a result is what came of it."""

import subprocess
import sys

import pytest

from homelab_lib.secret import Secret
from homelab_lib.transport.command import Command, Result, change, read


def test_a_line_is_quoted_for_a_shell():
    assert change("touch", "/mnt/a b/$(id)").line == "touch '/mnt/a b/$(id)'"


def test_a_change_cannot_be_typed_read():
    with pytest.raises(ValueError, match="can't be typed read: qm destroy 201"):
        read("qm", "destroy", "201")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ((), "one or more words"),
        (("ls", 5), "one or more words"),
        (("ls", "a\0b"), "NUL"),
        (("ls", "\ud800"), "half a character"),
        (("LD_PRELOAD=x", "ls"), "assignment"),
    ],
)
def test_what_can_not_be_sent_is_refused_at_once(argv, says):
    with pytest.raises((TypeError, ValueError), match=says):
        Command(argv, "change")


def test_what_is_sent_on_standard_input_is_not_shown():
    command = change("tee", "/x", stdin="not for logs")
    assert "not for logs" not in repr(command)
    assert "hush" not in repr(change("tee", "/x", stdin=Secret("env:X", lambda: "hush")))


def test_a_result_is_ok_when_the_program_said_so():
    assert Result(0, "", "").ok
    assert not Result(1, "", "").ok


def test_describing_a_command_needs_no_ssh_library():
    script = "import sys, homelab_lib.transport.command; print('paramiko' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_the_ssh_library_is_loaded_without_what_few_need():
    script = "import sys, homelab_lib.transport.fleet; print('asyncio' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
