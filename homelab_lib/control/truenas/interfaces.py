"""The interfaces of a TrueNAS that the lab gives addresses, set in one transaction.

Changes of interfaces wait in the middleware's memory until they are committed; a commit goes back
by itself unless somebody checks in. As long as nothing is configured DHCP runs on every interface,
and the first one that is configured ends that for all others and takes the default route away: so
the one by which we come is pinned first, and the gateway is kept in the same transaction.

Sources: TrueNAS middleware 25.04 to 26, `plugins/network.py` and its test `test_005_interface`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib.answers import Shape, whole
from homelab_lib.control.truenas.interface import (
    KINDS,
    MADE_OF,
    STANDARD_MTU,
    Bonded,
    NasInterface,
    Tagged,
)
from homelab_lib.control.truenas.midclt import Release, call, changing
from homelab_lib.runbook.resource import Change, Diff, Host, Rollback

CHECKIN_S = 120
"""How long a commit waits to be confirmed: a port that trains anew takes its time [s]."""
_ALIAS: Shape = {"type": str, "address": str, "netmask": whole}
_INTERFACES: Shape = [
    {
        "id": str,
        "bridge_members?": [str],
        "lag_ports?": [str],
        "lag_protocol?": str,
        "xmit_hash_policy?": str,
        "lacpdu_rate?": str,
        "vlan_parent_interface?": str,
        "vlan_tag?": whole,
        "ipv4_dhcp": bool,
        "ipv6_auto": bool,
        "aliases": [_ALIAS],
        "mtu?": whole,
        "state": {"mtu?": whole, "aliases?": [{"type": str, "address": str, "netmask?": whole}]},
    }
]
NAMESERVERS = ("nameserver1", "nameserver2", "nameserver3")
_CONFIGURATION: Shape = {"ipv4gateway": str} | dict.fromkeys(NAMESERVERS, str)
_BY_ITSELF = ("ipv4_dhcp", "ipv6_auto")
_UNDO = "midclt call interface.rollback, until they are confirmed"


@dataclass(frozen=True)
class NasNetwork:
    """Interfaces, gateway and name servers of a NAS.

    Parameters
    ----------
    host, release
        Which NAS, and its release.
    interfaces
        The one by which we come first. Others of the NAS are left as they are, but for DHCP on
        those that nobody ever configured.
    gateway
        The default route; empty: the lab has none, and it is left alone.
    nameservers
        Three at most; empty: left alone.
    reached_at
        The address by which we come; empty where only a name is known.
    """

    host: str
    release: Release
    interfaces: tuple[NasInterface, ...]
    gateway: str = ""
    nameservers: tuple[str, ...] = ()
    reached_at: str = ""
    timeout_s: float = CHECKIN_S + 60.0

    @property
    def name(self) -> str:
        return f"network {', '.join(each.name for each in self.interfaces)}"

    def observe(self, host: Host) -> dict[str, Any]:
        rows = call(host, "interface.query", shape=_INTERFACES)
        config = call(host, "network.configuration.config", shape=_CONFIGURATION)
        return {
            "interfaces": {row["id"]: _told(row) for row in rows},
            "gateway": config["ipv4gateway"],
            "nameservers": [config[key] for key in NAMESERVERS if config[key]],
            "free": {
                each.name: sorted(call(host, "interface.lag_ports_choices", each.name, shape=dict))
                for each in self.interfaces
                if isinstance(each.made_of, Bonded)
            },
            "pending": bool(call(host, "interface.has_pending_changes")),
            "ours": self._ours(host),
        }

    def _ours(self, host: Host) -> bool:
        """Whether we were in the middle of it: what is pending was sent under this approval."""
        steps = [line for line in host.sent(self.name) if "call interface." in line]
        return bool(steps) and ("interface.commit" not in steps[-1] or host.begun(self.name))

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["pending"] and not observed["ours"]:
            return Diff(
                conflict=f"somebody is changing the network of {self.host}: changes wait to be "
                "committed or confirmed, and are not of this approval (an earlier one may have "
                "left them). Finish them in the web interface, or drop them by `midclt call "
                "interface.rollback`; then run this again"
            )
        found = observed["interfaces"]
        if why := self._refused(found):
            return Diff(conflict=why)
        return Diff((*self._transaction(observed), *self._names(observed)))

    # ------------------------------------------------------------------ refusals

    def _refused(self, found: Mapping[str, Any]) -> str:
        ports = [
            name
            for each in self.interfaces
            for name in ((each.name, *each.below) if each.made_of is None else each.below)
        ]
        made = {each.name for each in self.interfaces if each.made_of}
        missing = [name for name in dict.fromkeys(ports) if name not in found and name not in made]
        if missing:
            return (
                f"{self.host} has no interface {', '.join(missing)}; it has "
                f"{', '.join(sorted(found))}. A card that is not seen has none (look at `lspci`), "
                "and a card that was added may have renamed others: write the names of now into "
                "the lab's ports"
            )
        for each in self.interfaces:
            if why := self._in_other_hands(each, found):
                return why
        ways = [
            name
            for name, row in found.items()
            if any(cidr.partition("/")[0] == self.reached_at for cidr in row["runs"])
        ]
        for way in ways:
            own = [each for each in self.interfaces if way in self._stands_on(each)]
            if not any(self._keeps(each) for each in own):
                has = next((", ".join(each.addresses) for each in own if each.addresses), "")
                return (
                    f"this would cut us off: we come by {self.reached_at} on {way}, and the lab "
                    f"gives {way} {has or 'no address'}. Give that port the address in the lab; or "
                    "move the NAS at its console first, and then write the new address into ssh"
                )
        return ""

    def _in_other_hands(self, each: NasInterface, found: Mapping[str, Any]) -> str:
        """Why its parts are not free to be its own; empty where they are."""
        for name, row in found.items():
            if name == each.name:
                continue
            if isinstance(each.made_of, Tagged):
                if each.made_of.document.items() <= row.items():
                    return (
                        f"{each.made_of} is there as {name} on {self.host}, and nobody here made "
                        f"it. Take it away in the web interface (Network), or call it "
                        f"{each.name} there"
                    )
                continue
            taken = [port for port in each.below if port in row.get("lag_ports", ())]
            taken += [port for port in each.below if port == row.get("vlan_parent_interface")]
            taken += [port for port in each.below if port in row.get("bridge_members", ())]
            if taken:
                return (
                    f"{taken[0]} of {self.host} is in use by {name}, and is to be a part of "
                    f"{each.name}. Take {name} away in the web interface (Network), or take the "
                    "port out of the lab's bond"
                )
        return ""

    def _stands_on(self, each: NasInterface) -> set[str]:
        """An interface with all that is under it."""
        lower = [other for other in self.interfaces if other.name in each.below]
        return {each.name, *each.below}.union(*(self._stands_on(other) for other in lower))

    def _keeps(self, interface: NasInterface) -> bool:
        mine = [cidr.partition("/")[0] for cidr in interface.addresses]
        return self.reached_at in mine or interface.ipv4_dhcp or interface.ipv6_auto

    # ------------------------------------------------------------------- changes

    def _transaction(self, observed: dict[str, Any]) -> Iterator[Change]:
        """What has to be committed. Where we were cut off in the middle, the rest of it; a commit
        that nobody confirmed is sent anew, with a new timer."""
        found, pending = observed["interfaces"], observed["pending"]
        routes = self._routes(observed)
        wanted = sorted(self.interfaces, key=self._depth)
        updates = [each for each in wanted if each.differing(found.get(each.name, {}))]
        if updates and _untouched(found):
            first, *others = wanted
            found = _once_one_is_set(found, first.name)
            updates = [first, *(o for o in others if o.differing(found.get(o.name, {})))]
        idle = [each for each in wanted if each.name in found and not each.runs(found[each.name])]
        if not updates and not pending:
            if not routes and not idle:
                return
            # A transaction begins with an interface, and with nothing else.
            updates = [(idle or wanted)[0]]
        for each in updates:
            yield from self._freed(each, observed)
            yield _update(each, found[each.name]) if each.name in found else _create(each)
        if routes:
            yield self._save(observed)
        yield self._commit()

    def _depth(self, each: NasInterface) -> int:
        """How many others it stands on: what is below is set first."""
        lower = [self._depth(other) for other in self.interfaces if other.name in each.below]
        return 1 + max(lower, default=0) if each.below else 0

    def _freed(self, each: NasInterface, observed: dict[str, Any]) -> Iterator[Change]:
        """What is configured of ports that become parts of another: a bond takes none such."""
        free = observed["free"].get(each.name, each.below)
        for port in (port for port in each.below if port not in free):
            row = observed["interfaces"][port]
            yield Change(
                f"configure nothing of {port}, so that it can be a part of {each.name}",
                changing("interface.delete", port),
                replaces=f"addresses {_shown(row['addresses'])}",
                undo=_UNDO,
            )

    def _routes(self, observed: dict[str, Any]) -> bool:
        """Whether the default route has to be changed."""
        return self.gateway not in ("", observed["gateway"])

    def _save(self, observed: dict[str, Any]) -> Change:
        """The gateway, and since 25.10 name servers with it; before, there was a method for the
        gateway alone."""
        summary, names = f"keep {self.gateway} as the gateway", self._documented_names()
        if self.release < (25, 10):
            call_ = changing("interface.save_default_route", self.gateway)
        else:
            call_ = changing("interface.save_network_config", {"ipv4gateway": self.gateway} | names)
            if names:
                summary += f", and ask {', '.join(self.nameservers)} for names"
        was = f"gateway {observed['gateway'] or 'none'}"
        return Change(summary, call_, replaces=was, undo=_UNDO)

    def _documented_names(self) -> dict[str, str]:
        return _in_places(self.nameservers) if self.nameservers else {}

    def _commit(self) -> Change:
        confirm = changing("interface.checkin")
        return Change(
            "apply the network's changes; they go back unless a new connection confirms them",
            changing("interface.commit", {"rollback": True, "checkin_timeout": CHECKIN_S}),
            undo=_UNDO,
            rollback=Rollback(None, _armed, confirm, float(CHECKIN_S)),
        )

    def _names(self, observed: dict[str, Any]) -> Iterator[Change]:
        """Name servers that no transaction saves: they are no part of the way to the host."""
        has = observed["nameservers"]
        saved = self.release >= (25, 10) and self._routes(observed)
        if saved or list(self.nameservers) in ([], has):
            return
        yield Change(
            f"ask {', '.join(self.nameservers)} for names",
            changing("network.configuration.update", self._documented_names()),
            replaces=f"name servers {', '.join(has) or 'none'}",
            undo=changing("network.configuration.update", _in_places(has)).line,
        )


def _untouched(found: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether nobody ever configured anything: DHCP runs everywhere."""
    return all(row["ipv4_dhcp"] and not row["addresses"] for row in found.values())


def _once_one_is_set(found: Mapping[str, dict[str, Any]], first: str) -> dict[str, dict[str, Any]]:
    """What is found on the others from the first one's update on: so they are planned for, since a
    run may be cut off in between."""
    return {
        name: row if name == first else row | {"ipv4_dhcp": False} for name, row in found.items()
    }


def _armed(host: Host) -> bool:
    return call(host, "interface.checkin_waiting") is not None


def _update(each: NasInterface, found: Mapping[str, Any]) -> Change:
    old = ", ".join(f"{key} {_shown(found[key])}" for key in each.differing(found))
    return Change(
        f"give {each.name} {_given(each)}",
        changing("interface.update", each.name, each.document),
        replaces=old,
        undo=_UNDO,
    )


def _in_places(servers: Sequence[str]) -> dict[str, str]:
    """All places for name servers, those that are not taken emptied."""
    return dict(zip(NAMESERVERS, [*servers, "", "", ""], strict=False))


def _create(each: NasInterface) -> Change:
    return Change(
        f"make {each.name} of {each.made_of}, with {_given(each)}",
        changing(
            "interface.create",
            {"name": each.name, "type": KINDS[type(each.made_of)]} | each.document,
        ),
        undo=_UNDO,
    )


def _given(each: NasInterface) -> str:
    """The addresses that it gets, and how large its packets are where they are not as usual."""
    addresses = [*each.addresses, *(key for key in _BY_ITSELF if getattr(each, key))]
    big = f", packets of {each.mtu} bytes" if each.mtu != STANDARD_MTU else ""
    return f"{', '.join(addresses) or 'no address'}{big}"


def _shown(value: Any) -> str:
    return (", ".join(value) or "none") if isinstance(value, list) else str(value).lower()


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    state = row["state"]
    return {
        "ipv4_dhcp": row["ipv4_dhcp"],
        "ipv6_auto": row["ipv6_auto"],
        "addresses": sorted(f"{each['address']}/{each['netmask']}" for each in row["aliases"]),
        "mtu": row.get("mtu") or STANDARD_MTU,
        "runs": sorted(
            f"{each['address']}/{each.get('netmask', '')}"
            for each in state.get("aliases", ())
            if each["type"] in ("INET", "INET6")
        ),
        "runs_mtu": state.get("mtu"),
    } | {key: row[key] for key in (*MADE_OF, "bridge_members") if row.get(key)}
