"""TrueNAS through `midclt call`: asking, changing, and following jobs.

`midclt` prints numbers, truth values and strings as Python does and all else as JSON; a method
that is a job prints the job's number, and is followed by `core.get_jobs`.
"""

import json
import re
from typing import Any

from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Host, Progress
from homelab_lib.transport.command import Command, Result, change

Release = tuple[int, int]
"""``(25, 10)``: by it we choose among the middleware's ways of saying things."""

_TRUTH = {"True": True, "False": False, "None": None}


def parse(text: str) -> Any:
    """What `midclt` printed, as a value."""
    word = text.strip()
    if word in _TRUTH:
        return _TRUTH[word]
    try:
        return json.loads(word)
    except ValueError:
        return word


def call(host: Host, method: str, *arguments: Any) -> Any:
    """Ask the middleware."""
    return parse(host.read("midclt", "call", method, *map(json.dumps, arguments)).stdout)


def changing(method: str, *arguments: Any) -> Command:
    """A call that changes something; a string goes as it is, all else as JSON."""
    words = [each if isinstance(each, str) else json.dumps(each) for each in arguments]
    return change("midclt", "call", method, *words)


def release(host: Host) -> Release:
    """The NAS's release. A resource is made for one release, so that what it sends is plain.

    Raises
    ------
    StepFailed
        It names none.
    """

    def look(host: Host) -> Release:
        version = str(call(host, "system.version"))
        number = re.search(r"(\d+)\.(\d+)", version)
        if number is None:
            raise StepFailed(
                f"{host.name} names no release of TrueNAS: {version[:60]!r}",
                where=host.name,
                fix="look at `midclt call system.version`; releases 24.10 to 26 are known",
            )
        return int(number[1]), int(number[2])

    found: Release = host.fact("truenas release", look)
    return found


def follow_job(host: Host, result: Result) -> Progress:
    """How a job goes whose number the call printed."""
    number = parse(result.stdout)
    jobs = call(host, "core.get_jobs", [["id", "=", number]])
    if not jobs:
        return Progress(True, error=f"job {number} is gone: the middleware was restarted")
    job = jobs[0]
    if job["state"] in ("SUCCESS", "FAILED", "ABORTED"):
        error = "" if job["state"] == "SUCCESS" else (job.get("error") or job["state"]).strip()
        if not error and job.get("result") is False:
            error = f"{job['method']} said False"
        return Progress(True, error=error)
    progress = job.get("progress") or {}
    percent = progress.get("percent")
    return Progress(
        False,
        note=progress.get("description") or f"{job['method']}: {job['state']}",
        fraction=percent / 100 if percent else None,
    )
