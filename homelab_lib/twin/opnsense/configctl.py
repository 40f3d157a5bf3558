"""configd: the daemon that carries out what pages, REST side and shell ask for.

Its client says what the daemon answered, and ends well whatever that was.

Source: opnsense/core, src/opnsense/service (configd_ctl.py, conf/actions.d).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.opnsense.box import Box

configctl_programs = Commands()

NO_ACTION = "Action not allowed or missing"
_OK = "OK"
_RELOAD_S = 8.0  # all of it, on a box of this kind: guessed

_LISTS = {
    *("acls", "alias", "authserver", "bridged", "ca", "cert", "crl", "clone", "dhcp_ranges"),
    *("dnsserver", "gateway_item", "gateway_group", "gif", "gre", "group", "hosts", "item", "key"),
    *("ifgroupentry", "lagg", "member", "npt", "ntpserver", "onetoone", "option", "pool", "priv"),
    *("row", "rule", "route", "schedule", "service", "servers", "staticmap", "user", "vip", "vlan"),
}
"""Names that PHP's reader takes for lists."""

Action = Callable[[Box, Sequence[str]], str]


@configctl_programs("configctl")
def configctl(box: Box, call: Call) -> Reply:
    """Ask the daemon."""
    if box.world.clock.now() < box.configd_back_s:
        return Reply(255, stderr="configd socket missing (@/var/run/configd.socket)\n")
    words = list(call.argv[1:])
    flags = set()
    while words and words[0].startswith("-"):
        flags.add(words.pop(0))
    if unknown := flags - {"-d", "-f", "-q"}:
        return Reply(2, stderr=f"configctl: error: unrecognized arguments: {min(unknown)}\n")
    if not words:
        words = ["configd", "actions"]
    if "-d" in flags:
        box.start_job(replace(call, argv=("configctl", *words)))
        known = f"{box.identity[:8]}-0000-4000-8000-{box.boots:012}\n"
        return Reply(0, "" if "-q" in flags else known)
    action, given = _found(words)
    if action is None:
        return Reply(0, f"{NO_ACTION}\n")
    delay_s = 2.0 if words[:3] == ["service", "reload", "delay"] else 0.0
    takes_s = delay_s + (_RELOAD_S if words[:2] == ["service", "reload"] else 0.0)

    def done() -> Reply:
        said = action(box, given)
        return Reply(0, "" if "-q" in flags else f"{said}\n")

    return Reply(takes_s=takes_s, finish=done) if takes_s else done()


def _found(words: Sequence[str]) -> tuple[Action | None, Sequence[str]]:
    for count in range(min(len(words), 4), 0, -1):
        action = ACTIONS.get(" ".join(words[:count]))
        if action is not None:
            return action, words[count:]
    return None, ()


@configctl_programs("rc.reload_all")
def reload_all(box: Box, call: Call) -> Reply:
    """Have everything that is written take effect; while the box boots nothing, without a word."""
    if box.boots_still():
        return Reply()
    delay_s = float(call.argv[1]) if len(call.argv) > 1 and call.argv[1].isdigit() else 0.0

    def done() -> Reply:
        box.reload_all()
        return Reply()

    return Reply(takes_s=delay_s + _RELOAD_S, finish=done)


def _interface(box: Box, given: Sequence[str]) -> str:
    if not box.boots_still():
        box.configure(given[0] if given else "wan")
    return _OK


def _applying(service: str) -> Action:
    def action(box: Box, given: Sequence[str]) -> str:
        box.apply(service)
        return _OK

    return action


def _reload(box: Box, given: Sequence[str]) -> str:
    if not box.boots_still():
        box.reload_all()
    return _OK


def _filter(box: Box, given: Sequence[str]) -> str:
    box.reload_filter()
    return _OK


def _switching(service: str, verb: str) -> Action:
    def action(box: Box, given: Sequence[str]) -> str:
        if verb != "stop":
            box.apply(service)
        box.started[service] = verb != "stop"
        return _OK

    return action


def _status(service: str) -> Action:
    def action(box: Box, given: Sequence[str]) -> str:
        runs = box.started.get(service, False)
        return f"{service} is running as pid 4242." if runs else f"{service} is not running."

    return action


def _reboot(box: Box, given: Sequence[str]) -> str:
    box.world.after(1.0, box.reboot, label="reboot")
    return _OK


def _listed(box: Box, given: Sequence[str]) -> str:
    return "\n".join(f"{name} [ ]" for name in sorted(ACTIONS))


ACTIONS: dict[str, Action] = {
    "configd actions": _listed,
    "interface reconfigure": _interface,
    "interface apply": _applying("interfaces"),
    "interface vlan configure": _applying("vlan"),
    "interface invoke registration": lambda box, given: _OK,
    "interface routes configure": _applying("routes"),
    "filter reload": _filter,
    "filter refresh_aliases": lambda box, given: json.dumps({"status": "ok"}),
    "service reload all": _reload,
    "service reload delay": _reload,
    "template reload": lambda box, given: _OK,
    "system reboot": _reboot,
    "ids reload": lambda box, given: box.suricata.reload(),
    "ids update": lambda box, given: box.suricata.update(),
    "ids install rules": lambda box, given: _OK,
    "webgui restart": lambda box, given: _OK,
    **{
        f"{name} {verb}": _switching(key, verb)
        for name, key in (
            ("ids", "ids"),
            ("dnsmasq", "dnsmasq"),
            ("kea", "kea"),
            ("unbound", "unbound"),
            ("cron", "cron"),
            ("wireguard", "wireguard"),
            ("monit", "monit"),
            ("syslog", "syslog"),
        )
        for verb in ("start", "stop", "restart")
    },
    **{f"{name} status": _status(name) for name in ("ids", "dnsmasq", "kea", "unbound")},
}


@configctl_programs("pluginctl")
def pluginctl(box: Box, call: Call) -> Reply:
    """Of its many modes, ``-g``: what is written at a path, as text or JSON; and ``-s``."""
    match call.argv[1:]:
        case ["-g", path]:
            return Reply(0, _written(box.config.read(), path))
        case ["-s", name, "status"]:
            runs = box.started.get(name, False)
            return Reply(0, f"{name} is running.\n" if runs else f"{name} is not running.\n")
        case ["-s", name, "start" | "stop" | "restart" as verb]:
            box.started[name] = verb != "stop"
            return Reply(0, f"Service `{name}' has been {verb}ed.\n".replace("stoped", "stopped"))
        case ["-i"]:
            return Reply()
    return Reply(1, stderr=f"pluginctl: this twin's does not know {' '.join(call.argv[1:])}\n")


def _written(config: ET.Element, path: str) -> str:
    place: Any = as_array(config)
    for tag in filter(None, path.split(".")):
        place = place.get(tag, "") if isinstance(place, dict) else ""
    if isinstance(place, str):
        return f"{place}\n" if place else ""
    return json.dumps(place, indent=4) + "\n" if place else "[]\n"


def as_array(element: ET.Element) -> dict[str, Any]:
    """An element as PHP's array of it; what its names are known for is a list even if alone."""
    found: dict[str, Any] = {"@attributes": dict(element.attrib)} if element.attrib else {}
    for child in element:
        value: Any = as_array(child) if len(child) else child.text or ""
        if child.tag in found:
            kept = found[child.tag]
            found[child.tag] = [*(kept if isinstance(kept, list) else [kept]), value]
        elif child.tag in _LISTS:
            found[child.tag] = [value] if value not in ("", {}) else []
        else:
            found[child.tag] = value
        if child.attrib and not len(child):
            found.setdefault(f"{child.tag}@attributes", {}).update(child.attrib)
    return found
