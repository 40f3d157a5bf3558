"""A seal tells same from different, within one lab, and nothing else."""

import errno
import hashlib
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.errors import HomelabError
from homelab_lib.seal import Seal


@given(first=st.text(), second=st.text())
def test_the_same_text_has_the_same_seal_and_another_has_another(tmp_path_factory, first, second):
    folder = tmp_path_factory.getbasetemp() / "lab"
    assert (Seal(folder)(first) == Seal(folder)(second)) == (first == second)


def test_another_lab_seals_otherwise_and_no_digest_of_the_text_is_in_it(tmp_path):
    here, there = Seal(tmp_path / "here")("hunter2"), Seal(tmp_path / "there")("hunter2")
    assert here != there
    for name in hashlib.algorithms_guaranteed - {"shake_128", "shake_256"}:
        assert hashlib.new(name, b"hunter2").hexdigest() not in here


@pytest.fixture
def umask():
    before = os.umask(0)
    yield
    os.umask(before)


def test_the_key_is_closed_to_others_whatever_the_umask(tmp_path, umask):
    Seal(tmp_path / "lab")("x")
    [key] = (tmp_path / "lab").iterdir()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700


def _open_to_others(key):
    key.chmod(0o644)


def _torn(key):
    key.write_bytes(key.read_bytes()[:7])


def _link(key):
    key.rename(key.with_name("there"))
    key.symlink_to("there")


@pytest.mark.parametrize("spoil", [_open_to_others, _torn, _link])
def test_a_key_that_others_may_know_is_not_used(tmp_path, spoil):
    Seal(tmp_path)("x")
    spoil(tmp_path / "seal.key")
    with pytest.raises(HomelabError):
        Seal(tmp_path)("x")


def test_where_no_key_can_be_made_it_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HomelabError, match="can't be made"):
        Seal(tmp_path / "file" / "lab")("x")


def test_on_a_full_disk_it_says_so_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HomelabError, match="No space left"):
        Seal(tmp_path)("hush")
    assert list(tmp_path.iterdir()) == []
