"""The way in to a cluster's web services: Traefik, which k3s brings, and what is set of it."""

from collections.abc import Iterator

from homelab_lib.control.kubernetes.kubectl import get
from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.control.kubernetes.traefik import Started
from homelab_lib.control.kubernetes.waits import Rollout
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.recipes.kubernetes import manifests
from homelab_lib.recipes.kubernetes.published import earlier, names
from homelab_lib.runbook.step import Check, Context, Step, Wanted

SPACE = "kube-system"
# Of the chart's own keys for this each release takes another one, and most pass over a wrong one
# in silence; Traefik's own arguments are the same in all of them.
_REDIRECT = (
    "--entryPoints.web.http.redirections.entryPoint.to=:443",
    "--entryPoints.web.http.redirections.entryPoint.scheme=https",
)
_MOVED = ("301", "308")


def steps(lab: Lab, cluster: Cluster, phase: int, end: str) -> Iterator[Step]:
    """The step of a cluster's ingress; none where it sets nothing of it in this phase.

    Parameters
    ----------
    lab, cluster
        What is described.
    phase
        The number of the phase.
    end
        What the step's name ends with.
    """
    described = cluster.ingress
    if described is None or lab.services[described.service].phase != phase:
        return
    way = WayIn(lab, cluster, phase)
    yield Step(
        f"ingress{end}",
        "Send web browsers on to https",
        why="Traefik came with k3s. It is set by a HelmChartConfig, for k3s writes its own files "
        "anew at each start; the setting is Traefik's own argument, for the chart's key for it "
        "changes from release to release and a wrong one passes in silence. So it is read back "
        "from the Deployment, and asked for by a client. What earlier phases installed gets its "
        "host name now, and not before: no password goes over http.",
        ensure=way.ensure,
        check=way.check,
    )


class WayIn:
    """Traefik's settings; see `steps`."""

    def __init__(self, lab: Lab, cluster: Cluster, phase: int) -> None:
        self.lab = lab
        self.cluster = cluster
        self.phase = phase
        self.server = cluster.first_server

    @property
    def arguments(self) -> tuple[str, ...]:
        """What Traefik is started with besides."""
        return _REDIRECT if self.cluster.ingress and self.cluster.ingress.redirect_to_https else ()

    def documents(self) -> Iterator[manifests.Object]:
        """What is applied for it."""
        values = {"additionalArguments": list(self.arguments)}
        yield manifests.helm_chart_config("traefik", values)
        yield from earlier(self.lab, self.cluster, self.phase)

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """The setting, and Traefik started anew with it."""
        for document in self.documents():
            yield Applied(self.server, self.lab.name, document)
        yield Started(self.server, SPACE, "traefik", self.arguments)
        yield Rollout(self.server, "deployment", SPACE, "traefik")

    def check(self, ctx: Context) -> Iterator[Check]:
        """Each name is sent on."""
        host = ctx.host(self.server)
        address = self.lab.vms[self.server].ip_in_url
        for each in names(self.lab, self.cluster, self.phase) if self.arguments else ():
            words = ("-sS", "-m", "10", "-w", " %{http_code}", "-H", f"Host: {each.hostname}")
            said = host.read("curl", *words, f"http://{address}/", ok=None)
            code = said.stdout.rpartition(" ")[2]
            says = f"status {code}" if code else said.stderr.strip()
            yield Check(f"{each.hostname} is sent on to https", code in _MOVED, says)
        name = self.cluster.ingress.class_name if self.cluster.ingress else ""
        there = get(host, "ingressclass", name) is not None
        says = "is there" if there else "is missing: no ingress with it is ever answered"
        yield Check(f"ingress class {name}", there, says)
