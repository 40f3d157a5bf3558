"""WireGuard on an OPNsense, through its API."""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from homelab_lib.control.opnsense.api import Api
from homelab_lib.control.opnsense.families import WIREGUARD, WIREGUARD_INSTANCE, WIREGUARD_PEER
from homelab_lib.control.opnsense.revert import Applied, Aside
from homelab_lib.control.opnsense.row import own_id, rows
from homelab_lib.control.opnsense.section import Section
from homelab_lib.control.opnsense.wireguard import KeyedRow, handshakes, public_half
from homelab_lib.errors import BadParameter, HomelabError, StepFailed
from homelab_lib.lab import Lab
from homelab_lib.lab.remote import WireGuard, WireGuardPeer
from homelab_lib.recipes.firewall.filters import client_and_server
from homelab_lib.recipes.firewall.gateway import KIND, Gateway
from homelab_lib.recipes.firewall.written import written
from homelab_lib.recipes.ways_in.peers import alone, asked, opened
from homelab_lib.runbook.resource import Host, Resource
from homelab_lib.runbook.step import Check, Context, Manual, Step, Wanted


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The tunnels of a phase on firewalls.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        A tunnel has no private key that is kept for it.
    """
    for host, tunnels in lab.wireguard.items():
        made = [each for each in tunnels.values() if each.phase == phase]
        system = lab.system(host)
        if not made or system is None or system.kind != KIND:
            continue
        there = Instances(lab, Gateway(lab, host, phase), made)
        name = f"wireguard-{host}"
        yield Step(
            name,
            f"Set up WireGuard on {host}",
            why="Instances and peers are written through the firewall's API and applied together. "
            "Whoever comes in is known by the key that is written here, and by nothing else.",
            ensure=there.ensure,
            check=there.check,
        )
        if any(tunnel.peers for tunnel in made):
            yield Step(
                f"peers-{host}",
                f"Let the peers of {host} in",
                why="A phone makes its key itself and shows its public half, which is written into "
                "the lab; it is given ours. Who has shaken hands once has it right.",
                needs=(name,),
                manual=Manual(
                    "\n    ".join(asked(lab, host, each) for each in made),
                    verify=there.shaken,
                    or_confirmed=True,
                ),
            )


@dataclass
class Instances:
    """The tunnels of one firewall; see `steps`."""

    lab: Lab
    gateway: Gateway
    tunnels: list[WireGuard]

    def __post_init__(self) -> None:
        for tunnel in self.tunnels:
            if tunnel.private_key is None:
                raise BadParameter(
                    f"WireGuard {tunnel.name} of {self.gateway.host} has no private key: OPNsense "
                    "takes one, and makes none by itself",
                    where=f"wireguard.{self.gateway.host}.{tunnel.name}.private_key",
                    fix="make one with  wg genkey  and write where it is kept: env:, file: or "
                    "keyring:",
                )

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """Peers, then the instances that name them, then all of it in force."""
        host, api = ctx.host(self.gateway.host), self.gateway.api(ctx)
        aside = Aside(self.gateway.host, self.lab.name, "wireguard", guarded=False)
        peers = [self._peer(ctx, api, each) for each in self._known()]
        yield from self._written(host, aside, peers)
        instances: list[Resource] = [self._instance(ctx, api, host, t) for t in self.tunnels]
        enabled = Section(api, WIREGUARD, {"enabled": "1"})
        yield from self._written(host, aside, [*instances, enabled])
        if aside.lies(host):  # of a run that was cut off
            self._refuse_from_within(host)
        call = api.post("wireguard/service/reconfigure")
        yield Applied(api, aside, (("have WireGuard take it over", call),))

    def _written(self, host: Host, aside: Aside, what: Sequence[Resource]) -> Iterator[Wanted]:
        for each in written(host, aside, what):
            if isinstance(each, list) and aside in each:
                self._refuse_from_within(host)
            yield each

    def _refuse_from_within(self, host: Host) -> None:
        """See that we don't come by what is to be changed: it may drop us, and no timer is set
        that would put it back.

        Raises
        ------
        StepFailed
            We do.
        """
        said = host.read("printenv", "SSH_CONNECTION", ok=None)
        found = client_and_server(said.stdout) if said.ok else None
        if found is None:
            return
        client, server, _ = found
        for tunnel in self.tunnels:
            own = [ipaddress.ip_interface(cidr).network for cidr in tunnel.addresses]
            theirs = [ipaddress.ip_interface(alone(cidr)).network
                      for peer in tunnel.peers.values() for cidr in peer.addresses]  # fmt: skip
            if any(end in each for end in (client, server) for each in [*own, *theirs]):
                raise StepFailed(
                    f"we come to {host.name} from {client}, through {tunnel.name} itself",
                    where=host.name,
                    fix="change it from within the house, by the firewall's own address",
                )

    def _known(self) -> list[WireGuardPeer]:
        """Peers whose public key is written down."""
        return [peer for t in self.tunnels for peer in t.peers.values() if peer.public_key]

    def _peer(self, ctx: Context, api: Api, peer: WireGuardPeer) -> KeyedRow:
        address, _, port = (peer.endpoint or "").rpartition(":")
        allowed = sorted([*map(alone, peer.addresses), *peer.routes])
        shared = {"psk": ctx.secret(peer.preshared_key)} if peer.preshared_key else {}
        return KeyedRow(
            api,
            self.lab.name,
            WIREGUARD_PEER,
            {"name": peer.name},
            {
                "enabled": "1",
                "pubkey": peer.public_key or "",
                "tunneladdress": ",".join(allowed),
                "serveraddress": address.strip("[]"),
                "serverport": port,
                "keepalive": str(peer.keepalive_s or ""),
            },
            peer.name,
            secrets=shared,
        )

    def _instance(self, ctx: Context, api: Api, host: Host, tunnel: WireGuard) -> KeyedRow:
        private = ctx.secret(tunnel.private_key or "")
        names = [peer.name for peer in tunnel.peers.values() if peer.public_key]
        ids = {name: own_id(self.lab.name, WIREGUARD_PEER.noun, name) for name in names}
        ids |= {
            row["name"]: row["uuid"]
            for row in rows(api, host, WIREGUARD_PEER)
            if row["name"] in names
        }
        return KeyedRow(
            api,
            self.lab.name,
            WIREGUARD_INSTANCE,
            {"name": tunnel.name},
            {
                "enabled": "1",
                "pubkey": public_half(private),
                "port": str(tunnel.port),
                "mtu": str(tunnel.mtu or ""),
                "tunneladdress": ",".join(tunnel.addresses),
                "peers": ",".join(names),
            },
            tunnel.name,
            ids,
            secrets={"privkey": private},
        )

    def check(self, ctx: Context) -> Iterator[Check]:
        """Our public keys for those who are let in, and the way to us from outside."""
        for tunnel in self.tunnels:
            key = public_half(ctx.secret(tunnel.private_key or ""))
            yield Check(f"the public key of {tunnel.name} on {self.gateway.host}", True, key)
            yield opened(self.lab, self.gateway.host, tunnel)

    def shaken(self, ctx: Context) -> Check:
        """Whether every peer has its key written down, and has shaken hands once."""
        title = f"every peer of {self.gateway.host} has come in once"
        unknown = [p.name for t in self.tunnels for p in t.peers.values() if not p.public_key]
        try:
            when = handshakes(self.gateway.api(ctx), ctx.host(self.gateway.host))
        except HomelabError as error:
            return Check(title, False, error.what)
        silent = [each.name for each in self._known() if not when.get(each.public_key or "")]
        told = [f"no public key written down: {', '.join(unknown)}"] * bool(unknown)
        told += [f"no handshake yet: {', '.join(silent)}"] * bool(silent)
        return Check(title, not told, "; ".join(told) or "all of them")
