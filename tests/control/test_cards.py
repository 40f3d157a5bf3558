"""A VM's network cards by their addresses, as Proxmox and `ip` write them."""

import json

from homelab_lib.control.proxmox.cards import cards_given, cards_seen

CONFIG = {
    "net0": "virtio=BC:24:11:2E:C5:01,bridge=vmbr0,tag=30",
    "net1": "model=e1000,macaddr=bc:24:11:2e:c5:02,bridge=vmbr1",
    "nameserver": "10.0.30.1",
    "memory": 4096,
}
LINKS = [
    {"ifname": "lo", "link_type": "loopback", "address": "00:00:00:00:00:00"},
    {"ifname": "ens18", "link_type": "ether", "address": "bc:24:11:2e:c5:01"},
    {"ifname": "tailscale0", "link_type": "none"},
]


class Host:
    name = "vm"

    def __init__(self, said):
        self.said = said

    def json(self, *argv, **options):
        return json.loads(json.dumps(self.said))


def test_what_was_given_and_what_is_seen():
    given = cards_given(Host(CONFIG), "pve", 201)
    assert given == {"net0": "bc:24:11:2e:c5:01", "net1": "bc:24:11:2e:c5:02"}
    assert {name for name, mac in given.items() if mac not in cards_seen(Host(LINKS))} == {"net1"}
