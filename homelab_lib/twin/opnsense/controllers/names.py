"""DHCP and names: `dnsmasq/…` and `unbound/…`."""

from typing import Any

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.api import Action
from homelab_lib.twin.opnsense.controllers import mutable
from homelab_lib.twin.opnsense.controllers.answers import Answer
from homelab_lib.twin.opnsense.controllers.searching import search_rows
from homelab_lib.twin.opnsense.controllers.service import service
from homelab_lib.twin.opnsense.errors import Unexpected
from homelab_lib.twin.opnsense.visit import Visit

_DNSMASQ, _UNBOUND = "Dnsmasq.Dnsmasq", "Unbound.Unbound"
_OPTION = (_DNSMASQ, "option", "dhcp_options")
_FORWARD = (_UNBOUND, "dot", "dots.dot")


def get_dnsmasq(visit: Visit) -> Answer:
    answer = mutable.get_model(visit, _DNSMASQ, "dnsmasq")
    domain = visit.config.findtext("system/domain") or ""
    answer.setdefault("dnsmasq", {}).setdefault("dhcp", {})["%domain"] = domain
    return answer


def _of_kind(visit: Visit) -> dict[str, Any]:
    """What an option that is sent has no use for, and one that is looked for has none."""
    given = visit.posted("option")
    kind = (given or {}).get("type")
    if given is None or "type" not in given:
        raise Unexpected("option or its type is missing")
    if kind == "set":
        return {"set_tag": ""}
    return {"tag": "", "interface": "", "force": ""} if kind == "match" else {}


def add_option(visit: Visit) -> Answer:
    return mutable.add_row(visit, *_OPTION, _of_kind(visit))


def set_option(visit: Visit, uuid: str) -> Answer:
    return mutable.set_row(visit, *_OPTION, uuid, _of_kind(visit))


def _dnsmasq_rows() -> dict[str, Action]:
    found: dict[str, Action] = {}
    for root, path, noun in (
        ("host", "hosts", "host"),
        ("domainoverride", "domainoverrides", "domain"),
        ("tag", "dhcp_tags", "tag"),
        ("range", "dhcp_ranges", "range"),
        ("option", "dhcp_options", "option"),
        ("boot", "dhcp_boot", "boot"),
    ):
        found |= mutable.rows(_DNSMASQ, root, path, noun, unless_used=True)
    return found


def leases(visit: Visit) -> Answer:
    """Leases that were given; what has none asks for none here."""
    found = visit.firewall.leases
    return {
        "total": len(found),
        "rowCount": len(found),
        "current": 1,
        "rows": list(found),
        "interfaces": {},
    }


def _forwards(kind: str, noun: str) -> dict[str, Action]:
    """Rows of one kind: they are all in one table."""

    def search(visit: Visit) -> Answer:
        return search_rows(
            visit, _FORWARD[0], _FORWARD[2], fits=lambda row: row["type"].value == kind
        )

    def add(visit: Visit) -> Answer:
        return mutable.add_row(visit, *_FORWARD, {"type": kind})

    def change(visit: Visit, uuid: str) -> Answer:
        return mutable.set_row(visit, *_FORWARD, uuid, {"type": kind})

    return {
        **mutable.rows(*_FORWARD, noun, toggles=True),
        f"search_{noun}": search,
        f"add_{noun}": add,
        f"set_{noun}": change,
    }


def search_hosts(visit: Visit) -> Answer:
    answer = search_rows(visit, _UNBOUND, "hosts.host")
    aliases = visit.tree(_UNBOUND).at("aliases.alias").rows()
    for host in answer["rows"]:
        child = {key: value for key, value in host.items() if key != "aliases"}
        host["isAlias"] = False
        children = [
            child
            | {"uuid": row.uuid, "isAlias": True}
            | {key: row[key].value for key in ("enabled", "hostname", "domain", "description")}
            for row in aliases
            if row["host"].value == host["uuid"]
        ]
        if children:
            host["_children"] = children
    return answer


def delete_host(visit: Visit, uuid: str) -> Answer:
    """Its further names go with it."""
    if visit.is_post:
        rows = visit.tree(_UNBOUND).at("aliases.alias")
        for row in [row for row in rows.rows() if row["host"].value == uuid]:
            rows.delete(row.uuid)
    return mutable.delete_rows(visit, _UNBOUND, "hosts.host", uuid)


def _on(model: str, path: str) -> Any:
    return lambda visit: not php.is_empty(visit.tree(model).at(path).value)


ENDPOINTS: dict[str, dict[str, Action]] = {
    "dnsmasq/settings": {
        **mutable.settings(_DNSMASQ, "dnsmasq"),
        **_dnsmasq_rows(),
        "get": get_dnsmasq,
        "add_option": add_option,
        "set_option": set_option,
    },
    "dnsmasq/service": service("dnsmasq", _on(_DNSMASQ, "enable"), with_filter=True),
    "dnsmasq/leases": {"search": leases},
    "unbound/settings": {
        **mutable.settings(_UNBOUND, "unbound"),
        **_forwards("forward", "forward"),
        **_forwards("dot", "dot"),
        **mutable.rows(_UNBOUND, "host", "hosts.host", "host_override", toggles=True),
        **mutable.rows(_UNBOUND, "alias", "aliases.alias", "host_alias", toggles=True),
        **mutable.rows(_UNBOUND, "acl", "acls.acl", "acl", toggles=True),
        **mutable.rows(
            _UNBOUND,
            "blocklist",
            "dnsbl.blocklist",
            "dnsbl",
            toggles=True,
            fields=("enabled", "list", "source_net", "description"),
        ),
        "search_host_override": search_hosts,
        "del_host_override": delete_host,
    },
    "unbound/service": service("unbound", _on(_UNBOUND, "general.enabled")),
}
