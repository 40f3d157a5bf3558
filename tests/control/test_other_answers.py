"""Whatever a host answers, a reader understands it or says in one line what it can't read there.

The answers are those of the cases beside this file, each changed in every part.
"""

import json
import random
import threading
from pathlib import Path

import pytest

from control.made import known_as, made
from homelab_lib.errors import HomelabError, NotUnderstood
from homelab_lib.runbook.host import ReadingHost
from homelab_lib.runbook.patience import Patience
from homelab_lib.secret import Mask
from homelab_lib.transport.command import Result
from mutations import documents, texts
from runbook.toy import Clock

FOLDER = Path(__file__).parent
CASES = sorted(FOLDER.glob("*/*/*.json"))
FEWEST = 6
"""How many changes of an answer are tried at every change of ours, drawn anew for each answer."""
MORE = 24
"""And in CI."""


class Line:
    """A link to a host that answers what the case says."""

    def __init__(self, answers):
        self.answers = answers

    def run(self, host, call):
        known = [begin for begin in self.answers if known_as(call).startswith(begin)]
        answer = self.answers[max(known, key=len)] if known else ""
        if isinstance(answer, dict) and "status" in answer and "stderr" in answer:
            return Result(answer["status"], answer.get("stdout", ""), answer["stderr"])
        return Result(0, answer if isinstance(answer, str) else json.dumps(answer), "")


class Remembered:
    """A journal that says this of every resource."""

    def __init__(self, begun, sent):
        self._begun, self._sent = begun, sent

    def begun(self, host, resource):
        return self._begun

    def sent(self, host, resource):
        return self._sent


def _look(case, answers):
    """Look at the resource, and say what it wants; None, or what it could not read."""
    host = ReadingHost(
        "pve1",
        Line(answers),
        Mask(),
        Remembered(case.get("begun", False), tuple(case.get("sent", ()))),
        str,
        Patience(Clock(), threading.Event()),
    )
    resource = made(case, "pve1", lambda: (25, 10))
    try:
        observed = resource.observe(host)
        json.dumps(observed).encode()  # it goes into a journal
        diff = resource.diff(json.loads(json.dumps(observed)))
        if "follow" in case and diff.changes and diff.changes[-1].follow is not None:
            diff.changes[-1].follow(host, Result(0, case["follow"]["printed"], ""))
    except HomelabError as error:
        return error
    return None


@pytest.mark.parametrize("count", [FEWEST, pytest.param(MORE, marks=pytest.mark.sample)])
@pytest.mark.parametrize("file", CASES, ids=lambda f: str(f.relative_to(FOLDER).with_suffix("")))
def test_an_answer_of_another_shape_is_one_clear_line(file, count):
    case = json.loads(file.read_text(encoding="utf-8"))
    answers = case["answers"] | case.get("follow", {}).get("answers", {})
    rng = random.Random(str(file.relative_to(FOLDER)))
    for line, answer in answers.items():
        failed = isinstance(answer, dict) and "status" in answer and "stderr" in answer
        text = answer.get("stdout", "") if failed else answer
        others = list(texts(text if isinstance(text, str) else json.dumps(text)))
        if not isinstance(text, str):
            changed = list(documents(json.dumps(text)))
            others += rng.sample(changed, min(len(changed), count))
        for other in others:
            error = _look(case, answers | {line: other})
            if error is not None:
                told = str(error)
                assert "pve1" in told, (line, other[:80])
                assert len(error.what) < 2000
            if isinstance(error, NotUnderstood):
                assert line.split()[0] in error.where, (line, other[:80])
