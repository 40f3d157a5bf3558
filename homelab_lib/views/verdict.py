"""What came of a run, in a sentence or two: the first thing on its page, the last on a terminal."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from homelab_lib.runbook.plan import Plan
from homelab_lib.units import format_seconds
from homelab_lib.views.plan import headline

# What a person asks for, the largest first, by the first word of a resource's name; files and
# settings are how it is come by.
_NOUNS = {
    "VM": ("VM", "VMs"),
    "container": ("container", "containers"),
    "pool": ("pool", "pools"),
    "dataset": ("dataset", "datasets"),
    "NFS": ("NFS share", "NFS shares"),
    "SMB": ("SMB share", "SMB shares"),
    "k3s": ("k3s node", "k3s nodes"),
    "chart": ("chart", "charts"),
    "HelmChart": ("chart", "charts"),
    "StorageClass": ("storage class", "storage classes"),
    "Deployment": ("deployment", "deployments"),
    "Ingress": ("web address", "web addresses"),
    "app": ("app", "apps"),
    "model": ("model", "models"),
    "driver": ("driver", "drivers"),
    "VLAN": ("VLAN", "VLANs"),
    "rule": ("firewall rule", "firewall rules"),
    "network": ("network", "networks"),
    "wireguard": ("WireGuard tunnel", "WireGuard tunnels"),
    "copy": ("backup", "backups"),
    "drill": ("restore drill", "restore drills"),
}
_BY_SECOND = ("VM", "model")  # several resources are about one of these: ``VM 110 (chat) off``
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_MOST = 5  # kinds in one sentence


def verdict(summary: dict[str, Any], plan: Plan | None) -> str:
    """What came of a run, in words.

    Parameters
    ----------
    summary
        Its ``summary.json``.
    plan
        The plan it went by; None where it made none.
    """
    status, sent = summary["status"], summary["changes_sent"]
    real = summary["target"] == "ssh"
    where = "on the twin; nothing real was touched"
    if real:  # a twin that is served by itself is reached as hosts are, and says what it is
        served = summary.get("evidence") == "rehearsed"
        where = "on hosts that say they are a twin" if served else "on the real hosts"
    took = format_seconds(max((step["end_s"] for step in summary["steps"]), default=0.0))
    took += "" if real else " of the twin's time"
    steps = _steps(sum(step["status"] != "skipped" for step in summary["steps"]))
    if status == "planned" and plan is not None:
        done = "Nothing was done." if summary["mode"] == "apply" else "Nothing was sent."
        return f"{headline(plan)} {done}"
    if status == "completed" and summary["mode"] == "apply":
        before = summary.get("sent_before", ())
        made = _made(summary["steps"], before)
        if not sent:
            return f"Nothing had to be done: {steps} {_are(steps)} as described {where}."
        told = (
            f"{made} {where}."
            if made
            else f"{steps[0].upper()}{steps[1:]} {_are(steps)} done {where}."
        )
        if before:
            told += f" {_changes(sent)} sent"
            return f"{told}, {len(before)} of them before this run was continued."
        return f"{told} {_changes(sent)} sent, in {took}."
    if status == "completed":
        return (
            f"{steps[0].upper()}{steps[1:]} {_are(steps)} as the lab describes, looked at {where}."
        )
    if status == "drift":
        amiss = [step["step"] for step in summary["steps"] if step["status"] == "drift"]
        return f"Not as the lab describes it: {', '.join(amiss)}; looked at {where}."
    why = {
        "blocked": "The rehearsal did not get to the end, so there is no plan to approve",
        "refused": "No plan could be made or carried out",
        "failed": "It failed" + _at(summary["steps"]),
        "waiting": "It waits for a person" + _at(summary["steps"], "waiting", "at"),
        "stopped": "It stopped where nobody can see ahead" + _at(summary["steps"]),
        "interrupted": "It was interrupted" + _at(summary["steps"]),
    }.get(status, f"It ended as {status}")
    return f"{why}: {_changes(sent, none='no change was')} sent, {where}."


def happened(summary: dict[str, Any]) -> str:
    """What of all that is told has really happened, and what on a twin alone."""
    if summary["target"] == "twin":
        return "all of it on a twin of the lab: no machine of yours was touched"
    twin = " (who said of themselves that they are a twin)"
    where = "the real hosts" + (twin if summary["evidence"] == "rehearsed" else "")
    if summary["mode"] == "verify" or (summary["mode"] == "apply" and not summary["changes_sent"]):
        return f"{where} were looked at, and nothing was sent to them"
    if summary["mode"] == "plan":
        return (
            f"{where} were looked at, and nothing was sent to them; what would be, and how long "
            "it takes, is of a rehearsal on a twin made of what they said"
        )
    return f"this really happened on {where}; its plan was rehearsed on a twin before"


def _made(steps: Iterable[dict[str, Any]], before: Iterable[dict[str, Any]]) -> str:
    """``Three VMs, three k3s nodes and one NFS share now run``; empty where none is of note."""
    names = {
        (resource["host"], resource["name"])
        for step in steps
        for resource in step["resources"]
        if any(sent["outcome"] == "done" for sent in resource["sent"])
    }
    names |= {(each["host"], each["resource"]) for each in before if each["outcome"] == "done"}
    things = {(host, _thing(name)) for host, name in names}
    nouns = Counter(_NOUNS[kind] for _, name in things if (kind := name.split()[0]) in _NOUNS)
    order = list(dict.fromkeys(_NOUNS.values()))
    found = [_count(nouns[noun], noun) for noun in order if nouns[noun]]
    if not found:
        return ""
    if len(found) > _MOST:
        found = [*found[: _MOST - 1], "more"]
    said = f"{', '.join(found[:-1])} and {found[-1]}" if len(found) > 1 else found[0]
    runs = "now stand" if len(found) > 1 or not said.startswith("one ") else "now stands"
    return f"{said[0].upper()}{said[1:]} {runs}"


def _thing(name: str) -> str:
    """What a resource is about, by its name."""
    words = name.split()
    return " ".join(words[:2]) if words[0] in _BY_SECOND else name


def _count(number: int, noun: tuple[str, str]) -> str:
    said = _NUMBERS[number] if number < len(_NUMBERS) else str(number)
    return f"{said} {noun[number != 1]}"


def _steps(number: int) -> str:
    return "the one step" if number == 1 else f"all {number} steps"


def _are(steps: str) -> str:
    return "is" if steps == "the one step" else "are"


def _changes(number: int, none: str = "No change was") -> str:
    if number == 0:
        return none
    return "1 change was" if number == 1 else f"{number} changes were"


def _at(steps: Iterable[dict[str, Any]], status: str = "failed", where: str = "in") -> str:
    found = [step["step"] for step in steps if step["status"] == status]
    return f" {where} {found[-1]}" if found else ""
