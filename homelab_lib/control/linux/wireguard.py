"""WireGuard on a Linux machine by wg-quick: a key of its own, its configuration, and what runs.

The private key never leaves the machine: it lies in a file of its own, which the configuration
names, so that neither the configuration nor its copies hold it.

Sources: wg(8), wg-quick(8). ``wg syncconf`` changes peers without dropping the others; what its
file does not name of the interface it takes away, the private key too.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from homelab_lib import answers
from homelab_lib.control.linux.looking import FILE, places, read_file
from homelab_lib.control.linux.units import look_at_unit, with_the_machine
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.secret import Secret
from homelab_lib.transport.command import change
from homelab_lib.transport.reads import declare

FOLDER = "/etc/wireguard"
_NOTHING = "(none)"
_ASKED = ("public-key", "listen-port", "peers", "allowed-ips", "preshared-keys")
_ASKED += ("persistent-keepalive", "latest-handshakes", "endpoints", "transfer")

_MAKE_KEY = (
    "set -e; umask 077; [ -d /etc/wireguard ] || mkdir -m 700 /etc/wireguard; "
    'k="/etc/wireguard/$1.key"; p="/etc/wireguard/$1.pub"; '
    'trap \'rm -f -- "$k.homelab-new" "$p.homelab-new"\' EXIT; '
    '[ -e "$k" ] || { wg genkey > "$k.homelab-new"; sync "$k.homelab-new"; '
    'mv -n -- "$k.homelab-new" "$k"; }; '
    'wg pubkey < "$k" > "$p.homelab-new"; chmod 644 "$p.homelab-new"; sync "$p.homelab-new"; '
    'mv -f -- "$p.homelab-new" "$p"'
)
_SYNC = (
    'set -e; umask 077; f="/run/homelab-$1.conf"; trap \'rm -f -- "$f"\' EXIT; rm -f -- "$f"; '
    '{ echo "[Interface]"; printf "PrivateKey = "; cat "/etc/wireguard/$1.key"; '
    'wg-quick strip "$1" | grep -vxF "[Interface]"; } > "$f"; wg syncconf "$1" "$f"'
)


def _shows(words: Sequence[str]) -> bool:
    """``wg show INTERFACE WHAT``; all at once, or as a configuration, it tells the private key."""
    match words:
        case ["show", "interfaces"]:
            return True
        case ["show", _, what]:
            return what in _ASKED
    return False


declare("wg", _shows)


@dataclass(frozen=True)
class Peer:
    """Who may come in.

    Parameters
    ----------
    public_key
        Its public key.
    allowed
        Addresses and networks that are its.
    keepalive_s
        How often it is written to; 0 for never [s].
    preshared_key
        A key that both know besides; None for none.
    endpoint
        Where it listens itself; empty for nowhere.
    """

    public_key: str
    allowed: tuple[str, ...]
    keepalive_s: int = 0
    preshared_key: Secret | None = field(default=None, repr=False)
    endpoint: str = ""


@dataclass(frozen=True)
class WireGuardKey:
    """An interface's key pair, made on the machine; one that is there stays."""

    host: str
    interface: str
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        return f"key of {self.interface}"

    def observe(self, host: Host) -> dict[str, Any]:
        """Whether there are a private and a public key."""
        pair = places(host, [f"{FOLDER}/{self.interface}.{end}" for end in ("key", "pub")])
        kinds = [place.there["kind"] if place.there else "nothing" for place in pair]
        obstacle = next((place.obstacle for place in pair if place.obstacle), "")
        return {"key": kinds[0], "public": kinds[1], "obstacle": obstacle}

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["obstacle"]:
            return Diff(conflict=observed["obstacle"])
        strange = {observed["key"], observed["public"]} - {FILE, "nothing"}
        if strange:
            path = f"{FOLDER}/{self.interface}.key"
            return Diff(conflict=f"{path} is a {strange.pop()}, and should be a file")
        if observed["key"] == observed["public"] == FILE:
            return Diff()
        make = "make a key pair for" if observed["key"] == "nothing" else "write the public key of"
        call = change("sh", "-c", _MAKE_KEY, "sh", self.interface, sudo=True)
        ends = ("key", "pub") if observed["key"] == "nothing" else ("pub",)
        undo = " ".join(["rm", *(f"{FOLDER}/{self.interface}.{end}" for end in ends)])
        return Diff((Change(f"{make} {self.interface}", call, undo=undo),))


@dataclass(frozen=True)
class WireGuardTunnel:
    """An interface that runs as its configuration has it, and starts with the machine.

    Parameters
    ----------
    host, interface
        Which.
    addresses
        Its own addresses, with prefix length.
    port
        UDP port it listens on.
    peers
        Who may come in.
    come_by
        The address by which we come to the machine.
    """

    host: str
    interface: str
    addresses: tuple[str, ...]
    port: int
    peers: tuple[Peer, ...]
    come_by: str = ""
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"wireguard {self.interface}"

    @property
    def _unit(self) -> str:
        return f"wg-quick@{self.interface}"

    def observe(self, host: Host) -> dict[str, Any]:
        """The unit, and where it runs what the kernel has; of preshared keys, whether they are
        the right ones."""
        facts: dict[str, Any] = {"unit": look_at_unit(host, self._unit)}
        if facts["unit"]["ActiveState"] == "active":
            facts |= {
                "port": _shown(host, self.interface, "listen-port").strip(),
                "addresses": sorted(_addresses(host, self.interface)),
                "peers": self._peers(host),
            }
        return facts

    def _peers(self, host: Host) -> dict[str, dict[str, Any]]:
        keys = _shown(host, self.interface, "peers").split()
        allowed = _by_peer(_shown(host, self.interface, "allowed-ips"))
        often = _by_peer(_shown(host, self.interface, "persistent-keepalive"))
        shared = self._preshared(host)
        return {
            key: {
                "allowed": sorted(each for each in allowed.get(key, []) if each != _NOTHING),
                "keepalive": (often.get(key) or ["off"])[0],
                "preshared": shared.get(key, "none"),
            }
            for key in keys
        }

    def _preshared(self, host: Host) -> dict[str, str]:
        """``right``, ``wrong`` or ``none``; asked only where one is described."""
        wanted = {peer.public_key: peer.preshared_key for peer in self.peers if peer.preshared_key}
        if not wanted:
            return {}
        words = ("wg", "show", self.interface, "preshared-keys")
        shown = host.read(*words, sudo=True, secret_output=True).stdout
        found = {key: (rows or [_NOTHING])[0] for key, rows in _by_peer(shown).items()}
        return {
            key: "none"
            if found.get(key, _NOTHING) == _NOTHING
            else "right"
            if found[key] == secret.reveal().strip()
            else "wrong"
            for key, secret in wanted.items()
        }

    def _wanted(self) -> dict[str, dict[str, Any]]:
        return {
            peer.public_key: {
                "allowed": sorted(peer.allowed),
                "keepalive": str(peer.keepalive_s) if peer.keepalive_s else "off",
                "preshared": "right" if peer.preshared_key else "none",
            }
            for peer in self.peers
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        unit = observed["unit"]
        if unit["LoadState"] == "not-found":
            return Diff(conflict=f"there is no service {self._unit}; wireguard-tools has it")
        changes = []
        if unit["UnitFileState"] != "enabled":
            changes.append(with_the_machine(self._unit, self.interface))
        if unit["ActiveState"] != "active":
            call = change("systemctl", "start", self._unit, sudo=True)
            changes.append(
                Change(f"start {self.interface}", call, undo=f"wg-quick down {self.interface}")
            )
            return Diff(tuple(changes))
        touched = self._running(observed)
        if touched and self._by_itself:
            return Diff(
                conflict=f"we come to {self.host} through {self.interface} itself; change it from "
                "within the house, by the machine's own address"
            )
        return Diff((*changes, *touched))

    def _running(self, observed: dict[str, Any]) -> list[Change]:
        if observed["addresses"] != sorted(self.addresses):
            call = change("systemctl", "restart", self._unit, sudo=True)
            replaces = ", ".join(observed["addresses"]) or "no address"
            summary = f"restart {self.interface} with its addresses"
            undo = f"its configuration of before, and systemctl restart {self._unit}"
            return [Change(summary, call, replaces=replaces, undo=undo)]
        wanted = self._wanted()
        if observed["port"] == str(self.port) and observed["peers"] == wanted:
            return []
        call = change("sh", "-c", _SYNC, "sh", self.interface, sudo=True)
        before = [f"port {observed['port']}", *map(_told, observed["peers"].items())]
        summary = f"have {self.interface} take over its peers, without dropping any that stays"
        undo = f"its configuration of before, and systemctl restart {self._unit}"
        return [Change(summary, call, replaces="; ".join(before), undo=undo)]

    @property
    def _by_itself(self) -> bool:
        try:
            here = ipaddress.ip_address(self.come_by)
        except ValueError:
            return False
        return any(here in ipaddress.ip_interface(cidr).network for cidr in self.addresses)


def _told(row: tuple[str, dict[str, Any]]) -> str:
    key, facts = row
    return f"{key[:8]}… {', '.join(facts['allowed'])}"


def _shown(host: Host, interface: str, what: str) -> str:
    return host.read("wg", "show", interface, what, sudo=True).stdout


def _by_peer(text: str) -> dict[str, list[str]]:
    """Rows of ``KEY<TAB>VALUE VALUE``."""
    rows = (line.split("\t", 1) for line in text.splitlines() if "\t" in line)
    return {key: values.split() for key, values in rows}


def _addresses(host: Host, interface: str) -> list[str]:
    words = ("ip", "-j", "addr", "show", "dev", interface)
    shape = [{"addr_info": [{"local": str, "prefixlen": int, "scope?": str}]}]
    rows = answers.expected(host.json(*words), shape, host=host.name, line=" ".join(words))
    return [
        f"{each['local']}/{each['prefixlen']}"
        for row in rows
        for each in row["addr_info"]
        if each.get("scope") != "link"
    ]


def public_key(host: Host, interface: str) -> str:
    """The public key of an interface, as the file beside its private one has it; empty for none."""
    return read_file(host, f"{FOLDER}/{interface}.pub").strip()


def handshakes(host: Host, interface: str) -> dict[str, int]:
    """When each peer last shook hands, by its public key; 0 for never [s since 1970]."""
    rows = _by_peer(_shown(host, interface, "latest-handshakes"))
    return {key: int(values[0]) for key, values in rows.items() if values[0].isdecimal()}
