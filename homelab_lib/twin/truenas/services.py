"""API of services: whether they run, and whether they start with the system.

Source: TrueNAS middleware 24.10 to 26, `service`. `silent` is true unless it is given: a service
that does not start answers False, and nobody hears of it.
"""

import errno
from typing import Any

from homelab_lib.twin.truenas.errors import ApiError, CallError
from homelab_lib.twin.truenas.jobs import Progress, Work
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import (
    GOLDEYE,
    HALFMOON,
    NULL,
    Field,
    Fields,
    method,
)
from homelab_lib.twin.truenas.tables import ServiceState

Row = dict[str, Any]

_OPTIONS = Fields(
    "service-control",
    {
        "ha_propagate": Field((bool,), True),
        "silent": Field((bool,), True),
        "timeout": Field((int, NULL), 120),
    },
)


@method("service.query")
def service_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """All services."""
    return query([service.row() for service in nas.services.values()], filters, options)


@method("service.started")
def service_started(nas: TrueNas, service: str) -> bool:
    """Whether it runs."""
    return _service(nas, service).running


@method("service.update", data=Fields("service_update", {"enable": Field((bool,))}))
def service_update(nas: TrueNas, id_or_name: int | str, data: Row) -> int:
    """Start it with the system, or don't. It is neither started nor stopped now."""
    for service in nas.services.values():
        if str(id_or_name) in (service.name, str(service.id)):
            service.enable = data["enable"]
            return service.id
    raise CallError(f"Service {id_or_name} not found.", errno.ENOENT)


def _service(nas: TrueNas, name: str) -> ServiceState:
    if name not in nas.services:
        raise ApiError(f"MatchNotFound({name!r})")
    return nas.services[name]


def _control(nas: TrueNas, verb: str, name: str, options: Row) -> bool:
    service = _service(nas, name)
    if verb == "STOP":
        service.running = False
        return True
    if why := nas.cannot_start(name):
        service.running = False
        if options["silent"]:
            return False
        raise CallError(why)
    service.running = True
    return True


@method("service.control", since=GOLDEYE, job=True, options=_OPTIONS)
def service_control(nas: TrueNas, verb: str, service: str, options: Row | None = None) -> Work:
    """START, STOP, RESTART or RELOAD a service."""
    if verb not in ("START", "STOP", "RESTART", "RELOAD"):
        raise ApiError("[EINVAL] verb: Input should be 'START', 'STOP', 'RESTART' or 'RELOAD'")
    yield Progress(1.5, 0, "")
    return _control(nas, verb, service, options or {})


@method("service.start", until=HALFMOON, options=_OPTIONS)
def service_start(nas: TrueNas, service: str, options: Row | None = None) -> bool:
    """Start a service."""
    return _control(nas, "START", service, options or {})


@method("service.stop", until=HALFMOON, options=_OPTIONS)
def service_stop(nas: TrueNas, service: str, options: Row | None = None) -> bool:
    """Stop a service."""
    return _control(nas, "STOP", service, options or {})


@method("service.restart", until=HALFMOON, options=_OPTIONS)
def service_restart(nas: TrueNas, service: str, options: Row | None = None) -> bool:
    """Stop a service and start it."""
    return _control(nas, "RESTART", service, options or {})


@method("service.reload", until=HALFMOON, options=_OPTIONS)
def service_reload(nas: TrueNas, service: str, options: Row | None = None) -> bool:
    """Have a service read its settings again."""
    return _control(nas, "RELOAD", service, options or {})
