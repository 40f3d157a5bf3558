"""All that the REST side of a release has."""

from homelab_lib.twin.machine.appliance import Release
from homelab_lib.twin.opnsense.api import Action
from homelab_lib.twin.opnsense.controllers import (
    accounts,
    aliases,
    backup,
    bundles,
    core,
    cron,
    ids,
    interfaces,
    names,
    routing,
    rules,
    vpn,
    watching,
)

_ROOMS = (
    *(accounts, aliases, backup, bundles, core, cron, ids, interfaces, names, routing, rules),
    *(vpn, watching),
)


def endpoints(release: Release) -> dict[str, dict[str, Action]]:
    """Actions by controller and name.

    Parameters
    ----------
    release
        The series: (26, 7).
    """
    found: dict[str, dict[str, Action]] = {}
    for room in _ROOMS:
        found |= room.ENDPOINTS
        newer = release >= (26, 7)
        found |= getattr(room, "SINCE_26_7" if newer else "BEFORE_26_7", {})
    return found
