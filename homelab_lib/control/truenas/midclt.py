"""TrueNAS through `midclt call`: asking, changing, and following jobs.

`midclt` prints numbers, truth values and strings as Python does and all else as JSON; a method
that is a job prints the job's number, and is followed by `core.get_jobs`.
"""

import json
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import Shape, whole
from homelab_lib.control.release import Release, release_in
from homelab_lib.runbook.resource import Host, Progress
from homelab_lib.transport.command import Command, Result, change, read

_LONGEST_LOOK_S = 300.0  # many disks, some of them asleep
_TRUTH = {"True": True, "False": False, "None": None}
_JOBS: Shape = [
    {
        "state": str,
        "method?": str,
        "error?": str,
        "result?": object,
        "progress?": {"percent?": float, "description?": str},
    }
]


def parse(text: str) -> Any:
    """What `midclt` printed, as a value."""
    word = text.strip()
    if word in _TRUTH:
        return _TRUTH[word]
    try:
        return answers.parse(word)
    except answers.Unfit:
        return word


def call(
    host: Host, method: str, *arguments: Any, shape: Shape = object, secret_output: bool = False
) -> Any:
    """Ask the middleware.

    Parameters
    ----------
    method, arguments
        What is asked.
    shape
        What is read from the answer; see `answers`.
    secret_output
        There is a secret in the answer.

    Raises
    ------
    NotUnderstood
        It says something else.
    """
    words = ("midclt", "call", method, *map(json.dumps, arguments))
    said = parse(host.read(*words, secret_output=secret_output).stdout)
    return answers.expected(said, shape, host=host.name, line=read(*words).line)


def finished(host: Host, method: str, *arguments: Any, shape: Shape = object) -> Any:
    """What a job answers that only looks; it is waited for.

    Raises
    ------
    NotUnderstood
        It says something else.
    """
    words = ("midclt", "call", "-j", method, *map(json.dumps, arguments))
    said = parse(host.read(*words, timeout_s=_LONGEST_LOOK_S).stdout)
    return answers.expected(said, shape, host=host.name, line=read(*words).line)


def changing(method: str, *arguments: Any) -> Command:
    """A call that changes something; a string goes as it is, all else as JSON."""
    words = [each if isinstance(each, str) else json.dumps(each) for each in arguments]
    return change("midclt", "call", method, *words)


def deleting(namespace: str) -> str:
    """How a row is undone that is yet to be made."""
    return f"midclt call {namespace}.delete ID; its id is known after apply, by {namespace}.query"


def release(host: Host) -> Release:
    """The NAS's release. A resource is made for one release, so that what it sends is plain.

    Raises
    ------
    StepFailed
        It names none.
    """

    def look(host: Host) -> Release:
        said = str(call(host, "system.version"))
        line = "midclt call system.version"
        return release_in(said, host, product="TrueNAS", known="25.04 to 26", line=line)

    found: Release = host.fact("truenas release", look)
    return found


def follow_job(host: Host, result: Result) -> Progress:
    """How a job goes whose number the call printed."""
    number = parse(result.stdout)
    number = answers.expected(number, whole, host=host.name, line="the number of a job")
    jobs = call(host, "core.get_jobs", [["id", "=", number]], shape=_JOBS)
    if not jobs:
        return Progress(True, error=f"job {number} is gone: the middleware was restarted")
    job = jobs[0]
    method = job.get("method", f"job {number}")
    if job["state"] in ("SUCCESS", "FAILED", "ABORTED"):
        error = "" if job["state"] == "SUCCESS" else (job.get("error") or job["state"]).strip()
        if not error and job.get("result") is False:
            error = f"{method} said False"
        return Progress(True, error=error)
    progress = job.get("progress", {})
    percent = progress.get("percent")
    return Progress(
        False,
        note=progress.get("description") or f"{method}: {job['state']}",
        fraction=percent / 100 if percent else None,
    )
