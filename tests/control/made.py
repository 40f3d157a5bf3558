"""The resource that a case is about, and how a call is known in its answers."""

import importlib
import inspect
from functools import cache
from typing import Any

from homelab_lib.control.opnsense import families
from homelab_lib.control.opnsense.api import Api
from homelab_lib.control.opnsense.revert import Aside
from homelab_lib.control.proxmox.links import Link
from homelab_lib.secret import Secret
from homelab_lib.transport.call import Call
from homelab_lib.transport.request import Request


def made(case: dict[str, Any], host: str, release: Any) -> Any:
    """The case's resource on a host; `release` gives that host's, where it is asked for."""
    make = _named(case["resource"])
    taken = _taken(make)
    given = {"host": host, "lab": "attic"} | case["with"]
    if "release" in taken and "release" not in given:
        given["release"] = release()
    if "api" in taken:
        secrets = [Secret(each, lambda: "nobody asks") for each in ("key", "secret")]
        given["api"] = Api(host, *secrets)
    for each in {"family", "settings"} & taken.keys():
        if isinstance(given[each], str):
            given[each] = getattr(families, given[each])
    if "aside" in taken:
        given["aside"] = Aside(host, given["lab"], given["aside"], given.get("guarded", True))
    if "calls" in taken:
        calls = given["calls"]
        given["calls"] = tuple((summary, given["api"].post(path)) for summary, path in calls)
    if "known" in taken:
        given["known"] = frozenset(given["known"])
    return make(**{key: _frozen(value) for key, value in given.items() if key in taken})


@cache
def _named(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"homelab_lib.control.{module}"), name)


@cache
def _taken(make: Any) -> Any:
    """The parameters of a resource; thousands of answers ask for them."""
    return inspect.signature(make).parameters


def _frozen(value: Any) -> Any:
    """A case's argument; ``{"make": "pool.Vdev", …}`` is one of the room's own, and ``{"secret":
    "text"}`` a secret."""
    if isinstance(value, dict) and "iface" in value:
        return Link(**{key: _frozen(each) for key, each in value.items()})
    if isinstance(value, dict) and isinstance(value.get("secret"), str):
        return Secret("env:SECRET", lambda: value["secret"])
    if isinstance(value, dict) and "make" in value:
        make = _named(value["make"])
        return make(**{key: _frozen(each) for key, each in value.items() if key != "make"})
    if isinstance(value, dict):
        return {key: _frozen(each) for key, each in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def known_as(call: Call) -> str:
    """The words of a command, or method and path of a request."""
    return f"{call.method} {call.path}" if isinstance(call, Request) else " ".join(call.argv)
