"""What each call of an OPNsense rests on.

`validator`: the verdicts of the release's own controllers and models are compared, document by
document. `source`: what was read in its controllers, and held against transcripts of them.
"""

import inspect
from collections.abc import Iterator

from homelab_lib.twin.fidelity import Fidelity, Grounds
from homelab_lib.twin.opnsense.endpoints import endpoints

_SERIES = {"26.1": (26, 1), "26.7": (26, 7)}
_JUDGED = frozenset(
    f"/api/{each}"
    for each in (
        *("auth/group/add", "auth/user/add", "core/tunables/addItem", "cron/settings/addJob"),
        *("dnsmasq/settings/addHost", "dnsmasq/settings/addOption"),
        *("dnsmasq/settings/addRange", "dnsmasq/settings/set", "firewall/alias/addItem"),
        *("firewall/category/addItem", "firewall/d_nat/addRule", "firewall/filter/addRule"),
        *("firewall/group/addItem", "firewall/one_to_one/addRule"),
        *("firewall/source_nat/addRule", "ids/settings/addPolicy", "ids/settings/addPolicyRule"),
        *("ids/settings/addUserRule", "ids/settings/set", "interfaces/assignment/addItem"),
        *("interfaces/bridge_settings/addItem", "interfaces/lagg_settings/addItem"),
        *("interfaces/settings/set", "interfaces/vip_settings/addItem"),
        *("interfaces/vlan_settings/addItem", "kea/dhcpv4/addReservation"),
        *("kea/dhcpv4/addSubnet", "kea/dhcpv4/set", "monit/settings/addService"),
        *("monit/settings/addTest", "routes/routes/addroute", "routing/group_settings/add"),
        *("routing/settings/addGateway", "syslog/settings/addDestination"),
        *("unbound/settings/addForward", "unbound/settings/addHostOverride"),
        *("unbound/settings/set", "wireguard/client/addClient", "wireguard/general/set"),
        "wireguard/server/addServer",
    )
)
"""Requests whose verdicts are there, of both series."""

_ASKS = ("get", "search", "list", "status", "running", "info", "backups", "download", "providers")
_ALSO_ASKS = ("diff", "interfaces", "psk", "key", "show", "is", "upgradestatus", "check")
_SMALL = ("routes/routes",)  # where the words of an action run together


def _words(name: str, controller: str) -> str:
    first, *rest = name.split("_")
    if controller in _SMALL:
        return first + "".join(rest)
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def _calls(release: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """Each call, with what may follow it: method, path."""
    for controller, actions in endpoints(release).items():
        for name, action in actions.items():
            method = "GET" if name.startswith((*_ASKS, *_ALSO_ASKS)) else "POST"
            place = f"/api/{controller}/{_words(name, controller)}"
            wanted = list(inspect.signature(action).parameters.values())[1:]
            most = [f"{{{each.name}}}" for each in wanted]
            least = sum(each.default is each.empty for each in wanted)
            for count in range(least, len(most) + 1):
                yield method, "/".join([place, *most[:count]])


def _grounds() -> Iterator[Grounds]:
    by_series = {series: list(_calls(release)) for series, release in _SERIES.items()}
    for call in sorted(set().union(*by_series.values()), key=lambda call: (call[1], call[0])):
        has = tuple(series for series, calls in by_series.items() if call in calls)
        method, path = call
        words, releases = f"{method} {path}", () if len(has) == len(_SERIES) else has
        if path in _JUDGED:
            verdicts = "verdicts of its own models"
            yield Grounds(words, Fidelity.VALIDATOR, verdicts, releases, Fidelity.SOURCE)
        else:
            yield Grounds(words, Fidelity.SOURCE, "its controllers", releases)


GROUNDS: tuple[Grounds, ...] = tuple(_grounds())
