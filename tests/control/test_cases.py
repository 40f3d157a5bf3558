"""What a resource makes of what an appliance answers: one file a case, ``ROOM/RESOURCE/CASE.json``.

A case says which resource it is, what the host answers to which command, and what then has to
come out. A new case is a new file; nothing here changes.

``why``
    One sentence for the person who sees it fail.
``resource``, ``with``
    Its name below `homelab_lib.control`, and its arguments. ``host``, ``lab`` and ``release`` may
    be left out: the last is asked of the host, as a recipe does. A family of rows, a document of
    settings and what lies aside are given by their names.
``answers``
    What is printed, by the command or by how it begins (the longest wins): a text, a JSON value,
    or ``{"status": 1, "stdout": …, "stderr": …}``. A command without an answer fails the case.
    A request is known by its method and path.
``begun``, ``sent``
    Whether the resource was being made when we were cut off; the lines that were sent for it.
``clean``, ``waiting``, ``conflict``, ``changes``
    One of them: true; words that have to be in the text; or the list of all changes, each with
    the words of its ``call`` (a JSON value stands for any spelling of it, ``…`` for any word; of a
    request method, path and body, secrets by their names) and, where there are any, ``stdin``,
    ``destroys`` and ``replaces``. ``contains``: words that are in its standard input.
``follow``
    Of the last change: what it ``printed``, further ``answers``, and the ``progress`` then told.
"""

import importlib
import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from control.made import known_as, made
from homelab_lib.control.truenas import midclt
from homelab_lib.runbook.host import failed
from homelab_lib.secret import Mask, Secret
from homelab_lib.transport.call import Call
from homelab_lib.transport.command import Result, read
from homelab_lib.transport.request import Request

FOLDER = Path(__file__).parent
ROOMS = ("truenas", "proxmox", "kubernetes", "opnsense", "backup_server")
CASES = sorted(file for room in ROOMS for file in (FOLDER / room).rglob("*.json"))
ANY = "…"
_PARTS = {"why", "resource", "with", "answers", "begun", "sent", "clean", "waiting", "conflict",
          "changes", "follow"}  # fmt: skip


class Canned:
    """A host that answers what the case says."""

    name = "host"

    def __init__(self, answers: dict[str, Any], begun: bool, sent: Sequence[str] = ()) -> None:
        self.answers = answers
        self._begun = begun
        self._sent = tuple(sent)

    def read(self, *argv: str, ok=(0,), **options: Any) -> Result:
        command = read(*argv, **options)  # only what is known to read may be sent by looking
        return self._answer(command, ok)

    def request(self, request: Request, ok=(0,)) -> Result:
        assert request.kind == "read"
        return self._answer(request, ok)

    def _answer(self, call: Call, ok: Any) -> Result:
        line = known_as(call)
        known = [begin for begin in self.answers if line.startswith(begin)]
        assert known, f"the case has no answer to: {line}"
        answer = self.answers[max(known, key=len)]
        if isinstance(answer, dict) and "status" in answer and "stderr" in answer:
            result = Result(answer["status"], answer.get("stdout", ""), answer["stderr"])
        else:
            result = Result(0, answer if isinstance(answer, str) else json.dumps(answer), "")
        if ok is not None and result.exit_status not in ok:
            raise failed(self.name, call, result, Mask())
        return result

    def json(self, *argv: str, **options: Any) -> Any:
        return json.loads(self.read(*argv, **options).stdout)

    def fact(self, name: str, look: Any) -> Any:
        return look(self)

    def begun(self, resource: str) -> bool:
        return self._begun

    def cut(self, text, limit, *, end=False):
        return text[-limit:] if end else text[:limit]

    def sent(self, resource: str) -> tuple[str, ...]:
        return self._sent


def _same_call(call: Call, words: list[Any]) -> bool:
    if isinstance(call, Request):
        body = json.loads(json.dumps(call.body, default=str))
        return [call.method, call.path, body] == words
    return len(call.argv) == len(words) and all(
        word in (found, ANY) if isinstance(word, str) else json.loads(found) == word
        for found, word in zip(call.argv, words, strict=True)
    )


@pytest.mark.parametrize("file", CASES, ids=lambda f: str(f.relative_to(FOLDER).with_suffix("")))
def test_case(file: Path) -> None:
    case = json.loads(file.read_text(encoding="utf-8"))
    assert set(case) <= _PARTS
    host = Canned(case["answers"], case.get("begun", False), case.get("sent", ()))
    resource = made(case, host.name, lambda: midclt.release(host))
    observed = json.loads(json.dumps(resource.observe(host)))  # as it comes back from a journal
    diff = resource.diff(observed)
    told = {"clean": diff.clean, "waiting": diff.waiting, "conflict": diff.conflict}
    (kind,) = {"clean", "waiting", "conflict", "changes"} & case.keys()
    if kind == "clean":
        assert diff.clean, (case["why"], diff)
    elif kind != "changes":
        assert case[kind] in told[kind], (case["why"], diff)
        assert not diff.changes, case["why"]
    else:
        assert diff.conflict + diff.waiting == "", (case["why"], diff)
        _check_changes(case, diff.changes)
    if "follow" in case:
        host.answers |= case["follow"].get("answers", {})
        progress = diff.changes[-1].follow(host, Result(0, case["follow"]["printed"], ""))
        for key, value in case["follow"]["progress"].items():
            assert getattr(progress, key) == value, (case["why"], progress)


def _check_changes(case: dict[str, Any], changes: Any) -> None:
    shown = [change.call.line for change in changes]
    assert len(changes) == len(case["changes"]), (case["why"], shown)
    for change, wanted in zip(changes, case["changes"], strict=True):
        assert change.call.kind == "change"
        assert _same_call(change.call, wanted["call"]), (case["why"], change.call.line)
        assert list(change.destroys) == wanted.get("destroys", []), case["why"]
        assert change.replaces == wanted.get("replaces", ""), case["why"]
        stdin = getattr(change.call, "stdin", None)
        stdin = stdin.reveal() if isinstance(stdin, Secret) else stdin
        for words in wanted.get("contains", ()):
            assert words in stdin, (case["why"], stdin)
        if "contains" not in wanted:
            assert (json.loads(stdin) if stdin else None) == wanted.get("stdin"), case["why"]


def test_every_resource_of_these_rooms_has_a_case() -> None:
    """A family of rows counts by the function that makes one."""
    wanted = set()
    for room in ROOMS:
        folder = Path(importlib.import_module(f"homelab_lib.control.{room}").__file__).parent
        for file in folder.glob("*.py"):
            module = importlib.import_module(f"homelab_lib.control.{room}.{file.stem}")
            for name, value in vars(module).items():
                here = getattr(value, "__module__", "") == module.__name__
                if here and _makes_resources(value):
                    wanted.add(f"{room}.{file.stem}.{name}")
    assert wanted
    assert wanted - {"truenas.row.Row"} == {json.loads(f.read_text())["resource"] for f in CASES}


def _makes_resources(value: Any) -> bool:
    if inspect.isclass(value):
        concrete = not inspect.isabstract(value)
        return concrete and hasattr(value, "observe") and hasattr(value, "diff")
    return (
        inspect.isfunction(value)
        and value.__annotations__.get("return").__class__ is type
        and (hasattr(value.__annotations__["return"], "observe"))
    )
