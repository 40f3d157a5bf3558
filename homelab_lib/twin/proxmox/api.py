"""The API of a Proxmox node: its methods, by verb and path. `pvesh`, `qm` and `pvesm` are doors to
it.

Source: the API schema of Proxmox VE 9.2; what a door makes of an answer is its own affair.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from homelab_lib.twin.machine.program import Reply
from homelab_lib.twin.proxmox.formats import CONFIG_ID, IFACE_OF, NODE_OF, STORAGE_ID, VMID_OF
from homelab_lib.twin.proxmox.locks import taken_by
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.schema import Property, PveError, checked

_OF_PATHS = {
    "node": NODE_OF,
    "vmid": VMID_OF,
    "storage": Property(format=STORAGE_ID, required=True),
    "upid": Property(required=True),
    "id": Property(format=CONFIG_ID, required=True),
    "iface": IFACE_OF,
    "name": Property(format=STORAGE_ID, required=True),
}

Given = dict[str, str]
Body = Callable[[ProxmoxNode, Given], Any]


@dataclass(frozen=True)
class Method:
    """One thing that the API does.

    Parameters
    ----------
    verb, path
        ``GET``, and ``/nodes/{node}/qemu/{vmid}/config``.
    parameters
        What it takes, those of its path among them.
    body
        Does it. What it returns is the answer; `Task` and `Later` say more.
    """

    verb: str
    path: str
    parameters: Mapping[str, Property]
    body: Body


@dataclass(frozen=True)
class Task:
    """What a call that starts a task leaves.

    Parameters
    ----------
    upid
        The task's name.
    log
        What it printed.
    failure
        Why it failed; empty where it did not.
    """

    upid: str
    log: str = ""
    failure: str = ""


@dataclass(frozen=True)
class Later:
    """An answer that takes its time; a call that is killed on the way never gets there."""

    takes_s: float
    answer: Callable[[], Any]


class Methods(dict[tuple[str, str], Method]):
    """Methods by verb and path; each part of the API has such a set."""

    def __call__(
        self, verb: str, path: str, parameters: Mapping[str, Property] | None = None
    ) -> Callable[[Body], Body]:
        """Register a function as a method."""

        def register(body: Body) -> Body:
            of_path = {name: _OF_PATHS[name] for name in re.findall(r"{(\w+)}", path)}
            self[verb, path] = Method(verb, path, {**of_path, **(parameters or {})}, body)
            return body

        return register

    def find(self, verb: str, path: str) -> tuple[Method, Given] | None:
        """The method behind a path, and what the path itself says; None where there is none."""
        parts = [part for part in path.split("/") if part]
        for known in self.values():
            words = [word for word in known.path.split("/") if word]
            if known.verb == verb and len(words) == len(parts):
                pairs = list(zip(words, parts, strict=True))
                if all(word == part or word.startswith("{") for word, part in pairs):
                    return known, {w.strip("{}"): part for w, part in pairs if w.startswith("{")}
        return None


def invoke(node: ProxmoxNode, called: Method, given: Given) -> Any:
    """Do it.

    Parameters
    ----------
    given
        All parameters, those of the path among them.

    Raises
    ------
    PveError
        In Proxmox's words.
    """
    values = checked(given, called.parameters)
    if values.get("node", node.node) not in (node.node, "localhost"):
        raise PveError(f"no such cluster node '{values['node']}'")
    if called.verb == "GET":
        return called.body(node, values)
    return _locked(node, called, values, list(taken_by(values)))


def _locked(
    node: ProxmoxNode, called: Method, values: Given, locks: list[tuple[str, float]]
) -> Any:
    """Do it as soon as nobody else holds one of its locks."""
    for lock, patience_s in locks:
        held_s = node.locks.remaining_s(lock)
        if held_s > patience_s:
            return Later(patience_s, partial(_timed_out, lock))
        if held_s:
            return Later(held_s, partial(_locked, node, called, values, locks))
    return called.body(node, values)


def _timed_out(lock: str) -> Any:
    raise PveError(f"trying to acquire lock...\ncan't lock file '{lock}' - got timeout")


def replied(answer: Callable[[], Any], show: Callable[[Any], Reply]) -> Reply:
    """What a door prints of an answer, now or when it is there; what was refused it says itself.

    Parameters
    ----------
    answer
        Gives the answer, or raises `PveError`.
    show
        Makes a reply of it.
    """
    try:
        found = answer()
    except PveError as error:
        return Reply(error.status, stderr=f"{error.text.rstrip()}\n")
    if isinstance(found, Later):
        return Reply(takes_s=found.takes_s, finish=lambda: replied(found.answer, show))
    return show(found)
