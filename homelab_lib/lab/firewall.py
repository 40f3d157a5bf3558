"""What a firewall does with packets: aliases, filter rules, address translation, inspection.

The lab's own `rules` say what may pass between its VLANs, whichever appliance sees to it. What
stands here is by appliance, in the words of OPNsense: a filter rule for what a policy can't say,
a port forward, the rulesets of Suricata.
"""

from typing import Annotated, Literal

from pydantic import Field

from homelab_lib.lab.base import (
    BY_NAME,
    Count,
    Form,
    Listed,
    Made,
    Named,
    Network,
    Phase,
    PortName,
    Positive,
    Record,
    Slug,
    Tcp,
    VlanId,
)
from homelab_lib.lab.schedule import Cron

AliasName = Annotated[
    str,
    Form(
        r"(?=.{1,31}$)_?[A-Za-z][A-Za-z0-9_]*",
        "an alias's name: a letter first, or one _ and a letter, then letters, digits and _, 31 at "
        "most",
    ),
]
Zone = (
    VlanId
    | Annotated[str, Form(r"\S+", "a VLAN's number, any, self, a machine, an address or an alias")]
)
"""An end of a rule: a VLAN by its number, ``any``, ``self``, a host or VM, an address, an alias."""

Attachment = VlanId | PortName
"""An interface of a firewall: a VLAN by its number, a port or bond by name, a WireGuard tunnel."""

Ports = Annotated[
    str,
    Form(
        r"\d{1,5}([-:]\d{1,5})?|[A-Za-z_][A-Za-z0-9_]*",
        "a port, a range such as 8000-8010, or an alias",
    ),
]
Protocol = Literal["any", "TCP", "UDP", "TCP/UDP", "ICMP", "IPV6-ICMP", "ESP", "AH", "GRE", "IGMP"]
WITH_PORTS = ("TCP", "UDP", "TCP/UDP")
Family = Literal["ipv4", "ipv6", "both"]


class Alias(Made):
    """A name for several addresses, networks or ports."""

    kind: Literal[
        "host", "network", "port", "mac", "networkgroup", "url", "urltable", "geoip", "asn"
    ] = Field(description="What it stands for, in OPNsense's words.")
    content: tuple[str | int, ...] = Field(
        min_length=1, description="Entries: addresses, networks, ports, or names of other aliases."
    )
    refresh_days: float | None = Field(
        None, gt=0, description="How often a urltable is fetched anew [days]."
    )
    description: str = Field("", description="What it is for.")


class FilterRule(Listed):
    """One rule of a packet filter."""

    action: Literal["pass", "block", "reject"] = Field(description="What becomes of the packet.")
    interfaces: tuple[Attachment, ...] = Field(
        (), description="Where it comes in; several, or none, make a floating rule."
    )
    direction: Literal["in", "out", "any"] = Field("in", description="As the firewall sees it.")
    family: Family = Field("ipv4", description="IP version.")
    protocol: Protocol = Field("any", description="Protocol.")
    source: Zone = Field(description="Whence; 'any' is written out.")
    source_not: bool = Field(False, description="Whence not.")
    source_port: Ports | Tcp | None = Field(None, description="Port at the source.")
    destination: Zone = Field(description="Whither; 'any' is written out.")
    destination_not: bool = Field(False, description="Whither not.")
    destination_port: Ports | Tcp | None = Field(None, description="Port at the destination.")
    gateway: str | None = Field(None, description="Gateway that matching packets leave by.")
    quick: bool = Field(True, description="The first quick rule that fits decides.")
    log: bool = Field(False, description="Whether it is logged.")
    enabled: bool = Field(True, description="Whether it is in force.")
    reason: str = Field(description="What needs it.")
    phase: Phase = Field(None, description="Phase that makes it.")
    exists: bool = Field(False, description="It is there already: looked at, never made.")


class PortForward(Made):
    """What arrives at an outside port goes to a machine inside."""

    interfaces: tuple[Attachment, ...] = Field(
        min_length=1, description="Ports of the firewall that it arrives at."
    )
    family: Family = Field("ipv4", description="IP version.")
    protocol: Literal["TCP", "UDP", "TCP/UDP"] = Field(description="Protocol.")
    source: Zone = Field("any", description="Whence it may come.")
    source_not: bool = Field(False, description="Whence it may not come.")
    destination: Zone = Field("self", description="Address it arrives at.")
    port: Ports | Tcp = Field(description="Port it arrives at.")
    to: Zone = Field(description="Machine, address or alias it goes to.")
    to_port: Tcp | AliasName | None = Field(None, description="Port there; none: the same.")
    let_through: Literal["pass", "rule", "own"] = Field(
        "rule",
        description="Passed at once, by a rule that the firewall adds, or by a filter rule of ours",
    )
    reflection: bool | None = Field(
        None, description="Whether it also works from inside; none: as the firewall does it."
    )
    log: bool = Field(False, description="Whether it is logged.")
    enabled: bool = Field(True, description="Whether it is in force.")
    reason: str = Field(description="What needs it.")


class OutboundRule(Listed):
    """How the source address of what leaves is translated."""

    interface: Attachment = Field(description="Port it leaves by.")
    family: Literal["ipv4", "ipv6"] = Field("ipv4", description="IP version.")
    protocol: Protocol = Field("any", description="Protocol.")
    source: Zone = Field(description="Whence.")
    source_not: bool = Field(False, description="Whence not.")
    source_port: Ports | Tcp | None = Field(None, description="Port at the source.")
    destination: Zone = Field("any", description="Whither.")
    destination_not: bool = Field(False, description="Whither not.")
    destination_port: Ports | Tcp | None = Field(None, description="Port at the destination.")
    target: Zone = Field("self", description="Address it gets; 'self': the interface's own.")
    target_port: Tcp | None = Field(None, description="Source port it gets.")
    static_port: bool = Field(False, description="The source port is kept.")
    translate: bool = Field(True, description="False: what fits is left as it is.")
    log: bool = Field(False, description="Whether it is logged.")
    enabled: bool = Field(True, description="Whether it is in force.")
    reason: str = Field(description="What needs it.")
    phase: Phase = Field(None, description="Phase that makes it.")
    exists: bool = Field(False, description="It is there already: looked at, never made.")


class Outbound(Record):
    """Translation of what leaves."""

    mode: Literal["automatic", "hybrid", "manual", "off"] = Field(
        "automatic", description="Whether the firewall adds its own rules: all, beside ours, none."
    )
    rules: tuple[OutboundRule, ...] = Field((), description="Ours, in order.")


class IdsPolicy(Made):
    """What is done with rules of the rulesets."""

    priority: Count = Field(0, description="The lowest number decides first.")
    rulesets: tuple[str, ...] = Field((), description="Rulesets it is about; empty: all.")
    actions: tuple[Literal["alert", "drop", "disable"], ...] = Field(
        (), description="Rules that now do this; empty: all."
    )
    properties: dict[str, tuple[str, ...]] = Field(
        {}, description="Rules with these properties, such as signature_severity: [Critical]."
    )
    new_action: Literal["default", "alert", "drop", "disable"] = Field(
        description="What these rules do instead."
    )
    enabled: bool = Field(True, description="Whether it is in force.")


class Ids(Record):
    """Inspection of traffic by Suricata."""

    mode: Literal["ids", "ips"] = Field(description="It tells (ids), or also drops (ips).")
    capture: Literal["netmap", "divert"] = Field(
        "netmap", description="How ips gets at the packets."
    )
    interfaces: tuple[Attachment, ...] = Field(
        min_length=1, description="Where it looks; ips looks at a port, with all VLANs on it."
    )
    home_networks: tuple[Network, ...] = Field(
        (), description="What is inside; empty: all subnets of the lab."
    )
    pattern_matcher: Literal["ac", "ac-ks", "hs"] | None = Field(
        None, description="Algorithm; hs is Hyperscan."
    )
    rulesets: tuple[Annotated[str, Form(r"[\w .,-]{1,255}", "a file name of a ruleset")], ...] = (
        Field(description="Files of rules, such as emerging-malware.rules.")
    )
    policies: Annotated[dict[Slug, IdsPolicy], BY_NAME] = Field(
        {}, description="What is done with their rules."
    )
    signatures: dict[Positive, Literal["alert", "drop", "disable"]] = Field(
        {}, description="What single rules do, by their number (sid)."
    )
    update: Cron | None = Field(
        None, description="When rules are fetched anew, as in crontab: '0 4 * * *'."
    )
    log_days: Positive | None = Field(None, description="Days that its log is kept.")
    phase: Phase = Field(None, description="Phase that makes it.")
    assumed: str = Field("", description="Why something of it is invented; empty: nothing is.")


class Firewall(Named):
    """What is set up on one firewall. Its key is the host's name."""

    aliases: Annotated[dict[AliasName, Alias], BY_NAME] = Field({}, description="Aliases.")
    filter_rules: tuple[FilterRule, ...] = Field((), description="Packet filter, in order.")
    port_forwards: Annotated[dict[Slug, PortForward], BY_NAME] = Field(
        {}, description="What comes in from outside."
    )
    outbound: Outbound | None = Field(None, description="Translation of what leaves.")
    ids: Ids | None = Field(None, description="Inspection of what passes.")
