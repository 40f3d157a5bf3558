"""Volumes: claims become directories on an NFS export, and directories get into pods.

Sources: kubernetes-csi/csi-driver-nfs v4.13 (controllerserver.go, nodeserver.go);
rancher/local-path-provisioner v0.0.32 (provisioner.go).
"""

import ipaddress

from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.events import say
from homelab_lib.twin.kubernetes.ingress import is_ready
from homelab_lib.twin.kubernetes.objects import Object, dig
from homelab_lib.twin.machine.files import FileSystem
from homelab_lib.twin.machine.surroundings import Export

DRIVER = "nfs.csi.k8s.io"
LOCAL = "rancher.io/local-path"
_BOUND = ("pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller")
_NO_CLASS = "no persistent volumes available for this claim and no storage class is set"
_NOT_YET = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the "
    "system administrator. If volume creation is delayed, please verify that the provisioner is "
    "running and correctly registered."
)
_FOLDER = "/var/lib/rancher/k3s/storage"


def provision(cluster: Cluster) -> None:
    """Make a volume for each claim that waits for one."""
    for claim in cluster.all("PersistentVolumeClaim"):
        if dig(claim, "status.phase") == "Bound":
            continue
        claim.setdefault("status", {})["phase"] = "Pending"
        name = claim["spec"].get("storageClassName")
        storage_class = cluster.get("StorageClass", name) if name else None
        if not name:
            say(cluster, claim, "FailedBinding", _NO_CLASS)
        elif storage_class is None:
            text = f'storageclass.storage.k8s.io "{name}" not found'
            say(cluster, claim, "ProvisioningFailed", text, warning=True)
        elif storage_class["provisioner"] == DRIVER:
            _by_driver(cluster, claim, storage_class)
        elif storage_class["provisioner"] == LOCAL:
            _by_node(cluster, claim, storage_class)


def _by_driver(cluster: Cluster, claim: Object, storage_class: Object) -> None:
    pods = [
        pod
        for pod in cluster.all("Pod")
        if pod["metadata"].get("labels", {}).get("app") == "csi-nfs-controller" and is_ready(pod)
    ]
    if not pods:
        say(cluster, claim, "ExternalProvisioning", _NOT_YET.format(DRIVER))
        return
    parameters = storage_class.get("parameters", {})
    server, share = parameters.get("server", ""), parameters.get("share", "")
    export, why = _export(cluster, pods[0]["spec"]["nodeName"], server, share)
    if export is not None and not export.writes_as_root:
        why = (
            f"failed to make subdirectory: mkdir /tmp/{claim['metadata']['uid']}: permission denied"
        )
    if export is None or why:
        text = f'failed to provision volume with StorageClass "{storage_class["metadata"]["name"]}"'
        text += f": rpc error: code = Internal desc = failed to mount nfs server: {why}"
        say(cluster, claim, "ProvisioningFailed", text, warning=True)
        return
    meta = claim["metadata"]
    folder = parameters.get("subDir", "${pv.metadata.name}")
    for name, value in (
        ("${pvc.metadata.namespace}", meta["namespace"]),
        ("${pvc.metadata.name}", meta["name"]),
        ("${pv.metadata.name}", f"pvc-{meta['uid']}"),
    ):
        folder = folder.replace(name, value)
    export.files.mkdir(f"/{folder}", parents=True)
    attributes = {"server": server, "share": share, "subdir": folder}
    source = {
        "csi": {
            "driver": DRIVER,
            "volumeHandle": f"{server}#{share}#{folder}",
            "volumeAttributes": attributes,
        }
    }
    _bind(cluster, claim, storage_class, source)


def waits_for_pod(cluster: Cluster, claim: Object) -> bool:
    """Whether a claim gets its volume only once a pod that wants it has a node."""
    storage_class = cluster.get("StorageClass", claim["spec"].get("storageClassName") or "")
    return dig(storage_class, "volumeBindingMode") == "WaitForFirstConsumer"


def node_of(cluster: Cluster, claim: Object) -> str:
    """The node that a claim's volume is on; empty where every node reaches it."""
    volume = cluster.get("PersistentVolume", dig(claim, "spec.volumeName") or "")
    return node_of_volume(volume)


def node_of_volume(volume: Object | None) -> str:
    """The node that a volume is on; empty where every node reaches it."""
    terms = dig(volume, "spec.nodeAffinity.required.nodeSelectorTerms") or ()
    return next((e["values"][0] for t in terms for e in t.get("matchExpressions") or ()), "")


def _by_node(cluster: Cluster, claim: Object, storage_class: Object) -> None:
    """A folder on the node of the first pod that uses it."""
    meta = claim["metadata"]
    strange = set(claim["spec"]["accessModes"]) - {"ReadWriteOnce", "ReadWriteOncePod"}
    if strange:
        name = storage_class["metadata"]["name"]
        text = f'failed to provision volume with StorageClass "{name}": NodePath only supports '
        say(
            cluster,
            claim,
            "ProvisioningFailed",
            f"{text}ReadWriteOnce and ReadWriteOncePod (1.22+) access modes",
            warning=True,
        )
        return
    nodes = [
        pod["spec"]["nodeName"]
        for pod in cluster.all("Pod", meta["namespace"])
        if pod["spec"].get("nodeName")
        and any(
            dig(volume, "persistentVolumeClaim.claimName") == meta["name"]
            for volume in pod["spec"].get("volumes", ())
        )
    ]
    if not nodes:
        text = "waiting for first consumer to be created before binding"
        say(cluster, claim, "WaitForFirstConsumer", text)
        return
    path = f"{_FOLDER}/pvc-{meta['uid']}_{meta['namespace']}_{meta['name']}"
    cluster.members[nodes[0]].files.mkdir(path, parents=True)
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [nodes[0]]}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}}
    _bind(cluster, claim, storage_class, {"hostPath": {"path": path}, "nodeAffinity": affinity})


def _bind(cluster: Cluster, claim: Object, storage_class: Object, source: Object) -> None:
    meta = claim["metadata"]
    volume = f"pvc-{meta['uid']}"
    spec = {
        "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
        "accessModes": claim["spec"]["accessModes"],
        "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
        "storageClassName": storage_class["metadata"]["name"],
        "mountOptions": storage_class.get("mountOptions", []),
        "claimRef": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
    }
    if cluster.get("PersistentVolume", volume) is None:
        cluster.create(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": volume},
                "spec": spec | source,
                "status": {"phase": "Bound"},
            }
        )
    claim["spec"]["volumeName"] = volume
    notes = meta.setdefault("annotations", {})
    notes |= dict.fromkeys(_BOUND, "yes")
    notes["volume.kubernetes.io/storage-provisioner"] = storage_class["provisioner"]
    meta["finalizers"] = ["kubernetes.io/pvc-protection"]
    claim["status"] = {
        "phase": "Bound",
        "capacity": spec["capacity"],
        "accessModes": spec["accessModes"],
    }


def reclaim(cluster: Cluster, claim: Object) -> None:
    """What becomes of the volume of a claim that was deleted: local-path removes its folder."""
    name = dig(claim, "spec.volumeName") or ""
    volume = cluster.get("PersistentVolume", name)
    if volume is None:
        return
    if volume["spec"]["persistentVolumeReclaimPolicy"] != "Delete":
        volume["status"]["phase"] = "Released"
        return
    node, path = node_of_volume(volume), dig(volume, "spec.hostPath.path")
    if path and node in cluster.members:
        files = cluster.members[node].files
        if files.exists(path):
            files.remove(path, recursive=True)
        cluster.delete("PersistentVolume", name)


def _export(cluster: Cluster, node: str, server: str, share: str) -> tuple[Export | None, str]:
    """What a node gets of a share; its server is an address, or a name that the node knows."""
    member = cluster.members[node]
    address = cluster.world.resolve(member, server)
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return None, f"Failed to resolve server {server}: Name or service not known"
    return cluster.world.nfs(member, address, share)


def mounted(cluster: Cluster, pod: Object, volume: Object) -> tuple[FileSystem | None, str, str]:
    """A pod's volume: its files, the folder in them, and why there is none."""
    name = dig(volume, "persistentVolumeClaim.claimName")
    if name is None:
        return FileSystem(), "/", ""
    claim = cluster.get("PersistentVolumeClaim", name, pod["metadata"]["namespace"])
    if dig(claim, "status.phase") != "Bound":
        return None, "", f'persistentvolumeclaim "{name}" is not bound'
    found = cluster.get("PersistentVolume", dig(claim, "spec.volumeName") or "")
    if (path := dig(found, "spec.hostPath.path")) is not None:
        return cluster.members[pod["spec"]["nodeName"]].files, path, ""
    attributes = dig(found, "spec.csi.volumeAttributes")
    if attributes is None:
        return FileSystem(), "/", ""
    node = pod["spec"]["nodeName"]
    if not _node_plugin(cluster, node):
        return None, "", f"driver name {DRIVER} not found in the list of registered CSI drivers"
    export, why = _export(cluster, node, attributes["server"], attributes["share"])
    if export is None:
        return None, "", f"MountVolume.SetUp failed: mount failed: exit status 32: {why}"
    return export.files, f"/{attributes['subdir']}", ""


def _node_plugin(cluster: Cluster, node: str) -> bool:
    return any(
        pod["metadata"].get("labels", {}).get("app") == "csi-nfs-node"
        and pod["spec"].get("nodeName") == node
        and is_ready(pod)
        and cluster.age_s(pod) >= cluster.world.habits.get("csi_known_after_s", 0.0)
        for pod in cluster.all("Pod")
    )
