"""The system itself: `core/system`, `core/firmware`, `core/service`, and looks at it."""

import ipaddress
import re
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.api import Action
from homelab_lib.twin.opnsense.controllers.answers import Answer
from homelab_lib.twin.opnsense.controllers.records import search_records
from homelab_lib.twin.opnsense.firewall import SERVICES
from homelab_lib.twin.opnsense.gateways import gateways
from homelab_lib.twin.opnsense.visit import Visit

_INSTALLS_S = 20.0
_NOT_CHECKED = "Firmware status requires to check for update first to provide more information."


def status(visit: Visit) -> Answer:
    """Nothing is the matter."""
    return {
        "metadata": {
            "system": {"status": "OK", "message": "No pending messages", "title": "System"},
            "translations": {"dialogTitle": "System Status", "dialogCloseButton": "Close"},
            "subsystems": [],
        },
        "subsystems": {},
    }


def _power(verb: str) -> Action:
    def action(visit: Visit) -> Answer:
        """It answers first, and goes down then."""
        if not visit.is_post:
            return {"status": "failed"}
        firewall = visit.firewall
        firewall.world.after(1.0, getattr(firewall, verb), label=f"{firewall.name}: {verb}")
        return {"status": "ok"}

    return action


def firmware_status(visit: Visit) -> Answer:
    """The product; of updates nothing is known before they were asked for."""
    version = visit.firewall.version
    product = {
        "product_version": version,
        "product_series": ".".join(version.split(".")[:2]),
        "product_id": "opnsense",
        "product_name": "OPNsense",
        "product_arch": "amd64",
        "product_check": None,
    }
    return {"product": product, "status_msg": _NOT_CHECKED, "status": "none"}


def firmware_running(visit: Visit) -> Answer:
    """Whether nobody is at work on packages: each such script holds one lock."""
    return {"status": "busy" if visit.firewall.works_on_packages else "ready"}


def firmware_info(visit: Visit) -> Answer:
    """What is installed; of plugins those that somebody has had installed."""
    plugins = [name for name in visit.firewall.packages if name.startswith("os-")]
    return {
        "product_id": "opnsense",
        "product_version": visit.firewall.version,
        "package": [],
        "plugin": [{"name": name, "installed": "1"} for name in sorted(plugins)],
        "changelog": [],
    }


def upgrade_status(visit: Visit) -> Answer:
    """What the last piece of work has left in its log; no log is told as an error."""
    log = visit.firewall.firmware_log
    status = "done" if "***DONE***" in log else "running" if log else "error"
    return {"status": status, "log": log}


def install(visit: Visit, name: str) -> Answer:
    """Have a plugin installed; it is there when its log says so."""
    if not visit.is_post:
        return {"status": "failure"}
    firewall = visit.firewall
    wanted = re.sub(r"[^0-9a-zA-Z._-]", "", name)

    def done() -> None:
        firewall.packages[wanted] = "1.0"
        firewall.firmware_log = f"***GOT REQUEST TO INSTALL: {wanted}***\n***DONE***"

    firewall.firmware_log = f"***GOT REQUEST TO INSTALL: {wanted}***"
    firewall.world.after(_INSTALLS_S, done, label=f"{firewall.name}: install {wanted}")
    return {"status": "ok", "msg_uuid": visit.new_uuid()}


def _firmware_power(verb: str) -> Action:
    def action(visit: Visit) -> Answer:
        if not visit.is_post:
            return {"status": "failure"}
        firewall = visit.firewall
        firewall.world.after(1.0, getattr(firewall, verb), label=f"{firewall.name}: {verb}")
        return {"status": "ok", "msg_uuid": visit.new_uuid()}

    return action


def search_services(visit: Visit) -> Answer:
    found = [
        {"id": name, "locked": 0, "running": int(on), "description": name, "name": name}
        for name, on in sorted(visit.firewall.started.items())
    ]
    return search_records(visit, found)


def _service(verb: str) -> Action:
    def action(visit: Visit, name: str, number: str = "") -> Answer:
        """One that it does not know is answered all the same."""
        if not visit.is_post:
            return {"result": "failed"}
        visit.firewall.started[name] = verb != "stop"
        if verb != "stop" and name in SERVICES:
            visit.firewall.apply(name)
        return {"result": "ok"}

    return action


def interfaces_info(visit: Visit, details: str = "") -> Answer:
    """Devices that are there, and the interfaces that they are."""
    firewall = visit.firewall
    assigned = {each.findtext("if") or "": each for each in visit.config.find("interfaces") or ()}
    cards = [each.name for each in firewall.devices]
    names = dict.fromkeys([*cards, *(each.name for each in firewall.interfaces)])
    records = [_device(visit, name, assigned.get(name)) for name in names]
    return search_records(visit, records)


def _device(visit: Visit, name: str, interface: ET.Element | None) -> Answer:
    links = [each for each in visit.firewall.interfaces if each.name == name]
    cards = [each for each in visit.firewall.devices if each.name == name]
    tag = next((str(link.tag) for link in links if link.tag), None)
    up = not links or links[0].up
    told: dict[str, Any] = {
        "flags": ["up", "running"] if up else [],
        "is_physical": any(card.physical for card in cards),
        "device": name,
        "macaddr": next(iter([*(link.mac for link in links), *(card.mac for card in cards)]), ""),
        "status": "up" if up else "down",
    }
    if interface is None:
        return told | {"identifier": "", "description": "Unassigned Interface"}

    def setting(name: str) -> str:
        assert interface is not None
        return interface.findtext(name) or ""

    settings = {each.tag: each.text or "" for each in interface}
    told |= {
        "config": settings | {"identifier": interface.tag},
        "identifier": interface.tag,
        "description": setting("descr") or interface.tag.upper(),
        "enabled": not php.is_empty(setting("enable")),
        "link_type": _kind(setting("ipaddr")),
        "link_typev6": _kind(setting("ipaddrv6")),
        "addr4": "",
        "addr6": "",
        "vlan_tag": tag,
    }
    for cidr in (link.cidr for link in links if link.cidr):
        version = ipaddress.ip_interface(cidr).version
        told[f"addr{version}"] = told[f"addr{version}"] or cidr
        told.setdefault(f"ipv{version}", []).append({"ipaddr": cidr})
    own = [g for g in gateways(visit.config, visit.firewall) if g["interface"] == interface.tag]
    told["gateways"] = [gateway["gateway"] for gateway in own if gateway.get("gateway")]
    return told


def _kind(configured: str) -> str:
    try:
        ipaddress.ip_address(configured)
    except ValueError:
        return configured or "none"
    return "static"


def rule_ids(visit: Visit) -> Answer:
    """Rules that are in force now, by the names that they go by in the packet filter."""
    root = visit.firewall.running.get("filter")
    found: list[dict[str, str]] = []
    if visit.method == "GET" and root is not None:
        for kind in ("rules", "snatrules", "onetoone"):
            for row in root.findall(f"OPNsense/Firewall/Filter/{kind}/rule"):
                name, on = row.get("uuid", ""), row.findtext("enabled") or "0"
                if on == "1":
                    called = row.findtext("description") or f"-- {name}"
                    found.append({"id": name, "descr": called})
    return {"items": sorted(found, key=lambda each: each["descr"])}


def snapshots(visit: Visit) -> Answer:
    """Whether the disk has environments to boot from."""
    return {"supported": False}


ENDPOINTS: dict[str, dict[str, Action]] = {
    "core/system": {"status": status, "reboot": _power("reboot"), "halt": _power("power_off")},
    "core/firmware": {
        "status": firmware_status,
        "running": firmware_running,
        "info": firmware_info,
        "upgradestatus": upgrade_status,
        "install": install,
        "reboot": _firmware_power("reboot"),
        "poweroff": _firmware_power("power_off"),
    },
    "core/service": {
        "search": search_services,
        "start": _service("start"),
        "stop": _service("stop"),
        "restart": _service("restart"),
    },
    "core/snapshots": {"is_supported": snapshots},
    "interfaces/overview": {"interfaces_info": interfaces_info},
    "diagnostics/firewall": {"list_rule_ids": rule_ids},
}
