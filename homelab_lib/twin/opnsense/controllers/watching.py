"""Logging, monit, and the kernel's settings: `syslog/…`, `monit/…`, `core/tunables`."""

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.api import Action
from homelab_lib.twin.opnsense.controllers import mutable
from homelab_lib.twin.opnsense.controllers.answers import Answer
from homelab_lib.twin.opnsense.controllers.searching import search_rows
from homelab_lib.twin.opnsense.controllers.service import reconfigure, service
from homelab_lib.twin.opnsense.visit import Visit

_SYSLOG, _MONIT = "Syslog.Syslog", "Monit.Monit"
_TUNABLE = ("Core.Tunables", "sysctl", "item")
_MONIT_OK = "Control file syntax OK"


def _syslog_on(visit: Visit) -> bool:
    return not php.is_empty(visit.tree(_SYSLOG).at("general.enabled").value)


def _monit_on(visit: Visit) -> bool:
    return not php.is_empty(visit.tree(_MONIT).at("general.enabled").value)


def search_destinations(visit: Visit) -> Answer:
    return search_rows(visit, _SYSLOG, "destinations.destination", sort="description")


def reconfigure_monit(visit: Visit) -> Answer:
    """It answers what it looked at as well."""
    if not visit.is_post:
        return {"status": "failed"}
    on = _monit_on(visit)
    visit.firewall.started["monit"] = on
    visit.firewall.apply("monit")
    status = "OK" if on else "ok"
    return {"status": status, "function": "check", "template": "OK", "result": _MONIT_OK}


def set_tunable(visit: Visit, uuid: str) -> Answer:
    """One by its name becomes a row."""
    named = visit.is_post and uuid.count("-") != 4
    return mutable.set_row(visit, *_TUNABLE, visit.new_uuid() if named else uuid)


def _monit_rows() -> dict[str, Action]:
    found: dict[str, Action] = {}
    for noun, *fields in (
        ("alert", "enabled", "recipient", "noton", "events", "description"),
        ("service", "enabled", "name", "type", "description"),
        ("test", "name", "condition", "action"),
    ):
        sort = "description" if noun == "alert" else "name"
        found |= mutable.rows(
            *(_MONIT, noun, noun, noun), toggles=noun != "test", sort=sort, fields=fields
        )
    return found


ENDPOINTS: dict[str, dict[str, Action]] = {
    "syslog/settings": {
        **mutable.settings(_SYSLOG, "syslog"),
        **mutable.rows(
            *(_SYSLOG, "destination", "destinations.destination", "destination"),
            toggles=True,
            finds="destinations",
        ),
        "search_destinations": search_destinations,
    },
    "syslog/service": service("syslog", _syslog_on),
    "monit/settings": {**mutable.settings(_MONIT, "monit"), **_monit_rows()},
    "monit/service": {**service("monit", _monit_on), "reconfigure": reconfigure_monit},
    "core/tunables": {
        **mutable.settings(_TUNABLE[0], "sysctl"),
        **mutable.rows(*_TUNABLE, sort="no column of theirs"),
        "set_item": set_tunable,
        "reconfigure": reconfigure("tunables"),
    },
}
