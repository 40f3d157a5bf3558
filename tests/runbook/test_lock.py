"""One run at a time on a lab."""

import errno
import os

import pytest

from homelab_lib.errors import HomelabError, Locked
from homelab_lib.runbook.lock import held


def test_two_that_change_exclude_each_other(tmp_path):
    with held(tmp_path, alone=True, what="phase2 apply"):
        with pytest.raises(Locked, match="phase2 apply"), held(tmp_path, alone=True, what="b"):
            pass
        with pytest.raises(Locked, match="phase2 apply"), held(tmp_path, alone=False, what="b"):
            pass
    with held(tmp_path, alone=True, what="b"):
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
