"""Clusters that stand before anybody of ours comes: on machines that are there already."""

import yaml

from homelab_lib.lab.compute import Cluster as Described
from homelab_lib.twin.kubernetes import nodes, passwords, traefik
from homelab_lib.twin.kubernetes.k3s import BINARY, CONFIG, TOKEN, cluster_of, unit_for
from homelab_lib.twin.world import World

_TOKEN_FILE = "/etc/rancher/k3s/joining"
_LONG_AGO_S = 86400.0


def found(world: World, before_phase: int) -> None:
    """Stand up the clusters that exist, or that earlier phases have made.

    Parameters
    ----------
    world
        With its machines.
    before_phase
        The phase that comes next.
    """
    for described in world.lab.clusters.values():
        earlier = described.phase is not None and described.phase < before_phase
        # What joins in a phase to come is no node yet.
        nodes = [name for name in described.vms if not _later(world, name, before_phase)]
        there = all(name in world.machines for name in nodes)
        if there and (described.exists or earlier):
            _stand_up(world, described, nodes)


def _later(world: World, name: str, before_phase: int) -> bool:
    return (world.lab.vms[name].phase or 0) >= before_phase > 0


def _stand_up(world: World, described: Described, names: list[str]) -> None:
    first = world.machines[described.first_server]
    for name in names:
        machine = world.machines[name]
        server = name in described.servers
        config: dict[str, object] = {"tls-san": [described.dns_name], "node-ip": machine.address}
        if machine is first:
            config |= {"cluster-init": True}
        else:
            config = {"server": f"https://{first.address}:6443", "token-file": _TOKEN_FILE}
            token = first.files.text(TOKEN)
            machine.files.put(_TOKEN_FILE, token, mode=0o600)
        machine.files.put(CONFIG, yaml.safe_dump(config), mode=0o600)
        machine.files.put(BINARY, described.version, mode=0o755)
        role = "server" if server else "agent"
        unit = unit_for(role)
        unit.enabled = True
        machine.units[unit.name] = unit
        machine.files.put(f"/etc/systemd/system/{unit.name}.service", f"# {role}\n")
        unit.start(machine)
        cluster = cluster_of(first)
        assert cluster is not None
        passwords.rejection(cluster, machine)
        nodes.join(cluster, machine, server=server, config=config)
        traefik.open_on(cluster, machine)
        for uid in cluster.since:
            cluster.since[uid] -= _LONG_AGO_S
        cluster.settle()
