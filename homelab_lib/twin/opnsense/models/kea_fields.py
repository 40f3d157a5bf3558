"""Kea: fields that hold lists of its own."""

from collections.abc import Iterator
from dataclasses import dataclass

from homelab_lib.twin.opnsense.fields import filters
from homelab_lib.twin.opnsense.fields.base import Field, Leaf


@dataclass(frozen=True, kw_only=True)
class Pools(Field):
    """Ranges or subnets, one a line; whether they lie in the subnet is the daemon's affair."""

    def check(self, leaf: Leaf) -> Iterator[str]:
        for entry in leaf.value.split("\n"):
            parts = entry.split("-")
            spans = len(parts) == 2 and all(filters.is_ip(part.strip()) for part in parts)
            if entry and not spans and not (len(parts) == 1 and filters.is_subnet(entry)):
                yield f'Entry "{entry}" is not a valid range or subnet.'


@dataclass(frozen=True, kw_only=True)
class Pairs(Field):
    """Destinations and routers in turn."""

    def check(self, leaf: Leaf) -> Iterator[str]:
        entries = [entry.strip() for entry in leaf.value.split(",")]
        for place in range(0, len(entries), 2):
            to, by = [*entries[place : place + 2], ""][:2]
            if not filters.is_ip(to) or not filters.is_ip(by):
                yield f'Entry "{to},{by}" is not a valid dest-ip,router-ip pair.'


@dataclass(frozen=True, kw_only=True)
class Routes(Field):
    """Networks and routers, with a hyphen between."""

    def check(self, leaf: Leaf) -> Iterator[str]:
        for item in leaf.value.split(","):
            entries = [entry.strip() for entry in item.split("-")]
            to, by = [*entries, ""][:2]
            four = filters.is_ipv4(to.partition("/")[0]) and filters.is_ipv4(by)
            if len(entries) != 2 or not filters.is_subnet_strict(to) or not four:
                yield f'Entry "{to},{by}" is not a valid dest_net - router_ip pair.'
