"""API of apps: where they are kept, and which there are.

Source: TrueNAS middleware 25.04 to 26, `docker` and `app`. What an app does is none of the twin's
business: it is there, and runs.
"""

import errno
from typing import Any

from homelab_lib.twin.truenas.arguments.apps import (
    AppCreate,
    DockerUpdate,
    DockerUpdate26,
    OldDockerUpdate,
)
from homelab_lib.twin.truenas.errors import CallError, ValidationErrors
from homelab_lib.twin.truenas.jobs import Progress, Work
from homelab_lib.twin.truenas.kept import Row
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import GOLDEYE, HALFMOON, left_out, method

_FRESH: Row = {
    "id": 1,
    "enable_image_updates": True,
    "address_pools": [
        {"base": "172.17.0.0/12", "size": 24},
        {"base": "fdd0::/48", "size": 64},
    ],
    "cidr_v6": "fdd0::/64",
}


_WORKLOADS: Row = {
    "containers": 0,
    "used_ports": [],
    "container_details": [],
    "volumes": [],
    "images": [],
    "networks": [],
}
_MIRRORS: Row = {"secure_registry_mirrors": [], "insecure_registry_mirrors": []}


@method("docker.config")
def docker_config(nas: TrueNas) -> Row:
    """The pool that apps are kept on."""
    more: Row = {"nvidia": False} if nas.release < HALFMOON else {"registry_mirrors": []}
    if GOLDEYE <= nas.release < HALFMOON:
        more |= _MIRRORS
    return _FRESH | more | nas.config["docker"]


@method(
    "docker.update",
    {"docker_update": left_out(DockerUpdate26)},
    since=HALFMOON,
    job=True,
    lock="docker_update",
)
@method(
    "docker.update",
    {"docker_update": left_out(DockerUpdate)},
    since=GOLDEYE,
    until=HALFMOON,
    job=True,
    lock="docker_update",
)
@method(
    "docker.update",
    {"docker_update": left_out(OldDockerUpdate)},
    until=GOLDEYE,
    job=True,
    lock="docker_update",
)
def docker_update(nas: TrueNas, data: Row) -> Work:
    """Keep apps on another pool, or reach them otherwise."""
    yield Progress(1.0, 10, "Validating")
    pool = data.get("pool")
    if pool is not None and pool not in nas.pools:
        raise ValidationErrors.one("docker_update.pool", "Pool not found.")
    yield Progress(10.0, 50, "Starting docker")
    data.pop("migrate_applications", None)
    nas.config["docker"] |= data
    if "pool" in data:
        nas.config["docker"]["dataset"] = f"{pool}/ix-apps" if pool else None
    return docker_config(nas)


@method("app.query")
def app_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """Installed apps."""
    return query(list(nas.apps), filters, options)


@method("app.create", {"app_create": AppCreate}, job=True, lock="app_create")
def app_create(nas: TrueNas, data: Row) -> Work:
    """Install an app."""
    yield Progress(2.0, 25, "Initial Validation completed")
    name = data["app_name"]
    if nas.config["docker"]["pool"] is None:
        raise CallError("No pool configured for Docker")
    if any(app["name"] == name for app in nas.apps):
        raise CallError(f"Application with name {name} already exists", errno.EEXIST)
    if data["custom_app"] and not (
        data["custom_compose_config"] or data["custom_compose_config_string"]
    ):
        text = "This field is required"
        raise ValidationErrors.one("app_create.include_compose_config", text)
    if not data["custom_app"] and not data["catalog_app"]:
        raise ValidationErrors.one("app_create.catalog_app", "This field is required")
    yield Progress(20.0, 80, "Pulling app images")
    now, newest = nas.release >= GOLDEYE, nas.release >= HALFMOON
    nas.apps.append(
        {
            "id": name,
            "name": name,
            "state": "RUNNING",
            "upgrade_available": False,
            "latest_version": data["version"],
            "image_updates_available": False,
            "custom_app": data["custom_app"],
            "migrated": False,
            "human_version": data["version"],
            "version": data["version"],
            "metadata": {"name": data["catalog_app"] or "custom-app", "train": data["train"]},
            "active_workloads": _WORKLOADS | ({"used_host_ips": []} if now else {}),
            "notes": None,
            "portals": {},
            **({"latest_app_version": None, "action_required": False} if newest else {}),
        }
    )
    return nas.apps[-1]
