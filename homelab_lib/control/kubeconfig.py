"""kubectl's configuration on a client: our cluster is merged into it, and nothing is lost of it."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from homelab_lib.control.k3s import KUBECONFIG
from homelab_lib.control.linux import File, look_at_file, read_file
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Host
from homelab_lib.secret import Secret

_ROOMS = ("clusters", "users", "contexts")


def of_server(host: Host, context: str, address: str) -> dict[str, Any]:
    """The server's own kubeconfig, under our names and with an address that others can reach.

    Parameters
    ----------
    host
        The server.
    context
        What cluster, user and context are called.
    address
        The API's address.
    """
    text = read_file(host, KUBECONFIG, secret=True)
    document = yaml.safe_load(text) or {}
    try:
        cluster = document["clusters"][0]["cluster"] | {"server": f"https://{address}:6443"}
        user = document["users"][0]["user"]
    except (KeyError, IndexError, TypeError):
        raise StepFailed(
            f"{host.name}: {KUBECONFIG} is not what k3s writes",
            where=host.name,
            fix="restart k3s there: it writes the file anew",
        ) from None
    names = {"cluster": context, "user": context}
    return {
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": context, "user": user}],
        "contexts": [{"name": context, "context": names}],
    }


def merged(existing: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """`existing` with our entries put in; the current context stays, where there is one."""
    document = {"apiVersion": "v1", "kind": "Config"} | copy.deepcopy(existing)
    for room in _ROOMS:
        names = {entry["name"] for entry in ours[room]}
        others = [entry for entry in document.get(room) or () if entry["name"] not in names]
        document[room] = others + ours[room]
    if not document.get("current-context"):
        document["current-context"] = ours["contexts"][0]["name"]
    return document


def read(host: Host, path: str) -> tuple[str, dict[str, Any]]:
    """The file's text, and what is in it.

    Raises
    ------
    StepFailed
        It can't be read as a kubeconfig: we don't write over what we don't understand.
    """
    text = read_file(host, path, secret=True)
    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError:
        document = None
    if not isinstance(document, dict) or any(
        not isinstance(document.get(room) or [], list) for room in _ROOMS
    ):
        raise StepFailed(
            f"{host.name}: {path} is not a kubeconfig that we understand; it was left alone",
            where=host.name,
            fix=f"look at it there, or move it away: mv {path} {path}.old",
        )
    return text, document


def files(
    host: Host, path: str, owner: str, ours: Callable[[], dict[str, Any]], context: str
) -> Iterator[File]:
    """What has to be written so that the kubeconfig at `path` leads to our cluster, too.

    Parameters
    ----------
    host, path, owner
        Where it is, and whose.
    ours
        Gives our entries; they hold a key and are shown nowhere.
    context
        What ours is called.
    """
    text, document = read(host, path)
    wanted = merged(document, ours())
    backup = f"{path}.before-homelab"
    if text and wanted != document and look_at_file(host, backup) is None:
        before = Secret(f"{path} as it was", lambda: text)
        yield File(host.name, backup, before, "600", owner, what=f"a copy of {path} as it is")
    # What is right already keeps the form in which somebody wrote it.
    content = text if wanted == document else yaml.safe_dump(wanted, sort_keys=False)
    merged_text = Secret(f"kubeconfig with context {context}", lambda: content)
    yield File(host.name, path, merged_text, "600", owner, what=f"context {context} into {path}")
