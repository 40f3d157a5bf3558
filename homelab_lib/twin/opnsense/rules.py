"""Filter rules as they are loaded: from the configuration, in the order in which pf looks at them.

Floating rules come before those of groups, and these before those of one interface; within each the
sequence counts. What the appliance adds by itself stands around them: all is denied at first, the
box itself may go out, and whoever comes by LAN gets at its own SSH and web page (anti-lockout).

Source: opnsense/core, src/etc/inc/filter.lib.inc (`filter_core_rules_system`,
`filter_core_rules_user`) and models/OPNsense/Firewall/FieldTypes/FilterRuleField.php.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

_FLOATING, _GROUP, _INTERFACE, _INVALID, _LAST = 200_000, 300_000, 400_000, 600_000, 500_000
_PRIVATE = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,127.0.0.0/8,100.64.0.0/10,169.254.0.0/16"
_PRIVATE6 = "fd00::/8,fe80::/10,::1/128"
DENIED = "Default deny / state violation rule"


@dataclass(frozen=True)
class End:
    """An end of a rule.

    Parameters
    ----------
    nets
        ``any``, ``(self)``, ``lan``, ``lanip``, addresses, networks, aliases; several by commas.
    inverted
        Whether it is about all others.
    port
        One, a range, a service's name or an alias; empty for all.
    """

    nets: str = "any"
    inverted: bool = False
    port: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule of the packet filter.

    Parameters
    ----------
    action
        ``pass``, ``block`` or ``reject``.
    interfaces
        Identifiers; empty for all.
    direction, family, protocol
        As the configuration has them; an empty protocol is any.
    quick
        Whether it decides at once; of others the last that fits does.
    label
        What `pfctl` calls it, and what a person does.
    """

    action: str
    interfaces: tuple[str, ...] = ()
    elsewhere: bool = False  # on all interfaces but these
    direction: str = "in"
    family: str = "inet"
    protocol: str = ""
    source: End = field(default_factory=End)
    destination: End = field(default_factory=End)
    quick: bool = True
    label: str = ""
    description: str = ""
    place: tuple[int, int, int] = (0, 0, 0)


def loaded(config: ET.Element) -> list[Rule]:
    """All rules of a configuration, in order.

    Parameters
    ----------
    config
        What is written.
    """
    found = [*_of_the_system(config), *_of_the_api(config), *_legacy(config), *_redirected(config)]
    return sorted(found, key=lambda rule: rule.place)


def mapped(config: ET.Element) -> dict[str, str]:
    """The device of each interface that is enabled, by its identifier."""
    return {
        each.tag: each.findtext("if", "")
        for each in config.findall("interfaces/*")
        if each.find("enable") is not None
    }


def groups(config: ET.Element) -> dict[str, tuple[int, list[str]]]:
    """Groups of interfaces: their sequence and their members."""
    return {
        _text(each, "ifname"): (int(_text(each, "sequence") or 0), _listed(_text(each, "members")))
        for each in config.findall("ifgroups/ifgroupentry")
    }


def _of_the_system(config: ET.Element) -> Iterator[Rule]:
    system = config.find("system")
    system = ET.Element("system") if system is None else system
    if not _text(system, "ipv6allow"):
        yield Rule(
            "block", direction="any", family="inet6", description="Block all IPv6", place=(1, 0, 0)
        )
    everything = {"direction": "any", "family": "inet46", "quick": False}
    yield Rule("block", **everything, description=DENIED, place=(1, 0, 1))  # type: ignore[arg-type]
    for identifier in mapped(config):
        own = config.find(f"interfaces/{identifier}")
        called = _text(own, "descr") or identifier.upper()
        if own is not None and _text(own, "blockpriv"):
            for family, nets in (("inet", _PRIVATE), ("inet6", _PRIVATE6)):
                yield Rule(
                    "block",
                    (identifier,),
                    family=family,
                    source=End(nets),
                    description=f"Block private networks from {called}",
                    place=(5, 0, 0),
                )
    yield Rule(
        "pass",
        direction="out",
        family="inet46",
        quick=False,
        description="let out anything from firewall host itself",
        place=(5, 0, 1),
    )
    if system.find("webgui/noantilockout") is None:
        yield from _anti_lockout(system, _primary(mapped(config)))


def _anti_lockout(system: ET.Element, interface: str) -> Iterator[Rule]:
    secure = _text(system, "webgui/protocol") == "https"
    ports = [_text(system, "webgui/port") or ("443" if secure else "80")]
    if secure and system.find("webgui/disablehttpredirect") is None:
        ports.append("80")
    if system.find("ssh/enabled") is not None:
        ports.append(_text(system, "ssh/port") or "22")
    for port in sorted(ports) if interface else ():
        yield Rule(
            "pass",
            (interface,),
            family="inet46",
            protocol="tcp",
            destination=End("(self)", port=port),
            description="anti-lockout rule",
            place=(5, 0, 2),
        )


def _primary(known: dict[str, str]) -> str:
    """LAN, or what comes nearest to it."""
    optional = sorted((n for n in known if n.startswith("opt")), key=lambda n: (len(n), n))
    return next((n for n in ("lan", *optional, "wan") if n in known), "")


def _of_the_api(config: ET.Element) -> Iterator[Rule]:
    grouped, assigned = groups(config), {each.tag for each in config.findall("interfaces/*")}
    for row in config.findall("OPNsense/Firewall/Filter/rules/rule"):
        if _text(row, "enabled") == "0":
            continue
        interfaces = _listed(_text(row, "interface"))
        protocol = _text(row, "protocol").lower()
        yield Rule(
            _text(row, "action") or "pass",
            tuple(interfaces),
            _on(row, "interfacenot"),
            _text(row, "direction") or "in",
            _text(row, "ipprotocol") or "inet",
            "" if protocol == "any" else protocol,
            End(
                _text(row, "source_net") or "any",
                _on(row, "source_not"),
                _text(row, "source_port"),
            ),
            End(
                _text(row, "destination_net") or "any",
                _on(row, "destination_not"),
                _text(row, "destination_port"),
            ),
            quick=_text(row, "quick") != "0",
            label=row.get("uuid", ""),
            description=_text(row, "description"),
            place=(
                _priority(interfaces, _on(row, "interfacenot"), assigned, grouped),
                0,
                int(_text(row, "sequence") or 1),
            ),
        )


def _priority(
    interfaces: list[str],
    inverted: bool,
    assigned: set[str],
    grouped: dict[str, tuple[int, list[str]]],
) -> int:
    if interfaces and not any(each in assigned or each in grouped for each in interfaces):
        return _INVALID
    if len(interfaces) != 1 or inverted:
        return _FLOATING
    if interfaces[0] in grouped:
        return _GROUP + grouped[interfaces[0]][0]
    return _INTERFACE


def _legacy(config: ET.Element) -> Iterator[Rule]:
    """Rules of the classic pages."""
    grouped = groups(config)
    for number, row in enumerate(config.findall("filter/rule")):
        if row.find("disabled") is not None:
            continue
        floating = row.find("floating") is not None
        interfaces = _listed(_text(row, "interface"))
        group = grouped.get(interfaces[0]) if len(interfaces) == 1 else None
        priority = _FLOATING if floating else _GROUP + group[0] if group else _INTERFACE
        yield Rule(
            _text(row, "type") or "pass",
            tuple(interfaces),
            False,
            _text(row, "direction") or "in",
            _text(row, "ipprotocol") or "inet",
            _text(row, "protocol").lower(),
            _legacy_end(row.find("source")),
            _legacy_end(row.find("destination")),
            quick=not floating or row.find("quick") is not None,
            description=_text(row, "descr"),
            place=(priority, 1, number),
        )


def _legacy_end(end: ET.Element | None) -> End:
    if end is None:
        return End()
    nets = _text(end, "network") or _text(end, "address") or "any"
    return End(nets, end.find("not") is not None, _text(end, "port"))


def _redirected(config: ET.Element) -> Iterator[Rule]:
    """The rules that the appliance adds to port forwards which want one."""
    for number, forward in enumerate(config.findall("nat/rule")):
        if _on(forward, "disabled") or _text(forward, "pass") != "rule":
            continue
        port = _text(forward, "local-port") or _text(forward, "destination/port")
        yield Rule(
            "pass",
            tuple(_listed(_text(forward, "interface"))),
            family=_text(forward, "ipprotocol") or "inet",
            protocol=_text(forward, "protocol").lower(),
            source=_legacy_end(forward.find("source")),
            destination=End(_text(forward, "target") or "any", port=port),
            description=_text(forward, "descr"),
            place=(_LAST, 0, number),
        )


def _text(element: ET.Element | None, path: str) -> str:
    return "" if element is None else (element.findtext(path) or "").strip()


def _on(element: ET.Element, path: str) -> bool:
    return _text(element, path) not in ("", "0")


def _listed(text: str) -> list[str]:
    return [word for word in text.split(",") if word]
