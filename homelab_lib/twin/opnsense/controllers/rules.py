"""Rules of the packet filter and of translation: `firewall/filter`, `d_nat`, `source_nat`, …"""

from collections.abc import Callable, Iterable
from typing import Any

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.api import Action
from homelab_lib.twin.opnsense.controllers import answers, mutable, rollback
from homelab_lib.twin.opnsense.controllers.answers import Answer
from homelab_lib.twin.opnsense.controllers.automatic import automatic
from homelab_lib.twin.opnsense.controllers.moving import FILTER, move
from homelab_lib.twin.opnsense.controllers.records import search_records
from homelab_lib.twin.opnsense.controllers.rule_names import colours, names_of
from homelab_lib.twin.opnsense.controllers.searching import search_rows
from homelab_lib.twin.opnsense.errors import Refused, Unexpected
from homelab_lib.twin.opnsense.nodes import Box
from homelab_lib.twin.opnsense.visit import Visit

_SOURCE = ("Firewall.Filter", "rule", "snatrules.rule")
_ONE = ("Firewall.Filter", "rule", "onetoone.rule")
_PREFIX = ("Firewall.Filter", "rule", "npt.rule")
_FORWARD = ("Firewall.DNat", "rule", "rule")


def apply(visit: Visit, revision: str = "") -> Answer:
    """Have the filter take over what is written; in 26.1 it may be told what to go back to."""
    if not visit.is_post:
        return {"status": "error"}
    if revision and visit.release < (26, 7):
        rollback.arm(visit.firewall, revision)
    return {"status": "OK\n\n" if visit.firewall.reload_filter() else None}


def search_filter(visit: Visit) -> Answer:
    """Rules, each with the names that its ends go by."""
    interfaces: list[str] | None = None
    if "interface" in visit.request:
        interfaces = [name for name in visit.text("interface").split(",") if name]
        groups = visit.tree("Firewall.Group").at("ifgroupentry").rows() if interfaces else []
        interfaces += [
            group["ifname"].value
            for group in groups
            if set(interfaces) & set(group["members"].values)
        ]
    fields = ("source_net", "source_port", "destination_net", "destination_port")
    found = []
    for row in visit.tree("Firewall.Filter").at("rules.rule").rows():
        if interfaces is not None and not _on(row, interfaces):
            continue
        record = {"uuid": row.uuid, **row.content()}
        record["category_colors"] = colours(visit, row["categories"].values)
        found.append(record | _told(visit, record, fields))
    return search_records(visit, found, "sort_order")


def _on(row: Box, interfaces: list[str]) -> bool:
    mine = row["interface"].values
    if not mine:
        return True
    if not row["interfacenot"].is_empty:
        return not set(mine) & set(interfaces)
    if not interfaces and len(mine) != 1:
        return True
    return bool(set(mine) & set(interfaces))


def _told(visit: Visit, record: Answer, fields: Iterable[str]) -> Answer:
    return {
        f"alias_meta_{field}": names_of(visit, record[field])
        for field in fields
        if not php.is_empty(record.get(field, ""))
    }


def toggle_log(model: tuple[str, str, str]) -> Action:
    """Whether a rule's packets are logged."""

    def action(visit: Visit, uuid: str, log: str) -> Answer:
        if not visit.is_post:
            return {"status": "error", "message": "Invalid request method"}
        tree = visit.tree(model[0])
        row = tree.at(model[2]).get(uuid)
        if row is None:
            raise Refused("Rule not found")
        row["log"].set(log)
        wrong = tree.messages()
        if wrong:
            raise Unexpected(wrong[0].text)
        answers.store(visit, tree)
        return {"status": "ok"}

    return action


def get_rule(model: tuple[str, str, str]) -> Action:
    """A rule; of a copy the number is the next."""

    def action(visit: Visit, uuid: str = "") -> Answer:
        answer = mutable.get_row(visit, *model, uuid)
        numbers = model is FILTER or visit.release >= (26, 7)
        if visit.text("fetchmode") == "copy" and answer and numbers:
            rows = visit.tree(model[0]).at(model[2]).rows()
            answer["rule"]["sequence"] = max((r["sequence"].int() for r in rows), default=0) + 100
        return answer

    return action


def _signed(visit: Visit) -> Callable[[Box], None]:
    """Who made a port forward, and who changed it last."""

    def sign(row: Box) -> None:
        made, changed = row["created"], row["updated"]
        now = f"{visit.firewall.world.clock.now():.2f}"
        for part in (changed, made) if made["time"].is_empty else (changed,):
            part["time"].set(now)
            part["username"].set(visit.user)
            part["description"].set("/api.php made changes")

    return sign


def _unsigned(visit: Visit) -> None:
    """Nobody says of himself when he made a rule."""
    if "rule" not in visit.post:
        raise Unexpected("rule is missing")
    given = visit.posted("rule")
    if given is not None:
        visit.post["rule"] = {key: value for key, value in given.items() if key != "created"}


def add_forward(visit: Visit) -> Answer:
    _unsigned(visit)
    return mutable.add_row(visit, *_FORWARD, before_save=_signed(visit))


def set_forward(visit: Visit, uuid: str) -> Answer:
    _unsigned(visit)
    return mutable.set_row(visit, *_FORWARD, uuid, before_save=_signed(visit))


def toggle_forward(visit: Visit, uuid: str, disabled: str = "") -> Answer:
    """1 switches it *off*, the other way round than with every other rule."""
    if not visit.is_post:
        return {"result": "failed"}
    tree = visit.tree("Firewall.DNat")
    row = tree.at("rule").get(uuid)
    if row is None:
        return {"result": "failed"}
    switch = row["disabled"]
    switch.set(disabled if disabled in ("0", "1") else "0" if switch.text == "1" else "1")
    answers.store(visit, tree)
    return {"result": "Enabled" if switch.is_empty else "Disabled"}


def search_forward(visit: Visit) -> Answer:
    answer = search_rows(visit, "Firewall.DNat", "rule", sort="sequence")
    fields = ("source.network", "source.port", "destination.network", "destination.port")
    for row in answer["rows"]:
        row["category_colors"] = colours(visit, row["categories"].split(","))
        row |= _told(visit, row, (*fields, "target", "local-port"))
        known = [visit.config.find(f"interfaces/{n}") for n in row["interface"].split(",") if n]
        gone = bool(known) and all(each is None for each in known) and visit.release >= (26, 7)
        group = 600000 if gone else 400000
        row["sort_order"] = f"{group}.0{php.leading_int(row['sequence']):06d}"
        row["prio_group"] = str(group)
    for number, port in enumerate(_lockout_ports(visit)):
        answer["rows"].insert(0, _lockout(visit, number, port))
    return answer


def _lockout_ports(visit: Visit) -> list[str]:
    web, ssh = visit.config.find("system/webgui"), visit.config.find("system/ssh")
    ports = [(web.findtext("port") if web is not None else "") or "443", "80"]
    if ssh is not None and ssh.find("enabled") is not None:
        ports.append(ssh.findtext("port") or "22")
    return sorted(ports, key=int)


def _lockout(visit: Visit, number: int, port: str) -> dict[str, Any]:
    return {
        "uuid": f"lockout_{number}",
        "ipprotocol": "",
        "protocol": "tcp",
        "%protocol": "TCP",
        "disabled": "0",
        "nordr": "1",
        "interface": "lan",
        "%interface": "LAN",
        "destination.network": "lanip",
        "destination.port": port,
        "alias_meta_destination.port": names_of(visit, port),
        "alias_meta_destination.network": names_of(visit, "lanip"),
        "descr": "Anti-Lockout Rule",
        "is_automatic": True,
        "sort_order": f"100000.0{number:06d}",
        "prio_group": "100000",
    }


def set_mode(visit: Visit) -> Answer:
    """How outgoing packets are translated; anything but that is passed over in silence."""
    if not visit.is_post:
        return {"result": "failed"}
    tree = visit.tree("Firewall.Filter")
    general = tree.at("general")
    given = visit.posted("filter")
    if given is None and visit.has_post("filter"):
        raise Unexpected("filter is no object")
    inside = (given or {}).get("general") or {}
    general.set(php.mapping(inside))
    wrong = answers.validations(tree.messages(), general, "filter.general")
    if wrong:
        return wrong
    answers.store(visit, tree)
    return {"result": "saved"}


def get_mode(visit: Visit) -> Answer:
    return {"filter": {"general": visit.tree("Firewall.Filter").at("general").nodes()}}


def _rules(model: tuple[str, str, str], **more: Action) -> dict[str, Action]:
    return {
        **mutable.settings(model[0], "DNat" if model is _FORWARD else "filter"),
        **mutable.rows(*model, "rule", toggles=True),
        "get_rule": get_rule(model),
        "move_rule_before": move(model),
        "toggle_rule_log": toggle_log(model),
        "apply": apply,
        **more,
    }


def search_by_rows(model: tuple[str, str, str], *fields: str) -> Action:
    """Rules by number, each with the names that its ends go by and the colours it has."""

    def action(visit: Visit) -> Answer:
        answer = search_rows(visit, model[0], model[2], sort="sequence")
        for row in answer["rows"]:
            row["category_colors"] = colours(visit, row["categories"].split(","))
            row |= _told(visit, row, fields)
        return answer

    return action


def search_translation(visit: Visit) -> Answer:
    """Ours where the mode has them, and where it has them the firewall's own."""
    mode = visit.tree("Firewall.Filter").at("general.snat_mode").value
    rows = visit.tree("Firewall.Filter").at("snatrules.rule").rows()
    fields = ("source_net", "source_port", "destination_net", "destination_port")
    found = []
    for row in rows if mode in ("hybrid", "advanced") else ():
        record = {"uuid": row.uuid, **row.content()}
        record["category_colors"] = colours(visit, row["categories"].values)
        found.append(record | _told(visit, record, (*fields, "target", "target_port")))
    for record in automatic(visit.config, visit.release) if mode in ("automatic", "hybrid") else ():
        told = _told(visit, record, (*fields, "target", "target_port"))
        found.append(record | {"category_colors": []} | told)
    return search_records(visit, found, "sort_order")


ENDPOINTS = {
    "firewall/filter": _rules(FILTER, search_rule=search_filter),
    "firewall/source_nat": _rules(_SOURCE, search_rule=search_translation, set_general=set_mode),
    "firewall/one_to_one": _rules(
        _ONE, search_rule=search_by_rows(_ONE, "source_net", "destination_net")
    ),
    "firewall/npt": _rules(_PREFIX, search_rule=search_by_rows(_PREFIX)),
    "firewall/d_nat": _rules(
        _FORWARD,
        search_rule=search_forward,
        add_rule=add_forward,
        set_rule=set_forward,
        toggle_rule=toggle_forward,
    ),
}
BEFORE_26_7 = {name: {**actions, **rollback.ACTIONS} for name, actions in ENDPOINTS.items()}
SINCE_26_7 = {
    "firewall/source_nat": {
        name: body
        for name, body in ENDPOINTS["firewall/source_nat"].items()
        if name != "set_general"
    }
    | {"set": set_mode, "get": get_mode}
}
