"""The repository that a cluster is kept by: what runbooks applied goes into it, and Flux takes
over.

Flux, and not Argo CD: it needs no web interface of its own that has to be kept safe, its whole
state is objects that can be looked at as all others, and setting it up twice changes nothing.
"""

from collections.abc import Iterator

from homelab_lib.control.kubernetes.charts import Served
from homelab_lib.control.kubernetes.gitops import Kept, owned, pods
from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.control.kubernetes.secrets import SecretObject
from homelab_lib.control.linux import File, Packages, read_file
from homelab_lib.control.linux.accounts import account, login
from homelab_lib.control.linux.git import GitFolder
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.production import GitOps
from homelab_lib.recipes.kubernetes import manifests
from homelab_lib.recipes.kubernetes.charts import Release
from homelab_lib.recipes.kubernetes.repository import KEY, Contents
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check, Context, Step, Wanted
from homelab_lib.secret import Secret

NAME = "homelab"
_OBJECTS = ("source.toolkit.fluxcd.io/v1", "kustomize.toolkit.fluxcd.io/v1")
_KINDS = ("gitrepositories.source.toolkit.fluxcd.io", "kustomizations.kustomize.toolkit.fluxcd.io")
_HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
# Whom a runbook has applied by before Flux takes over: without it Flux and the runbook would own
# each field together, and what leaves the repository would stay in the cluster.
_TAKES_OVER = "--override-manager=homelab"
_UNUSED = ("helmController", "imageAutomationController", "imageReflectionController")


def steps(lab: Lab, cluster: Cluster, phase: int, end: str) -> Iterator[Step]:
    """The steps of a cluster's repository; none where it gets none in this phase.

    Parameters
    ----------
    lab, cluster
        What is described.
    phase
        The number of the phase.
    end
        What the steps' names end with.

    Raises
    ------
    BadParameter
        Something can't be made: its key and what to do.
    """
    described = cluster.gitops
    if described is None or lab.services[described.service].phase != phase:
        return
    kept = Repository(lab, cluster, described, phase)
    yield Step(
        f"repository{end}",
        "Write what was applied into a repository",
        why="Each object that runbooks made of this cluster, as a file of its own, in one commit. "
        "No Secret is among them: a list says which there have to be, and by which reference each "
        "is had. What others keep in the repository stays, and what they changed is not written "
        "over.",
        ensure=kept.written,
    )
    yield Step(
        f"gitops{end}",
        "Have Flux keep the cluster as the repository says",
        why="Flux rather than Argo CD: no web interface that has to be kept safe, a state of plain "
        "objects, and setting it up again changes nothing. It takes over what is there, with all "
        "its fields, and starts nothing anew: the pods before are the pods after. Of a chart it "
        "keeps the HelmChart, and k3s goes on installing that: no release changes hands, and "
        "another value in the repository has k3s upgrade it. It does not delete what leaves the "
        "repository. From then on these objects are Flux's alone, and a runbook that would change "
        "one of them stops and says so: what it wants goes into the repository. Secrets, what "
        "tries things, and Flux itself stay the runbooks'.",
        needs=(f"repository{end}",),
        ensure=kept.taken_over,
        check=kept.held,
    )


class Repository:
    """A cluster's repository, and who keeps the cluster by it; see `steps`."""

    def __init__(self, lab: Lab, cluster: Cluster, described: GitOps, phase: int) -> None:
        self.lab = lab
        self.cluster = cluster
        self.described = described
        self.phase = phase
        self.server = cluster.first_server
        self.contents = Contents(lab, cluster, described, phase)
        values: dict[str, object] = {each: {"create": False} for each in _UNUSED}
        values["kustomizeController"] = {"container": {"additionalArgs": [_TAKES_OVER]}}
        self.release = Release.of(lab, described.service, "keeps the cluster", values)

    @property
    def folder(self) -> str:
        """Where in the repository the cluster's files are."""
        return f"clusters/{self.cluster.name}"

    @property
    def space(self) -> str:
        """Flux's namespace."""
        return self.release.chart.namespace

    def written(self, ctx: Context) -> Iterator[Wanted]:
        """Git, one commit with all of it, and the key by which it is read."""
        where = self.described
        yield Packages(where.host, ("git",))
        yield self._folder(ctx.host(where.host))
        yield self._reader(ctx)

    def _folder(self, home: Host) -> GitFolder:
        where = self.described
        owner = account(home, where.user).owner if where.user != login(home).user else ""
        return GitFolder(
            where.host,
            where.path,
            where.branch,
            self.folder,
            self.contents.files,
            self.lab.name,
            owner,
        )

    # Who keeps it -------------------------------------------------------------------------------

    def _reader(self, ctx: Context) -> File:
        """A file of its own with the one key that may read that repository, and do nothing else:
        of the file that people use Proxmox makes a link to where its cluster keeps it."""
        where = self.described
        owner = account(ctx.host(where.host), where.user)
        key = ctx.secret(where.deploy_key_public)

        def line() -> str:
            only = f"restrict,command=\"git-upload-pack '{where.path}'\""
            return f"{only} {key.reveal().strip()}\n"

        return File(
            where.host,
            f"{owner.home.rstrip('/')}/.ssh/authorized_keys2",
            Secret("key that may read the repository", line),
            mode="600",
            owner=owner.owner,
            what=f"a key that may read {where.path}, and nothing else",
            lab=self.lab.name,
        )

    def source(self) -> manifests.Object:
        """Where Flux reads."""
        where = self.described
        return self._object(
            _OBJECTS[0],
            "GitRepository",
            {
                "interval": "5m0s",
                "url": f"ssh://{where.user}@{where.address}{where.path}",
                "ref": {"branch": where.branch},
                "secretRef": {"name": KEY},
            },
        )

    def kustomization(self) -> manifests.Object:
        """What of it is the cluster's; nothing is deleted when it leaves the repository."""
        return self._object(
            _OBJECTS[1],
            "Kustomization",
            {
                "interval": "10m0s",
                "path": f"./{self.folder}",
                "prune": False,
                "timeout": "5m0s",
                "sourceRef": {"kind": "GitRepository", "name": NAME},
            },
        )

    def _object(self, version: str, kind: str, spec: manifests.Object) -> manifests.Object:
        meta = {"name": NAME, "namespace": self.space}
        return {"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec}

    def taken_over(self, ctx: Context) -> Iterator[Wanted]:
        """Flux, the key by which it reads, and the cluster as the newest commit says."""
        where, host = self.described, ctx.host(self.server)
        yield from self.release.ensure(ctx)
        yield Served(self.server, _KINDS)
        yield self.release.ready()
        home = ctx.host(where.host)
        known = Secret(f"host key of {where.host}", lambda: _known(home, where.address))
        key = {"identity": ctx.secret(where.deploy_key), "known_hosts": known}
        yield SecretObject(self.server, self.lab.name, KEY, self.space, key)
        ctx.outputs["pods before GitOps"] = pods(host)
        yield Applied(self.server, self.lab.name, self.source())
        yield Applied(self.server, self.lab.name, self.kustomization())
        commit = self._folder(home).observe(home)["head"]
        yield Kept(self.server, self.space, NAME, commit)

    def held(self, ctx: Context) -> Iterator[Check]:
        """No pod of before was replaced, and who owns what."""
        yield self._undisturbed(ctx)
        yield from self.owned(ctx.host(self.server))

    def owned(self, host: Host) -> Iterator[Check]:
        """Each object of the repository is Flux's, and nobody else's."""
        wanted = [Applied(self.server, self.lab.name, each) for each in self.contents.documents()]
        found = {each.name: each for each in owned(host, NAME, {each.resource for each in wanted})}
        loose = [each.name for each in wanted if each.name not in found]
        says = f"not yet: {', '.join(loose)}; see Flux's log" if loose else f"all {len(wanted)}"
        yield Check("what the repository has is Flux's", not loose, says)
        shared = [each.name for each in found.values() if each.shared]
        says = (
            f"runbooks own these, too: {', '.join(shared)}; Flux's kustomize-controller has to run "
            f"with {_TAKES_OVER}, else what leaves the repository stays in the cluster"
            if shared
            else "no runbook owns a field of theirs any more"
        )
        yield Check("what is Flux's is nobody else's", not shared, says)
        known = {each.name for each in wanted}
        left = [name for name in found if name not in known]
        told = ", ".join(f"{name}{_goes_along(name)}" for name in left)
        says = f"{told}: delete it by hand if nothing needs it" if left else ""
        yield Check("nothing stayed that has left the repository", not left, says)

    def _undisturbed(self, ctx: Context) -> Check:
        before = ctx.outputs.get("pods before GitOps", {})
        gone = sorted(
            name for uid, name in before.items() if uid not in pods(ctx.host(self.server))
        )
        says = f"gone: {', '.join(gone)}" if gone else f"all {len(before)} are there"
        return Check("the pods before are the pods after", not gone, says)


def _goes_along(name: str) -> str:
    """What goes with an object that is deleted, besides what it owns."""
    along = {"HelmChart": "all that it installed", "Namespace": "all that is in it, claims too"}
    kind = name.partition(" ")[0]
    return f" (and with it {along[kind]})" if kind in along else ""


def _known(host: object, address: str) -> str:
    """The line by which SSH knows the machine."""
    kind, key = read_file(host, _HOST_KEY).split()[:2]  # type: ignore[arg-type]
    return f"{address} {kind} {key}"
