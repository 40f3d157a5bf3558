"""What outlives a power cut: in this order on the disk, whole or not at all, and nobody else's."""

import os
import stat

import pytest

from homelab_lib import durable


class Platter:
    """What is on the disk for good: files by their number, and the folders."""

    def __init__(self, patch):
        self.synced, self.folders = {}, []
        fsync = os.fsync

        def sync(handle):
            fsync(handle)
            status = os.fstat(handle)
            if stat.S_ISDIR(status.st_mode):
                self.folders.append(os.readlink(f"/proc/self/fd/{handle}"))
            else:
                self.synced[status.st_ino] = status.st_size

        patch.setattr(os, "fsync", sync)


@pytest.fixture
def platter(monkeypatch):
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("this system does not tell what a handle is of")
    return Platter(monkeypatch)


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_file_takes_its_place_only_once_all_of_it_is_on_the_disk(tmp_path, platter, monkeypatch):
    file, moved = tmp_path / "plan", []
    take_place = os.replace

    def taking(source, target):
        status = os.stat(source)
        moved.append(platter.synced.get(status.st_ino) == status.st_size)
        assert platter.folders == []
        take_place(source, target)

    monkeypatch.setattr(os, "replace", taking)
    durable.replace(file, "x" * 100_000, mode=durable.PRIVATE)
    assert moved == [True]
    assert platter.folders == [str(tmp_path)], "and its name is on the disk, too"


def test_the_name_of_a_new_file_that_is_appended_to_is_on_the_disk(tmp_path, platter):
    for _ in range(2):
        durable.append(tmp_path / "journal", b"line\n")
    assert platter.folders == [str(tmp_path)]
    assert platter.synced[(tmp_path / "journal").stat().st_ino] == 10


def test_nobody_else_can_open_one_while_it_is_written(tmp_path, open_umask, monkeypatch):
    seen, take_place = [], os.replace

    def taking(source, target):
        seen.append(stat.S_IMODE(os.stat(source).st_mode))
        take_place(source, target)

    monkeypatch.setattr(os, "replace", taking)
    opened = durable._private_opener

    def opening(path, flags):
        handle = opened(path, flags)
        seen.append(stat.S_IMODE(os.fstat(handle).st_mode))
        return handle

    monkeypatch.setattr(durable, "_private_opener", opening)
    folder = durable.private_folder(tmp_path / "state" / "lab")
    durable.replace(folder / "plan", "secret", mode=durable.PRIVATE)
    durable.append(folder / "journal", b"line\n")
    assert seen == [0o600, 0o600]
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (folder, *folder.iterdir())}
    assert modes == {"lab": 0o700, "plan": 0o600, "journal": 0o600}
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


class Cut(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("at", ["fsync", "chmod", "replace"])
def test_cut_off_anywhere_what_was_there_stays_whole(tmp_path, monkeypatch, at):
    file = tmp_path / "plan"
    durable.replace(file, "old", mode=durable.PRIVATE)

    def cut(*_, **__):
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(os, at, cut)
        with pytest.raises(Cut):
            durable.replace(file, "new", mode=durable.PRIVATE)
    assert file.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["plan"]
