"""What a Proxmox node has to have back after a restart, beside its cards, guests and storages."""

from collections.abc import Iterator

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.control.proxmox.api import api
from homelab_lib.lab.host import Host as Described
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check

_POOLS: Shape = [{"name": str, "health": str}]
_LINKS: Shape = [{"ifname": str}]
_IP = ("ip", "-j", "link", "show")


def whole(host: Host, node: str, described: Described) -> Iterator[Check]:
    """Its pools, and its network cards under the names that they had.

    Parameters
    ----------
    host, node
        The machine, and its node name.
    described
        The same in the lab.
    """
    pools = api(host, f"/nodes/{node}/disks/zfs", shape=_POOLS)
    sick = [f"{row['name']} is {row['health']}" for row in pools if row["health"] != "ONLINE"]
    says = "; ".join(sick) + "; see zpool status -v" if sick else f"{len(pools)} of them"
    yield Check(f"the pools of {node} are ONLINE", not sick, says)
    said = answers.expected(host.json(*_IP), _LINKS, host=host.name, line=" ".join(_IP))
    there = {row["ifname"] for row in said}
    wanted = [port.interface for port in described.ports.values() if port.interface]
    gone = [name for name in wanted if name not in there]
    says = f"no {', '.join(gone)}, but {', '.join(sorted(there))}" if gone else ", ".join(wanted)
    yield Check(f"the network cards of {node} have their names", not gone, says)
