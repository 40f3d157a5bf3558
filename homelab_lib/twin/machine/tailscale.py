"""`tailscale`: a node of a tailnet, as far as it is set up from a shell.

Sources: tailscale's cmd/tailscale/cli (up.go, set.go, status.go), ipn/prefs.go and
ipn/ipnstate/ipnstate.go; issues tailscale#1859 and #16142 for what ``up`` refuses.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.unit import Unit

tailscale_programs = Commands()

PACKAGE, UNIT = "tailscale", "tailscaled"
_NO_DAEMON = (
    "failed to connect to local tailscaled; it doesn't appear to be running "
    "(sudo systemctl start tailscaled ?)\n"
)
_DENIED = "Access denied: prefs write access denied\n\nUse 'sudo tailscale {verb}'.\n"
_FLAGS = {  # option: preference, its default
    "login-server": ("ControlURL", "https://controlplane.tailscale.com"),
    "hostname": ("Hostname", ""),
    "advertise-routes": ("AdvertiseRoutes", ""),
    "advertise-exit-node": ("exit_node", "false"),
    "advertise-tags": ("AdvertiseTags", ""),
    "accept-routes": ("RouteAll", "false"),
    "accept-dns": ("CorpDNS", "true"),
    "snat-subnet-routes": ("snat", "true"),
    "ssh": ("RunSSH", "false"),
}
_ONLY_UP = {"auth-key", "authkey", "timeout", "reset", "accept-risk", "force-reauth"}
_NEVER_S = 86_400.0  # it waits for ever; whoever called has gone by then
_MENTION = (
    "Error: changing settings via 'tailscale up' requires mentioning all\n"
    "non-default flags. To proceed, either re-run your command with --reset or\n"
    "use the command below to explicitly mention the current value of\n"
    "all non-default settings:\n\n\ttailscale up {flags}\n\n"
)


def units(machine: Machine) -> Iterator[Unit]:
    """The daemon, as its package brings it: it runs, and starts with the machine."""
    yield Unit(UNIT, "active", "running", enabled=True)


def state_of(machine: Machine) -> dict[str, Any]:
    """What the daemon keeps: its state, its settings by option, and what an administrator of the
    tailnet has approved."""
    if "tailscale" not in machine.kept:
        machine.kept["tailscale"] = _seeded(machine) or {
            "state": "NeedsLogin",
            "set": {option: default for option, (_, default) in _FLAGS.items()},
            "approved": [],
        }
    found: dict[str, Any] = machine.kept["tailscale"]
    return found


def _seeded(machine: Machine) -> dict[str, Any] | None:
    """The same of the real host behind a seeded machine; None where it has no such program."""
    said = machine.said("tailscale", "status", "--json")
    prefs = machine.said("tailscale", "debug", "prefs") if said is not None else None
    if said is None or prefs is None or said.status or prefs.status:
        return None
    status, given = json.loads(said.out), json.loads(prefs.out)
    settings = {option: default for option, (_, default) in _FLAGS.items()}
    routes = set(given.get("AdvertiseRoutes") or ())
    everywhere = {"0.0.0.0/0", "::/0"}
    settings |= {
        "login-server": given["ControlURL"],
        "hostname": given.get("Hostname", ""),
        "advertise-routes": ",".join(sorted(routes - everywhere)),
        "advertise-exit-node": _said(bool(routes & everywhere)),
        "advertise-tags": ",".join(given.get("AdvertiseTags") or ()),
        "accept-routes": _said(given.get("RouteAll", False)),
        "accept-dns": _said(given.get("CorpDNS", False)),
        "snat-subnet-routes": _said(not given.get("NoSNAT", False)),
        "ssh": _said(given.get("RunSSH", False)),
    }
    own = status.get("Self") or {}
    approved = list(own.get("PrimaryRoutes") or ())
    return {"state": status["BackendState"], "set": settings, "approved": approved}


def _said(flag: bool) -> str:
    return "true" if flag else "false"


@tailscale_programs("tailscale")
def tailscale(machine: Machine, call: Call) -> Reply:
    """The command line of the daemon."""
    words = [word for word in call.argv[1:] if not word.startswith("-")]
    options = dict(_option(word) for word in call.argv[1:] if word.startswith("-"))
    verb = words[0] if words else ""
    if verb == "version":
        return Reply(0, "1.90.6\n")
    daemon = machine.units.get(UNIT)
    if daemon is None or daemon.active != "active":
        return Reply(1, stderr=_NO_DAEMON)
    kept = state_of(machine)
    if verb == "status":
        return _status(machine, kept, as_json="json" in options)
    if words == ["debug", "prefs"]:
        return Reply(0, json.dumps(_prefs(kept), indent="\t") + "\n")
    if verb not in ("up", "set", "down", "logout"):
        return Reply(1, stderr=f"tailscale: unknown subcommand: {verb}\n")
    if call.user != "root":
        return Reply(1, stderr=_DENIED.format(verb=verb))
    allowed = {"up": {*_FLAGS, *_ONLY_UP}, "set": {*_FLAGS, "accept-risk"} - {"login-server"}}
    for option in options:
        if option not in allowed.get(verb, ()):
            return Reply(2, stderr=f"flag provided but not defined: -{option}\n")
    if verb == "up":
        return _up(machine, call, kept, options)
    if verb == "set":
        return _set(machine, kept, options)
    kept["state"] = "Stopped" if verb == "down" else "NeedsLogin"
    return Reply()


def _option(word: str) -> tuple[str, str]:
    name, equals, value = word.lstrip("-").partition("=")
    return name, value if equals else "true"


def _up(machine: Machine, call: Call, kept: dict[str, Any], options: dict[str, str]) -> Reply:
    """Joins, or starts again; whatever is not the default has to be mentioned again."""
    given = {name: value for name, value in options.items() if name in _FLAGS}
    own = {name: value for name, value in kept["set"].items() if value != _FLAGS[name][1]}
    fresh = kept["state"] in ("NeedsLogin", "NoState")
    if given and not fresh and "reset" not in options and not own.keys() <= given.keys():
        flags = " ".join(f"--{name}={value}" for name, value in (own | given).items())
        return Reply(1, stderr=_MENTION.format(flags=flags))
    if fresh:
        refused = _login(machine, call, options)
        if refused is not None:
            return refused
    kept["set"] |= given
    kept["state"] = "Running"
    return Reply(0, stderr=_warnings(machine, kept), takes_s=3.0)


def _login(machine: Machine, call: Call, options: dict[str, str]) -> Reply | None:
    """Why it does not get in; None where it does."""
    key = options.get("auth-key") or options.get("authkey") or ""
    wait_s = float(options.get("timeout", f"{_NEVER_S}s").removesuffix("s"))
    late = "timeout waiting for Tailscale service to enter a Running state\n"
    if machine.world.internet(machine):
        return Reply(1, stderr=late, takes_s=wait_s)
    if not key:
        visit = "\nTo authenticate, visit:\n\n\thttps://login.tailscale.com/a/0123456789ab\n\n"
        return Reply(1, stderr=visit + late, takes_s=wait_s)
    if key.startswith("file:"):
        try:
            key = machine.files.read(call.path(key[5:]), machine.who(call)).decode().strip()
        except FileError as error:
            return Reply(1, stderr=f"open {key[5:]}: {error.says.lower()}\n")
    if not key:
        return Reply(1, stderr="backend error: invalid key: unable to validate API key\n")
    return None


def _set(machine: Machine, kept: dict[str, Any], options: dict[str, str]) -> Reply:
    kept["set"] |= {name: value for name, value in options.items() if name in _FLAGS}
    return Reply(0, stderr=_warnings(machine, kept))


def _forwards(machine: Machine) -> bool:
    return machine.sysctl.get("net.ipv4.ip_forward") == "1"


def _warnings(machine: Machine, kept: dict[str, Any]) -> str:
    leads = kept["set"]["advertise-routes"] or kept["set"]["advertise-exit-node"] == "true"
    if not leads or _forwards(machine):
        return ""
    return (
        "Warning: IP forwarding is disabled, subnet routing/exit nodes will not work.\n"
        "See https://tailscale.com/s/ip-forwarding\n"
    )


def _status(machine: Machine, kept: dict[str, Any], *, as_json: bool) -> Reply:
    running = kept["state"] == "Running"
    if not as_json:
        said = {"Stopped": "Tailscale is stopped.", "NeedsLogin": "Logged out."}
        return Reply(0 if running else 1, said.get(kept["state"], machine.name) + "\n")
    digest = hashlib.sha256(f"{machine.world.seed}/{machine.name}".encode()).digest()
    address = f"100.{64 + digest[0] % 64}.{digest[1]}.{digest[2]}"
    routes = [r for r in kept["set"]["advertise-routes"].split(",") if r]
    served = [r for r in routes if r in kept["approved"]] if running else []
    name = kept["set"]["hostname"] or machine.name
    own: dict[str, Any] = {
        "HostName": name,
        "DNSName": f"{name}.tail0123.ts.net.",
        "OS": "linux",
        "TailscaleIPs": [address] if running else None,
        "Online": running,
        "PrimaryRoutes": served or None,
    }
    if running and not kept["set"]["advertise-tags"]:
        own["KeyExpiry"] = "2027-05-25T08:00:00Z"
    document = {
        "Version": "1.90.6-t0123456789-g0123456789",
        "TUN": True,
        "BackendState": kept["state"],
        "HaveNodeKey": running,
        "AuthURL": "",
        "TailscaleIPs": [address] if running else None,
        "Self": own,
        "Health": [_warnings(machine, kept).splitlines()[0]] if _warnings(machine, kept) else [],
        "MagicDNSSuffix": "tail0123.ts.net",
        "CurrentTailnet": {"Name": "lab@example.org"} if running else None,
        "Peer": None,
        "User": None,
    }
    return Reply(0, json.dumps(document, indent=2) + "\n")


def _prefs(kept: dict[str, Any]) -> dict[str, Any]:
    given = kept["set"]
    routes = [each for each in given["advertise-routes"].split(",") if each]
    if given["advertise-exit-node"] == "true":
        routes += ["0.0.0.0/0", "::/0"]
    tags = [each for each in given["advertise-tags"].split(",") if each]
    return {
        "ControlURL": given["login-server"],
        "RouteAll": given["accept-routes"] == "true",
        "ExitNodeID": "",
        "CorpDNS": given["accept-dns"] == "true",
        "RunSSH": given["ssh"] == "true",
        "WantRunning": kept["state"] == "Running",
        "LoggedOut": kept["state"] == "NeedsLogin",
        "AdvertiseTags": tags or None,
        "Hostname": given["hostname"],
        "AdvertiseRoutes": routes or None,
        "NoSNAT": given["snat-subnet-routes"] == "false",
        "Config": None,
    }
