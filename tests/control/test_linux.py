"""What a resource of plain Linux makes of what a host answers: a file a case, RESOURCE/CASE.json.

A case says which resource it is and what it is given, what the host prints to which command (by
how the command begins; the longest wins), and what has to come of it: ``clean``, ``waiting``,
``conflict``, ``error`` or ``changes``. A command without an answer fails the case.
"""

import importlib
import json
from pathlib import Path

import pytest

from homelab_lib.errors import StepFailed
from homelab_lib.runbook.host import failed
from homelab_lib.secret import Mask
from homelab_lib.transport.command import Result, read

FOLDER = Path(__file__).parent / "linux"
CASES = sorted(FOLDER.rglob("*.json"))


class Canned:
    """A host that answers what the case says."""

    name = "host"

    def __init__(self, answers, begun):
        self.answers = answers
        self._begun = begun

    def read(self, *argv, ok=(0,), **options):
        command = read(*argv, **options)  # only what is known to read may be sent by looking
        line = " ".join(argv)
        known = [begin for begin in self.answers if line.startswith(begin)]
        assert known, f"the case has no answer to: {line}"
        answer = self.answers[max(known, key=len)]
        answer = {"status": 0, "stdout": answer} if isinstance(answer, str) else answer
        result = Result(answer["status"], answer.get("stdout", ""), answer.get("stderr", ""))
        if ok is not None and result.exit_status not in ok:
            raise failed(self.name, command, result, Mask())
        return result

    def begun(self, resource):
        return self._begun

    def cut(self, text, limit, *, end=False):
        return text[-limit:] if end else text[:limit]


@pytest.mark.parametrize("file", CASES, ids=lambda f: str(f.relative_to(FOLDER).with_suffix("")))
def test_case(file):
    case = json.loads(file.read_text(encoding="utf-8"))
    host = Canned(case["answers"], case.get("begun", False))
    module, _, name = case["resource"].rpartition(".")
    make = getattr(importlib.import_module(f"homelab_lib.control.{module}"), name)
    given = {key: tuple(v) if isinstance(v, list) else v for key, v in case["with"].items()}
    lab = {"lab": "attic"} if "lab" in make.__dataclass_fields__ else {}
    resource = make(host="host", **given, **lab)
    if "error" in case:
        with pytest.raises(StepFailed) as caught:
            resource.observe(host)
        assert case["error"] in str(caught.value), case["why"]
        return
    observed = json.loads(json.dumps(resource.observe(host)))  # as it comes back from a journal
    for key, value in case.get("observed", {}).items():
        assert observed[key] == value, case["why"]
    diff = resource.diff(observed)
    assert diff.clean == case.get("clean", False), (case["why"], diff)
    for said, wanted in ((diff.conflict, "conflict"), (diff.waiting, "waiting")):
        assert bool(said) == (wanted in case), (case["why"], diff)
        assert case.get(wanted, "") in said, (case["why"], diff)
    changes = case.get("changes", [])
    assert [c.summary for c in diff.changes] == [w["summary"] for w in changes], case["why"]
    for change, wanted in zip(diff.changes, changes, strict=True):
        assert change.call.kind == "change"
        assert change.call.stdin == wanted.get("stdin"), case["why"]
        assert change.replaces == wanted.get("replaces", ""), case["why"]
        assert change.undo == wanted.get("undo", change.undo), case["why"]
        assert wanted.get("script", "") in change.call.line, case["why"]
        words, arguments = list(change.call.argv), wanted.get("arguments", [])
        starts = [i for i in range(len(words)) if words[i : i + len(arguments)] == arguments]
        assert starts, (case["why"], words)


def test_every_resource_of_the_room_has_a_case():
    """Of what the room shows, and of every module that has one."""
    had = {json.loads(file.read_text())["resource"] for file in CASES}
    modules = {name.rpartition(".")[0] for name in had}
    rooms = [importlib.import_module(f"homelab_lib.control.{name}") for name in ("linux", *modules)]
    makes = {
        value.__name__
        for room in rooms
        for value in vars(room).values()
        if hasattr(value, "diff") and value.__module__.startswith("homelab_lib.control.linux")
    }
    assert makes == {name.rpartition(".")[2] for name in had}
