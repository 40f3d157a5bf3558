"""One run at a time on a lab."""

import errno
import json
import os
import signal
import subprocess
import sys

import pytest

from homelab_lib import paths
from homelab_lib.errors import HomelabError, Locked
from homelab_lib.runbook import lock
from homelab_lib.runbook.lock import held


def test_two_that_change_exclude_each_other(tmp_path):
    with held(tmp_path, alone=True, what="phase2 apply"):
        with pytest.raises(Locked, match="phase2 apply"), held(tmp_path, alone=True, what="b"):
            pass
        with pytest.raises(Locked, match="phase2 apply"), held(tmp_path, alone=False, what="b"):
            pass
    with held(tmp_path, alone=True, what="b"):
        pass


def test_one_that_was_stopped_still_holds_it_and_is_named_until_it_is_gone(tmp_path):
    program = (
        "import sys, signal; from pathlib import Path; from homelab_lib.runbook.lock import held\n"
        "with held(Path(sys.argv[1]), alone=True, what='phase2 apply'):\n"
        "    print(flush=True); signal.pause()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE
    ) as other:
        try:
            other.stdout.readline()
            other.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, other.pid, os.WSTOPPED | os.WNOWAIT)
            for alone in (True, False):
                with (
                    pytest.raises(Locked, match=f"phase2 apply, process {other.pid}"),
                    held(tmp_path, alone=alone, what="b"),
                ):
                    pass
        finally:
            other.kill()
    with held(tmp_path, alone=True, what="b"):
        pass


@pytest.fixture
def stranger():
    """A program of somebody's, whatever it does."""
    with subprocess.Popen(["sleep", "600"]) as other:
        yield other.pid
        other.kill()


def refused(folder):
    """What is said to one that wants to change hosts, and may not."""
    with pytest.raises(Locked) as caught, held(folder, alone=True, what="b"):
        pass
    return str(caught.value)


def test_a_number_that_another_program_has_by_now_holds_nothing(tmp_path, stranger):
    """The run that wrote it has died, and its process number was given away again."""
    (tmp_path / "lock").write_text(json.dumps({"pid": stranger, "run": "phase2 apply"}))
    with held(tmp_path, alone=False, what="phase2 plan"):
        said = refused(tmp_path)
    assert str(stranger) not in said
    assert f"only looks, process {os.getpid()}" in said
    with held(tmp_path, alone=True, what="b"):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_where_the_kernel_does_not_tell_a_number_is_no_proof(tmp_path, stranger, monkeypatch):
    monkeypatch.setattr(lock, "_flocks", lambda inode: lock._UNTOLD)
    (tmp_path / "lock").write_text(json.dumps({"pid": stranger, "run": "phase2 apply"}))
    with held(tmp_path, alone=False, what="phase2 plan"):
        assert f"process {stranger}, unless that is another program by now" in refused(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"pid": "x", "run": 1}', '{"pid": 1}', "\0" * 9])
def test_whatever_stands_in_it_a_lock_is_a_lock(tmp_path, text):
    (tmp_path / "lock").write_text(text)
    with held(tmp_path, alone=False, what="a"):
        assert "one that only looks" in refused(tmp_path)
    with held(tmp_path, alone=True, what="b"):
        pass


def test_two_checkouts_have_one_lock(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMELAB_STATE", str(tmp_path))
    places = []
    for checkout in ("a", "b"):
        monkeypatch.setenv("HOMELAB_ROOT", str(tmp_path / checkout))
        places.append(paths.state("lab"))
    with (
        held(places[0], alone=True, what="a"),
        pytest.raises(Locked),
        held(places[1], alone=True, what="b"),
    ):
        pass


def test_those_that_look_do_not(tmp_path):
    with held(tmp_path, alone=False, what="a"), held(tmp_path, alone=False, what="b"):
        pass


def test_a_place_that_can_not_be_written_says_so(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(HomelabError, match="HOMELAB_STATE"), held(file / "x", alone=True, what="a"):
        pass


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_says_so_and_the_lock_is_free_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with (
            pytest.raises(HomelabError, match="No space left"),
            held(tmp_path, alone=True, what="a"),
        ):
            pass
    with held(tmp_path, alone=True, what="b"):
        pass


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
def test_a_folder_in_which_others_write_is_refused(tmp_path, mode):
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(HomelabError, match="chmod go-w"), held(folder, alone=False, what="a"):
        pass


def test_a_folder_behind_a_link_is_as_good_as_any(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("state")
    with (
        held(tmp_path / "link", alone=True, what="a"),
        pytest.raises(Locked),
        held(tmp_path / "state", alone=True, what="b"),
    ):
        pass
