"""What files cost a host: round trips and processes, counted, so that no clock has to tell.

The host is this machine's own shell; each program that it starts leaves its name behind.
"""

import getpass
import grp
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from homelab_lib.control.linux import File
from homelab_lib.control.linux.placing import LEDGER
from homelab_lib.runbook.clock import WallClock
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook, Step
from homelab_lib.secret import Mask, Secret
from homelab_lib.transport.batch import Batch, Entry
from homelab_lib.transport.command import Command, Result

OWNER = f"{getpass.getuser()}:{grp.getgrgid(os.getgid()).gr_name}"
PROGRAMS = ["cat", "chmod", "chown", "dd", "env", "grep", "install", "ln", "mkdir", "mv", "rm",
            "sh", "sha256sum", "stat", "sync", "tail", "truncate", "wc"]  # fmt: skip
FILES = 20


class Counting:
    """A link to this machine, that counts round trips and the programs that are started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trips = 0
        self.programs = folder / "bin"
        self.log = folder / "log"
        self.programs.mkdir()
        (folder / "ours").mkdir()
        for name in PROGRAMS:
            # Under its own name, which its messages begin with; but `env` starts others of ours.
            real = f"PATH=/usr/bin:/bin; exec {name}"
            real = "exec /usr/bin/env" if name == "env" else real
            wrapper = self.programs / name
            wrapper.write_text(f'#!/bin/sh\necho {name} >> {self.log}\n{real} "$@"\n')
            wrapper.chmod(0o755)

    def started(self) -> Counter:
        """The programs started since this was asked last."""
        names = self.log.read_text().split() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return Counter(names)

    def run(self, host, command):
        self.trips += 1
        command = self._here(command)
        done = self._started(list(command.argv), _bytes(command))
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def run_many(self, host, commands):
        self.trips += 1
        here = [self._here(command) for command in commands]
        batch = Batch([Entry(each, each.line, _bytes(each)) for each in here])
        done = self._started(["/bin/sh", "-c", batch.script().decode()], b"")
        batch.heard.stdout += done.stdout
        batch.heard.stderr += done.stderr
        batch.take()
        return batch.results

    def _started(self, words, given):
        return subprocess.run(
            words, input=given, capture_output=True, env={"PATH": str(self.programs)}, timeout=60
        )

    def _here(self, command):
        """The same command, but for where the ledger is."""
        ours = f"{self.folder}/ours"
        words = [w.replace(LEDGER, f"{ours}/files").replace("/var/lib/homelab", ours)
                 for w in command.argv]  # fmt: skip
        return Command(tuple(words), command.kind, command.stdin)


def _bytes(command):
    given = command.stdin
    return (given.reveal() if isinstance(given, Secret) else given or "").encode()


@pytest.fixture
def link(tmp_path):
    return Counting(tmp_path)


def files(tmp_path, text="", mode="644"):
    return [
        File("here", f"{tmp_path}/etc/{n}", f"{n}{text}\n", mode, owner=OWNER, lab="attic")
        for n in range(FILES)
    ]


def apply(link, resources):
    """Bring them about; how many changes and round trips it took, and which programs there."""
    mask = Mask()
    sender = Sender(link, WallClock(), Journal(None, mask=mask, wall=lambda: "now"), mask)
    step = Step("s", "S", ensure=lambda ctx: iter([resources]))
    engine = Engine(
        Runbook("r", "R", (step,)), "apply", sender, trust=lambda *_: None, seal=lambda text: text
    )
    link.trips = 0
    link.started()
    engine.run_step("s")
    return len(sender.sent), link.trips, link.started()


def test_new_files_take_two_programs_each_and_four_round_trips(link, tmp_path):
    changes, trips, started = apply(link, files(tmp_path))
    assert (changes, trips) == (FILES, 4)  # a look, the batch, and a look of two
    each = {"dd": FILES, "mv": FILES}
    if OWNER != "root:root":
        each["chown"] = FILES
    look = {"env": 3, "stat": 2, "sha256sum": 1}
    assert started == Counter(each | look | {"install": 1})
    assert (tmp_path / "etc/7").read_text() == "7\n"


def test_files_that_are_there_take_two_round_trips_and_nothing_for_each(link, tmp_path):
    apply(link, files(tmp_path))
    changes, trips, started = apply(link, files(tmp_path))
    assert (changes, trips) == (0, 2)
    assert started == Counter({"env": 2, "stat": 1, "sha256sum": 1})


def test_to_replace_a_file_takes_a_look_at_it_and_at_the_list(link, tmp_path):
    apply(link, files(tmp_path))
    changes, _, started = apply(link, files(tmp_path, "new"))
    assert changes == FILES
    assert started["dd"] == started["mv"] == FILES
    assert started["chmod"] == 0
    assert started["sha256sum"] == FILES + 2
    assert started["sh"] == started["install"] == started["sync"] == 0
    lines = (tmp_path / "ours/files").read_text().splitlines()
    assert len(lines) == len(set(lines)) == FILES


def test_what_can_be_run_takes_one_program_more(link, tmp_path):
    _, _, started = apply(link, files(tmp_path, mode="755"))
    assert started["chmod"] == FILES
    assert (tmp_path / "etc/7").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("mode", ["600", "640", "644", "666", "4644", "700"])
def test_every_mode_is_as_wanted(link, tmp_path, mode):
    apply(link, files(tmp_path, mode=mode))
    assert f"{(tmp_path / 'etc/7').stat().st_mode & 0o7777:o}" == mode


def test_one_that_was_deleted_by_hand_is_ours_again(link, tmp_path):
    """It is listed twice then, and that changes nothing."""
    apply(link, files(tmp_path))
    (tmp_path / "etc/7").unlink()
    assert apply(link, files(tmp_path))[0] == 1
    assert apply(link, files(tmp_path, mode="600"))[0] == FILES
    assert (tmp_path / "ours/files").read_text().count("/etc/7\n") == 2
