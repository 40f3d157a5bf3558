"""k3s on a machine: its installer, its configuration, its two services.

Source: k3s `install.sh` and docs.k3s.io (server and agent configuration).
"""

import hashlib
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import yaml

from homelab_lib.lab.compute import Cluster as DescribedCluster
from homelab_lib.twin.kubernetes import etcd, graphics, nodes, passwords, traefik
from homelab_lib.twin.kubernetes.addons import bring_up
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.credentials import administrators
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Reply
from homelab_lib.twin.machine.surroundings import Surroundings
from homelab_lib.twin.machine.unit import Unit
from homelab_lib.twin.machine.web import serves
from homelab_lib.yaml_safe import Loader

BINARY = "/usr/local/bin/k3s"
CONFIG = "/etc/rancher/k3s/config.yaml"
KUBECONFIG = "/etc/rancher/k3s/k3s.yaml"
TOKEN = "/var/lib/rancher/k3s/server/token"
_DOWNLOAD_S = 12.0
_START_S = 8.0
_NOT_REACHED = "failed to get CA certs"
_AGAIN_S = 5.0  # a node that is turned away

_SERVER_KEYS = {
    "cluster-init",
    "write-kubeconfig-mode",
    "tls-san",
    "secrets-encryption",
    "cluster-cidr",
    "service-cidr",
    "etcd-snapshot-schedule-cron",
    "etcd-snapshot-retention",
    "disable",
    "disable-network-policy",
    "token",
    "token-file",
    "cluster-domain",
}
AGREED = (
    "cluster-cidr",
    "service-cidr",
    "cluster-domain",
    "secrets-encryption",
    "disable-network-policy",
)
"""What all servers of a cluster have to say alike, or the later ones do not start."""
_NODE_KEYS = {
    "node-ip",
    "node-label",
    "node-taint",
    "node-name",
    "flannel-iface",
    "server",
    "token",
    "token-file",
    "kubelet-arg",
}


def installer(described: DescribedCluster) -> Callable[[Machine, Call], Reply]:
    """What k3s's install script does when it is run; `described` is the cluster that uses it."""

    def install(machine: Machine, call: Call) -> Reply:
        role = call.argv[1] if len(call.argv) > 1 else "server"
        version = call.env.get("INSTALL_K3S_VERSION") or described.version
        if call.user != "root":
            return Reply(1, stderr="[ERROR]  need to be root\n")
        if role not in ("server", "agent"):
            return Reply(1, stderr=f"[ERROR]  Invalid command: {role}\n")
        if not re.fullmatch(r"v\d+\.\d+\.\d+\+k3s\d+", version):
            return Reply(1, stderr=f"[ERROR]  Failed to find release {version}\n")
        same = installed_version(machine) == version
        why = "" if same else machine.world.internet(machine)
        if why:
            text = "curl: (6) Could not resolve host: github.com\n"
            return Reply(1, f"[INFO]  Using {version} as release\n", f"{text}{why}\n", takes_s=5)

        def done() -> Reply:
            return _installed(machine, role, version, same)

        return Reply(takes_s=_START_S + (0 if same else _DOWNLOAD_S), finish=done)

    return install


def _installed(machine: Machine, role: str, version: str, same: bool) -> Reply:
    out = f"[INFO]  Using {version} as release\n"
    if same:
        out += "[INFO]  Skipping binary downloaded, installed k3s matches hash\n"
    if machine.files.full and not same:
        return Reply(
            1, out, "install: error writing '/usr/local/bin/k3s': No space left on device\n"
        )
    digest = hashlib.sha256(version.encode()).hexdigest()
    machine.files.put(BINARY, version, mode=0o755, digest=digest, size_bytes=68_000_000)
    name = "k3s" if role == "server" else "k3s-agent"
    machine.files.put(f"/etc/systemd/system/{name}.service", f"# {role}\n")
    machine.files.put(f"/usr/local/bin/{name}-uninstall.sh", "#!/bin/sh\n", mode=0o755)
    unit = machine.units.get(name)
    if unit is None:
        unit = machine.units[name] = unit_for(role)
    unit.enabled = True
    if same and unit.active == "active":
        return Reply(0, f"{out}[INFO]  No change detected so skipping service start\n")
    unit.stop(machine)
    out += f"[INFO]  systemd: Enabling {name} unit\n[INFO]  systemd: Starting {name}\n"
    if why := unit.start(machine):
        return Reply(1, out, f"Job for {name}.service failed: {why}\n")
    return Reply(0, out)


def unit_for(role: str) -> Unit:
    """The service of a server or an agent."""
    if role == "server":
        return Unit("k3s", on_start=start_server, on_stop=_stopped)
    return Unit("k3s-agent", on_start=start_agent, on_stop=_stopped)


def installed_version(machine: Machine) -> str:
    """The version of the binary; empty for none."""
    entry = machine.files.entry(BINARY)
    return entry.data.decode() if entry else ""


def _configuration(machine: Machine, known: set[str]) -> dict[str, Any]:
    """The configuration file.

    Raises
    ------
    ValueError
        It can't be read, or says what k3s does not know.
    """
    try:
        document = yaml.load(machine.files.text(CONFIG), Loader) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"failed to parse {CONFIG}: {error}") from None
    for key in document:
        if key not in known:
            raise ValueError(f"flag provided but not defined: -{key}")
    return document


def start_server(machine: Machine) -> str:
    """Start the control plane; why it did not come up, or nothing."""
    world = machine.world
    try:
        config = _configuration(machine, _SERVER_KEYS | _NODE_KEYS)
    except ValueError as error:
        return str(error)
    graphics.find_runtimes(machine)
    try:
        cluster = _cluster_for(machine, config)
    except ValueError as error:
        return str(error)
    if machine is cluster.server:
        cluster.version = installed_version(machine)
    cluster.tls_names |= {machine.address, "127.0.0.1", *config.get("tls-san", ())}
    if not machine.files.exists(TOKEN):
        machine.files.put(TOKEN, cluster.token + "\n", mode=0o600)
    mode = int(str(config.get("write-kubeconfig-mode", "0600")), 8)
    machine.files.put(KUBECONFIG, administrators(cluster), mode=mode)
    machine.listeners[6443] = lambda: cluster.answers() and cluster.runs_on(machine)
    serves(machine, 6443, days=365.0)  # and anew whenever it starts with little left
    etcd.schedule(machine, cluster, config)
    world.after(1.0, lambda: _joins(cluster, machine, True, config), label="server node")
    return ""


def _cluster_for(machine: Machine, config: dict[str, Any]) -> Cluster:
    """The cluster that a server keeps with others, or begins.

    Raises
    ------
    ValueError
        It may not join.
    """
    world = machine.world
    known: Cluster | None = cluster_of(machine)
    if known is not None:
        return known
    if "server" not in config:
        begun = found_cluster(world, machine, installed_version(machine))
        begun.agreed = {key: config.get(key) for key in AGREED}
        return begun
    joined = _joining(machine, config)
    differ = [key for key in AGREED if config.get(key) != joined.agreed.get(key)]
    if differ and joined.agreed:
        raise ValueError(
            f"critical configuration value mismatch between servers: {', '.join(differ)}"
        )
    joined.servers.append(machine)
    return joined


def cluster_of(machine: Machine) -> Cluster | None:
    """The cluster of which a machine is a server."""
    known = machine.world.clusters.values()
    return next((each for each in known if machine in each.servers), None)


def _joining(machine: Machine, config: dict[str, Any]) -> Cluster:
    """The cluster whose server a node's configuration names, by the token it has.

    Raises
    ------
    ValueError
        In k3s's words.
    """
    world = machine.world
    url = urlsplit(config["server"])
    address = world.resolve(machine, url.hostname or "")
    if not address:
        raise ValueError(f"failed to resolve {url.hostname}")
    if why := world.reach(machine, address, url.port or 6443):
        raise ValueError(f'{_NOT_REACHED}: Get "{config["server"]}/cacerts": {why}')
    cluster = cluster_of(world.find_ip(address))
    token = str(config.get("token", ""))
    if "token-file" in config:
        token = machine.files.text(config["token-file"]).strip()
    if not token:
        raise ValueError("--token is required")
    if cluster is None or token != cluster.token:
        raise ValueError("failed to validate token: unauthorized")
    return cluster


def found_cluster(world: Surroundings, machine: Machine, version: str) -> Cluster:
    """A new cluster on a server."""
    cluster = Cluster(world, machine, version)
    secret = hashlib.sha256(f"{world.seed}{machine.name}token".encode()).hexdigest()
    cluster.token = f"K10{secret}::server:{secret[:32]}"
    world.clusters[machine.name] = cluster
    bring_up(cluster)
    return cluster


def _joins(cluster: Cluster, machine: Machine, server: bool, config: dict[str, Any]) -> None:
    unit = machine.units.get("k3s" if server else "k3s-agent")
    if machine.up and unit is not None and unit.active == "active":
        if cluster.answers() and (why := passwords.rejection(cluster, machine)):
            machine.log(unit.invocation, why)
            again = partial(_joins, cluster, machine, server, config)
            machine.world.after(_AGAIN_S, again, label="node knocks again")
            return
        nodes.join(cluster, machine, server=server, config=config)
        traefik.open_on(cluster, machine)
        cluster.settle()


def start_agent(machine: Machine) -> str:
    """Join a cluster; why that failed, or nothing."""
    world = machine.world
    try:
        config = _configuration(machine, _NODE_KEYS)
    except ValueError as error:
        return str(error)
    if "server" not in config:
        return "--server is required"
    graphics.find_runtimes(machine)
    try:
        joined = _joining(machine, config)
    except ValueError as error:
        if str(error).startswith(_NOT_REACHED):  # its unit has Restart=always
            world.after(_AGAIN_S, partial(_once_more, machine, machine.boots), label="k3s-agent")
        return str(error)
    world.after(3.0, lambda: _joins(joined, machine, False, config), label="agent joins")
    return ""


def _once_more(machine: Machine, boots: int) -> None:
    unit = machine.units.get("k3s-agent")
    if machine.up and machine.boots == boots and unit is not None and unit.active == "failed":
        unit.start(machine)


def _stopped(machine: Machine) -> None:
    """A stopped service leaves its containers running; the API notices in time."""
