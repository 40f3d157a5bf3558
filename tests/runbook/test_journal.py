"""The journal: on the disk first, chained, and readable after any crash."""

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib import durable
from homelab_lib.errors import HomelabError
from homelab_lib.runbook.journal import Journal, broken_links, intents, read
from homelab_lib.secret import MASK, Mask


def journal(file, mask=None) -> Journal:
    return Journal(file, mask=mask or Mask(), wall=lambda: "2026-01-01T00:00:00Z")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "journal.jsonl"


def test_every_event_is_on_the_disk_when_append_returns(file):
    log = journal(file)
    for number in range(3):
        log.append("step", step=f"s{number}")
        assert [e["step"] for e in read(file)] == [f"s{i}" for i in range(number + 1)]


def test_the_chain_holds_and_a_changed_line_breaks_it(file):
    log = journal(file)
    for number in range(5):
        log.append("step", step=number)
    assert list(broken_links(file)) == []
    lines = file.read_text().splitlines()
    lines[2] = lines[2].replace('"step": 2', '"step": 9')
    file.write_text("\n".join(lines) + "\n")
    assert list(broken_links(file)) == [3]


@pytest.mark.parametrize("drop", [0, 2])
def test_a_lost_line_breaks_the_chain(file, drop):
    log = journal(file)
    for number in range(4):
        log.append("step", step=number)
    lines = file.read_text().splitlines()
    del lines[drop]
    file.write_text("\n".join(lines) + "\n")
    assert list(broken_links(file))


@given(cut=st.integers(1, 200))
def test_continued_after_a_crash_at_any_byte_it_is_whole(tmp_path_factory, cut):
    file = tmp_path_factory.mktemp("j") / "journal.jsonl"
    log = journal(file)
    log.append("intent", id="x", host="one", resource="r")
    log.append("result", intent=0, outcome="done")
    raw = file.read_bytes()
    file.write_bytes(raw[: max(len(raw) - cut, 0)])
    again = journal(file)
    again.append("step", step="next")
    assert list(broken_links(file)) == []
    assert read(file)[-1]["step"] == "next"


def test_an_intent_without_a_result_is_unknown(file):
    log = journal(file)
    log.append("intent", id="1", host="one", resource="r")
    log.append("intent", id="2", host="two", resource="r")
    log.append("result", intent=0, outcome="done")
    assert [i["outcome"] for i in intents(read(file))] == ["done", "unknown"]


def test_secrets_never_land(file):
    mask = Mask()
    mask.learn(["correct horse battery"])
    log = journal(file, mask)
    log.append(
        "note",
        stdout="the token is correct horse battery!",
        nested={"a": ["correct horse battery"]},
    )
    text = file.read_text()
    assert "battery" not in text
    assert MASK in json.loads(text)["stdout"]


def test_a_full_disk_stops_the_run_before_anything_is_sent():
    log = journal(None)
    log._file = Path("/dev/full")  # writing to it fails as on a full disk
    with pytest.raises(HomelabError, match="journal can't be written: No space left"):
        log.append("intent", id="1", host="one", resource="r")


@pytest.mark.parametrize(
    "tail",
    [b"\0" * 512, b'{"kind": "resu', b'{"kind": "resu\0\0\0\n', b'{"at": "20{"kind": "x"}\n'],
)
def test_what_a_power_cut_left_at_the_end_is_cut_off_and_said(file, tail):
    journal(file).append("step", step="first")
    good = file.read_bytes()
    file.write_bytes(good + tail)
    again = journal(file)
    assert again.events[-1] | {"kind": "torn", "bytes": len(tail)} == again.events[-1]
    assert list(broken_links(file)) == []


def test_a_journal_that_is_damaged_in_its_midst_is_not_continued(file):
    log = journal(file)
    for number in range(4):
        log.append("step", step=number)
    file.write_bytes(file.read_bytes().replace(b'"step": 1', b'"step": 7'))
    with pytest.raises(HomelabError, match="damaged after line 2"):
        journal(file)


def test_it_is_its_owners_alone_whatever_the_umask(file):
    before = os.umask(0)
    try:
        journal(file).append("step", step=1)
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_write_that_was_cut_short_leaves_the_file_as_it_was(file, monkeypatch):
    log = journal(file)
    log.append("step", step="first")
    good = file.read_bytes()
    write = os.write

    def full(handle, raw):
        if len(raw) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, raw[: len(raw) // 2])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(HomelabError, match="No space left"):
        log.append("step", step="second")
    monkeypatch.undo()
    assert file.read_bytes() == good
    log.append("step", step="third")
    assert [e["step"] for e in read(file)] == ["first", "third"]


def test_it_recalls_what_came_of_the_last_try(file):
    log = journal(file)
    log.append("intent", id="1", host="one", resource="r")
    assert (log.outcome("1"), log.begun("one", "r"), log.made("one", "r")) == (
        "unknown",
        True,
        False,
    )
    log.append("result", intent=0, outcome="failed")
    assert (log.outcome("1"), log.begun("one", "r")) == ("failed", True)
    log.append("intent", id="1", host="one", resource="r")
    log.append("result", intent=2, outcome="unknown")
    log.append("settled", intent=2, outcome="done")
    for same in (log, journal(file), log.remembering()):
        assert (same.outcome("1"), same.begun("one", "r")) == ("done", False)
        assert same.made("one", "r")
    assert log.outcome("2") is None
    assert not log.begun("two", "r")


def test_recalling_takes_no_longer_the_more_was_sent(file):
    """Once each look-up went through all that was ever sent."""
    log = journal(None)

    class Counted(dict):
        looks = 0

        def __getitem__(self, key):
            Counted.looks += 1
            return super().__getitem__(key)

    for number in range(200):
        intent = log.append("intent", id=str(number), host="one", resource=f"r{number}")
        log.append("result", intent=intent, outcome="done")
    log._changes = Counted(log._changes)
    log.events = [Counted(event) for event in log.events]
    for number in range(200):
        log.outcome(str(number))
        log.begun("one", f"r{number}")
    assert Counted.looks < 1000


def test_a_torn_journal_on_a_full_disk_says_so(file, monkeypatch):
    Journal(file, mask=Mask(), wall=str).append("run")
    file.write_bytes(file.read_bytes() + b"{torn")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable, "replace", full)
    with pytest.raises(HomelabError, match="No space left"):
        Journal(file, mask=Mask(), wall=str)


def test_an_event_is_on_the_platter_when_append_returns(file, monkeypatch):
    log, fsync, synced = journal(file), os.fsync, []

    def watch(handle):
        fsync(handle)
        if os.path.samestat(os.fstat(handle), file.stat()):
            synced.append(file.read_bytes())

    monkeypatch.setattr(os, "fsync", watch)
    for number in range(3):
        log.append("step", step=number)
        assert synced[-1] == file.read_bytes()
