"""A client's kubeconfig, and the cluster that it leads to.

Source: client-go `tools/clientcmd`.
"""

import base64
from typing import Any
from urllib.parse import urlsplit

from homelab_lib.twin.kubernetes import documents
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.flags import Words
from homelab_lib.twin.kubernetes.k3s import KUBECONFIG, cluster_of
from homelab_lib.twin.kubernetes.objects import ApiError
from homelab_lib.twin.machine.entry import NOTHING, FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call

Config = dict[str, Any]

BODIES = {"clusters": "cluster", "contexts": "context", "users": "user"}
_REFUSED = (
    "The connection to the server localhost:8080 was refused - did you specify the right host or "
    "port?"
)
_NO_QUORUM = "the server is currently unable to handle the request"
"""What k3s says whose etcd has lost too many of its members: k3s-io/k3s#3513."""


def load(machine: Machine, call: Call, path: str) -> Config:
    """What a kubeconfig says; one that isn't there is empty, the administrator's excepted.

    Raises
    ------
    ApiError
        It can't be read, or makes no sense.
    """
    try:
        text = machine.files.read(path, machine.who(call)).decode(errors="replace")
    except FileError as error:
        if error.says != NOTHING or path == KUBECONFIG:
            why = f"open {path}: {error.says.lower()}"
            raise ApiError("", f'error: error loading config file "{path}": {why}') from None
        return {}
    found = documents.value(text, path)
    if found is None:
        return {}
    if isinstance(found, dict) and all(_entries(found, room) for room in BODIES):
        return found
    raise ApiError("", f'error: error loading config file "{path}": json: cannot unmarshal it')


def _entries(config: Config, room: str) -> bool:
    """Whether one of the lists is a list of entries with names."""
    entries = config.get(room) or []
    return isinstance(entries, list) and all(
        isinstance(each, dict) and isinstance(each.get(BODIES[room]) or {}, dict)
        for each in entries
    )


def named(config: Config, room: str, name: str) -> Config | None:
    """What the last entry of a name in one of the lists says; None where there is none."""
    found = [each for each in config.get(room) or () if each.get("name") == name]
    return (found[-1].get(BODIES[room]) or {}) if found else None


def connected(machine: Machine, config: Config, words: Words) -> Cluster:
    """The cluster that a kubeconfig leads to.

    Raises
    ------
    ApiError
        As kubectl would fail.
    """
    name = words.get("--context") or config.get("current-context") or ""
    context = named(config, "contexts", name)
    if context is None:
        if name:
            raise ApiError(
                "",
                "Error in configuration: context was not found for specified context: " + name,
            )
        raise ApiError("", _REFUSED)
    place = named(config, "clusters", context.get("cluster", "")) or {}
    user = named(config, "users", context.get("user", "")) or {}
    if not place.get("server"):
        raise ApiError("", _REFUSED)
    url = urlsplit(place["server"])
    host = url.hostname or ""
    address = machine.address if host == "127.0.0.1" else machine.world.resolve(machine, host)
    if not address:
        raise ApiError(
            "", f"Unable to connect to the server: dial tcp: lookup {host}: no such host"
        )
    asked = machine.world.find_ip(address)
    cluster = cluster_of(asked) if asked is not None else None
    if cluster is not None and cluster.runs_on(asked) and not cluster.answers():
        raise ApiError("ServiceUnavailable", _NO_QUORUM)
    if why := machine.world.reach(machine, address, url.port or 6443):
        if "refused" in why:
            where = f"{host}:{url.port or 6443}"
            raise ApiError(
                "",
                f"The connection to the server {where} was refused - did you specify the right "
                "host or port?",
            )
        raise ApiError("", f"Unable to connect to the server: dial tcp {address}: {why}")
    if cluster is None:
        raise ApiError("", f"Unable to connect to the server: dial tcp {address}: no API there")
    if host not in cluster.tls_names:
        raise ApiError(
            "",
            f"Unable to connect to the server: tls: failed to verify certificate: "
            f"x509: certificate is not valid for {host}",
        )
    if base64.b64decode(user.get("client-key-data", "")).decode() != cluster.token:
        raise ApiError("", "error: You must be logged in to the server (Unauthorized)")
    return cluster
