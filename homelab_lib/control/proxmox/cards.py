"""A VM's network cards: those that its node gave it, and those that it sees."""

import re

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.control.proxmox.api import CONFIG, api
from homelab_lib.runbook.resource import Host

_LINKS: Shape = [{"address?": str}]
_MAC = re.compile(r"(?i)=((?:[0-9a-f]{2}:){5}[0-9a-f]{2})")


def cards_given(host: Host, node: str, vmid: int) -> dict[str, str]:
    """The hardware address of each card in a VM's configuration: ``net0`` and so on.

    Parameters
    ----------
    host, node, vmid
        The node's machine, its name, and the VM.
    """
    config = api(host, f"/nodes/{node}/qemu/{vmid}/config", "--current", "1", shape=CONFIG)
    found = {key: _MAC.search(str(value)) for key, value in config.items() if key[:3] == "net"}
    return {key: mac[1].lower() for key, mac in sorted(found.items()) if mac is not None}


def cards_seen(guest: Host) -> set[str]:
    """The hardware addresses of the interfaces that a machine has."""
    words = ("ip", "-j", "link", "show")
    said = guest.json(*words)
    rows = answers.expected(said, _LINKS, host=guest.name, line=" ".join(words))
    return {row.get("address", "").lower() for row in rows}
