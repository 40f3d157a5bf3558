"""Only regular files are read, only so much of them, and nobody is waited for."""

import os
import socket

import pytest

from homelab_lib.errors import Unreadable
from homelab_lib.regular_file import read_bytes


def _pipe(path):
    os.mkfifo(path)


def _folder(path):
    path.mkdir()


def _loop(path):
    path.symlink_to(path)


def _dangling(path):
    path.symlink_to("/nonexistent")


def _endless(path):
    path.symlink_to("/dev/zero")


def _socket(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


def _large(path):
    with path.open("wb") as stream:
        stream.truncate(10**12)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_pipe, "a pipe"),
        (_folder, "a folder"),
        (_loop, "Too many levels"),
        (_dangling, "No such file"),
        (_endless, "a device"),
        (_socket, "can't be read"),
        (_large, "larger than 1000 bytes"),
    ],
)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, make, said):
    make(tmp_path / "hosts.yaml")
    with pytest.raises(Unreadable, match=said):
        read_bytes(tmp_path / "hosts.yaml", max_bytes=1000)


def test_a_link_is_followed_unless_it_must_not_be(tmp_path):
    (tmp_path / "there").write_text("x")
    (tmp_path / "link").symlink_to("there")
    assert read_bytes(tmp_path / "link", max_bytes=10) == b"x"
    with pytest.raises(Unreadable, match="symbolic link"):
        read_bytes(tmp_path / "link", max_bytes=10, follow_links=False)


def test_a_file_as_large_as_it_may_be(tmp_path):
    (tmp_path / "x").write_bytes(b"12345")
    assert read_bytes(tmp_path / "x", max_bytes=5) == b"12345"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_a_private_file_is_closed_to_others(tmp_path, mode):
    file = tmp_path / "token"
    file.write_text("x")
    file.chmod(0o600)
    assert read_bytes(file, max_bytes=5, private=True) == b"x"
    file.chmod(mode)
    with pytest.raises(Unreadable, match="chmod 600"):
        read_bytes(file, max_bytes=5, private=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_private_file_belongs_to_us(tmp_path):
    file = tmp_path / "token"
    file.write_text("x")
    file.chmod(0o600)
    os.chown(file, 4711, 4711)
    with pytest.raises(Unreadable, match="another user"):
        read_bytes(file, max_bytes=5, private=True)
