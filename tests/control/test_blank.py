"""A VM that is off: what is on its disks is known only as long as it was never started."""

import json
from pathlib import Path

import pytest

from control.made import made
from control.test_cases import Canned

CASE = json.loads(
    (Path(__file__).parent / "proxmox/virtual_machine/switched-off.json").read_text("utf-8")
)
MADE, STARTED = "made", "started"


@pytest.mark.parametrize(
    ("sent", "unseen"),
    [
        ([], True),
        ([MADE], False),
        ([MADE, "qm set 301 --onboot 1"], False),
        ([MADE, STARTED], True),
        ([STARTED], True),
        ([MADE, STARTED, "qm destroy 301", MADE], False),
    ],
)
def test_only_what_we_made_and_never_started_is_known(sent, unseen):
    host = Canned(CASE["answers"], False)
    vm = made(CASE, host.name, str)
    lines = {MADE: vm._create.line, STARTED: vm._start.line}
    host.sent = lambda resource: tuple(lines.get(each, each) for each in sent)
    (start,) = vm.diff(vm.observe(host)).changes
    assert start.call == vm._start
    assert start.starts == "worker1"
    assert bool(start.unseen) is unseen
