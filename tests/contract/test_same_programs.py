"""The same programs here and on the twin: what they say, and what they leave, is the same.

Each case, a line of a text file, is a script for `sh`, run by the dash and the programs of this
machine, and by the
twin, in a folder of the same name. Status, both streams and all that lies in the folder afterwards
are compared: names, modes, owners, contents.
"""

from pathlib import Path

import pytest

from contract.same import folder, here, twin, twin_machine
from contract.shell_grammar import Script

pytestmark = pytest.mark.contract

# A file, a folder with something in it, an empty file, links that lead somewhere, nowhere, around.
THERE = (
    "printf 'one\\ntwo\\nthree\\n' > file; mkdir dir; echo in > dir/in; : > empty; "
    "ln -s file link; ln -s nowhere loose; ln -s loop2 loop1; ln -s loop1 loop2; "
    "ln -s dir dirlink; printf 'no end' > 'odd name'; : > './-dash'; : > \"q'uote\"; : > été; "
    "nl='new\nline'; : > \"$nl\"; "
)
# What a user may not: read, list, pass, write.
BARRED = (
    "umask 022; echo secret > secret; chmod 600 secret; mkdir closed; echo in > closed/in; "
    "chmod 700 closed; mkdir listed; chmod 744 listed; echo x > listed/x; mkdir mine; "
    "chmod 777 mine; echo other > mine/other; mkdir sticky; chmod 1777 sticky; echo o > sticky/o; "
)

FOLDER = Path(__file__).parent
PROGRAMS = (FOLDER / "same_programs.txt").read_text(encoding="utf-8").splitlines()
AS_NOBODY = (FOLDER / "same_as_nobody.txt").read_text(encoding="utf-8").splitlines()
"""One script a line."""


@pytest.mark.parametrize("script", PROGRAMS)
def test_programs_say_and_leave_the_same(script):
    with folder() as place:
        assert twin(THERE + script, place) == here(THERE + script, place)


@pytest.mark.parametrize("script", AS_NOBODY)
def test_a_user_may_the_same(script):
    with folder() as place:
        machine = twin_machine()
        assert twin(BARRED, place, machine=machine) == here(BARRED, place)
        found = twin(script, place, user="nobody", machine=machine)
        assert found == here(script, place, user="nobody")


@pytest.mark.parametrize("seed", range(0, 300, 10))
def test_scripts_drawn_from_the_grammar_do_the_same(seed):
    for script in (Script(n).text() for n in range(seed, seed + 10)):
        with folder() as place:
            assert twin(script, place) == here(script, place), script
