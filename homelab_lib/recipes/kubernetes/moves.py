"""A claim's data in another storage class: copied, compared by checksums, and the old kept."""

from collections.abc import Iterator
from dataclasses import dataclass

from homelab_lib.answers import Shape
from homelab_lib.control.kubernetes.claims import Unused
from homelab_lib.control.kubernetes.kubectl import KUBECTL, finished_pod, get
from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.control.kubernetes.waits import Bound, Finished
from homelab_lib.errors import StepFailed
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.production import Move
from homelab_lib.recipes.kubernetes import manifests
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check, Context, Step, Wanted

_CLAIM: Shape = {
    "spec": {
        "storageClassName?": str,
        "accessModes": [str],
        "resources": {"requests": {"storage": str}},
    }
}
# The digest of all digests, and how many files there are, of each side; the list itself is no part.
_COPY = """set -e
cp -a /old/. /new/
sync
for side in /old /new; do
  cd $side
  find . -type f -exec sha256sum {} + > /tmp/files
  sort /tmp/files | sha256sum
  find . -type f | wc -l
done"""


def steps(lab: Lab, cluster: Cluster, phase: int, end: str) -> Iterator[Step]:
    """A step for each of a cluster's claims that goes elsewhere in a phase.

    Parameters
    ----------
    lab, cluster
        What is described.
    phase
        The number of the phase.
    end
        What the steps' names end with.
    """
    for move in cluster.moves:
        if move.phase == phase:
            moving = Moving(lab, cluster, move)
            yield Step(
                f"move-{move.claim}{end}",
                f"Copy the data of claim {move.claim} to storage class {move.storage_class}",
                why=f"A new claim, {move.to}, beside the old one; a pod copies everything and "
                "reckons the checksums of both sides. Nobody may write meanwhile, so no running "
                f"pod may use {move.claim}. The old claim and its data stay: whoever uses them is "
                "pointed at the new one by hand, and the old is deleted when that is proved.",
                ensure=moving.ensure,
                check=moving.same,
            )


@dataclass(frozen=True)
class Moving:
    """A claim whose data are copied; see `steps`."""

    lab: Lab
    cluster: Cluster
    move: Move

    @property
    def server(self) -> str:
        """The machine by which the cluster is reached."""
        return self.cluster.first_server

    @property
    def job(self) -> str:
        """What copies."""
        return f"move-{self.move.claim}"

    def _size(self, host: Host) -> str:
        """How much the old claim asks for.

        Raises
        ------
        StepFailed
            There is no such claim, or it is in that class already.
        """
        move = self.move
        old = get(host, "persistentvolumeclaim", move.claim, move.namespace, shape=_CLAIM)
        if old is None:
            raise StepFailed(
                f"there is no claim {move.namespace}/{move.claim}",
                where=host.name,
                fix="say in the lab which claim is to go elsewhere; kubectl get pvc -A lists them",
            )
        held = old["spec"].get("storageClassName")
        if held in (None, move.storage_class):
            says = f"is in class {held} already" if held else "has no storage class"
            raise StepFailed(
                f"claim {move.namespace}/{move.claim} {says}",
                where=host.name,
                fix="say in the lab to which other class its data are to go",
            )
        size: str = old["spec"]["resources"]["requests"]["storage"]
        return size

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """The new claim, and a pod that has copied everything. Whoever has deleted the old one
        since had it proved."""
        move, host = self.move, ctx.host(self.server)
        if self._is_over(host):
            yield Finished(self.server, move.namespace, self.job)
            yield Bound(self.server, move.namespace, move.to)
            return
        size = self._size(host)
        if get(host, "job", self.job, move.namespace) is None:
            yield Unused(self.server, move.namespace, move.claim)
        yield Applied(self.server, self.lab.name, self.new_claim(size), ("spec.storageClassName",))
        yield Applied(self.server, self.lab.name, self.copying(), ("spec.template",))
        yield Finished(self.server, move.namespace, self.job, timeout_s=6 * 3600.0)
        yield Bound(self.server, move.namespace, move.to)

    def _is_over(self, host: Host) -> bool:
        """Whether the old claim is gone, and all that came of the copy is there."""
        move = self.move
        claims = [
            get(host, "persistentvolumeclaim", name, move.namespace)
            for name in (move.claim, move.to)
        ]
        copied = get(host, "job", self.job, move.namespace)
        return claims[0] is None and claims[1] is not None and copied is not None

    def new_claim(self, size: str) -> manifests.Object:
        """The claim that the data go to."""
        shared = self.cluster.nfs is not None and self.move.storage_class == self.cluster.nfs.name
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": self.move.to, "namespace": self.move.namespace},
            "spec": {
                "accessModes": ["ReadWriteMany" if shared else "ReadWriteOnce"],
                "storageClassName": self.move.storage_class,
                "resources": {"requests": {"storage": size}},
            },
        }

    def copying(self) -> manifests.Object:
        """The job that copies and compares."""
        claims = {"old": self.move.claim, "new": self.move.to}
        made = manifests.job(self.job, self.move.namespace, _COPY, claims)
        if self.move.node:
            pod = made["spec"]["template"]["spec"]
            pod["nodeSelector"] = {"kubernetes.io/hostname": self.move.node}
        return made

    def same(self, ctx: Context) -> Iterator[Check]:
        """Both sides have the same files with the same content."""
        host, move = ctx.host(self.server), self.move
        pod, _ = finished_pod(host, move.namespace, f"homelab={self.job}")
        words = ("logs", "-n", move.namespace, pod or f"job/{self.job}")
        lines = host.read(*KUBECTL, *words, sudo=True).stdout.split()
        told = [line for line in lines if line != "-"]
        whole = len(told) == 4
        same = whole and told[:2] == told[2:]
        says = f"{told[1]} files, checksum {told[0][:16]} and {told[2][:16]}" if whole else "no log"
        yield Check(f"what is in {move.to} is what is in {move.claim}", same, says)
