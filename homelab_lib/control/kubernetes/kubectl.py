"""Kubernetes through `kubectl -o json`: asking, and reading what it says."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.runbook.resource import Host
from homelab_lib.transport.command import read

KUBECTL = ("k3s", "kubectl")
Object = Mapping[str, Any]

OBJECT: Shape = {"metadata": {"name": str, "labels?": {str: str}}}
_EVENT: Shape = OBJECT | {
    "metadata": {"creationTimestamp?": str},
    "type?": str,
    "message?": str,
    "reason?": str,
    "involvedObject?": {"name?": str},
    "series?": {"lastObservedTime?": str},
    "lastTimestamp?": str,
    "eventTime?": str,
}
_POD: Shape = OBJECT | {"status?": {"phase?": str}, "spec?": {"nodeName?": str}}

_DRAWN = "bcdfghjklmnpqrstvwxz2456789"
"""Letters of the names that Kubernetes draws (apimachinery, `util/rand`)."""

_SCALES = {"": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3}


def get(
    host: Host,
    kind: str,
    name: str,
    namespace: str = "",
    *,
    shape: Shape = OBJECT,
    managers: bool = False,
) -> Any:
    """An object, or None.

    Parameters
    ----------
    shape
        What is read from it; see `answers`.
    managers
        Whether it is asked for with who manages which field.

    Raises
    ------
    NotUnderstood
        The cluster says something else.
    """
    where = ("-n", namespace) if namespace else ()
    shown = ("--show-managed-fields",) if managers else ()
    words = (*KUBECTL, "get", kind, name, *where, "--ignore-not-found", *shown, "-o", "json")
    text = host.read(*words, sudo=True).stdout
    line = read(*words).line
    return answers.understood(text, shape, host=host.name, line=line) if text.strip() else None


def listed(
    host: Host, kind: str, namespace: str = "", selector: str = "", *, shape: Shape = OBJECT
) -> list[Any]:
    """All objects of a kind; see `get`."""
    where = ("-n", namespace) if namespace else ("-A",)
    chosen = ("-l", selector) if selector else ()
    words = (*KUBECTL, "get", kind, *where, *chosen, "-o", "json")
    said = host.json(*words, sudo=True)
    found = answers.expected(said, {"items": [shape]}, host=host.name, line=read(*words).line)
    items: list[Any] = found["items"]
    return items


def cores(quantity: str) -> float:
    """Processors as Kubernetes writes them: ``4``, or ``3800m`` where a node keeps some back.

    Raises
    ------
    ValueError
        It is no such quantity.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([numk]?)", quantity)
    if found is None:
        raise ValueError(f"no number of processors: {quantity!r}")
    return float(found[1]) * _SCALES[found[2]]


def warnings_about(host: Host, namespace: str, name: str) -> str:
    """What the cluster complains of about an object, the newest complaint."""
    found = [
        event
        for event in listed(host, "events", namespace, shape=_EVENT)
        if event.get("type") == "Warning"
        and _about(event.get("involvedObject", {}).get("name", ""), name)
    ]
    if not found:
        return ""
    newest = max(found, key=_when)
    return str(newest.get("message") or newest.get("reason") or "")


def _about(involved: str, name: str) -> bool:
    """Whether an object is the one of that name, or has its name from it: ``web-5d9f-x2kq4`` is
    a pod of ``web``, and ``web-two`` is none."""
    return bool(re.fullmatch(rf"{re.escape(name)}(-[{_DRAWN}]+){{0,2}}", involved))


def _when(event: Object) -> str:
    """When an event was seen last; the list is in no order, and the field depends on who wrote."""
    series = event.get("series", {})
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    made = event.get("metadata", {}).get("creationTimestamp", "")
    return str(next((time for time in times if time), made))


def finished_pod(host: Host, namespace: str, selector: str) -> tuple[str, str]:
    """Name and node of a pod that has come to its good end; both empty where there is none."""
    for pod in listed(host, "pods", namespace, selector, shape=_POD):
        if pod.get("status", {}).get("phase") == "Succeeded":
            return pod["metadata"]["name"], pod.get("spec", {}).get("nodeName", "")
    return "", ""


def differs(wanted: Any, found: Any, path: str = "") -> str:
    """Where `found` is not what `wanted` says; empty where it is.

    What the API server fills in is not compared: an object is as desired when everything that we
    say of it is so, whatever else it says.
    """
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            return path or "it is missing"
        for key, value in wanted.items():
            if where := differs(value, found.get(key), f"{path}.{key}".lstrip(".")):
                return where
        return ""
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if not isinstance(found, Sequence) or len(found) != len(wanted):
            return path
        pairs = zip(wanted, found, strict=True)
        return next(
            (w for i, (a, b) in enumerate(pairs) if (w := differs(a, b, f"{path}[{i}]"))), ""
        )
    return "" if wanted == found else path


def standing_at(found: Any, place: str) -> Any:
    """What stands at a place, as `differs` names one; None for nothing. A key may hold dots."""
    if not place:
        return found
    if isinstance(found, list) and (entry := re.match(r"\[(\d+)\]\.?", place)):
        return standing_at(dict(enumerate(found)).get(int(entry[1])), place[entry.end() :])
    for key in found if isinstance(found, Mapping) else ():
        if place == key or place.startswith((f"{key}.", f"{key}[")):
            return standing_at(found[key], place[len(key) :].removeprefix("."))
    return None
