"""`kubectl`, as far as runbooks and people use it against a twin.

Source: kubernetes.io/docs/reference/kubectl/generated.
"""

from collections.abc import Callable

from homelab_lib.twin.kubernetes import (
    applying,
    configuring,
    diffing,
    executing,
    labelling,
    looking,
)
from homelab_lib.twin.kubernetes.applying import failure
from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.flags import Words
from homelab_lib.twin.kubernetes.k3s import KUBECONFIG
from homelab_lib.twin.kubernetes.kubeconfig import connected, load
from homelab_lib.twin.kubernetes.objects import ApiError
from homelab_lib.twin.kubernetes.printing import printed
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply

kubectl = Commands()

Verb = Callable[[Machine, Cluster, Words, Call], Reply]


def on_node(machine: Machine, call: Call) -> Reply:
    """`k3s kubectl` on a server: by the administrator's kubeconfig that k3s wrote."""
    words = Words(call.argv)
    return _run(machine, call, words, words.get("--kubeconfig") or KUBECONFIG)


@kubectl("kubectl")
def client(machine: Machine, call: Call) -> Reply:
    """The client, where it was put."""
    if not machine.files.exists("/usr/local/bin/kubectl"):
        return Reply(127, stderr="sh: 1: kubectl: not found\n")
    words = Words(call.argv)
    home = machine.home_of(call.user)
    path = words.get("--kubeconfig") or call.env.get("KUBECONFIG") or f"{home}/.kube/config"
    return _run(machine, call, words, call.path(path))


def _run(machine: Machine, call: Call, words: Words, path: str) -> Reply:
    verb = words.operands[0] if words.operands else ""
    try:
        if verb == "config":
            return configuring.run(machine, call, words, path)
        if verb == "version" and "--client" in words:
            return _version(_own_version(machine), "", words)
        if verb == "create" and words.dry_run == "client":
            return applying.shown(machine, words, call)
        if verb not in VERBS:
            return Reply(1, stderr=f'error: unknown command "{verb}" for "kubectl"\n')
        cluster = connected(machine, load(machine, call, path), words)
        cluster.settle()
        return VERBS[verb](machine, cluster, words, call)
    except ApiError as error:
        return Reply(1, stderr=failure(error))


def _own_version(machine: Machine) -> str:
    entry = machine.files.entry("/usr/local/bin/kubectl")
    for download in machine.world.lab.downloads.values():
        if entry is not None and entry.sha256 == download.sha256:
            return download.version if download.version.startswith("v") else f"v{download.version}"
    return "v0.0.0"


def _version(client: str, server: str, words: Words) -> Reply:
    """Both versions, or the client's alone."""
    form = words.get("--output")
    known = {"client": client, "server": server}
    if form in ("json", "yaml"):
        said = {f"{who}Version": _details(version) for who, version in known.items() if version}
        return Reply(0, printed(said | {"kustomizeVersion": "v5.7.1"}, form))
    lines = [f"Client Version: {client}\n", "Kustomize Version: v5.7.1\n"]
    return Reply(0, "".join([*lines, *([f"Server Version: {server}\n"] if server else [])]))


def _details(version: str) -> dict[str, str]:
    major, minor = version.lstrip("v").split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "gitVersion": version,
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "go1.24.6",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def version(machine: Machine, cluster: Cluster, words: Words, call: Call) -> Reply:
    """The client's version and the server's."""
    return _version(_own_version(machine), cluster.version, words)


VERBS: dict[str, Verb] = {
    "get": looking.get,
    "apply": applying.apply,
    "create": applying.create,
    "delete": looking.delete,
    "diff": diffing.diff,
    "exec": executing.execute,
    "label": labelling.label,
    "logs": looking.logs,
    "version": version,
    "auth": looking.auth,
    "rollout": looking.rollout,
}
"""What `kubectl` knows to do here, besides `config`."""
