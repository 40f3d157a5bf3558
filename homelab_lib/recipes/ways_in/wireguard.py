"""WireGuard on a Linux machine: its own key, its peers', and what each of them types in."""

from collections.abc import Iterator

from homelab_lib.control.linux import File, Packages, Sysctl
from homelab_lib.control.linux import wireguard as control
from homelab_lib.control.linux.wireguard import FOLDER, Peer, WireGuardKey, WireGuardTunnel
from homelab_lib.errors import BadParameter, HomelabError
from homelab_lib.lab import Lab
from homelab_lib.lab.host import Host
from homelab_lib.lab.remote import WireGuard, WireGuardPeer
from homelab_lib.recipes.ways_in.peers import alone, asked, opened
from homelab_lib.runbook.step import Check, Context, Manual, Step, Wanted
from homelab_lib.secret import Secret

_LINUX = ("proxmox", "debian", "ubuntu", "linux")
_APPLIANCES = ("opnsense",)
"""Where a recipe of the appliance's own makes them."""


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The tunnels of a phase on Linux machines.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        One is on a machine where we can't set it up.
    """
    found = [
        (host, tunnel)
        for host, tunnels in lab.wireguard.items()
        for tunnel in tunnels.values()
        if tunnel.phase == phase and _kind(lab, host) not in _APPLIANCES
    ]
    for host, tunnel in found:
        end = f"-{host}-{tunnel.name}" if len(found) > 1 else ""
        there = Tunnel(lab, host, tunnel)
        name = f"wireguard{end}"
        yield Step(
            name,
            f"Set up WireGuard {tunnel.name} on {host}",
            why="The machine makes its own key, and keeps it. Peers are changed without dropping "
            "those that stay. Whoever comes in is known by the key that is written here, and by "
            "nothing else.",
            ensure=there.ensure,
            check=there.check,
        )
        if tunnel.peers:
            yield Step(
                f"peers{end}",
                f"Let the peers of {tunnel.name} in",
                why="A phone makes its key itself and shows its public half, which is written into "
                "the lab; it is given ours. A machine that has shaken hands once has it right.",
                needs=(name,),
                manual=Manual(asked(lab, host, tunnel), verify=there.shaken, or_confirmed=True),
            )


def _kind(lab: Lab, machine: str) -> str:
    system = lab.system(machine)
    return system.kind if system else "nothing"


class Tunnel:
    """One interface; see `steps`."""

    def __init__(self, lab: Lab, host: str, tunnel: WireGuard) -> None:
        self.lab = lab
        self.host = host
        self.tunnel = tunnel
        kind = _kind(lab, host)
        machine = lab.hosts.get(host)
        if kind not in _LINUX or host not in lab.machines() or (machine and machine.standalone):
            raise BadParameter(
                f"WireGuard {tunnel.name} is to be on {host}, which runs {kind}, or where no "
                "runbook logs in",
                where=f"wireguard.{host}.{tunnel.name}",
                fix=f"put it on {', '.join((*_LINUX, *_APPLIANCES))}; or make it there by hand and "
                "say exists: true",
            )

    @property
    def known(self) -> list[WireGuardPeer]:
        """Peers whose public key is written down."""
        return [peer for peer in self.tunnel.peers.values() if peer.public_key]

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """The tools, the key, the configuration, and then the interface itself."""
        tunnel = self.tunnel
        yield Packages(self.host, ("wireguard-tools",))
        key = f"{FOLDER}/{tunnel.name}.key"
        if tunnel.private_key is not None:
            given = ctx.secret(tunnel.private_key)
            line = Secret(given.name, lambda: given.reveal().strip() + "\n")
            yield File(self.host, key, line, mode="600", what="its private key", lab=self.lab.name)
        yield WireGuardKey(self.host, tunnel.name)
        yield Sysctl(self.host, "net.ipv4.ip_forward", "1", lab=self.lab.name)
        peers = tuple(self._peer(ctx, each) for each in self.known)
        yield File(
            self.host,
            f"{FOLDER}/{tunnel.name}.conf",
            self._content(peers),
            mode="600",
            what=f"the configuration of {tunnel.name}",
            lab=self.lab.name,
        )
        machine = self.lab.machine(self.host)
        come_by = machine.ssh.address if isinstance(machine, Host) and machine.ssh else ""
        yield WireGuardTunnel(
            self.host, tunnel.name, tuple(tunnel.addresses), tunnel.port, peers, come_by
        )

    def _peer(self, ctx: Context, peer: WireGuardPeer) -> Peer:
        own = [alone(cidr) for cidr in peer.addresses]
        return Peer(
            peer.public_key or "",
            tuple(sorted([*own, *peer.routes])),
            peer.keepalive_s or 0,
            ctx.secret(peer.preshared_key) if peer.preshared_key else None,
            peer.endpoint or "",
        )

    def _content(self, peers: tuple[Peer, ...]) -> str | Secret:
        """The configuration; a secret where keys that both sides know stand in it."""

        def text() -> str:
            tunnel = self.tunnel
            lines = ["[Interface]", f"Address = {', '.join(tunnel.addresses)}"]
            lines += [f"ListenPort = {tunnel.port}"]
            lines += [f"MTU = {tunnel.mtu}"] * bool(tunnel.mtu)
            lines += [f"PostUp = wg set %i private-key {FOLDER}/%i.key"]
            for peer in peers:
                lines += ["", "[Peer]", f"PublicKey = {peer.public_key}"]
                if peer.preshared_key is not None:
                    lines.append(f"PresharedKey = {peer.preshared_key.reveal().strip()}")
                lines.append(f"AllowedIPs = {', '.join(peer.allowed)}")
                lines += [f"Endpoint = {peer.endpoint}"] * bool(peer.endpoint)
                lines += [f"PersistentKeepalive = {peer.keepalive_s}"] * bool(peer.keepalive_s)
            return "\n".join(lines) + "\n"

        if any(peer.preshared_key for peer in peers):
            return Secret(f"{self.tunnel.name}.conf", text)
        return text()

    # --------------------------------------------------------------- the other side

    def check(self, ctx: Context) -> Iterator[Check]:
        """Our public key, for those who are let in, and the way to us from outside."""
        key = control.public_key(ctx.host(self.host), self.tunnel.name)
        yield Check(f"the public key of {self.tunnel.name} on {self.host}", bool(key), key)
        yield opened(self.lab, self.host, self.tunnel)

    def shaken(self, ctx: Context) -> Check:
        """Whether every peer has its key written down, and has shaken hands once."""
        title = f"every peer of {self.tunnel.name} has come in once"
        unknown = [each.name for each in self.tunnel.peers.values() if not each.public_key]
        try:
            when = control.handshakes(ctx.host(self.host), self.tunnel.name)
        except HomelabError as error:
            return Check(title, False, error.what)
        silent = [each.name for each in self.known if not when.get(each.public_key or "")]
        says = f"no public key written down: {', '.join(unknown)}" if unknown else ""
        if silent:
            says += ("; " if says else "") + f"no handshake yet: {', '.join(silent)}"
        return Check(title, not (unknown or silent), says or "all of them")
