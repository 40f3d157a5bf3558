"""Gateways and routes: `routing/…` and `routes/…`."""

from typing import Any

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.api import Action
from homelab_lib.twin.opnsense.controllers import answers, mutable
from homelab_lib.twin.opnsense.controllers.answers import Answer
from homelab_lib.twin.opnsense.controllers.records import search_records
from homelab_lib.twin.opnsense.controllers.searching import search_rows
from homelab_lib.twin.opnsense.controllers.service import reconfigure
from homelab_lib.twin.opnsense.errors import Refused, Unexpected
from homelab_lib.twin.opnsense.gateways import Gateway, by_name
from homelab_lib.twin.opnsense.models.routing import PROBES, members
from homelab_lib.twin.opnsense.visit import Visit

_GATEWAY = ("Routing.Gateways", "gateway_item", "gateway_item")
_GROUP = ("Routing.GatewayGroups", "gateway_group", "gateway_group")
_ROUTE = ("Routes.Route", "route", "route")


def _all(visit: Visit) -> dict[str, Gateway]:
    return by_name(visit.config, visit.firewall, disabled=True, inactive=True)


def search_gateway(visit: Visit) -> Answer:
    """Those that were written down, and those that come with an interface."""
    found = _all(visit)
    leading = {
        family: next((n for n, g in found.items() if _leads(g, family)), "")
        for family in ("inet", "inet6")
    }
    records = [_told(visit, gateway, leading) for gateway in found.values()]
    return search_records(visit, records)


def _on(gateway: Gateway, name: str) -> bool:
    return not php.is_empty(php.text_of(gateway.get(name) or ""))


def _leads(gateway: Gateway, family: str) -> bool:
    out = any(_on(gateway, name) for name in ("disabled", "defunct", "force_down"))
    return gateway["ipprotocol"] == family and not out


def _told(visit: Visit, gateway: Gateway, leading: dict[str, str]) -> Answer:
    told: dict[str, Any] = dict(gateway)
    if gateway.get("uuid"):
        for name, default in PROBES.items():
            value = gateway.get(name) or ""
            told[f"current_{name}"] = str(default) if php.is_empty(value) else value
    interface = visit.config.find(f"interfaces/{gateway['interface']}")
    descr = "" if interface is None else interface.findtext("descr") or ""
    return told | {
        "uuid": gateway.get("uuid") or gateway["name"],
        "virtual": bool(gateway.get("virtual")),
        "disabled": _on(gateway, "disabled"),
        "upstream": _on(gateway, "defaultgw"),
        "defaultgw": gateway["name"] in leading.values(),
        "interface_descr": descr or gateway["interface"].upper(),
        "status": "Pending",
        "delay": "~",
        "stddev": "~",
        "loss": "~",
        "label_class": "fa fa-plug text-success",
    }


def get_gateway(visit: Visit, uuid: str = "") -> Answer:
    """A row, or by its name one that comes with an interface."""
    if mutable.is_uuid(uuid):
        return mutable.get_row(visit, *_GATEWAY, uuid)
    row = visit.tree(_GATEWAY[0]).at("gateway_item").add()
    known = _all(visit).get(uuid, {})
    row.set({key: value for key, value in known.items() if key != "gateway"})
    return {"gateway_item": row.nodes()}


def set_gateway(visit: Visit, uuid: str) -> Answer:
    """One that is no row yet becomes one."""
    return mutable.set_row(visit, *_GATEWAY, uuid if mutable.is_uuid(uuid) else visit.new_uuid())


def delete_gateway(visit: Visit, uuid: str) -> Answer:
    if not visit.is_post:
        return {"result": "failed"}
    row = visit.tree(_GATEWAY[0]).at("gateway_item").get(uuid)
    newer = visit.release >= (26, 7)
    if row is None:
        if newer:
            return {"result": "failed"}
        raise Unexpected("no such gateway")
    name = row["name"].value
    for kind, users in (
        ("Interface", _interfaces(visit, name)),
        ("Gateway Group(s)", _groups(visit, name)),
        ("Static Route(s)", _routes(visit, name)),
    ):
        if users:
            text = f"Gateway {name} cannot be deleted because it is in use on {kind}"
            raise Refused(f"{text} '{', '.join(users)}'")
    return mutable.delete_rows(visit, _GATEWAY[0], _GATEWAY[2], uuid)


def _interfaces(visit: Visit, name: str) -> list[str]:
    """The first that has it."""
    users = [e for e in visit.config.find("interfaces") or () if e.findtext("gateway") == name]
    return [each.findtext("descr") or each.tag for each in users[:1]]


def _groups(visit: Visit, name: str) -> list[str]:
    if visit.release < (26, 7):
        groups = visit.config.findall("gateways/gateway_group")
        if visit.config.find("gateways") is None:
            raise Unexpected("no groups")  # it walks through what is not there
        return [
            group.findtext("name") or ""
            for group in groups
            if any((i.text or "").split("|")[0] == name for i in group.findall("item"))
        ]
    rows = visit.tree(_GROUP[0]).at("gateway_group").rows()
    return [row["name"].value for row in rows if name in members(row)]


def _routes(visit: Visit, name: str) -> list[str]:
    held = visit.config.find("staticroutes")
    if held is None and visit.release < (26, 7):
        raise Unexpected("no routes")
    rows = [] if held is None else held.findall("route")
    return [row.findtext("network") or "" for row in rows if row.findtext("gateway") == name]


def toggle_gateway(visit: Visit, uuid: str, enabled: str = "") -> Answer:
    answer: Answer = {"result": "failed"}
    if not visit.is_post:
        return answer
    tree = visit.tree(_GATEWAY[0])
    row = tree.at("gateway_item").get(uuid)
    if row is None:
        return answer
    switch = row["disabled"]
    if enabled not in ("", "0", "1"):
        return answer | {"changed": False}
    disabled = {"0": "1", "1": "0"}.get(enabled, "1" if switch.text == "0" else "0")
    changed = not enabled or switch.text != disabled
    switch.set(disabled)
    if changed:
        wrong = tree.messages()
        if wrong:
            raise Unexpected(wrong[0].text)
        answers.store(visit, tree)
    return {"result": "Enabled" if disabled == "0" else "Disabled", "changed": changed}


def delete_group(visit: Visit, uuids: str) -> Answer:
    rows = visit.tree(_GROUP[0]).at("gateway_group")
    for uuid in uuids.split(",") if visit.is_post else ():
        row = rows.get(uuid)
        name = row["name"].value if row else ""
        for parent in visit.config.iter() if name else ():
            if (parent.findtext("gateway") or "") == name:
                tags = ("description", "descr", "name")
                called = next((t for tag in tags if (t := parent.findtext(tag))), "")
                raise Refused(
                    f"Gateway group {name} in use by {parent.tag} {called} "
                    f"({parent.get('uuid') or ''})"
                )
    return mutable.delete_rows(visit, _GROUP[0], _GROUP[2], uuids)


def status(visit: Visit) -> Answer:
    """Of the watcher of gateways: it watches none here."""
    return {"items": [], "status": "failed"}


def search_route(visit: Visit) -> Answer:
    return search_rows(visit, _ROUTE[0], _ROUTE[2], sort="description")


def set_route(visit: Visit, uuid: str) -> Answer:
    row = visit.tree(_ROUTE[0]).at("route").get(uuid)
    given = visit.posted("route")
    if row is not None and row["network"].is_set and (given is None or "network" not in given):
        raise Unexpected("the network is missing")
    return mutable.set_row(visit, *_ROUTE, uuid)


ENDPOINTS: dict[str, dict[str, Action]] = {
    "routing/settings": {
        **mutable.settings(_GATEWAY[0], "gateways"),
        **mutable.rows(*_GATEWAY, "gateway"),
        "search_gateway": search_gateway,
        "get_gateway": get_gateway,
        "set_gateway": set_gateway,
        "del_gateway": delete_gateway,
        "toggle_gateway": toggle_gateway,
        "reconfigure": reconfigure("routing"),
    },
    "routes/routes": {
        **mutable.settings(_ROUTE[0], "route"),
        **mutable.rows(*_ROUTE, "route", toggles=True),
        "search_route": search_route,
        "set_route": set_route,
        "reconfigure": reconfigure("routes"),
    },
    "routes/gateway": {"status": status},
}
SINCE_26_7 = {
    "routing/group_settings": {
        **mutable.rows(*_GROUP, ""),
        "del": delete_group,
        "reconfigure": reconfigure("routing"),
    },
}
