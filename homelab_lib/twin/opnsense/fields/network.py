"""Fields of networks: addresses, ports, protocols, names of hosts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.fields import filters
from homelab_lib.twin.opnsense.fields.base import Leaf, Several
from homelab_lib.twin.opnsense.fields.choices import Choice, Offer
from homelab_lib.twin.opnsense.fields.services import PROTOCOLS, WELL_KNOWN
from homelab_lib.twin.opnsense.order import natural

_FIRST = ("TCP", "UDP", "TCP/UDP", "ICMP", "ESP", "AH", "GRE", "IGMP", "PIM", "OSPF")
NUMBERS = {str(number): str(number) for number in range(1, 65536)}
_HEADERS = ("IPV6-ROUTE", "IPV6-FRAG", "IPV6-OPTS", "IPV6-NONXT", "MOBILITY-HEADER")


@dataclass(frozen=True, kw_only=True)
class Network(Several):
    """An address or a network.

    Parameters
    ----------
    mask_required, mask_allowed
        Whether it has, or may have, a prefix length.
    wildcard
        Whether it may be ``any``.
    family
        ``ipv4`` or ``ipv6``; empty for both.
    strict
        Whether no bit of the host may be set.
    """

    mask_required: bool = False
    mask_allowed: bool = True
    wildcard: bool = True
    family: str = ""
    strict: bool = False
    says_by_itself: ClassVar[str] = "Please specify a valid network segment or IP address."

    def accept(self, leaf: Leaf, value: str) -> str | None:
        return super().accept(leaf, value.lower().strip(" \t\n\r\0\v"))

    def check(self, leaf: Leaf) -> Iterator[str]:
        if leaf.value == "any" and self.wildcard:
            return
        if not all(self._fits(each) for each in self.entries(leaf.value)):
            yield self.says()

    def _fits(self, value: str) -> bool:
        address, slash, length = value.partition("/")
        if slash:
            if not self.mask_allowed or not filters.is_digits(length):
                return False
            if int(length) > (128 if ":" in address else 32):
                return False
            if self.strict and not filters.is_subnet_strict(value):
                return False
        elif self.mask_required:
            return False
        is_one = {"ipv4": filters.is_ipv4, "ipv6": filters.is_ipv6}.get(self.family, filters.is_ip)
        return is_one(address)


@dataclass(frozen=True, kw_only=True)
class IpPort(Several):
    """An address with a port."""

    family: str = ""
    port_optional: bool = False
    hostname: bool = False
    says_by_itself: ClassVar[str] = "Invalid IP-port combination."

    def accept(self, leaf: Leaf, value: str) -> str | None:
        return super().accept(leaf, value.strip(" \t\n\r\0\v"))

    def check(self, leaf: Leaf) -> Iterator[str]:
        wrong = next((e for e in self.entries(leaf.value) if not self._fits(e)), None)
        if wrong is not None:
            yield f'"{wrong}" is invalid. {self.says()}'

    def _fits(self, value: str) -> bool:
        host, *rest = value.split(":")
        with_port = len(rest) == 1 and filters.is_port(rest[0])
        four = (with_port and filters.is_ipv4(host)) or (
            self.port_optional and filters.is_ipv4(value)
        )
        if self.family in ("", "ipv4") and four:
            return True
        if self.hostname:
            if with_port and filters.is_domain(host, hostname=True):
                return True
            if self.port_optional and filters.is_domain(value, hostname=True):
                return True
        if self.family in ("", "ipv6"):
            address, bracket, port = value.removeprefix("[").partition("]")
            written = value.startswith("[") and bool(bracket) and filters.is_ipv6(address)
            if written and ":" in port and filters.is_port(port.strip(": ")):
                return True
            return self.port_optional and filters.is_ipv6(value)
        return False


@dataclass(frozen=True, kw_only=True)
class Mac(Several):
    """A hardware address."""

    says_by_itself: ClassVar[str] = "Invalid MAC address."

    def accept(self, leaf: Leaf, value: str) -> str | None:
        return super().accept(leaf, value.strip(" \t\n\r\0\v"))

    def check(self, leaf: Leaf) -> Iterator[str]:
        if not all(filters.is_mac(each) for each in self.entries(leaf.value)):
            yield self.says()


@dataclass(frozen=True, kw_only=True)
class Hostname(Several):
    """A name of a host, or an address."""

    ip: bool = True
    host_wildcard: bool = False
    fqdn_wildcard: bool = False
    zone_root: bool = False
    dns_name: bool = False
    says_by_itself: ClassVar[str] = "[%s] is not a valid IP address or hostname."

    def accept(self, leaf: Leaf, value: str) -> str | None:
        return super().accept(leaf, value.strip(" \t\n\r\0\v"))

    def check(self, leaf: Leaf) -> Iterator[str]:
        for each in self.entries(leaf.value):
            if not self._fits(each):
                yield self.says(each)
                return

    def _fits(self, value: str) -> bool:
        is_ip = filters.is_ip(value)
        if (self.fqdn_wildcard and value.startswith("*.")) or (
            self.zone_root and value.startswith("@.")
        ):
            value = value[2:]
        if (self.zone_root and value == "@") or (self.host_wildcard and value == "*"):
            return True
        if is_ip:
            return self.ip
        named = filters.is_domain(value, hostname=not self.dns_name)
        return named and not any(letter.isspace() or letter in "/*" for letter in value)


@dataclass(frozen=True, kw_only=True)
class Port(Choice):
    """A port.

    Parameters
    ----------
    well_known, ranges, aliases
        What it may be beside a number: a service, two numbers with a hyphen, an alias.
    """

    well_known: bool = False
    ranges: bool = False
    aliases: bool = False

    def accept(self, leaf: Leaf, value: str) -> str | None:
        small = value.strip(" \t\n\r\0\v").lower()
        named = small == "any" or small in WELL_KNOWN[1:]
        return super().accept(leaf, small if self.well_known and named else value)

    def own_words(self) -> str:
        said = "Please specify a valid port number (1-65535)."
        if self.well_known:
            said += f" A service name is also possible ({', '.join(WELL_KNOWN)})."
        return said

    def listed(self, leaf: Leaf) -> Offer:
        return self._names(leaf) | NUMBERS

    def described(self, leaf: Leaf) -> str:
        return ", ".join(self.values(leaf))  # each is called by itself: no list of all is needed

    def _names(self, leaf: Leaf) -> Offer:
        found: Offer = {}
        if self.well_known:
            # ['any'] + names: the first name gives way to 'any', as PHP adds arrays
            found |= {name: name for name in ("any", *WELL_KNOWN[1:])}
        if self.aliases:
            found |= {name: name for name in aliases_of(leaf, port=True)}
        return found

    def check(self, leaf: Leaf) -> Iterator[str]:
        for each in leaf.value.split(",") if self.multiple else [leaf.value]:
            fits = each in NUMBERS or (self.ranges and self._is_range(leaf, each))
            if not fits and each not in self._names(leaf):
                yield self.says(each if self.multiple else "")

    def _is_range(self, leaf: Leaf, value: str) -> bool:
        first, hyphen, last = value.partition("-")
        if not self.multiple and "," in leaf.value:
            return False
        low, high = php.integer(first), php.integer(last)
        if not hyphen or low is None or high is None or not 1 <= low < high <= 65535:
            return False
        blank = first != first.strip() or last != last.strip()
        return not blank or leaf.tree.box.release < (26, 7)

    def data(self, leaf: Leaf) -> Any:
        return super().data(leaf) if self.multiple else leaf.value


@dataclass(frozen=True, kw_only=True)
class Protocol(Choice):
    """A protocol above IP.

    Parameters
    ----------
    added
        More than the system's, and what they are called.
    """

    case: Any = "upper"
    added: dict[str, str] = field(default_factory=dict)

    def accept(self, leaf: Leaf, value: str) -> str | None:
        return "any" if value.lower() == "any" else self._cased(value)

    def _cased(self, value: str) -> str:
        return value.lower() if self.case == "lower" else value.upper()

    def listed(self, leaf: Leaf) -> Offer:
        names = {self._cased(n): n.upper() for n in PROTOCOLS if n.upper() not in _HEADERS}
        names |= {self._cased(n): c for n, c in self.added.items() if n.lower() != "any"}
        found: Offer = {}
        if self.required:
            found["any"] = next((c for n, c in self.added.items() if n.lower() == "any"), "any")
        for name in map(self._cased, _FIRST):
            if name in names:
                found[name] = names.pop(name)
        return found | dict(sorted(names.items(), key=lambda item: natural(item[1])))


@dataclass(frozen=True, kw_only=True)
class NetworkAlias(Choice):
    """Whom a rule is about: an interface's network or address, an alias, an address, a network."""

    def own_words(self) -> str:
        return "%s is not a valid source IP address or alias."

    def says_of(self, leaf: Leaf) -> str:
        said = self.message or self.own_words()
        return said.replace("%s", leaf.value)

    def check(self, leaf: Leaf) -> Iterator[str]:
        offer = self.offer(leaf)
        for each in leaf.value.split(",") if self.multiple else [leaf.value]:
            literal = each == leaf.value and (filters.is_ip(each) or filters.is_subnet(each))
            if each not in offer and not literal:
                yield self.says(each) if self.message else self.says_of(leaf)

    def listed(self, leaf: Leaf) -> Offer:
        found: Offer = {"any": "any", "(self)": "This Firewall"}
        for each in leaf.tree.config.find("interfaces") or ():
            called = each.findtext("descr") or each.tag.upper()
            found[each.tag] = f"{called} net"
            if each.find("virtual") is None:
                found[f"{each.tag}ip"] = f"{called} address"
        return found | {name: name for name in aliases_of(leaf, port=False)}

    def data(self, leaf: Leaf) -> Any:
        return leaf.value


def aliases_of(leaf: Leaf, *, port: bool) -> list[str]:
    """Names of the aliases of ports, or of all others."""
    aliases = leaf.tree.aliases()
    return [row["name"].value for row in aliases.rows() if (row["type"].value == "port") is port]
