"""One run at a time on a lab."""

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
