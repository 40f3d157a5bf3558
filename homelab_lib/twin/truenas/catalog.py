"""Apps of TrueNAS's catalog, as far as their questions refuse anything.

Source: truenas/apps at the end of August 2026, the questions of each app.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_ALL = {"TZ": "Etc/UTC", "labels": [], "run_as": {"user": 568, "group": 568}}


@dataclass(frozen=True)
class CatalogApp:
    """An app.

    Parameters
    ----------
    version
        The one version that the catalog holds.
    transcodes
        Kinds of storage for what it works on.
    defaults
        Values that it has where none are given.
    """

    version: str
    transcodes: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)


CATALOG = {
    "jellyfin": CatalogApp(
        "1.3.12",
        ("host_path", "ix_volume", "temporary", "tmpfs"),
        _ALL | {"jellyfin": {"devices": [], "additional_envs": []}},
    ),
    "tdarr": CatalogApp(
        "1.3.36",
        ("host_path", "ix_volume", "anonymous", "tmpfs", "cifs", "nfs"),
        _ALL | {"tdarr": {"internal_node": True}},
    ),
}


def composed(values: Mapping[str, Any]) -> list[int]:
    """The host's ports on which the containers of a document of Compose listen that are in the
    host's own network, by what exporters and web servers of Prometheus's are told."""
    services = values.get("services")
    found = []
    for service in services.values() if isinstance(services, Mapping) else ():
        if not isinstance(service, Mapping) or service.get("network_mode") != "host":
            continue
        told = service.get("command")
        for word in told if isinstance(told, list) else ():
            head, _, port = str(word).rpartition(":")
            if head.startswith("--web.listen-address=") and port.isdecimal():
                found.append(int(port))
    return found


def published(values: Mapping[str, Any]) -> dict[str, int]:
    """The host's ports that an app takes, by the question that asks for them."""
    return {
        key: port["port_number"]
        for key, port in values.get("network", {}).items()
        if isinstance(port, Mapping) and port.get("bind_mode") == "published"
        if isinstance(port.get("port_number"), int)
    }
