"""API of apps: where they are kept, and which there are.

Source: TrueNAS middleware 25.04 to 26, `docker` and `app`. What an app does is none of the twin's
business: it is there, and runs.
"""

import errno
from typing import Any

import yaml

from homelab_lib.twin.truenas.arguments.apps import (
    AppCreate,
    AppUpdate,
    DockerUpdate,
    DockerUpdate26,
    OldDockerUpdate,
)
from homelab_lib.twin.truenas.arguments.base import Name
from homelab_lib.twin.truenas.catalog import CATALOG, published
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


@method("docker.status")
def docker_status(nas: TrueNas) -> Row:
    """Whether containers can run."""
    if nas.config["docker"]["pool"] is None:
        return {"status": "UNCONFIGURED", "description": "Application(s) are not configured"}
    return {"status": "RUNNING", "description": "Application(s) are currently running"}


@method("app.query")
def app_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """Installed apps."""
    return query(list(nas.apps), filters, options)


@method("app.config", {"app_name": Name})
def app_config(nas: TrueNas, app_name: str) -> Row:
    """The values of an app, with what its questions have for those that were not given."""
    _one(nas, app_name)
    return dict(nas.app_values[app_name])


@method("app.gpu_choices")
def app_gpu_choices(nas: TrueNas) -> Row:
    """Graphics that apps may be given, by their place on the bus."""
    found: Row = {}
    for function in nas.bus:
        if function.class_code.startswith("03"):
            maker = {"8086": "INTEL", "1002": "AMD", "10de": "NVIDIA"}.get(function.id[:4])
            found[function.slot] = {
                "vendor": maker,
                "description": function.title,
                "vendor_specific_config": {},
                "pci_slot": function.slot,
                "error": None if function.driver else "GPU not available to host",
                "gpu_details": {},
            }
    return found


@method("app.create", {"app_create": AppCreate}, job=True, lock="app_create")
def app_create(nas: TrueNas, data: Row) -> Work:
    """Install an app."""
    yield Progress(2.0, 25, "Initial Validation completed")
    name = data["app_name"]
    if nas.config["docker"]["pool"] is None:
        raise CallError("No pool configured for Docker")
    if any(app["name"] == name for app in nas.apps):
        raise CallError(f"Application with name {name} already exists", errno.EEXIST)
    if data["custom_app"]:
        data["values"] = _composed(data, "app_create")
    if not data["custom_app"] and not data["catalog_app"]:
        raise ValidationErrors.one("app_create.catalog_app", "This field is required")
    version = _judged(nas, name, data)
    yield Progress(20.0, 80, "Pulling app images")
    if why := nas.world.internet(nas) or nas.network.no_names:
        raise CallError(f"Failed to pull images: {why}")
    now, newest = nas.release >= GOLDEYE, nas.release >= HALFMOON
    row = {
        "id": name,
        "name": name,
        "state": "RUNNING",
        "upgrade_available": False,
        "latest_version": version,
        "image_updates_available": False,
        "custom_app": data["custom_app"],
        "migrated": False,
        "human_version": version,
        "version": version,
        "metadata": {"name": data["catalog_app"] or "custom-app", "train": data["train"]},
        "active_workloads": _WORKLOADS | ({"used_host_ips": []} if now else {}),
        "notes": None,
        "portals": {},
        **({"latest_app_version": None, "action_required": False} if newest else {}),
    }
    nas.apps.append(row)
    nas.app_values[name] = _with_defaults(data)
    nas.open_ports(row)
    return row


@method("app.update", {"app_name": Name, "update": left_out(AppUpdate)}, job=True)
def app_update(nas: TrueNas, app_name: str, data: Row) -> Work:
    """Other values: each top-level key as a whole; of one that is composed all of it."""
    row = _one(nas, app_name)
    yield Progress(2.0, 25, "Initial Validation completed")
    if row["custom_app"]:
        values = _composed(data, "app_update")
    else:
        values = nas.app_values[app_name] | data["values"]
        made = {"catalog_app": row["metadata"]["name"], "values": values, "custom_app": False}
        _judged(nas, app_name, made)
    yield Progress(15.0, 80, "Updating docker resources")
    nas.app_values[app_name] = values
    if row["state"] != "STOPPED":  # such a one is left so
        row["state"] = "RUNNING"
    nas.open_ports(row)
    return row


@method("app.start", {"app_name": Name}, job=True)
def app_start(nas: TrueNas, app_name: str) -> Work:
    """Start an app."""
    row = _one(nas, app_name)
    yield Progress(5.0, 20, "Starting")
    row["state"] = "RUNNING"


@method("app.stop", {"app_name": Name}, job=True)
def app_stop(nas: TrueNas, app_name: str) -> Work:
    """Stop an app."""
    row = _one(nas, app_name)
    yield Progress(5.0, 20, "Stopping")
    row["state"] = "STOPPED"


def _composed(data: Row, place: str) -> Row:
    """The document of Compose of an app that is in no catalog."""
    whole, text = data["custom_compose_config"], data["custom_compose_config_string"]
    if not whole and not text:
        raise ValidationErrors.one(f"{place}.custom_compose_config", "This field is required")
    if whole and text:
        says = "Only one of these fields should be provided"
        raise ValidationErrors.one(f"{place}.custom_compose_config_string", says)
    try:
        document = whole or yaml.safe_load(text)
    except yaml.YAMLError:
        says = "Invalid YAML provided"
        raise ValidationErrors.one(f"{place}.custom_compose_config_string", says) from None
    if not isinstance(document, dict):
        says = "Invalid compose configuration: top-level object must be a mapping"
        raise ValidationErrors.one(f"{place}.custom_compose_config_string", says)
    return document


def _one(nas: TrueNas, name: str) -> Row:
    for row in nas.apps:
        if row["id"] == name:
            return row
    raise CallError(f"Application {name} does not exist", errno.ENOENT)


def _judged(nas: TrueNas, name: str, data: Row) -> str:
    """Values by the app's questions, as far as the twin knows the app; its version."""
    if data["custom_app"]:
        return "1.0.0"
    known = CATALOG.get(data["catalog_app"])
    version: str = data.get("version", "latest")
    if known is None:
        return version
    errors = ValidationErrors()
    place = "app_create.values"
    if version not in ("latest", known.version):
        errors.add("app_create.version", f"Version {version} not found", errno.ENOENT)
    storage = data["values"].get("storage", {})
    kind = storage.get("transcodes", {}).get("type")
    if kind is not None and kind not in known.transcodes:
        errors.add(f"{place}.storage.transcodes.type", f"Invalid choice: {kind}")
    for number, each in enumerate(storage.get("additional_storage", ())):
        path = each.get("host_path_config", {}).get("path", "")
        if each.get("type") == "host_path" and nas.dataset_of(path) is None:
            where = f"{place}.storage.additional_storage.{number}.host_path_config.path"
            errors.add(where, f"{path}: Path not found")
    taken = {port for app in nas.apps if app["id"] != name for port in nas.ports_of(app)}
    for key, port in published(data["values"]).items():
        if port in taken:
            errors.add(
                f"{place}.network.{key}.port_number", "The port is being used by another app"
            )
    errors.check()
    return known.version


def _with_defaults(data: Row) -> Row:
    known = CATALOG.get(data["catalog_app"] or "")
    return (dict(known.defaults) if known else {}) | data["values"]
