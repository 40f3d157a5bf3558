"""The journal: on the disk first, chained, and readable after any crash."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    log.append("intent", host="one", resource="r", command="put a 1")
    log.append("result", intent=0, outcome="done")
    raw = file.read_bytes()
    file.write_bytes(raw[: max(len(raw) - cut, 0)])
    again = journal(file)
    again.append("step", step="next")
    assert list(broken_links(file)) == []
    assert read(file)[-1]["step"] == "next"


def test_an_intent_without_a_result_is_unknown(file):
    log = journal(file)
    log.append("intent", host="one")
    log.append("intent", host="two")
    log.append("result", intent=0, outcome="done")
    assert [i["outcome"] for i in intents(read(file))] == ["done", "unknown"]


def test_secrets_never_land(file):
    mask = Mask()
    mask.learn(["correct horse battery"])
    log = journal(file, mask)
    log.append(
        "result",
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
        log.append("intent", host="one")
