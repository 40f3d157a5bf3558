"""cron: `cron/settings` and `cron/service`."""

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.api import Action
from homelab_lib.twin.opnsense.controllers import answers, mutable
from homelab_lib.twin.opnsense.controllers.answers import Answer
from homelab_lib.twin.opnsense.controllers.searching import search_rows
from homelab_lib.twin.opnsense.controllers.service import reconfigure
from homelab_lib.twin.opnsense.errors import Refused, Unexpected
from homelab_lib.twin.opnsense.models.cron import ACTIONS
from homelab_lib.twin.opnsense.visit import Visit

_JOB = ("Cron.Cron", "job", "jobs.job")
_OTHERS = "This item has been created by another service, command and parameter may not be changed."


def set_job(visit: Visit, uuid: str) -> Answer:
    """A service's own job keeps its command; unknown jobs are not made here."""
    tree = visit.tree(_JOB[0])
    row = tree.at(_JOB[2]).get(uuid)
    given = visit.posted("job")
    if not visit.is_post or row is None or not visit.has_post("job"):
        return {"result": "failed"}
    wrong: dict[str, str] = {}
    if row["origin"].value != "cron":
        if given is None or not {"command", "parameters"} <= set(given):
            raise Unexpected("command or parameters are missing")
        if php.text_of(given["command"]) != row["command"].value:
            wrong["job.command"] = _OTHERS
        was = row["parameters"].value
        if php.text_of(given["parameters"]) != was:
            wrong["job.parameters"] = f"{_OTHERS} (was: {was})"
    row.set(given)
    for message in tree.messages():
        wrong[message.key.replace(row.ref, "job")] = message.text
    if wrong:
        return {"result": "failed", "validations": wrong}
    answers.store(visit, tree)
    return {"result": "saved"}


def delete_job(visit: Visit, uuid: str) -> Answer:
    """What a service has registered stays as long as its action is there."""
    row = visit.tree(_JOB[0]).at(_JOB[2]).get(uuid)
    if row is None:
        raise Unexpected("no such job")
    if row["origin"].value != "cron" and row["command"].value in ACTIONS:
        raise Refused("Cannot delete this automatically registered cron job.")
    return mutable.delete_rows(visit, _JOB[0], _JOB[2], uuid)


def search_jobs(visit: Visit) -> Answer:
    return search_rows(visit, _JOB[0], _JOB[2], sort="description")


ENDPOINTS: dict[str, dict[str, Action]] = {
    "cron/settings": {
        **mutable.settings(_JOB[0], "job"),
        **mutable.rows(*_JOB, "job", toggles=True, finds="jobs"),
        "set_job": set_job,
        "del_job": delete_job,
        "search_jobs": search_jobs,
    },
    "cron/service": {"reconfigure": reconfigure("cron")},
}
