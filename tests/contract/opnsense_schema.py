"""A release of OPNsense by its own controllers and models: what may be asked of it, and how."""

import re
from collections.abc import Iterator
from typing import Any

from contract.oracle import contract

RELEASES = {(26, 1): "26.1.9", (26, 7): "26.7.2"}

_ROWS = {
    "interfaces/vlan_settings/setItem": ("Interfaces\\Vlan", "vlan"),
    "interfaces/assignment/addItem": ("Interfaces\\NetworkInterface", "interface"),
    "interfaces/assignment/setItem": ("Interfaces\\NetworkInterface", "interface"),
    "firewall/alias/setItem": ("Firewall\\Alias", "aliases.alias"),
    "firewall/filter/setRule": ("Firewall\\Filter", "rules.rule"),
    "firewall/source_nat/setRule": ("Firewall\\Filter", "snatrules.rule"),
    "firewall/d_nat/setRule": ("Firewall\\DNat", "rule"),
    "dnsmasq/settings/setRange": ("Dnsmasq\\Dnsmasq", "dhcp_ranges"),
    "dnsmasq/settings/setHost": ("Dnsmasq\\Dnsmasq", "hosts"),
    "dnsmasq/settings/setOption": ("Dnsmasq\\Dnsmasq", "dhcp_options"),
    "kea/dhcpv4/setSubnet": ("Kea\\KeaDhcpv4", "subnets.subnet4"),
    "kea/dhcpv4/setReservation": ("Kea\\KeaDhcpv4", "reservations.reservation"),
    "unbound/settings/setHostOverride": ("Unbound\\Unbound", "hosts.host"),
    "unbound/settings/setForward": ("Unbound\\Unbound", "dots.dot"),
    "ids/settings/setPolicy": ("IDS\\IDS", "policies.policy"),
    "ids/settings/setPolicyRule": ("IDS\\IDS", "rules.rule"),
    "cron/settings/addJob": ("Cron\\Cron", "jobs.job"),
    "cron/settings/setJob": ("Cron\\Cron", "jobs.job"),
    "wireguard/client/setClient": ("Wireguard\\Client", "clients.client"),
    "wireguard/server/setServer": ("Wireguard\\Server", "servers.server"),
}
"""Where in which model a row goes that is sent to a path."""
_DOCUMENTS = {
    "interfaces/settings/set": "Interfaces\\Settings",
    "dnsmasq/settings/set": "Dnsmasq\\Dnsmasq",
    "kea/dhcpv4/set": "Kea\\KeaDhcpv4",
    "unbound/settings/set": "Unbound\\Unbound",
    "wireguard/general/set": "Wireguard\\General",
    "ids/settings/set": "IDS\\IDS",
    "firewall/source_nat/set": "Firewall\\Filter",
    "firewall/source_nat/setGeneral": "Firewall\\Filter",
}
# `UnboundSettings::__call`: what has Dot in its name is Forward, with another type.
_CAUGHT = {"Dot": "Forward"}
_UNTOLD = {"firewall/source_nat/setGeneral": (26, 1)}  # of 26.1.11, and the data is of 26.1.9


class Schema:
    """A release's endpoints and models.

    Parameters
    ----------
    series
        ``(26, 7)``.
    """

    def __init__(self, series: tuple[int, int]) -> None:
        self.series = series
        document = contract(f"opnsense-{RELEASES[series]}.json.gz")
        self._endpoints = document["endpoints"]
        self._models = document["models"]

    def has(self, path: str) -> bool:
        """Whether there is an endpoint, by its path below ``/api/`` and what follows it."""
        return self._action(path) is not None

    def _action(self, path: str) -> dict[str, Any] | None:
        module, controller, action, *_ = _plain(path).split("/")
        endpoint = self._endpoints.get(f"/api/{module}/{controller}")
        return endpoint and endpoint["actions"].get(_snake(action))

    def wrong(self, method: str, path: str, body: Any) -> Iterator[str]:
        """What the release would not know of a call; nothing where it is right."""
        path = _plain(path.removeprefix("/api/"))
        if _UNTOLD.get(_head(path)) == self.series:
            return
        if not self.has(path):
            yield f"no endpoint {path} in {self.series}"
            return
        action = self._action(path)
        if action and action["post"] and method != "POST":
            yield f"{path} wants POST"
        given = path.split("/")[3:]
        if action and len(given) > len(action["args"]):
            yield f"{path} takes {action['args']}"
        if method == "POST" and body:
            yield from self._body(_head(path), body)

    def _body(self, head: str, body: Any) -> Iterator[str]:
        if not isinstance(body, dict) or len(body) != 1:
            yield f"{head}: one root, and not {body}"
            return
        ((root, document),) = body.items()
        if head in _ROWS:
            model, place = _ROWS[head]
            if root not in (place.rpartition(".")[2], *_ROOTS.get(head, ())):
                yield f"{head}: a row is no {root}"
            fields = self._at(model, place)
        else:
            fields = self._models[f"OPNsense\\{_DOCUMENTS[head]}"]["fields"]
        yield from _fields(head, fields, document)

    def _at(self, model: str, place: str) -> dict[str, Any]:
        fields = self._models[f"OPNsense\\{model}"]["fields"]
        for step in place.split("."):
            fields = fields[step]["fields"]
        return fields

    def fields(self, path: str) -> dict[str, Any] | None:
        """The fields of the rows that a path takes; None where the release has no such model."""
        model, place = _ROWS[_plain(path)]
        if f"OPNsense\\{model}" not in self._models:
            return None
        return _UNTOLD_FIELDS | self._at(model, place)


_ROOTS = {
    "dnsmasq/settings/setRange": ("range",),
    "dnsmasq/settings/setHost": ("host",),
    "dnsmasq/settings/setOption": ("option",),
}


# The data leaves it out where a model's own class stands for the row; transcripts have it.
_UNTOLD_FIELDS = {"description": {"type": "DescriptionField"}}


def _fields(head: str, fields: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    for name, value in document.items():
        rule = fields.get(name, _UNTOLD_FIELDS.get(name))
        if rule is None:
            yield f"{head}: no field {name}"
        elif isinstance(value, dict):
            yield from _fields(f"{head} {name}", rule["fields"], value)
        elif not isinstance(value, str):
            yield f"{head}: {name} is no text: {value!r}"
        else:
            yield from _value(f"{head}: {name}", rule, value)


def _value(where: str, rule: dict[str, Any], value: str) -> Iterator[str]:
    kind = rule.get("type")
    if kind == "BooleanField" and value not in ("0", "1", ""):
        yield f"{where} is {value!r}, no truth value"
    if kind == "OptionField" and value:
        chosen = value.split(",") if rule.get("Multiple") == "Y" else [value]
        known = rule.get("options", chosen)
        if not set(chosen) <= set(known):
            yield f"{where} is {value!r}, none of {known}"
    if kind == "IntegerField" and value:
        low, high = (int(rule.get(end, value)) for end in ("MinimumValue", "MaximumValue"))
        if not value.isdecimal() or not low <= int(value) <= high:
            yield f"{where} is {value!r}, not from {low} to {high}"
    if rule.get("Required") == "Y" and "Default" not in rule and value == "":
        yield f"{where} is empty, and must not be"


def _head(path: str) -> str:
    return "/".join(path.split("/")[:3])


def _plain(path: str) -> str:
    for caught, really in _CAUGHT.items():
        path = re.sub(rf"(?<=[a-z]){caught}\b", really, path)
    return path


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda found: f"_{found[1].lower()}", name)
