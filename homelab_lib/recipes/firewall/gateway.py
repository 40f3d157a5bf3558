"""A firewall of the lab: its networks, their devices, and what the firewall calls them."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from homelab_lib.control.opnsense.api import Api
from homelab_lib.control.opnsense.interfaces import assigned, identifiers
from homelab_lib.errors import BadParameter, StepFailed
from homelab_lib.lab import Lab
from homelab_lib.lab.base import Listed, Made
from homelab_lib.lab.firewall import Ids
from homelab_lib.lab.network import Vlan
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Context

KIND = "opnsense"


@dataclass(frozen=True)
class Zone:
    """A network that a firewall is in.

    Parameters
    ----------
    vlan
        The VLAN.
    port
        The firewall's port that it is on, by its name in the lab.
    parent
        That port's device.
    tagged
        Whether it comes with a tag there.
    cidrs
        The firewall's addresses in it, IPv4 first.
    """

    vlan: Vlan
    port: str
    parent: str
    tagged: bool
    cidrs: tuple[str, ...]

    @property
    def device(self) -> str:
        """Its own device: that of the VLAN, or the port itself."""
        return f"vlan0.{self.vlan.id}" if self.tagged else self.parent

    @property
    def cidr(self) -> str:
        """Its IPv4 address."""
        return self.cidrs[0]


class Gateway:
    """A firewall as the recipes see it.

    Parameters
    ----------
    lab, host
        The lab, and the firewall's name.
    phase
        The number of the phase that is carried out.

    Raises
    ------
    BadParameter
        It can't be set up: something that it is reached by, or a device, isn't described.
    """

    def __init__(self, lab: Lab, host: str, phase: int) -> None:
        self.lab = lab
        self.host = host
        self.phase = phase
        self.machine = lab.hosts[host]
        self.end = "" if len(firewalls(lab)) == 1 else f"-{host}"
        self._assert_reached()
        self.zones: dict[int, Zone] = {zone.vlan.id: zone for zone in self._zones()}
        lines = {line.port for line in lab.internet.values()}
        self.outside = {
            name: self._device(name)
            for name, port in self.machine.attached.items()
            if f"{host}.{name}" in lines or port.automatic
        }

    def _assert_reached(self) -> None:
        missing = "ssh" if self.machine.ssh is None else "api"
        api = self.machine.api
        if self.machine.ssh is None or api is None or api.secret is None:
            raise BadParameter(
                f"{self.host} is to be set up, and has no {missing} by which it is reached",
                where=f"hosts.{self.host}.{missing}",
                fix="write its login, and where key and secret of its API are kept: "
                "api: {key: env:NAME, secret: env:NAME}",
            )

    def _device(self, port: str) -> str:
        device = self.machine.attached[port].interface
        if device is None:
            raise BadParameter(
                f"nobody says what {self.host} calls its port {port}",
                where=f"hosts.{self.host}.ports.{port}.interface",
                fix="write the device's name there, as `ifconfig` on the firewall shows it",
            )
        return device

    def _zones(self) -> Iterable[Zone]:
        for name, port in self.machine.attached.items():
            fixed = tuple(cidr for cidr in port.on_untagged if "/" in cidr)
            if port.vlan is not None and fixed:
                vlan = self.lab.vlans[port.vlan]
                yield Zone(vlan, name, self._device(name), False, _ipv4_first(fixed))
            for id_, written in port.on_tagged.items():
                fixed = tuple(cidr for cidr in written if "/" in cidr)
                vlan = self.lab.vlans[id_]
                if fixed:
                    yield Zone(vlan, name, self._device(name), True, _ipv4_first(fixed))

    @property
    def set_up(self) -> bool:
        """Whether the phase sets up the firewall itself, with its networks and the policy."""
        return self.machine.phase == self.phase

    def makes(self, thing: Made | Listed | Ids) -> bool:
        """Whether the phase makes something of the firewall's: what has no phase of its own is
        made with the firewall."""
        phase = getattr(thing, "phase", None)
        if getattr(thing, "exists", False):
            return False
        return self.phase == phase or (phase is None and self.set_up)

    @property
    def tagged(self) -> tuple[Zone, ...]:
        """Networks that need a device of their own, and that are not there already."""
        return tuple(
            zone
            for zone in self.zones.values()
            if zone.tagged and not zone.vlan.exists and zone.vlan.phase in (None, self.phase)
        )

    @property
    def ssh_zone(self) -> int | None:
        """The VLAN by which it is logged in to; None where nobody can tell."""
        assert self.machine.ssh is not None
        for id_, zone in self.zones.items():
            if any(str(ipaddress.ip_interface(cidr).ip) == self.machine.ssh.address
                   for cidr in zone.cidrs):  # fmt: skip
                return id_
        return None

    def api(self, ctx: Context) -> Api:
        """How its API is spoken to."""
        api = self.machine.api
        assert api is not None
        assert api.secret is not None
        return Api(self.host, ctx.secret(api.key), ctx.secret(api.secret), api.port)

    def names(self, host: Host) -> "Names":
        """What it calls its networks and ports, as it is now."""
        return Names(self, identifiers(assigned(host)))


@dataclass(frozen=True)
class Names:
    """What a firewall calls its networks: ``lan``, ``opt3``.

    Parameters
    ----------
    gateway
        The firewall.
    by_device
        Its identifiers by device.
    """

    gateway: Gateway
    by_device: Mapping[str, str]

    def vlan(self, id_: int) -> str:
        """The identifier of a VLAN.

        Raises
        ------
        StepFailed
            It has none yet.
        """
        return self._of(self.gateway.zones[id_].device, f"VLAN {id_}")

    def port(self, name: str) -> str:
        """The identifier of a port; that of WireGuard's group for a tunnel."""
        if name not in self.gateway.machine.attached:
            return "wireguard"
        device = self.gateway.machine.attached[name].interface or ""
        return self._of(device, f"port {name}")

    def at(self, attachment: int | str) -> str:
        """The identifier of a VLAN, a port or a tunnel."""
        return self.vlan(attachment) if isinstance(attachment, int) else self.port(attachment)

    @property
    def outside(self) -> tuple[str, ...]:
        """Those towards the world."""
        return tuple(map(self.port, self.gateway.outside))

    def _of(self, device: str, what: str) -> str:
        if device not in self.by_device:
            raise StepFailed(
                f"{self.gateway.host} has no interface for {what}: {device or 'its device'} is "
                "not assigned",
                where=self.gateway.host,
                fix="the step `interfaces` assigns those of VLANs; LAN and WAN are assigned on the "
                "console, by “Assign interfaces”",
            )
        return self.by_device[device]


def firewalls(lab: Lab) -> list[str]:
    """The hosts that run OPNsense and that a runbook may log in to."""
    return [
        name
        for name, host in lab.hosts.items()
        if host.os.kind == KIND and not host.standalone and host.ssh is not None
    ]


def _ipv4_first(cidrs: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(cidrs, key=lambda cidr: ipaddress.ip_interface(cidr).version))
