"""API of the system itself: what it is, its jobs and alerts.

Source: TrueNAS middleware 25.04 to 26: `system`, `core`, `alert`.
"""

from typing import Any

from homelab_lib.twin.truenas.jobs import date
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import method

Row = dict[str, Any]


@method("system.ready")
def system_ready(nas: TrueNas) -> bool:
    """Whether the middleware has started."""
    return True


@method("system.version")
def system_version(nas: TrueNas) -> str:
    """The release, with the product's name in front."""
    return f"TrueNAS-{nas.version}"


@method("system.version_short")
def system_version_short(nas: TrueNas) -> str:
    """The release."""
    return nas.version


@method("system.info")
def system_info(nas: TrueNas) -> Row:
    """Release, host name, memory, processor."""
    uptime_s = nas.uptime_s()
    return {
        "version": nas.version,
        "buildtime": date(0.0),
        "hostname": nas.name,
        "physmem": nas.memory_bytes,
        "model": nas.cpu_model,
        "cores": nas.threads,
        "physical_cores": nas.threads,
        "loadavg": [0.1, 0.1, 0.1],
        "uptime": f"{uptime_s / 86400:.0f} days",
        "uptime_seconds": uptime_s,
        "system_serial": None,
        "system_product": None,
        "system_product_version": None,
        "license": None,
        "boottime": date(nas.now_s() - uptime_s),
        "datetime": date(nas.now_s()),
        "timezone": "Etc/UTC",
        "system_manufacturer": None,
        "ecc_memory": False,
    }


@method("core.ping")
def core_ping(nas: TrueNas) -> str:
    """It is there."""
    return "pong"


@method("core.get_jobs")
def get_jobs(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """All jobs since the middleware was started."""
    return query([job.row() for job in nas.jobs.all.values()], filters, options)


@method("alert.list")
def alert_list(nas: TrueNas) -> list[Row]:
    """What the system complains about."""
    return list(nas.alerts)


@method("systemdataset.config")
def systemdataset_config(nas: TrueNas) -> Row:
    """Where logs and databases are kept."""
    return dict(nas.config["systemdataset"])
