"""API of cron jobs. Source: TrueNAS middleware 24.10 to 26, `cronjob`."""

import errno
from typing import Any

from homelab_lib.twin.truenas.errors import ValidationErrors
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import query
from homelab_lib.twin.truenas.rpc import Field, Fields, method

Row = dict[str, Any]

CRON = {"minute": "00", "hour": "*", "dom": "*", "month": "*", "dow": "*"}
_JOB = {
    "command": Field((str,)),
    "user": Field((str,)),
    "description": Field((str,), ""),
    "schedule": Field((dict,), {}),
    "stdout": Field((bool,), True),
    "stderr": Field((bool,), False),
    "enabled": Field((bool,), True),
}


@method("cronjob.query")
def job_query(nas: TrueNas, filters: Any = None, options: Any = None) -> Any:
    """What is run at set times."""
    return query(nas.tables["cronjob"].rows(), filters, options)


@method("cronjob.create", data=Fields("cron_job_create", _JOB))
def job_create(nas: TrueNas, data: Row) -> Row:
    """Run a command from now on."""
    if data["user"] not in nas.user_names():
        raise ValidationErrors.one("cron_job_create.user", "Specified user does not exist")
    number = nas.tables["cronjob"].insert(data | {"schedule": CRON | data["schedule"]})
    return job_query(nas, [["id", "=", number]], {"get": True})


@method("cronjob.update", data=Fields("cron_job_update", _JOB, update=True))
def job_update(nas: TrueNas, id_: int, data: Row) -> Row:
    """Change a job."""
    row = nas.tables["cronjob"].get(id_)
    if row is None:
        raise ValidationErrors.one("", f"CronJob {id_} does not exist", errno.ENOENT)
    row |= data | {"schedule": row["schedule"] | data.get("schedule", {})}
    return job_query(nas, [["id", "=", id_]], {"get": True})
