"""A firewall's networks: devices of VLANs, interfaces, addresses."""

import ipaddress
from collections.abc import Iterator, Mapping

from homelab_lib.control.opnsense.api import release
from homelab_lib.control.opnsense.config import ConfigValues
from homelab_lib.control.opnsense.families import VLAN
from homelab_lib.control.opnsense.interfaces import (
    Assignment,
    Named,
    addresses,
    assigned,
    described_as,
    identifiers,
    next_free,
    taken_up,
)
from homelab_lib.control.opnsense.revert import Applied, Apply, Aside
from homelab_lib.control.opnsense.row import Row, described
from homelab_lib.errors import StepFailed
from homelab_lib.recipes.firewall.gateway import Gateway, Zone
from homelab_lib.recipes.firewall.written import stands, written
from homelab_lib.runbook.resource import Host, Resource
from homelab_lib.runbook.step import Check, Context, Manual, Step, Wanted

ASSIGNS = (26, 7)
"""The first release whose API gives devices a name."""

_STAYS = "the device of a VLAN that was made stays until a reboot"


def steps(gateway: Gateway, needs: tuple[str, ...]) -> Iterator[Step]:
    """The steps of a firewall's networks; none where the phase sets up none."""
    if not (gateway.set_up and gateway.tagged):
        return
    networks = Networks(gateway)
    vlans = f"vlans{gateway.end}"
    yield Step(
        vlans,
        "Make the VLANs' devices",
        why="A VLAN is a device of its own on the port that carries it. What comes untagged on "
        "that port stays as it is, so the way by which we come is not touched.",
        needs=needs,
        ensure=networks.vlans,
        check=networks.check_vlans,
    )
    yield Step(
        f"interfaces{gateway.end}",
        "Give the VLANs interfaces and addresses",
        why="Rules, DHCP and inspection speak of interfaces. No release of OPNsense has an API "
        "for an interface's address (26.1 has none for the interface either), so its own Config "
        "class writes it, from the shell: what it writes was tried on that class, and nobody "
        "else checks it. LAN and WAN are left alone.",
        needs=(vlans,),
        manual=Manual(
            "let OPNsense's own Config class write interfaces and addresses, since no API does: "
            f"{', '.join(f'{zone.device} {zone.cidr}' for zone in gateway.tagged)}",
            verify=networks.are_there,
            or_confirmed=True,
        ),
        ensure=networks.interfaces,
        check=networks.check_interfaces,
    )


class Networks:
    """The networks of a firewall that come with a tag; see `steps`."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.lab = gateway.lab.name
        self._written: list[Resource] = []

    # ---------------------------------------------------------------- devices

    def vlans(self, ctx: Context) -> Iterator[Wanted]:
        """Each VLAN's device, on the port that carries it."""
        host, api = ctx.host(self.gateway.host), self.gateway.api(ctx)
        rows = [
            Row(
                api,
                self.lab,
                VLAN,
                {"if": zone.parent, "tag": str(zone.vlan.id)},
                {"pcp": "0", "vlanif": zone.device, "descr": described(zone.vlan.name, self.lab)},
                zone.vlan.name,
            )
            for zone in self.gateway.tagged
        ]
        self._written = list(rows)
        aside = Aside(self.gateway.host, self.lab, f"vlans{self.gateway.end}")
        yield from written(host, aside, rows)
        call = api.post("interfaces/vlan_settings/reconfigure")
        yield Applied(api, aside, (("make the devices of the VLANs", call),), stays=_STAYS)

    def check_vlans(self, ctx: Context) -> Iterator[Check]:
        """The devices are there, each with its tag and on its port."""
        host = ctx.host(self.gateway.host)
        yield stands(host, self._written)
        for zone in self.gateway.tagged:
            shown = host.read("ifconfig", zone.device, ok=None)
            title = f"{zone.device} carries VLAN {zone.vlan.id} of {zone.parent}"
            says = shown.stdout if shown.ok else shown.stderr
            right = f"vlan: {zone.vlan.id} " in f"{says} " and f"interface: {zone.parent}" in says
            yield Check(title, shown.ok and right, "" if right else says.strip()[:200])

    # ------------------------------------------------------------- interfaces

    def interfaces(self, ctx: Context) -> Iterator[Wanted]:
        """An interface and an address for each VLAN; by API what an API can do."""
        host, api = ctx.host(self.gateway.host), self.gateway.api(ctx)
        aside = Aside(self.gateway.host, self.lab, f"interfaces{self.gateway.end}")
        by_api = release(host) >= ASSIGNS
        calls: list[Apply] = []
        if by_api:
            assignments: list[Resource] = [
                Assignment(api, zone.device, described_as(zone.vlan.name))
                for zone in self.gateway.tagged
            ]
            yield from written(host, aside, assignments)
            call = api.post("interfaces/assignment/reconfigure")
            calls.append(("take up the new interfaces", call))
        values = list(self._values(host, alone=not by_api))
        self._written = list(values)
        yield from written(host, aside, values)
        calls += taken_up(next(iter(each.wanted)).split(".")[1] for each in values)
        yield Applied(api, aside, tuple(calls), stays=_STAYS)

    def _values(self, host: Host, *, alone: bool) -> Iterator[ConfigValues]:
        """What has to stand in the configuration, an interface each."""
        named = assigned(host)
        self._assert_free(named)
        by_device, new = identifiers(named), 0
        for zone in self.gateway.tagged:
            name = by_device.get(zone.device)
            called = named[name].get("descr", "") if name is not None else ""
            if alone and called not in ("", described_as(zone.vlan.name)):
                raise StepFailed(
                    f"{zone.device} is interface {name} already and is called {called!r}, which "
                    "is not ours",
                    where=f"vlans.{zone.vlan.id}",
                    fix=f"call it {described_as(zone.vlan.name)} there if this lab may have it, or "
                    "say exists: true of the VLAN in place of its phase",
                )
            if name is None:
                name, new = next_free(named, new), new + 1
            wanted = {"enable": "1"} | _addresses(zone)
            if alone:
                wanted |= {"if": zone.device, "descr": described_as(zone.vlan.name)}
            yield ConfigValues(
                self.gateway.host,
                self.lab,
                f"interface {name} ({zone.vlan.name})",
                {f"interfaces.{name}.{key}": value for key, value in wanted.items()},
            )

    def _assert_free(self, named: Named) -> None:
        """See that no other interface has a network that one of ours is to have: the class that
        writes them compares nothing, and answers would leave by the wrong one.

        Raises
        ------
        StepFailed
            One has.
        """
        ours = {zone.device for zone in self.gateway.zones.values()}
        for name, each in named.items():
            theirs = _network(each)
            if theirs is None or each.get("if") in ours or "enable" not in each:
                continue
            for zone in self.gateway.tagged:
                for cidr in zone.cidrs:
                    network = ipaddress.ip_interface(cidr).network
                    if network.version == theirs.version and network.overlaps(theirs):
                        raise StepFailed(
                            f"{cidr} of VLAN {zone.vlan.name} is in {theirs}, which interface "
                            f"{name} ({each.get('descr') or each.get('if')}) has",
                            where=f"vlans.{zone.vlan.id}",
                            fix="take that address off there, or give the VLAN another network",
                        )

    def are_there(self, ctx: Context) -> Check:
        """Whether all is written and in force already, so that nobody has to agree to anything."""
        host = ctx.host(self.gateway.host)
        missing = [
            each.name
            for each in self._values(host, alone=release(host) < ASSIGNS)
            if not each.diff(each.observe(host)).clean
        ]
        if Aside(self.gateway.host, self.lab, f"interfaces{self.gateway.end}").lies(host):
            missing.append("what was written is not in force yet")
        return Check("the VLANs have interfaces and addresses", not missing, "; ".join(missing))

    def check_interfaces(self, ctx: Context) -> Iterator[Check]:
        """Each network has the firewall's address, as the system itself shows it."""
        host = ctx.host(self.gateway.host)
        yield stands(host, self._written)
        for zone in self.gateway.zones.values():
            has = addresses(host, zone.device)
            lacks = [cidr for cidr in zone.cidrs if cidr not in has]
            title = f"{self.gateway.host} is {', '.join(zone.cidrs)} in VLAN {zone.vlan.name}"
            held = ", ".join(has) or "no address"
            yield Check(title, not lacks, f"{zone.device} has {held}" if lacks else "")


def _network(each: Mapping[str, str]) -> ipaddress.IPv4Network | None:
    """The network of an interface with a fixed address."""
    try:
        return ipaddress.IPv4Network(f"{each.get('ipaddr')}/{each.get('subnet')}", strict=False)
    except ValueError:
        return None


def _addresses(zone: Zone) -> dict[str, str]:
    """An interface's addresses as the configuration has them."""
    found: dict[str, str] = {}
    for cidr in zone.cidrs:
        address, _, length = cidr.partition("/")
        end = "" if ipaddress.ip_interface(cidr).version == 4 else "v6"
        found |= {f"ipaddr{end}": address, f"subnet{end}": length}
    return found
