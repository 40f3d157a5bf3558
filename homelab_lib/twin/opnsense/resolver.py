"""Names that the box's Unbound knows of itself: overrides, and other names for the same hosts."""

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.twin.packet import Packet

_ROOT = "OPNsense/unboundplus"


def resolved(box: Any, source: Any, name: str) -> str:
    """The address that a machine is told for a name; empty for none.

    Parameters
    ----------
    box
        The firewall.
    source
        The machine; it asks its router, or is the box itself.
    name
        With its domain.
    """
    if not box.up or not box.started.get("unbound") or not _may_ask(box, source):
        return ""
    config = box.running.get("unbound")
    found = {} if config is None else dict(_known(config))
    wild = f"*.{name.partition('.')[2]}"
    return found.get(name.lower()) or found.get(wild.lower()) or ""


def _may_ask(box: Any, source: Any) -> bool:
    if source is box:
        return True
    way = next((each for each in source.interfaces if each.gateway and each.up), None)
    if way is None or box.links.holding(way.gateway) is None:
        return False
    return box.refuses(Packet(way.address, way.gateway, "udp", 53), way.gateway, None) is None


def _known(config: ET.Element) -> Iterator[tuple[str, str]]:
    by_uuid: dict[str, str] = {}
    for row in config.findall(f"{_ROOT}/hosts/host"):
        if _text(row, "enabled") == "0" or _text(row, "rr") not in ("", "A", "AAAA"):
            continue
        by_uuid[row.get("uuid", "")] = _text(row, "server")
        yield _full(row), _text(row, "server")
    for row in config.findall(f"{_ROOT}/aliases/alias"):
        target = by_uuid.get(_text(row, "host"), "")
        if target and _text(row, "enabled") != "0":
            yield _full(row), target


def _full(row: ET.Element) -> str:
    return f"{_text(row, 'hostname') or '@'}.{_text(row, 'domain')}".removeprefix("@.").lower()


def _text(row: ET.Element, path: str) -> str:
    return (row.findtext(path) or "").strip()
