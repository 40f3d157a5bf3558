"""The topology of a lab as a networkx graph."""

from typing import TYPE_CHECKING, Any

from homelab_lib.lab.lab import Lab
from homelab_lib.lab.network import Cable
from homelab_lib.lab.ports import Addressed, HostPort, Port

if TYPE_CHECKING:
    import networkx


def graph_of(lab: Lab) -> "networkx.Graph":
    """Hosts, switches, VMs, their ports and bridges, and what joins them.

    Nodes have a `kind`:

    ``host``, ``switch``
        By name; ``title``, and a host's ``role`` and ``os``.
    ``port``
        ``proxmox.lan1``; ``owner``, ``connector``, ``speeds_bps`` [bit/s], ``untagged`` (a VLAN or
        None), ``tagged`` (VLANs), ``mtu`` [bytes].
    ``bond``
        ``proxmox:bond0``; ``owner``, ``mtu`` [bytes]. Its ports hang on it.
    ``bridge``
        ``proxmox:vmbr0``; ``owner``. Its ports, its bonds and the host's VMs hang on it.
    ``vm``, ``container``
        By name; ``title`` (its purpose), ``owner`` (its host), ``untagged`` (its VLAN).

    Edges have a `kind`, too: ``port of host`` and ``port of switch``; ``bond member``; ``bridge
    member``; ``virtual port``; and ``cable`` with ``name``, ``medium``, ``length_m`` [m],
    ``speed_bps`` (the highest that both ends know, or None) and ``tagged`` (VLANs that both ends
    carry). Whether the plugs fit is not asked here.

    The order of nodes and edges is that of the description.
    """
    import networkx

    topology = networkx.Graph(name=lab.name)
    for name, host in lab.hosts.items():
        topology.add_node(name, kind="host", title=host.title, role=host.role, os=host.os.kind)
        for port_name, port in host.ports.items():
            _add_port(topology, name, port_name, host.on_wire(port_name), "port of host")
            _join_bridge(topology, name, f"{name}.{port_name}", port)
        for bond_name, bond in host.bonds.items():
            node = f"{name}:{bond_name}"
            topology.add_node(node, kind="bond", owner=name, mtu=bond.mtu)
            for member in bond.members:
                topology.add_edge(f"{name}.{member}", node, kind="bond member")
            _join_bridge(topology, name, node, bond)
    for name, switch in lab.switches.items():
        topology.add_node(name, kind="switch", title=switch.title, managed=switch.managed)
        for port_name, port in switch.ports.items():
            _add_port(topology, name, port_name, port, "port of switch")
    for cable in lab.cables:
        _add_cable(topology, lab, cable)
    for kind, guests in (("vm", lab.vms), ("container", lab.containers)):
        for name, guest in guests.items():
            topology.add_node(
                name, kind=kind, title=guest.purpose, owner=guest.host, untagged=guest.vlan
            )
            for bridge in (guest.bridge, *(nic.bridge for nic in guest.nics.values())):
                topology.add_edge(name, f"{guest.host}:{bridge}", kind="virtual port")
    return topology


def _join_bridge(topology: "networkx.Graph", host: str, node: str, attached: Addressed) -> None:
    if attached.bridge is not None:
        bridge = f"{host}:{attached.bridge}"
        topology.add_node(bridge, kind="bridge", owner=host)
        topology.add_edge(node, bridge, kind="bridge member")


def _add_port(topology: "networkx.Graph", owner: str, name: str, port: Port, kind: str) -> None:
    topology.add_node(
        f"{owner}.{name}",
        kind="port",
        owner=owner,
        connector=port.connector,
        speeds_bps=port.speeds_bps,
        untagged=port.vlan,
        tagged=port.tagged,
        mtu=port.mtu,
        interface=port.interface if isinstance(port, HostPort) else None,
    )
    topology.add_edge(owner, f"{owner}.{name}", kind=kind)


def _add_cable(topology: "networkx.Graph", lab: Lab, cable: Cable) -> None:
    a, b = topology.nodes[cable.a], topology.nodes[cable.b]
    common = set(a["speeds_bps"]) & set(b["speeds_bps"])
    topology.add_edge(
        cable.a,
        cable.b,
        kind="cable",
        name=cable.name,
        medium=cable.medium,
        length_m=cable.length_m,
        speed_bps=max(common, default=None),
        tagged=tuple(sorted(_carried(lab, a, b))),
    )


def _carried(lab: Lab, a: dict[str, Any], b: dict[str, Any]) -> set[int]:
    """Tagged VLANs that pass: a switch that knows none of them lets all of them through."""
    both = [
        set(lab.vlans) if _is_blind(lab, end["owner"]) else set(end["tagged"]) for end in (a, b)
    ]
    return both[0] & both[1]


def _is_blind(lab: Lab, owner: str) -> bool:
    return owner in lab.switches and not lab.switches[owner].managed
