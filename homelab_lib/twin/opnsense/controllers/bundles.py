"""Bundles, bridges and further addresses: `interfaces/lagg_settings`, `bridge_settings`, …"""

import html
from itertools import count
from typing import Any

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.api import Action
from homelab_lib.twin.opnsense.controllers import mutable
from homelab_lib.twin.opnsense.controllers.answers import Answer
from homelab_lib.twin.opnsense.controllers.searching import search_rows
from homelab_lib.twin.opnsense.controllers.service import reconfigure
from homelab_lib.twin.opnsense.errors import Refused, Unexpected
from homelab_lib.twin.opnsense.visit import Visit

_LAGG = ("Interfaces.Lagg", "lagg", "lagg")
_BRIDGE = ("Interfaces.Bridge", "bridge", "bridged")
_VIP = ("Interfaces.Vip", "vip", "vip")


def _numbered(model: tuple[str, str, str], tag: str) -> dict[str, Action]:
    """Devices that are numbered by the appliance, whatever one asks for."""

    def search(visit: Visit) -> Answer:
        return search_rows(visit, model[0], model[2], sort="descr")

    def add(visit: Visit) -> Answer:
        taken = [row[tag].value for row in visit.tree(model[0]).at(model[2]).rows()]
        stem = tag.removesuffix("if")
        name = next(name for number in count() if (name := f"{stem}{number}") not in taken)
        return mutable.add_row(visit, *model, {tag: name})

    def change(visit: Visit, uuid: str) -> Answer:
        row = visit.tree(model[0]).at(model[2]).get(uuid)
        return mutable.set_row(visit, *model, uuid, {tag: row[tag].value} if row else None)

    return {**mutable.rows(*model), "search_item": search, "add_item": add, "set_item": change}


def delete_bridge(visit: Visit, uuid: str) -> Answer:
    row = visit.tree(_BRIDGE[0]).at(_BRIDGE[2]).get(uuid)
    for each in visit.config.find("interfaces") or () if row else ():
        if (each.findtext("if") or "") == row["bridgeif"].value:
            text = (each.text or "").strip()
            raise Refused(
                f"Cannot delete bridge. Currently in use by [{each.tag}] {text}", "Bridge in use"
            )
    return mutable.delete_rows(visit, _BRIDGE[0], _BRIDGE[2], uuid)


def delete_lagg(visit: Visit, uuids: str) -> Answer:
    rows = visit.tree(_LAGG[0]).at(_LAGG[2])
    for uuid in uuids.split(",") if not php.is_empty(uuids) else ():
        row = rows.get(uuid)
        name = row["laggif"].value if row else None
        uses = {
            f"interfaces.{each.tag}": each.findtext("descr") or each.tag
            for each in visit.config.find("interfaces") or ()
            if name is not None and (each.findtext("if") or "") == name
        }
        for vlan in visit.config.findall("vlans/vlan"):
            if name is not None and (vlan.findtext("if") or "") == name:
                uses[vlan.findtext("vlanif") or ""] = vlan.findtext("descr") or ""
        if uses:
            told = "".join(f"\n[{place}] {called}" for place, called in uses.items())
            text = html.escape(told, quote=False)
            raise Refused(f"Cannot delete LAGG. Currently in use by {text}", "LAGG in use")
    return mutable.delete_rows(visit, _LAGG[0], _LAGG[2], uuids)


def _parts(visit: Visit) -> dict[str, str] | None:
    """The address and its length out of one text, as a request has them."""
    given = visit.post.get("vip")
    inside = php.mapping(given)
    if given is not None and inside is None:
        raise Unexpected("vip is no object")
    inside = inside or {}
    network = inside.get("network")
    if isinstance(network, dict | list) and network:
        raise Unexpected("network is a list")
    if not isinstance(network, dict | list) and not php.is_empty(php.text_of(network)):
        address, _, length = php.text_of(network).partition("/")
        return {"subnet": address, "subnet_bits": length}
    if any(_nothing(inside.get(name)) for name in ("subnet", "subnet_bits")):
        return {"subnet": "", "subnet_bits": ""}
    return None


def _nothing(value: Any) -> bool:
    return not value or value == "0"


def _as_asked(answer: Answer) -> Answer:
    """What is wrong with address or length is said of the one text they came in."""
    wrong = answer.get("validations", {})
    told: list[str] = []
    for name in ("vip.subnet", "vip.subnet_bits"):
        said = wrong.pop(name, None)
        told += said if isinstance(said, list) else [said] if said is not None else []
    if told:
        before = wrong.get("vip.network", [])
        wrong["vip.network"] = (before if isinstance(before, list) else [before]) + told
    return answer


def add_vip(visit: Visit) -> Answer:
    return _as_asked(mutable.add_row(visit, *_VIP, _parts(visit)))


def set_vip(visit: Visit, uuid: str) -> Answer:
    return _as_asked(mutable.set_row(visit, *_VIP, uuid, _parts(visit)))


def get_vip(visit: Visit, uuid: str = "") -> Answer:
    answer = mutable.get_row(visit, *_VIP, uuid)
    vip = answer.get("vip", {})
    address, length = vip.pop("subnet", ""), vip.pop("subnet_bits", "")
    if vip:
        vip["network"] = f"{address}/{length}" if address else ""
    return answer


def delete_vip(visit: Visit, uuids: str) -> Answer:
    rows = visit.tree(_VIP[0]).at(_VIP[2])
    for uuid in uuids.split(",") if not php.is_empty(uuids) else ():
        row = rows.get(uuid)
        if row is None or row["mode"].value != "carp":
            continue
        vhid = row["vhid"].value
        if any(r["mode"].value == "ipalias" and r["vhid"].value == vhid for r in rows.rows()):
            raise Refused(
                f"Cannot delete CARP Virtual IP, IP Alias with VHID Group {vhid} still exists.",
                "Error",
            )
    return mutable.delete_rows(visit, _VIP[0], _VIP[2], uuids)


def search_vip(visit: Visit) -> Answer:
    return search_rows(visit, _VIP[0], _VIP[2], sort="descr")


ENDPOINTS: dict[str, dict[str, Action]] = {
    "interfaces/lagg_settings": {
        **mutable.settings(_LAGG[0], "lagg"),
        **_numbered(_LAGG, "laggif"),
        "del_item": delete_lagg,
        "reconfigure": reconfigure("lagg"),
    },
    "interfaces/bridge_settings": {
        **mutable.settings(_BRIDGE[0], "bridge"),
        **_numbered(_BRIDGE, "bridgeif"),
        "del_item": delete_bridge,
        "reconfigure": reconfigure("bridge"),
    },
    "interfaces/vip_settings": {
        **mutable.settings(_VIP[0], "vip"),
        **mutable.rows(*_VIP),
        "search_item": search_vip,
        "add_item": add_vip,
        "set_item": set_vip,
        "get_item": get_vip,
        "del_item": delete_vip,
        "reconfigure": reconfigure("vip"),
    },
}
