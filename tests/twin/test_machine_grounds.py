"""Each program of a Linux machine says what it rests on, and what is said is so."""

import re
from pathlib import Path

import pytest

from homelab_lib.twin.fidelity import Fidelity
from homelab_lib.twin.machine.freebsd import freebsd
from homelab_lib.twin.machine.grounds import FREEBSD, GROUNDS
from homelab_lib.twin.machine.shell_builtins import BUILTINS
from homelab_lib.twin.machine.unix import UNIX

CONTRACT = Path(__file__).parents[1] / "contract"
BESIDE = "".join(file.read_text(encoding="utf-8") for file in CONTRACT.glob("*same*"))
BESIDE += (CONTRACT / "shell_grammar.py").read_text(encoding="utf-8")
for real in ("test_exportfs.py", "test_samba.py"):
    BESIDE += (CONTRACT.parent / "real" / real).read_text(encoding="utf-8")
OURS = (Path(__file__).parents[2] / "homelab_lib/control/linux/placing.py").read_text()
OURS += (Path(__file__).parents[2] / "homelab_lib/control/linux/files.py").read_text()
SAID = {grounds.call for grounds in GROUNDS}


def test_every_program_says_what_it_rests_on():
    programs = {name for commands in UNIX for name in commands.bodies} | BUILTINS.keys()
    assert programs - SAID == set()
    assert SAID - programs == set()


def test_every_program_of_freebsd_does_so_too():
    assert {grounds.call for grounds in FREEBSD} == set(freebsd.bodies)


@pytest.mark.parametrize("name", [g.call for g in GROUNDS if g.rests is Fidelity.RECORDED])
def test_what_is_said_to_have_run_beside_a_real_one_did(name):
    word = re.compile(rf"(?<![\w./-]){re.escape(name)}(?![\w-])")
    assert word.search(BESIDE) or word.search(OURS)
