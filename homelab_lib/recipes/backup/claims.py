"""A claim of a cluster, restored from its copy into a claim beside it, to see that it can be."""

from collections.abc import Collection, Iterator

from homelab_lib.control.kubernetes.claim_drill import (
    DRILL,
    SPACE,
    ClaimDrill,
    Place,
    Removed,
    place_of,
    removed,
)
from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.control.kubernetes.waits import Bound, Finished
from homelab_lib.control.linux.drills import is_held, last_held
from homelab_lib.control.linux.restic import Access
from homelab_lib.errors import StepFailed
from homelab_lib.lab import Lab
from homelab_lib.lab.backups import ClaimDrill as Described
from homelab_lib.recipes.backup.promised import drilled
from homelab_lib.recipes.kubernetes import manifests
from homelab_lib.runbook.step import Check, Context, Manual, Step, Wanted

_DAY_S = 86_400.0
_LOOKS = "ls -A /data | wc -l"


def steps(lab: Lab, phase: int, there: Collection[str]) -> Iterator[Step]:
    """The drills of claims of a phase.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.
    there
        The steps before them.
    """
    for each in lab.backups.claim_drills.values():
        if each.phase != phase or each.exists:
            continue
        drill = Drill(lab, each)
        yield Step(
            f"drill-{each.name}",
            f"Restore claim {each.namespace}/{each.claim} beside itself, and compare it",
            why="A copy of a claim is worth what was restored from it. The living claim and who "
            f"uses it are not touched: its folder is only read. Beside it stands, in namespace "
            f"{SPACE}, a claim {drill.claim} of the same class and size on the same node, which "
            "gets all that the newest copy has; files are picked by a number and compared by "
            "checksum. It is deleted again, and the plan names it: that is the one thing which "
            "this step may destroy. Where the drill goes badly it stays to be looked at, until the "
            "next one.",
            needs=tuple({f"copy-{each.backup}"} & set(there)),
            manual=Manual(
                f"agree that {drill.called} is restored on {drill.machine} beside the living one: "
                "it takes as much room there again, for some minutes",
                verify=drill.done,
                or_confirmed=True,
            ),
            ensure=drill.ensure,
            check=lambda ctx, drill=drill: iter([drill.done(ctx)]),  # type: ignore[misc]
        )


class Drill:
    """The drill of one claim; see `steps`."""

    def __init__(self, lab: Lab, described: Described) -> None:
        self.lab, self.described = lab, described
        self.backup = lab.backups.files[described.backup]
        self.machine = self.backup.machine
        self.server = lab.clusters[described.cluster].first_server
        self.claim = f"drill-{described.name}"

    @property
    def called(self) -> str:
        """The living one, for people."""
        return f"claim {self.described.namespace}/{self.described.claim}"

    @property
    def destroys(self) -> str:
        """What a run has to be allowed to destroy."""
        return removed(self.claim)

    def _due(self, ctx: Context) -> bool:
        last = last_held(ctx.host(self.machine), self.described.name)
        return not is_held(last, self.described.every_days * _DAY_S)

    def _living(self, ctx: Context) -> Place:
        """Where it lies.

        Raises
        ------
        StepFailed
            It is not there, or not where its copies are made.
        """
        each = self.described
        found = place_of(ctx.host(self.server), each.namespace, each.claim)
        if found.node != self.machine:
            raise StepFailed(
                f"{self.called} lies on {found.node}, and {each.backup} copies folders of "
                f"{self.machine}",
                where=f"backups.claim_drills.{each.name}.backup",
                fix=f"have the folders of {found.node} copied, and name that copy",
            )
        if not any(f"{found.path}/".startswith(f"{p.rstrip('/')}/") for p in self.backup.paths):
            raise StepFailed(
                f"{self.called} lies in {found.path}, which {each.backup} does not copy",
                where=f"backups.files.{each.backup}.paths",
                fix="add that folder, or the one that it is in",
            )
        return found

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """What an earlier one has left, gone; a claim beside it, restored and compared; gone."""
        each, due = self.described, self._due(ctx)
        yield Removed(self.server, self.lab.name, self.claim, before=True)
        if not due:
            return
        living = self._living(ctx)
        yield Applied(self.server, self.lab.name, manifests.namespace(SPACE))
        for document, fixed in ((self.beside(living), "spec"), (self.opened(living), "spec")):
            yield Applied(self.server, self.lab.name, document, (fixed,))
        yield Finished(self.server, SPACE, self.claim)
        yield Bound(self.server, SPACE, self.claim)
        yield ClaimDrill(
            self.machine, each.name, Access(self.backup.repository), self.lab.name, each.backup,
            self.called, living.path, self.claim, each.files, each.seed,
            each.every_days * _DAY_S,
        )  # fmt: skip
        yield Removed(self.server, self.lab.name, self.claim)

    def beside(self, living: Place) -> manifests.Object:
        """The claim that the copy goes into."""
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": self.claim, "namespace": SPACE, "labels": {DRILL: self.claim}},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": living.storage_class,
                "resources": {"requests": {"storage": living.size}},
            },
        }

    def opened(self, living: Place) -> manifests.Object:
        """The job that has it get its folder, on the node where the copy is restored: a class that
        waits for a pod gives none before."""
        job = manifests.job(self.claim, SPACE, _LOOKS, {"data": self.claim})
        job["metadata"]["labels"] = {DRILL: self.claim}
        pod = job["spec"]["template"]["spec"]
        pod["nodeSelector"] = {"kubernetes.io/hostname": living.node}
        pod["tolerations"] = [{"operator": "Exists"}]
        return job

    def done(self, ctx: Context) -> Check:
        """The last one went well, and is not too long ago."""
        return drilled(ctx, self.machine, self.described, f"{self.called} was restored beside it")
