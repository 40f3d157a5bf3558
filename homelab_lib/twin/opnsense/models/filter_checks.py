"""What is wrong with rules beyond their fields: parts that do not go together."""

from collections.abc import Iterator

from homelab_lib.twin.opnsense.fields import filters
from homelab_lib.twin.opnsense.model import Message
from homelab_lib.twin.opnsense.nodes import Box
from homelab_lib.twin.opnsense.tree import Tree

_WITH_PORTS = ("TCP", "UDP", "TCP/UDP")
_TCP_ONLY = (
    *("statetimeout", "max-src-conn", "tcpflags1", "tcpflags2", "tcpflags_any"),
    *("max-src-conn-rate", "max-src-conn-rates", "overload"),
)
_STATES_ONLY = (
    *("statetimeout", "max", "max-src-states", "max-src-nodes", "adaptivestart", "adaptiveend"),
    "max-src-conn",
)
_LISTS = "is only allowed for single targets to avoid mis-interpretations"
_NO_MAX = (
    'Disabling adaptive timeouts is only supported in ".\n                                    '
    '"combination with a configured maximum number of states for the same rule.'
)


def check_filter(tree: Tree, full: bool) -> Iterator[Message]:
    """What is wrong with the rules of all kinds."""
    for path in ("rules.rule", "snatrules.rule"):
        for row in tree.at(path).rows():
            if full or row.changed:
                yield from _shared(row)
                yield from _translation(row) if "target" in row else _rule(row)
    for row in tree.at("npt.rule").rows():
        if full or row.changed:
            yield from _prefix(row)
    for row in tree.at("onetoone.rule").rows():
        if full or row.changed:
            yield from _one_to_one(row)


def _says(row: Box, field: str, text: str) -> Message:
    return Message(row[field].ref, text)


def _family(row: Box, field: str) -> str:
    """The family of a literal address; empty for what is none."""
    value = row[field].value
    if not filters.is_ip(value) and not filters.is_subnet(value):
        return ""
    return "inet6" if ":" in value else "inet"


def _shared(row: Box) -> Iterator[Message]:
    protocol, family = row["protocol"].value, row["ipprotocol"].value
    for field, called in (("source_port", "Source"), ("destination_port", "Destination")):
        if not row[field].is_empty and protocol not in _WITH_PORTS:
            yield _says(row, field, f"{called} ports are only valid for tcp or udp type rules.")
    for field, called in (("destination_net", "Destination"), ("source_net", "Source")):
        if _family(row, field) not in ("", family):
            yield _says(
                row,
                field,
                f"{called} address type should match selected TCP/IP protocol version.",
            )
    for field in ("source_net", "destination_net"):
        names = row[field].value.split(",")
        if len(names) > 1 and "any" in names:
            yield _says(row, field, "Any can not be combined with other aliases")
    for field, called in (("icmptype", "ICMP"), ("icmp6type", "IPV6-ICMP")):
        if field in row and not row[field].is_empty and protocol != called:
            yield _says(row, field, f"Option only applies to {called} packets")
    if "," in row["source_net"].value and row["source_not"].value == "1":
        yield _says(row, "source_not", f"Inverting sources {_LISTS}")
    if "," in row["destination_net"].value and row["destination_not"].value == "1":
        yield _says(row, "destination_net", f"Inverting destinations {_LISTS}")
    if "interfacenot" in row and not row["interfacenot"].is_empty:
        interface = row["interface"]
        if interface.is_empty or "," in interface.value:
            yield _says(row, "interfacenot", f"Inverting interfaces {_LISTS}")
    if protocol not in ("TCP", "TCP/UDP"):
        for field in _TCP_ONLY:
            if field in row and not row[field].is_empty:
                yield _says(row, field, "Invalid option for other than TCP protocol choices.")


def _translation(row: Box) -> Iterator[Message]:
    protocol = row["protocol"].value
    if row["target"].value == "any":
        yield _says(row, "target", "Target address cannot be any.")
    if _family(row, "target") not in ("", row["ipprotocol"].value):
        yield _says(
            row, "target", "Target address type should match selected TCP/IP protocol version."
        )
    if not row["target_port"].is_empty and protocol not in _WITH_PORTS:
        yield _says(row, "target_port", "Target ports are only valid for tcp or udp type rules.")
    endpoint = row.get("endpoint-independent")
    if endpoint is not None and not endpoint.is_empty and protocol != "UDP":
        yield Message(endpoint.ref, "Endpoint Independent NAT is only available for UDP.")


def _rule(row: Box) -> Iterator[Message]:
    yield from _timeouts(row)
    if row["statetype"].value == "none":
        for field in _STATES_ONLY:
            if not row[field].is_empty:
                yield _says(row, field, "Invalid option when statetype is none.")
    rate, rates = row["max-src-conn-rate"], row["max-src-conn-rates"]
    if rate.is_empty is not rates.is_empty:
        missing = rate if rate.is_empty else rates
        yield Message(
            missing.ref, "Need to specify both a number of connections and a time interval."
        )
    yield from _flags(row)
    if not row["set-prio"].is_set and row["set-prio-low"].is_set:
        yield _says(
            row,
            "set-prio-low",
            "Set priority for low latency and acknowledgements requires a set priority for normal "
            "packets.",
        )
    if not row["shaper2"].is_empty and row["shaper1"].is_empty:
        yield _says(
            row, "shaper2", "A shaper is required when configuring one in the reverse direction."
        )
    if not row["divert-to"].is_empty and row["action"].value != "pass":
        yield _says(row, "divert-to", "Divert-to is only valid for pass rules.")
    if not row["gateway"].is_empty and not row["replyto"].is_empty:
        yield _says(
            row,
            "replyto",
            "You can not assign a reply-to destination to a rule that uses a gateway.",
        )


def _timeouts(row: Box) -> Iterator[Message]:
    most, start, end = row["max"], row["adaptivestart"], row["adaptiveend"]
    if most.is_empty and "0" in (start.value, end.value):
        yield Message(most.ref, _NO_MAX)
    elif (start.value == "0") is not (end.value == "0"):
        yield Message(start.ref, "Adaptive timeouts must be disabled together.")
    elif start.is_empty is not end.is_empty:
        yield Message(start.ref, "The adaptive timouts values must be set together.")
    elif not most.is_empty and not end.is_empty and most.int() > end.int():
        yield Message(
            end.ref, "The value of adaptive.end must be greater than the Max states value."
        )
    elif not start.is_empty and not end.is_empty and start.int() > end.int():
        yield Message(
            end.ref, "The value of adaptive.end must be greater than adaptive.start value."
        )


def _flags(row: Box) -> Iterator[Message]:
    are, of, any_of = row["tcpflags1"], row["tcpflags2"], row["tcpflags_any"]
    if not are.is_empty and of.is_empty:
        yield Message(
            of.ref,
            "If you specify TCP flags that should be set you should specify out of which flags as "
            "well.",
        )
    if not are.is_empty and not of.is_empty and not any_of.is_empty:
        yield Message(
            any_of.ref, "If you select any TCP flags, you cannot also select specific ones."
        )


def _prefix(row: Box) -> Iterator[Message]:
    config = row.tree.config
    inside, outside, tracked = row["source_net"], row["destination_net"], row["trackif"]
    if not tracked.is_empty:
        interface = config.find(f"interfaces/{row['interface'].value}")
        get = (lambda tag: "") if interface is None else (lambda tag: interface.findtext(tag) or "")
        other = config.findtext(f"interfaces/{tracked.value}/track6-interface") or ""
        if not outside.is_empty:
            text = "A track interface is only allowed without an external prefix."
        elif get("ipaddrv6") != "dhcp6":
            text = "The rule interface is not in set to DHCPv6 mode."
        elif tracked.value == row["interface"].value and not get("dhcp6-prefix-id"):
            text = "The rule interface requires a prefix ID for association."
        elif tracked.value != row["interface"].value and other != row["interface"].value:
            text = "This interface is not associated with the current rule interface."
        else:
            text = ""
        if text:
            yield Message(tracked.ref, text)
    if not outside.is_empty and not inside.is_empty:
        lengths = [f"{leaf.value}/128".split("/")[1] for leaf in (outside, inside)]
        if lengths[0] != lengths[1]:
            yield Message(outside.ref, "External subnet should match internal subnet.")


def _one_to_one(row: Box) -> Iterator[Message]:
    families: dict[str, str] = {}
    lengths: dict[str, str | None] = {}
    for field in ("source_net", "destination_net", "external"):
        family = _family(row, field)
        if family:
            families[field] = family
            whole = "32" if family == "inet" else "128"
            lengths[field] = f"{row[field].value}/{whole}".split("/")[1]
    if len(set(families.values())) > 1:
        for field in families:
            yield _says(row, field, "IP protocol families should match.")
    if row["type"].value == "binat" and not row["enabled"].is_empty:
        if "source_net" not in families:
            yield _says(row, "source_net", "For BINAT rules only addresses or subnets are allowed.")
        elif lengths.get("external") != lengths["source_net"]:
            yield _says(row, "external", "External subnet should match internal subnet.")
