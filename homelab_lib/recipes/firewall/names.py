"""Names of the house by Unbound, and time: whom the firewall asks, and whom it tells."""

import ipaddress
from collections.abc import Iterator

from homelab_lib.control.opnsense.api import Api
from homelab_lib.control.opnsense.config import ConfigValues
from homelab_lib.control.opnsense.families import (
    DNS_FORWARD,
    DNS_OVER_TLS,
    HOST_OVERRIDE,
    UNBOUND,
)
from homelab_lib.control.opnsense.revert import Applied, Aside, restarted
from homelab_lib.control.opnsense.row import Row, described, rows
from homelab_lib.control.opnsense.section import Section
from homelab_lib.control.opnsense.values import flag
from homelab_lib.errors import BadParameter
from homelab_lib.lab.naming import DnsForward, DnsOverride, DnsServer, TimeClient, TimeServer
from homelab_lib.recipes.firewall.ends import addresses
from homelab_lib.recipes.firewall.gateway import Gateway, Names
from homelab_lib.recipes.firewall.written import written
from homelab_lib.runbook.resource import Resource
from homelab_lib.runbook.step import Check, Context, Manual, Step, Wanted

_PLAIN, _TLS = 53, 853
_POOL = frozenset(f"{number}.opnsense.pool.ntp.org" for number in range(4))
"""The time servers that an OPNsense comes with."""


def steps(gateway: Gateway, needs: tuple[str, ...]) -> Iterator[Step]:
    """The steps of a firewall's names and of its time.

    Raises
    ------
    BadParameter
        What OPNsense's own servers can't do.
    """
    server = gateway.lab.dns.get(gateway.host)
    if server is not None:
        names = HouseNames(gateway, server)
        if names.overrides or names.forwards:
            yield Step(
                f"names{gateway.end}",
                "Answer for the house's names",
                why="Unbound answers for the names that the lab gives to its machines; all other "
                "names it asks for as it did. Names that somebody else has entered stay.",
                needs=needs,
                ensure=names.ensure,
                check=names.check,
            )
    client = gateway.lab.ntp.get(gateway.host)
    if client is not None and gateway.makes(client):
        clock = Clock(gateway, client)
        yield Step(
            f"time{gateway.end}",
            "Set whom the firewall asks for the time",
            why="The firewall asks these servers and tells the VLANs. No release of OPNsense has "
            "an API for it, so its own Config class writes it, from the shell.",
            needs=needs,
            manual=Manual(
                "let OPNsense's own Config class write the time servers, since no API does: "
                f"{', '.join(client.servers)}",
                verify=clock.is_set,
                or_confirmed=True,
            ),
            ensure=clock.ensure,
        )


class HouseNames:
    """What a firewall's name server is told; see `steps`."""

    def __init__(self, gateway: Gateway, server: DnsServer) -> None:
        self.gateway = gateway
        self.server = server
        self.overrides = [each for each in server.overrides.values() if gateway.makes(each)]
        self.forwards = [each for each in server.forwards.values() if gateway.makes(each)]
        if (self.overrides or self.forwards) and server.server != "unbound":
            raise BadParameter(
                f"{gateway.host} is to answer for names by {server.server}",
                where=f"dns.{gateway.host}.server",
                fix="a runbook sets up OPNsense's unbound; write  server: unbound",
            )
        for each in self.overrides:
            if not self._of(each):
                raise BadParameter(
                    f"{each.name} has no address that is written out",
                    where=f"dns.{gateway.host}.overrides.{each.name}",
                    fix="write addresses; one that DHCP gives is known to nobody beforehand",
                )

    @property
    def aside(self) -> Aside:
        """The configuration before it."""
        what = f"names{self.gateway.end}"
        return Aside(self.gateway.host, self.gateway.lab.name, what, guarded=False)

    def _of(self, override: DnsOverride) -> list[str]:
        if override.machine is None:
            return list(override.addresses)
        return addresses(self.gateway.lab, override.machine)

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """Names and forwards, then the server that answers."""
        host, api = ctx.host(self.gateway.host), self.gateway.api(ctx)
        yield from written(host, self.aside, list(self._wanted(api)))
        call = api.post("unbound/service/reconfigure")
        summary = "have Unbound answer for them"
        yield Applied(api, self.aside, ((summary, call),))

    def _wanted(self, api: Api) -> Iterator[Resource]:
        for override in self.overrides:
            for at, name in enumerate((override.name, *override.aliases)):
                for address in self._of(override):
                    yield self._override(api, override, name, address, first=at == 0)
        for forward in self.forwards:
            yield self._forward(api, forward)
        dnssec = {"general.enabled": "1", "general.dnssec": flag(self.server.dnssec)}
        yield Section(api, UNBOUND, dnssec)

    def _override(
        self, api: Api, override: DnsOverride, name: str, address: str, *, first: bool
    ) -> Row:
        label, _, domain = name.partition(".")
        lab = self.gateway.lab.name
        key = {
            "hostname": label if domain else "",
            "domain": domain or label,
            "rr": "A" if ipaddress.ip_address(address).version == 4 else "AAAA",
            "server": address,
        }
        wanted = {
            "enabled": "1",
            "ttl": "" if override.ttl_s is None else str(override.ttl_s),
            "addptr": flag(first and override.reverse),
        }
        return Row(api, lab, HOST_OVERRIDE, key, wanted, f"{name} {address}")

    def _forward(self, api: Api, forward: DnsForward) -> Row:
        family = DNS_FORWARD if forward.tls_name is None else DNS_OVER_TLS
        port = _PLAIN if forward.tls_name is None else _TLS
        key = {"domain": forward.domain or "", "server": forward.server}
        wanted = {
            "enabled": "1",
            "port": str(forward.port or port),
            "verify": forward.tls_name or "",
            "description": described(forward.name, self.gateway.lab.name),
        }
        return Row(api, self.gateway.lab.name, family, key, wanted, forward.name)

    def check(self, ctx: Context) -> Iterator[Check]:
        """Each name leads to its addresses and to no others, by what was read back."""
        host, api = ctx.host(self.gateway.host), self.gateway.api(ctx)
        found: dict[str, set[str]] = {}
        for row in rows(api, host, HOST_OVERRIDE):
            if row["enabled"] == "1" and row["rr"] in ("A", "AAAA"):
                name = ".".join(filter(None, (row["hostname"], row["domain"])))
                found.setdefault(name.lower(), set()).add(row["server"])
        for override in self.overrides:
            for name in (override.name, *override.aliases):
                wanted, has = set(self._of(override)), found.get(name, set())
                says = f"it leads to {', '.join(sorted(has)) or 'nothing'}"
                yield Check(f"{name} leads to {', '.join(sorted(wanted))}", has == wanted, says)


class Clock:
    """Whom a firewall asks for the time; see `steps`."""

    def __init__(self, gateway: Gateway, client: TimeClient) -> None:
        self.gateway = gateway
        self.client = client
        default = TimeServer()
        for name, server in client.servers.items():
            each = server or default
            if (each.burst, each.minpoll, each.maxpoll) != (False, 6, 10):
                raise BadParameter(
                    f"{name} is to be asked in a way that OPNsense has no setting for",
                    where=f"ntp.{gateway.host}.servers.{name}",
                    fix="leave out burst, minpoll and maxpoll",
                )

    def _values(self, names: Names) -> ConfigValues:
        servers = {name: each or TimeServer() for name, each in self.client.servers.items()}
        zones = self.gateway.zones
        served = [names.vlan(id_) for id_ in self.client.serves if id_ in zones]
        everywhere = set(zones) <= set(self.client.serves)
        wanted = {
            "system.timeservers": " ".join(servers),
            "ntpd.prefer": " ".join(name for name, each in servers.items() if each.prefer),
            "ntpd.iburst": " ".join(name for name, each in servers.items() if each.iburst),
            "ntpd.interface": "" if everywhere else ",".join(served),
        }
        if not wanted["ntpd.prefer"]:
            del wanted["ntpd.prefer"]  # whom it likes best is nothing that the lab speaks of
        lists = dict.fromkeys(wanted, " ") | {"ntpd.interface": ","}
        if everywhere:
            del lists["ntpd.interface"]  # that takes nobody's away
        lab = self.gateway.lab.name
        return ConfigValues(self.gateway.host, lab, "time servers", wanted, lists, _POOL)

    @property
    def aside(self) -> Aside:
        """The configuration before it."""
        what = f"time{self.gateway.end}"
        return Aside(self.gateway.host, self.gateway.lab.name, what, guarded=False)

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """The servers, and the daemon that asks them."""
        host, api = ctx.host(self.gateway.host), self.gateway.api(ctx)
        yield from written(host, self.aside, [self._values(self.gateway.names(host))])
        yield Applied(api, self.aside, (restarted("ntpd"),))

    def is_set(self, ctx: Context) -> Check:
        """Whether it is so already, so that nobody has to agree to anything."""
        host = ctx.host(self.gateway.host)
        title = f"{self.gateway.host} asks its time servers"
        values = self._values(self.gateway.names(host))
        diff = values.diff(values.observe(host))
        clean = diff.clean and not self.aside.lies(host)
        says = diff.conflict or "; ".join(change.summary for change in diff.changes)
        return Check(title, clean, says)
