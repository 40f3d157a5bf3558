"""A firewall's twin before its phase, and the runbook of it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from homelab_lib.control.opnsense.api import Api
from homelab_lib.control.opnsense.families import FILTER_RULE
from homelab_lib.control.opnsense.row import rows
from homelab_lib.errors import Unreachable
from homelab_lib.lab import Lab, load_lab
from homelab_lib.lab.firewall import Alias, FilterRule, Outbound, OutboundRule, PortForward
from homelab_lib.lab.naming import DhcpLease, DnsForward
from homelab_lib.recipes.firewall import opnsense as firewall
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.outcome import StepOutcome
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook
from homelab_lib.secret import Mask
from homelab_lib.target import TwinTarget
from homelab_lib.transport.call import Call
from homelab_lib.transport.command import read


class Box:
    """A firewall's twin before its phase, and the runbook of it."""

    def __init__(self, version: str, vary: Callable[[Lab], Lab] = lambda lab: lab) -> None:
        lab = vary(_of_release(load_lab(), version))
        self.target = TwinTarget.before_phase(lab, 1)
        self.book = Runbook("firewall", "A firewall", tuple(firewall.steps(lab, 1)))
        api = lab.hosts["firewall"].api
        self.cut: list[str] = []  # steps in which one was cut off
        self.unguarded: list[str] = []  # see `watch`
        self.api = Api("firewall", self.target.secret(api.key), self.target.secret(api.secret))

    def run(self, *names: str, mode: Any = "apply") -> list[StepOutcome]:
        """Carry out steps, all where none is named."""
        mask, target = Mask(), self.target
        sender = Sender(target.link, target.clock, Journal(None, mask=mask, wall=str), mask)
        self.engine = Engine(
            self.book,
            mode,
            sender,
            trust=target.trust,
            seal=target.seal,
            locate=target.locate,
            secret=target.secret,
        )
        return [self.engine.run_step(name) for name in names or self.book.names]

    @property
    def config(self) -> str:
        """What the configuration comes to."""
        return self.target.link.run("firewall", read("sha256", "-q", "/conf/config.xml")).stdout

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Nobody gets to the firewall any more, once a connection to it was opened anew."""
        link = self.target.link
        reconnect = link.reconnect

        def gone(host: str) -> None:
            raise Unreachable("no route to host", where=host)

        link.reconnect = gone
        try:
            yield
        finally:
            link.reconnect = reconnect

    def watch(self) -> None:
        """From here on, note in `unguarded` what changes anything that the way in may depend on
        while no timer runs that would undo it: what the firewall lets pass, its devices with their
        addresses, and whether packets wait for inspection. All that is sent is looked at, and what
        it comes to there, whatever the recipes say of it."""
        link, machine = self.target.link, self.target.world.machines["firewall"]
        run, run_many = link.run, link.run_many

        def seen(host: str, calls: Sequence[Call], send: Callable[[], Any]) -> Any:
            before, armed = in_force(machine), any(not job.ended for job in machine.jobs)
            answers = send()
            if not armed and in_force(machine) != before:
                self.unguarded.append("; ".join(call.line for call in calls))
            return answers

        link.run = lambda host, call: seen(host, [call], lambda: run(host, call))
        link.run_many = lambda host, calls: seen(host, calls, lambda: run_many(host, calls))

    def leave_dhcp_to_kea(self) -> None:
        """What an OPNsense comes with lends in LAN; its owner switches that off."""
        self.post("dnsmasq/settings/set", {"dnsmasq": {"enable": "0"}})
        self.post("dnsmasq/service/reconfigure")

    def rules(self) -> list[dict[str, Any]]:
        """Its filter rules in order."""
        found = rows(self.api, self.engine.host("firewall"), FILTER_RULE)
        return sorted(found, key=lambda row: row["sort_order"])

    def post(self, path: str, body: Any = None) -> None:
        """Something that somebody else does."""
        assert self.target.link.run("firewall", self.api.post(path, body)).ok


def in_force(machine: Any) -> tuple[Any, ...]:
    """What decides on a firewall who gets in, and is in force now."""
    pf, inspects = machine.pf, machine.suricata
    devices = [(each.name, each.up, each.mtu, tuple(each.addresses))
               for each in machine.links.by_name.values()]  # fmt: skip
    waits = inspects.runs and inspects.mode != "pcap"
    return pf.enabled, list(pf.rules), devices, waits and inspects.interfaces


def _of_release(lab: Lab, version: str) -> Lab:
    host = lab.hosts["firewall"]
    os = host.os.model_copy(update={"version": version})
    return lab.model_copy(
        update={"hosts": lab.hosts | {"firewall": host.model_copy(update={"os": os})}}
    )


def wide(server: str) -> Callable[[Lab], Lab]:
    """The shipped lab with one of each kind of thing that a firewall can be told."""

    def vary(lab: Lab) -> Lab:
        firewall = lab.firewalls["firewall"]
        because = {"reason": "a test", "phase": 1}
        wide = firewall.model_copy(
            update={
                "aliases": {
                    "web": Alias(kind="port", content=(80, "8000-8010"), phase=1),
                    "admins": Alias(kind="host", content=("10.0.10.50",), phase=1),
                    "blocked": Alias(kind="network", content=("198.51.100.0/24",), phase=1),
                },
                "filter_rules": (
                    FilterRule(name="no-blocked", action="block", interfaces=(10, 20),
                               source="any", destination="blocked", family="both", **because),
                    FilterRule(name="nas-web", action="pass", interfaces=(20,), source="admins",
                               destination="truenas", protocol="TCP", destination_port="web",
                               **because),
                ),
                "port_forwards": {
                    "https": PortForward(interfaces=("sfp1",), protocol="TCP", port=443,
                                         to="k3s-control", reason="a test", phase=1),
                },
                "outbound": Outbound(
                    mode="hybrid",
                    rules=(OutboundRule(name="sip", interface="sfp1", source=10, static_port=True,
                                        **because),),
                ),
                "ids": firewall.ids.model_copy(update={"signatures": {2100498: "drop"}}),
            }
        )  # fmt: skip
        dhcp = lab.dhcp["firewall"]
        trusted = dhcp.ranges["trusted"].model_copy(
            update={"dns": ("10.0.10.1", "10.0.30.5"), "ntp": ("10.0.10.1",)}
        )
        dhcp = dhcp.model_copy(
            update={
                "server": server,
                "ranges": dhcp.ranges | {"trusted": trusted},
                "leases": {
                    "printer": DhcpLease(vlan=10, mac="02:10:00:10:00:77", address="10.0.10.77",
                                         phase=1),
                },
            }
        )  # fmt: skip
        dns = lab.dns["firewall"]
        forwards = {
            "corp": DnsForward(domain="corp.example", server="10.0.30.53", phase=1),
            "quad9": DnsForward(server="9.9.9.9", tls_name="dns.quad9.net", phase=1),
        }
        named = {
            "aliases": {n: a.model_copy(update={"name": n}) for n, a in wide.aliases.items()},
            "port_forwards": {
                n: f.model_copy(update={"name": n}) for n, f in wide.port_forwards.items()
            },
        }
        leases = {n: each.model_copy(update={"name": n}) for n, each in dhcp.leases.items()}
        forwards = {n: each.model_copy(update={"name": n}) for n, each in forwards.items()}
        return lab.model_copy(
            update={
                "firewalls": {"firewall": wide.model_copy(update=named)},
                "dhcp": {"firewall": dhcp.model_copy(update={"leases": leases})},
                "dns": {"firewall": dns.model_copy(update={"forwards": forwards})},
            }
        )

    return vary
