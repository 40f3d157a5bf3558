"""Volumes of a cluster: where they come from, and whether one holds what is written to it."""

from collections.abc import Iterator

from homelab_lib.control.kubernetes.kubectl import KUBECTL, finished_pod
from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.control.kubernetes.waits import Bound, Finished, Rollout
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.per_host import at
from homelab_lib.recipes.kubernetes import manifests
from homelab_lib.recipes.kubernetes.charts import installed
from homelab_lib.runbook.step import Check, Context, Step, Wanted


def steps(lab: Lab, cluster: Cluster, end: str, needs: tuple[str, ...]) -> Iterator[Step]:
    """The steps of a cluster's storage class; none where it has none.

    Parameters
    ----------
    lab, cluster
        What is described.
    end
        What the steps' names end with.
    needs
        Steps after which the cluster has its nodes, and its share is exported.
    """
    if cluster.storage_class is None:
        return
    volumes = Volumes(lab, cluster)
    if cluster.nfs is not None:
        yield Step(
            f"storage{end}",
            "Install the NFS driver and its storage class",
            why="The CSI driver for NFS, by k3s's own Helm controller, and a storage class that "
            "keeps what is on the NAS when a claim is deleted.",
            needs=needs,
            ensure=volumes.storage,
        )
        needs = (f"storage{end}",)
    why = (
        "A claim is bound; one pod writes a file and its checksum, and another pod, on another "
        "machine where there is one, reads it back."
        if cluster.nfs is not None
        else "k3s brings this storage class along: a folder on the node, for pods of that node. A "
        "claim gets its folder with the first pod that uses it; a second pod reads back what the "
        "first one wrote."
    )
    yield Step(
        f"volume{end}",
        "Claim a volume, write in one pod, read in another",
        why=why,
        needs=needs,
        ensure=volumes.volume,
        check=volumes.same_on_both,
    )


class Volumes:
    """A cluster's storage class, and a claim to try it with; see `steps`."""

    def __init__(self, lab: Lab, cluster: Cluster) -> None:
        self.lab = lab
        self.cluster = cluster
        self.server = cluster.first_server

    def _applied(self, document: manifests.Object, *immutable: str) -> Applied:
        return Applied(self.server, self.lab.name, document, immutable)

    def documents(self) -> Iterator[manifests.Object]:
        """The driver's chart and the class, where volumes come from a share."""
        described = self.cluster.nfs
        if described is None:
            return
        share = at(self.lab.nfs_shares, described.share)
        assert share is not None
        yield manifests.helm_chart(described.chart)
        yield manifests.storage_class(described, share.path)

    def storage(self, ctx: Context) -> Iterator[Wanted]:
        """The driver by k3s's own Helm controller, then the class."""
        described = self.cluster.nfs
        assert described is not None
        chart = described.chart
        _, storage_class = self.documents()
        yield from installed(ctx, self.server, self.lab, chart)
        yield Rollout(self.server, "deployment", chart.namespace, "csi-nfs-controller")
        yield Rollout(self.server, "daemonset", chart.namespace, "csi-nfs-node")
        yield self._applied(storage_class, *("parameters", "provisioner", "reclaimPolicy"))

    def volume(self, ctx: Context) -> Iterator[Wanted]:
        """A claim, a pod that writes, and a pod that reads."""
        server, space, shared = self.server, manifests.TEST, self.cluster.nfs
        yield self._applied(manifests.namespace(space))
        claim = manifests.claim(shared.name if shared else "local-path", shared=bool(shared))
        yield self._applied(claim, "spec.storageClassName", "spec.accessModes")
        bound = Bound(server, space, manifests.CLAIM)
        if shared:  # a folder on a node is made only once a pod wants it
            yield bound
        yield self._applied(manifests.writer(), "spec.template")
        yield Finished(server, space, manifests.WRITER)
        if not shared:
            yield bound
        _, node = finished_pod(ctx.host(server), space, f"homelab={manifests.WRITER}")
        yield self._applied(manifests.reader(node if self._apart else ""), "spec.template")
        yield Finished(server, space, manifests.READER)

    @property
    def _apart(self) -> bool:
        """Whether the reader goes to another node than the writer's."""
        return self.cluster.nfs is not None and len(self.cluster.vms) > 1

    def same_on_both(self, ctx: Context) -> Iterator[Check]:
        """What was read is what was written; where nodes share the volume, not on the same one."""
        host = ctx.host(self.server)
        said, nodes = {}, {}
        for job in (manifests.WRITER, manifests.READER):
            pod, nodes[job] = finished_pod(host, manifests.TEST, f"homelab={job}")
            words = ("logs", "-n", manifests.TEST, pod or f"job/{job}")
            said[job] = host.read(*KUBECTL, *words, sudo=True).stdout.split()
        wrote, read = said[manifests.WRITER][:1], said[manifests.READER][:1]
        says = f"wrote {(wrote or ['nothing'])[0][:16]}, read {(read or ['nothing'])[0][:16]}"
        yield Check("what one pod wrote, another reads", bool(wrote) and wrote == read, says)
        if self._apart:
            apart = nodes[manifests.WRITER] != nodes[manifests.READER]
            yield Check("they were on two nodes", apart, " and ".join(nodes.values()))
