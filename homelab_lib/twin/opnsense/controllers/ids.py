"""Suricata: `ids/settings` and `ids/service`."""

from typing import Any

from homelab_lib.twin.opnsense.api import Action
from homelab_lib.twin.opnsense.controllers import answers, mutable
from homelab_lib.twin.opnsense.controllers.answers import Answer
from homelab_lib.twin.opnsense.controllers.records import search_records
from homelab_lib.twin.opnsense.controllers.service import service
from homelab_lib.twin.opnsense.errors import Unexpected
from homelab_lib.twin.opnsense.models.ids import PROPERTIES
from homelab_lib.twin.opnsense.nodes import Box
from homelab_lib.twin.opnsense.rulesets import Ruleset, rulesets
from homelab_lib.twin.opnsense.visit import Visit

_MODEL = "IDS.IDS"


def _file(visit: Visit, filename: str) -> Box:
    """The row of a ruleset; made where there is none yet."""
    rows = visit.tree(_MODEL).at("files.file")
    for row in rows.rows():
        if row["filename"].value == filename:
            assert isinstance(row, Box)
            return row
    row = rows.add()
    row["filename"].set(filename)
    assert isinstance(row, Box)
    return row


def get(visit: Visit) -> Answer:
    """The general part alone."""
    if visit.method != "GET":
        return {}
    return {"ids": {"general": visit.tree(_MODEL).at("general").nodes()}}


def list_rulesets(visit: Visit) -> Answer:
    return search_records(
        visit, [_told(visit, e) for e in rulesets(visit.release).values()], "description"
    )


def _told(visit: Visit, ruleset: Ruleset) -> dict[str, Any]:
    page = f"https://{ruleset.page}"
    return {
        "description": ruleset.description,
        "filename": ruleset.filename,
        "documentation_url": page,
        "documentation": f"<a href='{page}' target='_new'>{page}</a>",
        "modified_local": None,
        "enabled": _file(visit, ruleset.filename)["enabled"].value,
    }


def get_ruleset(visit: Visit, filename: str) -> Answer:
    known = rulesets(visit.release)
    return _told(visit, known[filename]) if filename in known else {}


def toggle_ruleset(visit: Visit, filenames: str, enabled: str = "") -> Answer:
    """Unknown names make it an error; the others are switched all the same."""
    answer = {"status": "none"}
    if not visit.is_post:
        return answer
    changed = False
    known = rulesets(visit.release)
    for filename in filenames.split(","):
        if filename not in known:
            answer["status"] = "error"
            continue
        switch = _file(visit, filename)["enabled"]
        on = enabled if enabled in ("0", "1") else "0" if switch.text == "1" else "1"
        switch.set(on)
        changed = True
        if answer["status"] != "error":
            answer["status"] = on
    if changed:
        tree = visit.tree(_MODEL)
        wrong = tree.messages()
        if wrong:
            raise Unexpected(wrong[0].text)
        answers.store(visit, tree)
    return answer


def properties(visit: Visit) -> Answer:
    return {"properties": []}


def metadata(visit: Visit) -> Answer:
    """What rules say of themselves, and the policies."""
    found: dict[str, Any] = {}
    for name, values in PROPERTIES.items():
        found[name] = list(values)
    found["matched_policy"] = ["__manual__"]
    return found


def _enabled(visit: Visit) -> bool:
    return bool(visit.tree(_MODEL).at("general.enabled").text == "1")


def reconfigure(visit: Visit) -> dict[str, str]:
    """Take over what is written; at the first time the update is made a job, switched off."""
    if not visit.is_post:
        return {"status": "failed"}
    tree = visit.tree(_MODEL)
    update = tree.at("general.UpdateCron")
    if update.is_empty:
        jobs = visit.tree("Cron.Cron")
        job = jobs.at("jobs.job").add()
        job.set(
            {
                "origin": "IDS",
                "command": "ids update",
                "description": "ids rule updates",
                "weekdays": "*",
                "enabled": "0",
            }
        )
        update.set(job.uuid)
        jobs.store()
        tree.store()
        visit.save()
    visit.firewall.started["ids"] = _enabled(visit)
    visit.firewall.apply("ids")
    return {"status": "OK"}


def update_rules(visit: Visit, wait: str = "") -> dict[str, str]:
    """Fetch rules; in the background where anything is said."""
    if not visit.is_post:
        return {"status": "failed"}
    visit.firewall.apply("ids-rules")
    return {"status": f"{visit.new_uuid()}\n" if wait else "OK\n\n"}


def reload_rules(visit: Visit) -> dict[str, str]:
    if not visit.is_post:
        return {"status": "failed"}
    visit.firewall.apply("ids-rules")
    return {"status": "OK\n\n"}


def query_alerts(visit: Visit) -> Answer:
    """Nothing has been seen yet."""
    return {}


def _set(visit: Visit) -> Answer:
    return mutable.set_model(visit, _MODEL, "ids")


def check_policy_rule(visit: Visit) -> Answer:
    count = len(visit.tree(_MODEL).at("rules.rule").rows())
    return {"status": "ok" if count <= 100 else "warning", "count": count}


_TABLES: tuple[tuple[str, str, str], ...] = (
    ("rule", "userDefinedRules.rule", "user_rule"),
    ("policy", "policies.policy", "policy"),
    ("rule", "rules.rule", "policy_rule"),
)
_SETTINGS: dict[str, Action] = {
    "get": get,
    "set": _set,
    "list_rulesets": list_rulesets,
    "get_ruleset": get_ruleset,
    "toggle_ruleset": toggle_ruleset,
    "get_rulesetproperties": properties,
    "list_rule_metadata": metadata,
    "check_policy_rule": check_policy_rule,
}
for _root, _path, _noun in _TABLES:
    _SETTINGS |= mutable.rows(
        *(_MODEL, _root, _path, _noun),
        toggles=True,
        sort="sid" if _noun == "policy_rule" else "description",
    )

ENDPOINTS: dict[str, dict[str, Action]] = {
    "ids/settings": _SETTINGS,
    "ids/service": {
        **service("ids", _enabled),
        "reconfigure": reconfigure,
        "update_rules": update_rules,
        "reload_rules": reload_rules,
        "query_alerts": query_alerts,
    },
}
