"""Addresses that a firewall gives out: by dnsmasq, which OPNsense has by default, or by Kea."""

import ipaddress
from collections.abc import Iterator, Sequence

from homelab_lib.control.opnsense.api import Api
from homelab_lib.control.opnsense.families import (
    DNSMASQ,
    DNSMASQ_HOST,
    DNSMASQ_OPTION,
    DNSMASQ_RANGE,
    KEA,
    KEA_RESERVATION,
    KEA_SUBNET,
)
from homelab_lib.control.opnsense.packet_filter import listeners
from homelab_lib.control.opnsense.revert import Applied, Aside
from homelab_lib.control.opnsense.row import Family, Row, described, own_id, rows
from homelab_lib.control.opnsense.section import Section, setting
from homelab_lib.errors import BadParameter, StepFailed
from homelab_lib.lab.naming import DhcpLease, DhcpRange, DhcpServer
from homelab_lib.recipes.firewall.gateway import Gateway, Names
from homelab_lib.recipes.firewall.written import written
from homelab_lib.runbook.resource import Host, Resource
from homelab_lib.runbook.step import Check, Context, Step, Wanted

_SERVES = ("dnsmasq", "kea")
_ADVERTISED = {"slaac": "slaac", "stateless": "ra-stateless", "managed": "", "off": ""}
_PORT = 67
_PROGRAMS = {"dnsmasq": "dnsmasq", "kea": "kea-dhcp4"}
_ROUTER, _DNS, _NTP = "3", "6", "42"
"""DHCP options, RFC 2132."""


def steps(gateway: Gateway, needs: tuple[str, ...]) -> Iterator[Step]:
    """The step of a firewall's DHCP; none where the phase makes no range and no lease.

    Raises
    ------
    BadParameter
        A server that is not OPNsense's, or what it can't do.
    """
    server = gateway.lab.dhcp.get(gateway.host)
    if server is None:
        return
    dhcp = Dhcp(gateway, server)
    if not (dhcp.ranges or dhcp.leases):
        return
    yield Step(
        f"dhcp{gateway.end}",
        "Give out addresses",
        why=f"{server.server.capitalize()} lends addresses in the VLANs that have a range, and in "
        "no other; somebody else's ranges and leases stay as they are. What holds an address "
        "keeps it until its lease ends.",
        needs=needs,
        ensure=dhcp.ensure,
        check=dhcp.check,
    )


class Dhcp:
    """What a firewall's DHCP server is told; see `steps`."""

    def __init__(self, gateway: Gateway, server: DhcpServer) -> None:
        self.gateway = gateway
        self.server = server
        self.ranges = [each for each in server.ranges.values() if gateway.makes(each)]
        self.leases = [each for each in server.leases.values() if gateway.makes(each)]
        where = f"dhcp.{gateway.host}"
        if (self.ranges or self.leases) and server.server not in _SERVES:
            raise BadParameter(
                f"{gateway.host} is to give out addresses by {server.server}",
                where=f"{where}.server",
                fix=f"OPNsense has {' and '.join(_SERVES)}; write one of them",
            )
        made: list[DhcpRange | DhcpLease] = [*self.ranges, *self.leases]
        for each in made:
            if each.vlan not in gateway.zones:
                raise BadParameter(
                    f"{gateway.host} has no address in VLAN {each.vlan}, so it gives out none "
                    "there",
                    where=f"{where}.{each.name}",
                    fix="give its port an address in that VLAN",
                )
            first = each.first if isinstance(each, DhcpRange) else each.address
            if server.server == "kea" and ":" in first:
                raise BadParameter(
                    f"{each.name} is IPv6, which a runbook sets up with dnsmasq only",
                    where=f"{where}.{each.name}",
                    fix="write  server: dnsmasq, or leave it to router advertisements",
                )

    @property
    def aside(self) -> Aside:
        """The configuration before it."""
        what = f"dhcp{self.gateway.end}"
        return Aside(self.gateway.host, self.gateway.lab.name, what, guarded=False)

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """Ranges, leases and options, then the server that serves them."""
        host, api = ctx.host(self.gateway.host), self.gateway.api(ctx)
        if self.ranges:
            self._assert_alone(host, api)
        names = self.gateway.names(host)
        wanted = self._dnsmasq if self.server.server == "dnsmasq" else self._kea
        yield from written(host, self.aside, list(wanted(api, names)))
        call = api.post(f"{self.server.server}/service/reconfigure")
        summary = f"have {self.server.server} serve them"
        yield Applied(api, self.aside, ((summary, call),))

    def _assert_alone(self, host: Host, api: Api) -> None:
        """See that no other DHCP server serves there.

        Raises
        ------
        StepFailed
            One does: whichever starts first holds the port, and the other lends nothing.
        """
        kea = self.server.server == "kea"
        ours, theirs = (KEA, DNSMASQ) if kea else (DNSMASQ, KEA)
        if setting(api, host, theirs, "enable" if kea else "general.enabled") != "1":
            return
        found = rows(api, host, DNSMASQ_RANGE if kea else KEA_SUBNET)
        where, first = ("interface", "start_addr") if kea else ("subnet", "subnet")
        served = sorted({row[where] for row in found if "." in row[first]})
        if not served:
            return
        raise StepFailed(
            f"{theirs.noun} gives out addresses on {host.name} already ({', '.join(served)}), and "
            f"{ours.noun} beside it would lend none: only one of them gets UDP port {_PORT}",
            where=f"dhcp.{host.name}.server",
            fix=f"write  server: {theirs.noun.lower()}, or switch {theirs.noun} off in Services, "
            "once nobody needs what it lends",
        )

    def _row(self, api: Api, family: Family, title: str, wanted: dict[str, str]) -> Row:
        lab = self.gateway.lab.name
        return Row(api, lab, family, {family.mark: described(title, lab)}, wanted, title)

    def _served(self, names: Names) -> str:
        return ",".join(sorted({names.vlan(each.vlan) for each in self.ranges}))

    # ---------------------------------------------------------------- dnsmasq

    def _dnsmasq(self, api: Api, names: Names) -> Iterator[Resource]:
        for each in self.ranges:
            wanted = {
                "interface": names.vlan(each.vlan),
                "start_addr": each.first,
                "end_addr": each.last,
                "lease_time": str(each.lease_s),
                "domain_type": "range",
                "domain": each.domain or "",
                "ra_mode": _ADVERTISED[each.advertise],
            }
            yield self._row(api, DNSMASQ_RANGE, each.name, wanted)
            yield from self._options(api, names, each)
        for lease in self.leases:
            wanted = {
                "host": lease.hostname or lease.name,
                "ip": lease.address,
                "hwaddr": lease.mac or "",
                "client_id": lease.client_id or "",
                "lease_time": "" if lease.lease_s is None else str(lease.lease_s),
            }
            yield self._row(api, DNSMASQ_HOST, lease.name, wanted)
        if self.ranges:
            yield Section(api, DNSMASQ, {"enable": "1", "interface": self._served(names)})

    def _options(self, api: Api, names: Names, each: DhcpRange) -> Iterator[Row]:
        """What clients are told besides: without an option, dnsmasq tells them itself."""
        told = {
            _ROUTER: (each.gateway,) if each.gateway else (),
            _DNS: each.dns,
            _NTP: each.ntp,
        }
        for option, values in told.items():
            if values:
                wanted = {
                    "type": "set",
                    "option": option,
                    "interface": names.vlan(each.vlan),
                    "value": ",".join(values),
                }
                yield self._row(api, DNSMASQ_OPTION, f"{each.name} option {option}", wanted)

    # -------------------------------------------------------------------- Kea

    def _kea(self, api: Api, names: Names) -> Iterator[Resource]:
        lab = self.gateway.lab
        for vlan in dict.fromkeys(each.vlan for each in self.ranges):
            ranges = [each for each in self.ranges if each.vlan == vlan]
            subnet = lab.vlans[vlan].subnet
            yield Row(
                api,
                lab.name,
                KEA_SUBNET,
                {"subnet": subnet},
                self._pools(ranges),
                lab.vlans[vlan].name,
            )
        for lease in self.leases:
            subnet = lab.vlans[lease.vlan].subnet
            wanted = {
                "subnet": subnet,
                "ip_address": lease.address,
                "hw_address": lease.mac or "",
                "client_id": lease.client_id or "",
                "hostname": lease.hostname or lease.name,
            }
            title = lease.name
            ids = {subnet: own_id(lab.name, KEA_SUBNET.noun, subnet)}
            key = {KEA_RESERVATION.mark: described(title, lab.name)}
            yield Row(api, lab.name, KEA_RESERVATION, key, wanted, title, ids)
        if self.ranges:
            wanted = {"general.enabled": "1", "general.interfaces": self._served(names)}
            yield Section(api, KEA, wanted)

    def _pools(self, ranges: Sequence[DhcpRange]) -> dict[str, str]:
        first = ranges[0]
        told = {
            "option_data.routers": first.gateway or "",
            "option_data.domain_name_servers": ",".join(first.dns),
            "option_data.ntp_servers": ",".join(first.ntp),
            "option_data.domain_name": first.domain or "",
        }
        by_itself = not any(told.values())
        wanted = {
            "pools": "\n".join(f"{each.first}-{each.last}" for each in ranges),
            "valid_lifetime": str(first.lease_s),
            "option_data_autocollect": "1" if by_itself else "0",
        }
        if by_itself:  # it fills in what the interface says, and that is not ours to compare
            return wanted
        zone = self.gateway.zones[first.vlan]
        own = zone.cidr.partition("/")[0]
        told["option_data.routers"] = told["option_data.routers"] or own
        told["option_data.domain_name_servers"] = told["option_data.domain_name_servers"] or own
        return wanted | told

    # ------------------------------------------------------------------ check

    def check(self, ctx: Context) -> Iterator[Check]:
        """What was read back lies in the networks that it is for. The models of OPNsense take a
        range anywhere, and only the daemon would refuse it."""
        host, api = ctx.host(self.gateway.host), self.gateway.api(ctx)
        if self.ranges:
            holds = listeners(host, _PORT)
            title = f"{self.server.server} alone answers those who ask for an address"
            program = _PROGRAMS[self.server.server]
            held = ", ".join(sorted(holds)) or "nobody"
            yield Check(title, holds == {program}, f"UDP port {_PORT} is held by {held}")
        for title, addresses, vlan in self._read_back(host, api):
            network = ipaddress.ip_network(self.gateway.lab.vlans[vlan].subnet)
            six = self.gateway.lab.vlans[vlan].subnet6
            networks = [network] + ([ipaddress.ip_network(six)] if six else [])
            outside = [a for a in addresses if not any(_in(a, each) for each in networks)]
            says = f"{', '.join(outside)} is not" if outside else ""
            yield Check(f"DHCP range {title} lies in VLAN {vlan}", not outside, says)

    def _read_back(self, host: Host, api: Api) -> Iterator[tuple[str, list[str], int]]:
        lab = self.gateway.lab
        if self.server.server == "kea":
            pools = {row["subnet"]: row["pools"] for row in rows(api, host, KEA_SUBNET)}
            for each in self.ranges:
                subnet = lab.vlans[each.vlan].subnet
                found = pools.get(subnet, "").replace("-", "\n").split()
                yield each.name, found or ["nothing"], each.vlan
            return
        found_rows = {row["description"]: row for row in rows(api, host, DNSMASQ_RANGE)}
        for each in self.ranges:
            row = found_rows.get(described(each.name, lab.name))
            ends = [row["start_addr"], row["end_addr"]] if row else ["nothing"]
            yield each.name, ends, each.vlan


def _in(address: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        found = ipaddress.ip_network(address, strict=False)
    except ValueError:
        return False
    return found.version == network.version and found.subnet_of(network)  # type: ignore[arg-type]  # of one
