"""What the twin makes of a document is what the release's own controllers and models made of it."""

import json
import re
from collections import defaultdict

import pytest

from contract.opnsense_box import ask, box, kept
from contract.oracle import contract

pytestmark = pytest.mark.contract

ROWS = defaultdict(list)
for _row in contract("opnsense-verdicts-shared.jsonl.gz"):
    ROWS[_row["release"], _row["model"].rpartition("OPNsense\\")[2]].append(_row)
_VARIES = {"pwd_changed_at"}  # when a password was set
_EMULATED = {("Cron\\Cron", "c_filter reload")}
"""Verdicts on what the emulated configd said: it told that action without a description. The
appliance's own tells an empty one (service/modules/actions/base.py), and the model's filter
(Cron.xml) lets none such through."""


@pytest.fixture(scope="module")
def boxes():
    """A firewall of each release, and what it was set to at first."""
    made = {version: box(version) for version, _ in ROWS}
    return {version: (each, each.files.text("/conf/config.xml")) for version, each in made.items()}


@pytest.mark.parametrize(("release", "model"), sorted(ROWS))
def test_its_verdicts_are_the_real_ones(boxes, release, model):
    firewall, factory = boxes[release]
    wrong = []
    for row in ROWS[release, model]:
        if (model, row["mutation"]) in _EMULATED:
            continue
        firewall.files.put("/conf/config.xml", factory)
        firewall.files.entries.pop("/tmp/.interfaces.todo", None)
        if said := _differs(firewall, row):
            wrong.append(f"{row['mutation']}: {said}")
    assert not wrong, "\n".join([f"{len(wrong)} of {len(ROWS[release, model])}", *wrong[:9]])


def _differs(firewall, row):
    """What the twin makes otherwise of a document than the real one did; empty for nothing."""
    uuids = []

    def named(value):
        """A document with the names that stand for uuids filled in."""
        text = re.sub(r"\{\{after(\d+)\.uuid\}\}", lambda m: uuids[int(m[1])], json.dumps(value))
        return json.loads(re.sub(r"\{\{file:(.+?)\}\}", lambda m: _file(firewall, m[1]), text))

    for before in row["after"]:
        status, answer = ask(firewall, "POST", named(before["path"]), named(before["body"]))
        uuids.append(answer.get("uuid", "") if status == 200 else "")
    path, document = named(row["path"]), named(row["document"])
    status, answer = ask(firewall, row["method"], path, document)
    accepted = status == 200 and answer.get("result") == "saved"
    said = answer.get("validations", {})
    if not accepted and not said:
        said = {"": answer["errorMessage"] if status != 200 else answer.get("result")}
    got = {"http": status, "accepted": accepted, "messages": {} if accepted else said}
    if "stored" in row and accepted and "uuid" in answer:
        got["stored"] = kept(firewall, answer["uuid"])
    want = {key: named(row[key]) for key in got if key in row}
    if want.get("stored"):
        _mask(want["stored"], got["stored"])
    elif "stored" in got:
        del got["stored"], want["stored"]  # it holds what is under the interfaces' own names
    return "" if got == want else f"{json.dumps(got)[:400]}\n      not {json.dumps(want)[:400]}"


def _mask(want, got):
    for key, value in list(want.items()):
        if isinstance(value, dict) and isinstance(got.get(key), dict):
            _mask(value, got[key])
        elif value == "<varies>" or key in _VARIES:
            want[key] = got.get(key)


def _file(firewall, name):
    rows = firewall.config.load().iter("file")
    return next(row.get("uuid", "") for row in rows if row.findtext("filename") == name)
