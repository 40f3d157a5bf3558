"""A firewall of OPNsense: the first key, its networks, addresses and names, what may pass, what is
inspected.

The order is that in which these need each other: rules speak of interfaces, interfaces of devices.
What the way to the firewall depends on is applied under an undo of the firewall's own; see
`homelab_lib.control.opnsense.revert`.
"""

import re
from collections.abc import Iterator

from homelab_lib.answers import Shape
from homelab_lib.control.opnsense.api import Api, at_rest, release
from homelab_lib.control.opnsense.history import CONFIG
from homelab_lib.control.opnsense.interfaces import hardware_addresses
from homelab_lib.lab import Lab
from homelab_lib.recipes.firewall import dhcp, filters, inspection, names
from homelab_lib.recipes.firewall import networks as firewall_networks
from homelab_lib.recipes.firewall.gateway import Gateway, firewalls
from homelab_lib.recipes.holdings import holdings
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check, Context, Manual, Step

MAKES = ("firewalls", "dhcp", "dns", "ntp", "vlans", "rules")

_BACKUPS: Shape = {"items": [{"id": str, "time": (str, float), "filesize?": int}]}
_UNAUTHORIZED = (401, 403)


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The steps of a phase's firewalls.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        Something can't be made: its key and what to do.
    """
    held = holdings(lab).get(phase, [])
    for name in firewalls(lab):
        if not any(_is_of(key, name) for key in held):
            continue
        gateway = Gateway(lab, name, phase)
        made = list(_made(gateway))
        if made:
            key = Key(gateway)
            yield key.step
            yield from made
            yield key.after(made[-1].name)


def _is_of(key: str, host: str) -> bool:
    """Whether a thing, by its key in the lab, is a firewall or something that is set up on it."""
    room, _, rest = key.partition(".")
    on_it = rest == host if room == "hosts" else rest == host or rest.startswith(f"{host}.")
    return on_it and room in ("hosts", *MAKES)


def _made(gateway: Gateway) -> Iterator[Step]:
    key = f"firewall-key{gateway.end}"
    yield from firewall_networks.steps(gateway, (key,))
    networks = (f"interfaces{gateway.end}",) if gateway.set_up and gateway.tagged else (key,)
    yield from dhcp.steps(gateway, networks)
    yield from names.steps(gateway, networks)
    yield from filters.steps(gateway, networks)
    yield from inspection.steps(gateway, networks)


class Key:
    """The way into a firewall's API, and its configuration as evidence."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    @property
    def step(self) -> Step:
        """The step before all others."""
        gateway = self.gateway
        api = gateway.machine.api
        assert api is not None
        return Step(
            f"firewall-key{gateway.end}",
            "Give us a key to the firewall's API",
            why="OPNsense is set up through its API, which lets in nobody without a key, and "
            "shows a key's secret only once. So a person makes it. What the configuration was "
            "before anything is changed stays on the firewall as a backup, and is noted here.",
            manual=Manual(
                "in the firewall's pages, System: Access: Users, edit root (or a user of your "
                "own with its rights) and create an API key; keep what it shows as "
                f"{api.key} and {api.secret}",
                verify=self._lets_us_in,
            ),
            check=self.before,
        )

    def after(self, last: str) -> Step:
        """The step after all others."""
        return Step(
            f"firewall-after{self.gateway.end}",
            "Note the firewall's configuration",
            why="Which backup holds the configuration as this run leaves it; its own content has "
            "secrets in it, and stays where it is.",
            needs=(last,),
            check=self.evidence,
        )

    def _lets_us_in(self, ctx: Context) -> Check:
        host, api = ctx.host(self.gateway.host), self.gateway.api(ctx)
        title = f"the API of {host.name} lets us in"
        answer = host.request(api.get("core/backup/backups/this"), ok=None)
        if answer.exit_status in _UNAUTHORIZED:
            return Check(title, False, f"it says {answer.stderr}: {answer.stdout.strip()[:200]}")
        return Check(title, answer.ok, answer.stderr)

    def before(self, ctx: Context) -> Iterator[Check]:
        """The ports are those that the lab means; then as `evidence`.

        Roles go by devices' names, and a card whose driver does not start at a boot moves the names
        of those behind it.
        """
        host = ctx.host(self.gateway.host)
        for name, port in self.gateway.machine.attached.items():
            if port.interface is None or port.mac is None:
                continue
            found = hardware_addresses(host, port.interface)
            title = f"{port.interface} of {host.name} is port {name}"
            held = ", ".join(sorted(found)) or "there is no such device"
            same = port.mac.lower() in found
            yield Check(title, same, "" if same else f"{port.mac} in the lab, and here: {held}")
        yield from self.evidence(ctx)

    def evidence(self, ctx: Context) -> Iterator[Check]:
        """The newest backup of the configuration, and what its content comes to."""
        host, api = ctx.host(self.gateway.host), self.gateway.api(ctx)
        at_rest(api, host)
        number = ".".join(map(str, release(host)))
        title = f"the configuration of {host.name}, OPNsense {number}, is noted"
        digest = host.read("sha256", "-q", CONFIG).stdout.strip()
        newest = _newest(host, api)
        kept = f"backup {newest}" if newest else "no backup: nobody has saved anything yet"
        whole = re.fullmatch(r"[0-9a-f]{64}", digest) is not None
        yield Check(title, whole, f"{kept}; sealed {host.seal(digest)[:16]}" if whole else digest)


def _newest(host: Host, api: Api) -> str | None:
    found = api.ask(host, "core/backup/backups/this", _BACKUPS)["items"]
    newest = max(found, key=lambda each: float(each["time"]), default=None)
    return None if newest is None else str(newest["id"])
