"""Tailscale on a Linux machine: joined once, and then set up one setting at a time.

Sources: tailscale's cmd/tailscale/cli (up.go, set.go, debug.go), ipn/prefs.go and
ipn/ipnstate/ipnstate.go. ``tailscale up`` wants every setting that is not the default mentioned
again, and waits for ever without ``--timeout``; ``tailscale set`` changes the one it is given.

A node can carry no mark, so that it is ours is written into the host's ledger, as of a file. Where
it is not, what somebody has set (and is not the default) is left alone.
"""

import ipaddress
from dataclasses import dataclass, field
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.control.linux.looking import ROOT
from homelab_lib.control.linux.placing import LEDGER, claim, claimed, placing
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.secret import Secret
from homelab_lib.transport.command import change
from homelab_lib.transport.options import Allowed
from homelab_lib.transport.reads import declare

STATUS = ("tailscale", "status", "--json")
PREFS = ("tailscale", "debug", "prefs")
_TIMEOUT = "--timeout=60s"
_STATE = "/var/lib/tailscale"  # stands for the node in the ledger
_OF_TAILSCALE = ipaddress.ip_network("100.64.0.0/10")
_STATUS: Shape = {
    "BackendState": str,
    "AuthURL?": str,
    "TailscaleIPs?": [str],
    "Health?": [str],
    "Self?": {"Online?": bool, "PrimaryRoutes?": [str], "KeyExpiry?": str},
}
_PREFS: Shape = {
    "ControlURL": str,
    "Hostname?": str,
    "AdvertiseRoutes?": [str],
    "AdvertiseTags?": [str],
    "RouteAll?": bool,
    "CorpDNS?": bool,
    "RunSSH?": bool,
    "NoSNAT?": bool,
}
_EVERYWHERE = ("0.0.0.0/0", "::/0")

# The key comes on standard input, and goes by a file that nobody else reads and that is gone after.
_JOIN = (
    "set -e; umask 077; f=/run/homelab-tailscale-key; trap 'rm -f -- \"$f\"' EXIT; "
    'rm -f -- "$f"; cat > "$f"; tailscale up --auth-key="file:$f" "$@"; '
)

declare("tailscale", Allowed("status,debug prefs,ip,version", "--json --peers -4 -6"))


@dataclass(frozen=True)
class Settings:
    """What a node is told of its tailnet.

    Parameters
    ----------
    hostname
        Its name there.
    routes
        Subnets that it leads to.
    exit_node
        Whether it leads to the internet, too.
    accept_routes, accept_dns
        Whether it uses what others lead to, and Tailscale's name servers.
    snat
        Whether what comes through looks like its own.
    ssh
        Whether Tailscale answers SSH.
    tags
        Tags it asks for.
    """

    hostname: str
    routes: tuple[str, ...] = ()
    exit_node: bool = False
    accept_routes: bool = False
    accept_dns: bool = False
    snat: bool = True
    ssh: bool = False
    tags: tuple[str, ...] = ()

    def words(self) -> dict[str, str]:
        """By the name of its option, each as ``tailscale set`` takes it."""
        return {
            "hostname": self.hostname,
            "advertise-routes": ",".join(sorted(self.routes)),
            "advertise-exit-node": _said(self.exit_node),
            "accept-routes": _said(self.accept_routes),
            "accept-dns": _said(self.accept_dns),
            "snat-subnet-routes": _said(self.snat),
            "ssh": _said(self.ssh),
        }


def _said(flag: bool) -> str:
    return "true" if flag else "false"


_DEFAULTS = Settings("", accept_dns=True).words()
"""What a node has that nobody has set up."""


@dataclass(frozen=True)
class TailscaleNode:
    """A machine that is in a tailnet.

    Parameters
    ----------
    host
        The machine.
    settings
        What it is told.
    login_server
        Who coordinates.
    auth_key
        The key by which it joins; None: a person logs in.
    address
        The address by which we come.
    lab
        The lab whose it is.
    """

    host: str
    settings: Settings
    login_server: str
    auth_key: Secret | None = field(default=None, repr=False)
    address: str = ""
    timeout_s: float = 90.0
    lab: str = field(kw_only=True)

    @property
    def name(self) -> str:
        return "tailscale"

    @property
    def _claim(self) -> str:
        return claim(self.lab, _STATE)

    def observe(self, host: Host) -> dict[str, Any]:
        """State and settings, in our own words."""
        state = status(host)
        prefs = answers.expected(
            host.json(*PREFS, sudo=True), _PREFS, host=host.name, line=" ".join(PREFS)
        )
        own = set(prefs.get("AdvertiseRoutes") or ())
        now = Settings(
            prefs.get("Hostname", ""),
            tuple(sorted(own - set(_EVERYWHERE))),
            bool(own & set(_EVERYWHERE)),
            prefs.get("RouteAll", False),
            prefs.get("CorpDNS", False),
            not prefs.get("NoSNAT", False),
            prefs.get("RunSSH", False),
        )
        return {
            "state": state["BackendState"],
            "server": prefs["ControlURL"],
            "tags": sorted(prefs.get("AdvertiseTags") or ()),
            "settings": now.words(),
            "marked": bool(claimed(host, [self._claim])),
            "begun": bool(host.sent(self.name)),
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        state = observed["state"]
        if state in ("NeedsLogin", "NoState"):
            return self._joined()
        if state == "NeedsMachineAuth":
            return Diff(waiting="an administrator of the tailnet has to approve the machine")
        if state == "Starting":
            return Diff(waiting="it is starting")
        if observed["server"].rstrip("/") != self.login_server.rstrip("/"):
            other = observed["server"]
            return Diff(
                conflict=f"{self.host} is in the tailnet of {other}; log it out there first"
            )
        if observed["tags"] != sorted(self.settings.tags):
            have = ", ".join(observed["tags"]) or "none"
            return Diff(
                conflict=f"{self.host} has the tags {have}, and tags come with logging in: log it "
                "out, and join it anew"
            )
        up = self._command("up", _TIMEOUT)
        changes = [Change("start Tailscale again", up, undo="tailscale down")] * (
            state == "Stopped"
        )
        wanted = self.settings.words()
        changes += [
            self._set(key, value, observed["settings"][key])
            for key, value in wanted.items()
            if observed["settings"][key] != value
        ]
        if why := self._somebodys(observed):
            return Diff(conflict=why)
        if not observed["marked"] and (changes or observed["begun"]):
            own = placing("", hand=ROOT, ours=self._claim)
            undo = f"rm {self._claim}"
            noted = Change(f"note that the node is of lab {self.lab}", own, undo=undo)
            changes.insert(0, noted)
        if changes and self._by_itself:
            return Diff(
                conflict=f"we come to {self.host} by Tailscale itself; change that from within the "
                "house, by its own address"
            )
        return Diff(tuple(changes))

    def _somebodys(self, observed: dict[str, Any]) -> str:
        """What somebody set otherwise than the lab has it; empty where it is ours, or as it is
        before anybody sets it."""
        if observed["marked"] or observed["begun"]:
            return ""
        wanted = self.settings.words()
        theirs = [
            f"{key} is {value or 'nothing'} there, and {wanted[key] or 'nothing'} in the lab"
            for key, value in observed["settings"].items()
            if value not in (wanted[key], _DEFAULTS[key])
        ]
        if not theirs:
            return ""
        return (
            f"somebody has set {self.host} up in a tailnet, and it stays so: {'; '.join(theirs)}. "
            "Write into the lab what is so; or give the node to us: add the line "
            f"'{self.lab}<TAB>{_STATE}' to {LEDGER}"
        )

    @property
    def _by_itself(self) -> bool:
        try:
            return ipaddress.ip_address(self.address) in _OF_TAILSCALE
        except ValueError:
            return self.address.endswith(".ts.net")

    def _joined(self) -> Diff:
        if self.auth_key is None:
            return Diff(
                conflict=f"nobody has logged {self.host} in, and the lab has no auth_key for it"
            )
        options = [f"--{key}={value}" for key, value in self.settings.words().items()]
        if self.settings.tags:
            options.append(f"--advertise-tags={','.join(self.settings.tags)}")
        words = (f"--login-server={self.login_server}", *options, _TIMEOUT)
        call = placing(
            _JOIN,
            *words,
            hand=ROOT,
            ours=self._claim,
            stdin=self.auth_key,
            timeout_s=self.timeout_s,
        )
        summary = f"join the tailnet as {self.settings.hostname}"
        return Diff((Change(summary, call, undo="tailscale logout"),))

    def _set(self, key: str, value: str, before: str) -> Change:
        return Change(
            f"set {key} to {value or 'nothing'}",
            self._command("set", f"--{key}={value}"),
            replaces=f"{key}={before}",
            undo=f"tailscale set --{key}={before}",
        )

    def _command(self, verb: str, option: str) -> Any:
        return change("tailscale", verb, option, sudo=True, timeout_s=self.timeout_s)


def status(host: Host) -> dict[str, Any]:
    """What `tailscale` says of its state; its exit status is 0 whatever that is.

    Raises
    ------
    NotUnderstood
        It answers in another form.
    """
    said = host.json(*STATUS, sudo=True)
    found: dict[str, Any] = answers.expected(said, _STATUS, host=host.name, line=" ".join(STATUS))
    return found
