"""API of services: whether they run, and whether they start with the system.

Source: TrueNAS middleware 25.04 to 26, `service`. `silent` is true unless it is given: a service
that does not start answers False, and nobody hears of it.
"""

import errno
from typing import Any

from homelab_lib.twin.truenas.arguments.base import Text
from homelab_lib.twin.truenas.arguments.system import ServiceOptions, ServiceUpdate, Verb
from homelab_lib.twin.truenas.errors import ApiError, CallError
from homelab_lib.twin.truenas.jobs import Progress, Work
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import GOLDEYE, HALFMOON, left_out, method
from homelab_lib.twin.truenas.tables import ServiceState

Row = dict[str, Any]

_TAKES: Row = {"service": Text, "options": left_out(ServiceOptions)}


@method("service.query")
def service_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """All services."""
    return query([service.row() for service in nas.services.values()], filters, options)


@method("service.started", {"service": Text})
def service_started(nas: TrueNas, service: str) -> bool:
    """Whether it runs."""
    return _service(nas, service).running


@method("service.update", {"id_or_name": int | Text, "service_update": ServiceUpdate})
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


@method("service.control", {"verb": Verb} | _TAKES, since=GOLDEYE, job=True)
def service_control(nas: TrueNas, verb: str, service: str, options: Row) -> Work:
    """START, STOP, RESTART or RELOAD a service."""
    yield Progress(1.5, 0, "")
    return _control(nas, verb, service, options)


@method("service.start", _TAKES, until=HALFMOON)
def service_start(nas: TrueNas, service: str, options: Row) -> bool:
    """Start a service."""
    return _control(nas, "START", service, options)


@method("service.stop", _TAKES, until=HALFMOON)
def service_stop(nas: TrueNas, service: str, options: Row) -> bool:
    """Stop a service."""
    return _control(nas, "STOP", service, options)


@method("service.restart", _TAKES, until=HALFMOON)
def service_restart(nas: TrueNas, service: str, options: Row) -> bool:
    """Stop a service and start it."""
    return _control(nas, "RESTART", service, options)


@method("service.reload", _TAKES, until=HALFMOON)
def service_reload(nas: TrueNas, service: str, options: Row) -> bool:
    """Have a service read its settings again."""
    return _control(nas, "RELOAD", service, options)
