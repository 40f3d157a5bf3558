"""What `files.py` times: one process that brings about what ``FOLDER/hosts.json`` names."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from homelab_lib.control.linux import File
from homelab_lib.runbook.clock import WallClock
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook, Step
from homelab_lib.secret import Mask
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.fleet import Fleet


def apply(folder: Path) -> int:
    """Bring all files about, and say how many changes that took."""
    given = json.loads((folder / "hosts.json").read_text())
    user = given["owner"].partition(":")[0]
    endpoints = {
        name: Endpoint(
            name,
            "127.0.0.1",
            place["port"],
            user,
            identity_files=(place["identity"],),
            use_agent=False,
            known_hosts_files=(place["known_hosts"],),
        )
        for name, place in given["places"].items()
    }
    files = [
        File(name, f"{folder}/{name}/etc/{file}", text, owner=given["owner"], lab=given["lab"])
        for name in endpoints
        for file, text in given["texts"].items()
    ]
    mask = Mask()
    journal = Journal(folder / "journal.jsonl", mask=mask, wall=lambda: "now")
    with Fleet(endpoints, allow_changes=True) as fleet:
        sender = Sender(fleet, WallClock(), journal, mask)
        step = Step("files", "Files", ensure=lambda ctx: iter([files]))
        Engine(
            Runbook("bench", "B", (step,)), "apply", sender, trust=lambda *_: None, seal=str
        ).run_step("files")
        return len(sender.sent)


if __name__ == "__main__":
    print(apply(Path(sys.argv[1])))
