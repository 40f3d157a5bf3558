"""A judge of Proxmox's own dialect of JSON schema, by the data of its API viewer.

Written from the schema's own keys and nothing of ours. A format that the data does not spell out
is judged by a pattern here where it is a plain one, and else lets everything through: what the
judge refuses, Proxmox refuses; the reverse is for the verdicts of its own parser.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from contract.oracle import contract

Node = dict[str, Any]

PLAIN = {
    "pve-configid": r"[A-Za-z][A-Za-z0-9_-]+",
    "pve-storage-id": r"[A-Za-z][A-Za-z0-9._-]*[A-Za-z0-9]",
    "pve-node": r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?",
    "pve-vmid": r"[1-9][0-9]{2,8}",
    "pve-bridge-id": r"[-_.\w]+",
    "mac-addr": r"[0-9A-Fa-f][02468aceACE](:[0-9A-Fa-f]{2}){5}",
    "disk-size": r"\d+(\.\d+)?([KMGT](iB)?)?",
    "urlencoded": r"[-%a-zA-Z0-9_.!~*'()]*",
    "pve-volume-id": r"[A-Za-z][A-Za-z0-9._-]*[A-Za-z0-9]:.+",
    "pve-volume-id-or-absolute-path": r"(/.*|[A-Za-z][A-Za-z0-9._-]*[A-Za-z0-9]:.+)",
    "pve-volume-id-or-qm-path": r"(none|cdrom|/.*|[A-Za-z][A-Za-z0-9._-]*[A-Za-z0-9]:.+)",
    "dns-name": r"(?!.*\.\.)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?",
    "pve-tag": r"[A-Za-z0-9_][A-Za-z0-9_.+-]*",
    "pve-storage-content": "images|rootdir|vztmpl|iso|backup|snippets|import|none",
    "pve-qm-bootdisk": r"(ide[0-3]|scsi([12]?\d|30)|virtio(\d|1[0-5])|sata[0-5])",
    "pve-poolid": r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){0,2}",
    "pve-dir-override": r"(?!.*\.\.)[a-z]+=.*[^.]",
    "CIDR": r"[0-9a-fA-F.:]+/\d+",
    "ipv4": r"\d{1,3}(\.\d{1,3}){3}",
    "pve-hotplug-features": r"[01]|[\s,;]*((network|disk|cpu|memory|usb|cloudinit)[\s,;]*)*",
}
_TRUTHS = ("1", "0", "on", "off", "yes", "no", "true", "false")


def paths() -> dict[str, dict[str, Node]]:
    """The methods of the API by path and verb."""
    found: dict[str, dict[str, Node]] = contract("proxmox-ve-api.json.gz")["paths"]
    return found


def parameters(verb: str, path: str) -> Node:
    """What a method takes, by name; ``net[n]`` as the schema has it."""
    found: Node = paths()[path][verb]["parameters"].get("properties", {})
    return found


def rule_of(schema: Node, name: str) -> Node | None:
    """The rule for a parameter; one with a number is in the schema without it."""
    if name in schema:
        return dict(schema[name])
    return schema.get(re.sub(r"\d+$", "[n]", name))


def refusals(schema: Node, given: Mapping[str, str]) -> list[str]:
    """What the schema has against parameters, as they are on a command line."""
    wrong = [why for name, value in given.items() for why in _judge(schema, name, value, given)]
    missing = [
        f"{name}: missing"
        for name, rule in schema.items()
        if not rule.get("optional") and not rule.get("alias") and name not in given
    ]
    return wrong + missing


def _judge(schema: Node, name: str, value: str, given: Mapping[str, str]) -> Iterator[str]:
    rule = rule_of(schema, name)
    if rule is None:
        yield f"{name}: unknown"
        return
    if rule.get("requires") and rule["requires"] not in given:
        yield f"{name}: requires {rule['requires']}"
    yield from (f"{name}: {why}" for why in _value(rule, value))


def _value(rule: Node, value: str) -> Iterator[str]:
    kind = rule.get("type", "string")
    number = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value)
    if kind == "boolean" and value.lower() not in ("", *_TRUTHS):  # empty: it is switched on
        yield f"{value!r} is no truth value"
    if kind == "integer" and not re.fullmatch(r"[+-]?\d+", value):
        yield f"{value!r} is no whole number"
    if kind == "number" and not number:
        yield f"{value!r} is no number"
    if kind in ("integer", "number") and number:
        if float(value) < float(rule.get("minimum", "-inf")):
            yield f"{value} is too small"
        if float(value) > float(rule.get("maximum", "inf")):
            yield f"{value} is too large"
    if rule.get("enum") and value not in map(str, rule["enum"]):
        yield f"{value!r} is none of {rule['enum']}"
    if "pattern" in rule and not re.search(f"^{perl(rule['pattern'])}$", value):
        yield f"{value!r} does not match {rule['pattern']}"
    if not rule.get("minLength", 0) <= len(value) <= rule.get("maxLength", len(value)):
        yield "it is too long or too short"
    yield from _formatted(rule.get("format"), value)


def _formatted(form: Any, value: str) -> Iterator[str]:
    if isinstance(form, dict):
        yield from _properties(form, value)
        return
    name = str(form or "")
    each = name.removesuffix("-list")
    parts = re.split(r"[\s,;]+", value.strip(" ,;")) if each != name else [value]
    if each in PLAIN:
        for part in parts:
            if (part or each == name) and not re.search(f"^(?:{PLAIN[each]})$", part):
                yield f"{part!r} is no {each}"


def _properties(keys: Node, text: str) -> Iterator[str]:
    """A property string, by the keys that the schema gives it."""
    found: dict[str, str] = {}
    bare = next((key for key, rule in keys.items() if rule.get("default_key")), None)
    for part in text.split(","):
        if not part.strip():
            continue
        key, equals, value = part.partition("=")
        if not equals:
            if bare is None:
                yield f"{part!r} has no key"
                return
            key, value = bare, part
        rule = keys.get(key)
        if rule is not None and "alias" in rule:
            if "keyAlias" in rule:
                if rule["keyAlias"] in found:
                    yield f"{rule['keyAlias']} is there twice"
                found[rule["keyAlias"]] = key
            key = rule["alias"]
        if key in found and not (key == bare and not equals and found[key] == "0"):
            yield f"{key} is there twice"
        found[key] = value
    yield from refusals(keys, found)


def perl(pattern: str) -> str:
    """A pattern of Perl's as Python writes it."""
    return pattern.replace("(?^:", "(?:")
