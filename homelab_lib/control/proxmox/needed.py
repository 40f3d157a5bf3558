"""What a node itself needs of a PCI device: disks in use behind it, network cards with a bridge.

The links in sysfs say on which device a disk or an interface hangs: ``/sys/block/sda`` leads to
``…/0000:01:00.0/host0/…/block/sda`` (sysfs(5), the kernel's Documentation/ABI).
"""

from collections.abc import Iterable, Iterator

from homelab_lib.answers import Shape
from homelab_lib.control.proxmox.api import api
from homelab_lib.runbook.resource import Host

_DISKS: Shape = [{"devpath": str, "used?": str}]
_NETWORKS: Shape = [
    {"iface": str, "type": str, "bridge_ports?": str, "slaves?": str, "cidr?": str, "cidr6?": str}
]


def needs(host: Host, node: str, slots: Iterable[str]) -> dict[str, list[str]]:
    """What the node would lose with each of some devices, in words.

    Parameters
    ----------
    host, node
        The machine, and its node name.
    slots
        The devices, without their functions: ``0000:01:00``.
    """
    hang = [
        (host.read("readlink", path, ok=(0, 1)).stdout, says)
        for path, says in [*_disks(host, node), *_interfaces(host, node)]
    ]
    return {slot: [says for way, says in hang if f"/{slot}." in way] for slot in slots}


def _disks(host: Host, node: str) -> Iterator[tuple[str, str]]:
    for row in api(host, f"/nodes/{node}/disks/list", shape=_DISKS):
        if used := row.get("used"):
            name = row["devpath"].rpartition("/")[2]
            yield f"/sys/block/{name}", f"disk {row['devpath']} ({used})"


def _interfaces(host: Host, node: str) -> Iterator[tuple[str, str]]:
    rows = api(host, f"/nodes/{node}/network", shape=_NETWORKS)
    for row in rows:
        below = f"{row.get('bridge_ports', '')} {row.get('slaves', '')}".split()
        if row["type"] == "eth" and (row.get("cidr") or row.get("cidr6")):
            below.append(row["iface"])
        for name in below:
            card = name.partition(".")[0]
            yield f"/sys/class/net/{card}", f"network card {card} (of {row['iface']})"
