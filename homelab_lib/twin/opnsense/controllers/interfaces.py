"""VLANs, assignments and common settings of interfaces: `interfaces/…`."""

import re
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.controllers import mutable
from homelab_lib.twin.opnsense.controllers.answers import Answer
from homelab_lib.twin.opnsense.controllers.searching import search_rows
from homelab_lib.twin.opnsense.controllers.service import reconfigure
from homelab_lib.twin.opnsense.errors import Refused, Unexpected
from homelab_lib.twin.opnsense.models.assignment import TODO, todo
from homelab_lib.twin.opnsense.models.interfaces import assigned
from homelab_lib.twin.opnsense.nodes import Box
from homelab_lib.twin.opnsense.visit import Visit

_VLAN = ("Interfaces.Vlan", "vlan", "vlan")
_ASSIGNMENT = ("Interfaces.NetworkInterface", "interface", "interface")


def _vlan_name(visit: Visit, current: Box | None) -> Any:
    """The device's name: as asked for, as it was, or the next."""
    given = visit.posted("vlan")
    if given is None or isinstance(given.get("if", []), dict | list):
        raise Unexpected("if is missing, or no text")
    parent = php.text_of(given["if"])
    prefix = "qinq" if "vlan" in parent else "vlan"
    wanted = given.get("vlanif")
    if wanted not in (None, "", "0", 0, False, [], {}):
        return wanted
    if current is not None:
        name = current["vlanif"].value
        if "tag" in given and name == f"{parent}_vlan{php.text_of(given['tag'])}":
            return name
        if "_vlan" not in name and name.startswith(prefix):
            return name
    rows = visit.tree(_VLAN[0]).at("vlan").rows()
    numbers = [
        int(found[1])
        for row in rows
        if (found := re.fullmatch(rf"{prefix}(\d+)\n?", row["vlanif"].value))
    ]
    return f"{prefix}0{max(numbers, default=0) + 1}"


def _children(visit: Visit, name: str | None) -> bool:
    rows = visit.tree(_VLAN[0]).at("vlan").rows()
    return any(row["if"].value == (name or "") for row in rows)


def search_vlan(visit: Visit) -> Answer:
    found = search_rows(visit, _VLAN[0], _VLAN[2], sort="vlanif")
    names = assigned(visit.config)
    for row in found["rows"]:
        if row["vlanif"] in names:
            row["vlanif"] = f"{row['vlanif']} [{names[row['vlanif']]}]"
    return found


def add_vlan(visit: Visit) -> Answer:
    return mutable.add_row(visit, *_VLAN, {"vlanif": _vlan_name(visit, None)})


def set_vlan(visit: Visit, uuid: str) -> Answer:
    row = visit.tree(_VLAN[0]).at("vlan").get(uuid)
    old = row["vlanif"].value if row else None
    new = _vlan_name(visit, row)
    if old and old != new and _children(visit, old):
        text = "This VLAN cannot be deleted because it is used in QinQ interfaces."
        return {"result": "failed", "validations": {"vlan.vlanif": text}}
    if row is not None and old and old != new and old in assigned(visit.config):
        given = visit.posted("vlan") or {}
        changes = "tag" if php.text_of(given.get("tag")) != row["tag"].value else "vlanif"
        called = {"tag": "VLAN tag", "vlanif": "device name"}[changes]
        text = f"Interface is assigned and you cannot change the {called} while assigned."
        return {"result": "failed", "validations": {f"vlan.{changes}": text}}
    return mutable.set_row(visit, *_VLAN, uuid, {"vlanif": new})


def delete_vlan(visit: Visit, uuids: str) -> Answer:
    for uuid in uuids.split(",") if not php.is_empty(uuids) else ():
        row = visit.tree(_VLAN[0]).at("vlan").get(uuid)
        name = row["vlanif"].value if row else None
        cannot = "This VLAN cannot be deleted because it is "
        if _children(visit, name):
            raise Refused(f"{cannot}used in QinQ interfaces.")
        if name is not None and name in assigned(visit.config):
            raise Refused(f"{cannot}assigned as an interface.")
    return mutable.delete_rows(visit, _VLAN[0], _VLAN[2], uuids)


_HOLDERS = (
    ("ifgroups/ifgroupentry", "part of a group. Please remove it from the group to continue"),
    ("bridges/bridged", "part of a bridge. Please remove it from the bridge to continue"),
    ("gres/gre", "part of a gre tunnel. Please delete the tunnel to continue"),
    ("gifs/gif", "part of a gif tunnel. Please delete the tunnel to continue"),
)


def delete_assignment(visit: Visit, names: str) -> Answer:
    """It is only marked: the interface goes when that is taken over."""
    if not visit.is_post:
        return {"status": "failed"}
    for path, where in _HOLDERS:
        for name in names.split(","):
            for holder in visit.config.findall(path):
                members = f"{holder.findtext('members') or ''},{holder.findtext('if') or ''}"
                if name in [member.partition("_vip")[0] for member in members.split(",")]:
                    raise Refused(f"The interface is {where}", f"[{name}] in use")
            interface = visit.config.find(f"interfaces/{name}") if name.isalnum() else None
            if interface is not None and not php.is_empty(interface.findtext("lock") or ""):
                raise Refused("Interface locked, unset lock first before removal", "locked")
    return mutable.delete_rows(visit, _ASSIGNMENT[0], _ASSIGNMENT[2], names)


_RULES = (
    "filter/rule",
    "nat/rule",
    "nat/outbound/rule",
    *(
        f"OPNsense/Firewall/Filter/{kind}/rule"
        for kind in ("rules", "snatrules", "npt", "onetoone")
    ),
)


def _clean_rules(config: ET.Element, name: str) -> None:
    """Take an interface out of all rules; those that were about it alone go."""
    for path in _RULES:
        place, _, tag = path.rpartition("/")
        parent = config.find(place)
        for rule in [] if parent is None else parent.findall(tag):
            interface = rule.find("interface")
            names = ((interface.text if interface is not None else "") or "").split(",")
            if name not in names or interface is None or parent is None:
                continue
            left = [each for each in names if each != name]
            if left:
                interface.text = ",".join(left)
            else:
                parent.remove(rule)


def take_over_assignments(visit: Visit) -> dict[str, str]:
    """Do what was marked, and reload the filter."""
    if not visit.is_post:
        return {"status": "failed"}
    held = visit.config.find("interfaces")
    for name, what in todo(visit.firewall).items():
        interface = None if held is None else held.find(name)
        if interface is None or held is None:
            continue
        if what.get("pending_action") == "delete":
            _clean_rules(visit.config, name)
            held.remove(interface)
        elif what.get("pending_action") == "relink":
            device = interface.find("if")
            (ET.SubElement(interface, "if") if device is None else device).text = what["pending_if"]
    visit.save()
    if visit.firewall.files.exists(TODO):
        visit.firewall.files.remove(TODO)
    visit.firewall.apply("interfaces")
    visit.firewall.reload_filter()
    return {"status": "ok"}


def get_settings(visit: Visit) -> Answer:
    return mutable.get_model(visit, "Interfaces.Settings", "settings") | {"duids": None}


_ROWS = mutable.rows(*_VLAN)
ENDPOINTS = {
    "interfaces/vlan_settings": {
        **_ROWS,
        "search_item": search_vlan,
        "add_item": add_vlan,
        "set_item": set_vlan,
        "del_item": delete_vlan,
        "reconfigure": reconfigure("vlan"),
    },
    "interfaces/settings": {
        **mutable.settings("Interfaces.Settings", "settings"),
        "get": get_settings,
        "reconfigure": reconfigure("interfaces"),
    },
}
SINCE_26_7 = {
    "interfaces/assignment": {
        **mutable.rows(*_ASSIGNMENT),
        "del_item": delete_assignment,
        "reconfigure": take_over_assignments,
    },
}
