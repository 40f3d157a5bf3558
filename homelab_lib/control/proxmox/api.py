"""The API of a Proxmox node through `pvesh`, and its tasks.

Three habits of theirs are dealt with here. `pvesh` prints a task's id as bare text unless it is
asked for JSON. It ends with status 0 when its task has failed, so a task is judged by its own
status. And a worker dies with the terminal that started it, so what takes long runs detached.
"""

import re
from collections.abc import Callable
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import SCALAR, Shape, whole
from homelab_lib.runbook.resource import Host, Progress
from homelab_lib.transport.command import Command, Result, change, read

_JSON = ("--output-format", "json")

GUESTS: Shape = [{"vmid?": whole, "type?": str, "node?": str, "name?": str}]
"""``/cluster/resources``; rows without a number are no guests."""
CONFIG: Shape = {str: (*SCALAR, [[str]])}
"""Of a guest; the ``lxc.…`` lines that somebody wrote into a container's are a list of pairs."""
STATUS: Shape = {"status": str}
_ACTIVE: Shape = [{"type": str}]
_NO_WORDS = re.compile(r'"?UPID:|starting \S|TASK ERROR: ')
_LAST_WORDS = 3  # lines of a task's log, each whole: a mask finds no secret that was cut
_TASK: Shape = {"status": str, "type?": str, "exitstatus?": str}


def api(host: Host, path: str, *options: str, shape: Shape = object) -> Any:
    """What the node's API says at `path`.

    Parameters
    ----------
    shape
        What is read from it; see `answers`.

    Raises
    ------
    NotUnderstood
        It says something else.
    """
    words = ("pvesh", "get", path, *options, *_JSON)
    said = host.json(*words, sudo=True)
    return answers.expected(said, shape, host=host.name, line=read(*words).line)


def changing(verb: str, path: str, *options: str, timeout_s: float = 60.0) -> Command:
    """A call that changes something: ``create``, ``set`` or ``delete``."""
    return change("pvesh", verb, path, *options, *_JSON, sudo=True, timeout_s=timeout_s)


def active_task(host: Host, node: str, vmid: int) -> str:
    """What is at work on a VM just now: the task's type; empty for nothing."""
    path = f"/nodes/{node}/tasks"
    tasks = api(host, path, "--source", "active", "--vmid", str(vmid), shape=_ACTIVE)
    # One that has just ended stays in the list for a while.
    return next((str(task["type"]) for task in tasks if "endtime" not in task), "")


def task_of(result: Result) -> str:
    """The id of the task that a call started; it is printed last, after the task's log."""
    for line in reversed(result.stdout.splitlines()):
        word = line.strip().strip('"')
        if word.startswith("UPID:"):
            return word
    return ""


def follow_task(node: str) -> Callable[[Host, Result], Progress]:
    """Judges a call by the task it started, not by its exit status."""

    def follow(host: Host, result: Result) -> Progress:
        upid = task_of(result)
        if not upid:
            said = host.cut(result.stdout.strip(), 300, end=True)
            return Progress(True, error=f"no task came of it: {said}")
        status = api(host, f"/nodes/{node}/tasks/{upid}/status", shape=_TASK)
        task = status.get("type", "task")
        if status["status"] == "running":
            return Progress(False, note=f"task {task} runs")
        end = status.get("exitstatus", "unknown")
        good = end == "OK" or end.startswith("WARNINGS")
        return Progress(True, error="" if good else f"{task}: {end}{_last_words(result)}")

    return follow


def _last_words(result: Result) -> str:
    """What a task said before it failed, which its end does not repeat: `pvesh` prints its log."""
    said = [line.strip() for line in f"{result.stdout}\n{result.stderr}".splitlines()]
    told = [line for line in said if line and not _NO_WORDS.match(line)]
    return f"; it said: {' / '.join(told[-_LAST_WORDS:])}" if told else ""
