"""Makes a twin's cluster what a real one says it is."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import yaml

from homelab_lib.answers import Shape
from homelab_lib.errors import HomelabError
from homelab_lib.twin.kubernetes import certificates, charts, ownership, passwords, traefik
from homelab_lib.twin.kubernetes.cluster import Cluster, Key
from homelab_lib.twin.kubernetes.definitions import establish, shape_of
from homelab_lib.twin.kubernetes.k3s import AGREED, BINARY, CONFIG, TOKEN, found_cluster
from homelab_lib.twin.kubernetes.objects import (
    KINDS,
    Kind,
    Object,
    Objects,
    kind_of,
    merged,
    pruned,
)
from homelab_lib.twin.machine.entry import Facts
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.seeding import json_of, lines_of
from homelab_lib.twin.machine.surroundings import Ask
from homelab_lib.twin.machine.web import serves
from homelab_lib.yaml_safe import Loader

_LONG_AGO_S = 86400.0
_NOT_ASKED = ("Event", "Secret", "ServiceAccount", "CSINode",
              "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding",
              "PriorityClass", "CustomResourceDefinition")  # fmt: skip
_PLACES: dict[Any, Any] = {}
_PLACES[str] = _PLACES  # mappings of mappings, as deep as they go
_MANAGED: Shape = {
    "manager?": str,
    "operation?": str,
    "subresource?": str,
    "fieldsV1?": _PLACES,
}
_OBJECT: Shape = {
    "kind": str,
    "metadata": {"name": str, "namespace?": str, "uid?": str, "managedFields?": [_MANAGED]},
}


def seed_cluster(server: Machine, ask: Ask) -> None:
    """Objects, nodes and version of the cluster whose control plane runs here, if one does."""
    unit = server.units.get("k3s")
    if unit is None or unit.active != "active":
        return
    world = server.world
    if "server" in (yaml.load(server.files.text(CONFIG), Loader) or {}):
        return  # it comes with the one that it joined
    for machine in world.machines.values():
        version = _binary(machine, ask)
        if machine is server and version is None:
            return
        _complaints(machine, ask)
    cluster = found_cluster(world, server, server.files.read(BINARY).decode())
    config = yaml.load(server.files.text(CONFIG), Loader) or {}
    cluster.agreed = {key: config.get(key) for key in AGREED}
    cluster.tls_names = {server.address, "127.0.0.1", *config.get("tls-san", ())}
    cluster.servers += [machine for machine in world.machines.values() if _joined(machine, server)]
    for machine in cluster.servers:
        machine.listeners[6443] = cluster.answers
        serves(machine, 6443, days=365.0)
    cluster.seeded = True
    cluster.token = server.files.text(TOKEN).strip() or cluster.token
    cluster.old_log = lambda space, pod: _log(ask, server.name, space, pod)
    names = [kind.resource for kind in KINDS.values() if kind.name not in _NOT_ASKED]
    cluster_definitions = _defined(cluster, ask)
    names += cluster_definitions
    words = ("k3s", "kubectl", "get", ",".join(names), "-A", "--show-managed-fields", "-o", "json")
    found = json_of(ask, server.name, *words, shape={"items": [_OBJECT]})
    if found is None:
        return
    cluster.objects = Objects()
    for name, definition in cluster_definitions.items():
        cluster.objects["CustomResourceDefinition", "", name] = definition
    for document in pruned(found["items"]):
        meta = document["metadata"]
        managed, kind = meta.pop("managedFields", ()), kind_of(document, cluster.kinds)
        key = (kind.key, meta.get("namespace", ""), meta["name"])
        cluster.objects[key] = document
        _managed(cluster, kind, key, managed)
        cluster.since[meta.get("uid", "")] = world.clock.now() - _LONG_AGO_S
        if key[0] == "Pod":
            cluster.ran_before.add(meta.get("uid", ""))
        elif key[0] in ("HelmChart", "HelmChartConfig"):
            _settled(cluster, document)
        elif key[0] == certificates.CERTIFICATES:
            cluster.installed[meta["uid"]] = meta.get("generation", 1)
    for node in cluster.all("Node"):
        _member(cluster, node["metadata"]["name"])
    _known_nodes(cluster, ask)


def _managed(cluster: Cluster, kind: Kind, key: Key, managed: Sequence[Object]) -> None:
    """Who manages what of an object; of its status, which nobody applies, it is not told."""
    document, shape = cluster.objects[key], shape_of(kind, cluster.version)
    for each in managed:
        if each.get("subresource") == "status" or "manager" not in each:
            continue
        places = {step: below for step, below in each.get("fieldsV1", {}).items()
                  if step != "f:status"}  # fmt: skip
        who, said = each["manager"], ownership.read(shape, places, document)
        head = {"apiVersion": document["apiVersion"], "kind": document["kind"]}
        cluster.applied[key, who] = merged(cluster.applied.get((key, who), head), {}, said)
        if each.get("operation") == "Update":
            cluster.updates.add(who)


def _defined(cluster: Cluster, ask: Ask) -> dict[str, Object]:
    """The kinds that charts of ours have brought: what there are is asked by name alone, for some
    definitions have half a megabyte."""
    words = ("k3s", "kubectl", "get", "customresourcedefinitions", "-o", "name")
    there = {name.partition("/")[2] for name in lines_of(ask, cluster.server.name, *words) or ()}
    found = {}
    for definition in (*charts.definitions(), *traefik.definitions()):
        if (name := definition["metadata"]["name"]) in there:
            cluster.serve(definition)
            establish(definition, cluster.stamp())
            found[name] = definition
    return found


def _known_nodes(cluster: Cluster, ask: Ask) -> None:
    """The nodes that the server would know again. What by is secret, and not asked: a machine that
    has its password still has the right one."""
    words = ("k3s", "kubectl", "get", "secrets", "-n", passwords.SPACE, "-o", "name")
    names = {name.partition("/")[2] for name in lines_of(ask, cluster.server.name, *words) or ()}
    for node in (name.removesuffix(passwords.secret_of("")) for name in names):
        machine = cluster.world.machines.get(node)
        seen = machine is None or machine.up
        if passwords.secret_of(node) in names and seen:
            passwords.remember(cluster, node, machine)


def _joined(machine: Machine, server: Machine) -> bool:
    """Whether a machine is a further server of the cluster that `server` began."""
    unit = machine.units.get("k3s")
    if machine is server or unit is None or unit.active != "active":
        return False
    config = yaml.load(machine.files.text(CONFIG), Loader) or {}
    return urlsplit(str(config.get("server", ""))).hostname == server.address


def _log(ask: Ask, server: str, namespace: str, pod: str) -> str:
    """What a pod printed before the twin was."""
    try:
        answer = ask(server, ("k3s", "kubectl", "logs", "-n", namespace, pod))
    except HomelabError:
        return ""  # it is shown to people, and nothing is planned by it
    return answer[1] if answer is not None and answer[0] == 0 else ""


def _binary(machine: Machine, ask: Ask) -> str | None:
    """k3s's version on a machine; the binary holds it in a twin."""
    if not {"k3s", "k3s-agent"} & machine.units.keys():
        return None
    said = lines_of(ask, machine.name, "k3s", "--version")
    if not said:
        return None
    version = said[0].split()[2]
    known = machine.files.entry(BINARY)
    asked: Facts = {"digest": known.sha256, "size_bytes": known.size} if known else {}
    machine.files.put(BINARY, version, mode=0o755, **asked)
    return version


def _complaints(machine: Machine, ask: Ask) -> None:
    """What a worker has said of late: what keeps it out of its cluster stands nowhere else."""
    unit = machine.units.get("k3s-agent")
    if unit is None or unit.active != "active":
        return
    words = ("journalctl", "-u", "k3s-agent", "-n", "50", "-o", "cat", "-q", "--no-pager")
    machine.log(unit.invocation, "\n".join(lines_of(ask, machine.name, *words) or ()))


def _settled(cluster: Cluster, chart: Object) -> None:
    """A chart whose install job has succeeded need not be installed again."""
    meta = chart["metadata"]
    key = ("Job", meta["namespace"], f"helm-install-{meta['name']}")
    job = cluster.objects.get(key)
    if job is not None and job.get("status", {}).get("succeeded"):
        cluster.installed[meta["uid"]] = meta.get("generation", 1)


def _member(cluster: Cluster, name: str) -> None:
    machine = cluster.world.machines.get(name)
    if machine is None:
        return
    cluster.members[name] = machine
    cluster.last_seen[name] = cluster.world.clock.now()
    traefik.open_on(cluster, machine)
