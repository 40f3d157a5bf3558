"""The passwords by which a k3s server knows its nodes again.

A node makes one when k3s first starts there, and the server keeps what tells it, under the node's
name, for as long as nobody takes that away. A machine that was made anew under its old name has
another one: it is turned away, its service runs on all the same, and says so in the journal again
and again until the server has forgotten the old one.

Source: k3s-io/k3s `pkg/nodepassword`, `pkg/agent/config`; docs.k3s.io, architecture (node
registration); k3s-io/k3s#802, #6054.
"""

import base64
import hashlib

from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.machine.machine import Machine

PASSWORD = "/etc/rancher/node/password"
SPACE = "kube-system"
_REJECTED = (
    'level=info msg="Waiting to retrieve agent configuration; server is not ready: Node password '
    "rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match server "
    'node-passwd entry, try enabling a unique node name with the --with-node-id flag"'
)


def secret_of(node: str) -> str:
    """The name of the Secret by which a node is known."""
    return f"{node}.node-password.k3s"


def rejection(cluster: Cluster, machine: Machine) -> str:
    """What keeps a machine from being the node of its name; empty for nothing. One that nobody
    knows is remembered."""
    if not machine.files.exists(PASSWORD):
        seen = f"{cluster.world.seed}{machine.name}{cluster.world.clock.now()}"
        text = hashlib.sha256(seen.encode()).hexdigest()[:32]
        machine.files.put(PASSWORD, f"{text}\n", mode=0o600)
    told = hashlib.sha256(machine.files.text(PASSWORD).strip().encode()).hexdigest()
    kept = cluster.get("Secret", secret_of(machine.name), SPACE)
    if kept is None:
        _keep(cluster, machine.name, told)
        return ""
    if kept["data"]["hash"] == _shown(told):
        return ""
    return f'time="{cluster.stamp()}" {_REJECTED}'


def remember(cluster: Cluster, node: str, machine: Machine | None) -> None:
    """A node that has long been known, by what its machine has; by something else, where that
    machine is gone or has nothing."""
    told = f"of {node}, before the twin was"
    if machine is not None and machine.files.exists(PASSWORD):
        told = machine.files.text(PASSWORD).strip()
    _keep(cluster, node, hashlib.sha256(told.encode()).hexdigest())


def _keep(cluster: Cluster, node: str, told: str) -> None:
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": secret_of(node), "namespace": SPACE},
            "type": "Opaque",
            "immutable": True,
            "data": {"hash": _shown(told)},
        }
    )


def _shown(told: str) -> str:
    return base64.b64encode(f"$1:{told[:16]}:15:8:1:{told}".encode()).decode()
