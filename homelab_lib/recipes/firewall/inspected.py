"""How much gets through an inspecting firewall: what a model allows, and what a person measured."""

from collections.abc import Iterator

from homelab_lib.control.linux.iperf import STREAMS, Through, through
from homelab_lib.lab.host import LINUX, Host
from homelab_lib.models import inspection
from homelab_lib.models.ethernet import tcp_share
from homelab_lib.models.inspection import MANY_RULES
from homelab_lib.models.reachability import vlan_reachability
from homelab_lib.recipes.firewall.gateway import Gateway
from homelab_lib.recipes.firewall.policy import policy_of
from homelab_lib.runbook.step import Check, Context, Measurement
from homelab_lib.wiring.cables import cable_speed

_PORT = "tcp/5201"
_RUNS_IPERF = (*LINUX, "truenas")


class Throughput:
    """What gets through the inspection of a firewall.

    Parameters
    ----------
    gateway
        The firewall.
    inline
        Whether packets wait for the verdict.
    ways
        The ports of it at which it is inspected.
    """

    def __init__(self, gateway: Gateway, *, inline: bool, ways: tuple[str, ...]) -> None:
        self.gateway = gateway
        self.inline = inline
        self.ways = ways
        self._found: Through | None = None

    def check(self, ctx: Context) -> Iterator[Check]:
        """Whether it keeps up with the line to the world, as far as a model can tell; and what was
        measured between two machines of ours, where a person lets that be measured."""
        line, bound = self._line_bps(), self._bound()
        if line is not None and bound is not None:
            says = (
                f"by the model {bound.throughput_bps / 1e9:.2g} Gb/s at most with {MANY_RULES} "
                f"rules, {bound.flow_bps / 1e9:.2g} Gb/s for one flow"
            )
            title = f"inspection keeps up with {line / 1e9:g} Gb/s"
            yield Check(title, bound.throughput_bps >= line, says)
        ends = self._ends()
        if ends is None or bound is None:
            return
        client, server, address = ends
        self._found = through(ctx.host(client.name), address)
        title = f"what gets from {client.name} to {server.name} through inspection is measured"
        if self._found.bps is not None:
            yield Check(title, True, f"{self._found.bps / 1e9:.2g} Gb/s")
            return
        says = (
            f"not measured, {self._found.why}. To have it measured, install iperf3 on both, run  "
            f"iperf3 --server --one-off  on {server.name}, and then this step again"
        )
        yield Check(title, True, says)

    def measures(self, ctx: Context) -> Iterator[Measurement]:
        """What the check has measured, beside what the slowest on the way allows."""
        ends, bound = self._ends(), self._bound()
        if self._found is None or self._found.bps is None or ends is None or bound is None:
            return
        client, server, _ = ends
        lines = [bound.throughput_bps, *map(self._wire_bps, (client, server))]
        inspected = STREAMS * bound.flow_bps
        predicted = min(inspected, min(each for each in lines if each) * tcp_share())
        name = f"{client.name} to {server.name} through {self.gateway.host}"
        yield Measurement(name, self._found.bps, "bit/s", predicted)

    # ------------------------------------------------------------------ model

    def _line_bps(self) -> float | None:
        """The speed of the line to the world; None where nobody says it."""
        host = self.gateway.host
        lines = [
            line.down_bps
            for line in self.gateway.lab.internet.values()
            if line.port.partition(".")[0] == host and line.down_bps is not None
        ]
        return max(lines, default=None)

    def _bound(self) -> inspection.Bound | None:
        machine = self.gateway.machine
        if machine.threads is None:
            return None
        ports = {name: port for name, port in machine.ports.items() if port.speeds_bps}
        ways = {name: float(port.speeds_bps[0]) for name, port in ports.items()
                if name in (*self.gateway.outside, *self.ways)}  # fmt: skip
        if not ways:
            return None
        rate = inspection.bps_per_thread(rules=MANY_RULES, inline=self.inline)
        return inspection.inspection_bound(machine.threads, ways, thread_bps=rate)

    # ------------------------------------------------------------------- ends

    def _ends(self) -> tuple[Host, Host, str] | None:
        """Two machines that runbooks log in to, in two networks of the firewall, of which the first
        may ask the second; and the second's address."""
        lab, zones = self.gateway.lab, self.gateway.zones
        reach = vlan_reachability(zones, policy_of(lab))
        found = [(host, vlan, address) for host in lab.hosts.values() if self._may_run(host)
                 for vlan, address in _places(host) if vlan in zones]  # fmt: skip
        for client, here, _ in found:
            for server, there, address in found:
                if client is not server and here != there and reach[here, there].on(_PORT).allow:
                    return client, server, address
        return None

    def _may_run(self, host: Host) -> bool:
        return host.os.kind in _RUNS_IPERF and host.ssh is not None and not host.standalone

    def _wire_bps(self, host: Host) -> float:
        """What a machine's cable comes up at; 0 where nobody can tell."""
        vlans = set(self.gateway.zones)
        ports = [name for name, port in host.ports.items() if port.vlan in vlans]
        ends = {f"{host.name}.{name}" for name in ports}
        cables = [each for each in self.gateway.lab.cables if {each.a, each.b} & ends]
        return max((cable_speed(self.gateway.lab, each).speed_bps for each in cables), default=0.0)


def _places(host: Host) -> Iterator[tuple[int, str]]:
    """The VLANs that a machine is in, each with its address there."""
    for port in host.attached.values():
        if port.vlan is not None and port.address:
            yield port.vlan, port.address.partition("/")[0]
        for vlan, cidr in port.addresses.items():
            yield vlan, cidr.partition("/")[0]
