"""Kinds of ICMP, and of service, as filter rules name them."""

from typing import Any

ICMP_TYPES: dict[str, Any] = {
    "echoreq": {"value": "Echo Request", "optgroup": "Common"},
    "echorep": {"value": "Echo Reply", "optgroup": "Common"},
    "unreach": {"value": "Destination Unreachable", "optgroup": "Common"},
    "redir": {"value": "Redirect", "optgroup": "Common"},
    "routeradv": {"value": "Router Advertisement", "optgroup": "Common"},
    "routersol": {"value": "Router Solicitation", "optgroup": "Common"},
    "timex": {"value": "Time Exceeded", "optgroup": "Common"},
    "paramprob": {"value": "Parameter Problem", "optgroup": "Common"},
    "timereq": {"value": "Timestamp", "optgroup": "Common"},
    "timerep": {"value": "Timestamp Reply", "optgroup": "Common"},
    "photuris": {"value": "Photuris", "optgroup": "Common"},
    "squench": {"value": "Source Quench", "optgroup": "Deprecated"},
    "althost": {"value": "Alternate Host Address", "optgroup": "Deprecated"},
    "inforeq": {"value": "Information Request", "optgroup": "Deprecated"},
    "inforep": {"value": "Information Reply", "optgroup": "Deprecated"},
    "maskreq": {"value": "Address Mask Request", "optgroup": "Deprecated"},
    "maskrep": {"value": "Address Mask Reply", "optgroup": "Deprecated"},
    "trace": {"value": "Traceroute", "optgroup": "Deprecated"},
    "dataconv": {"value": "Data conversion problem", "optgroup": "Deprecated"},
    "mobredir": {"value": "Mobile host redirection", "optgroup": "Deprecated"},
    "ipv6-where": {"value": "IPv6 where-are-you", "optgroup": "Deprecated"},
    "ipv6-here": {"value": "IPv6 i-am-here", "optgroup": "Deprecated"},
    "mobregreq": {"value": "Mobile registration request", "optgroup": "Deprecated"},
    "mobregrep": {"value": "Mobile registration reply", "optgroup": "Deprecated"},
    "skip": {"value": "SKIP", "optgroup": "Deprecated"},
}
ICMP6_TYPES = {
    "1": "Destination unreachable",
    "2": "Packet too big",
    "3": "Time exceeded",
    "4": "Invalid IPv6 header",
    "128": "Echo service request",
    "129": "Echo service reply",
    "130": "Multicast Listener Query",
    "131": "Multicast listener report",
    "132": "Multicast listener done",
    "133": "Router solicitation",
    "134": "Router advertisement",
    "135": "Neighbor solicitation",
    "136": "Neighbor advertisement",
    "137": "Shorter route exists",
    "138": "Route renumbering",
    "139": "ICMP Node Information Query",
    "140": "Node information reply",
    "200": "mtrace response",
    "201": "mtrace messages",
}
_AF = (11, 12, 13, 21, 22, 23, 31, 32, 33, 41, 42, 43)
TOS = {
    "": "Any",
    **{
        w: w
        for w in ("lowdelay", "critical", "inetcontrol", "netcontrol", "throughput", "reliability")
    },
    "ef": "EF",
    **{f"af{number}": f"AF{number}" for number in _AF},
    **{f"cs{number}": f"CS{number}" for number in range(8)},
    **{hex(number): f"0x{number:02X}" for number in range(256)},
}
