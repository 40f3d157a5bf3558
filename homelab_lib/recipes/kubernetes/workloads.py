"""Test workloads of a cluster: deployed, published, and asked."""

from collections.abc import Iterator

from homelab_lib.control.kubernetes.kubectl import listed
from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.control.kubernetes.waits import Rollout
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.recipes.kubernetes import manifests
from homelab_lib.runbook.step import Check, Context, Measurement, Step, Wanted


def step(lab: Lab, cluster: Cluster, end: str, nodes: tuple[str, ...]) -> Step:
    """The step of a cluster's workloads.

    Parameters
    ----------
    lab, cluster
        What is described.
    end
        What the step's name ends with.
    nodes
        Steps after which the cluster has its nodes.
    """
    workloads = Workloads(lab, cluster)
    names = " and ".join(each.name for each in cluster.workloads)
    return Step(
        f"workloads{end}",
        "Deploy the test workloads",
        why=f"Something to look at: {names}, reached through the cluster's ingress by their host "
        "names, the way a browser would.",
        needs=nodes,
        ensure=workloads.ensure,
        check=workloads.answer,
        measure=workloads.replicas,
    )


class Workloads:
    """Deployments, services and ingresses; see `step`."""

    def __init__(self, lab: Lab, cluster: Cluster) -> None:
        self.lab = lab
        self.cluster = cluster
        self.server = cluster.first_server

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """A deployment, a service and an ingress for each."""
        for space in sorted({workload.namespace for workload in self.cluster.workloads}):
            yield Applied(self.server, self.lab.name, manifests.namespace(space))
        for workload in self.cluster.workloads:
            for document in manifests.workload(workload):
                fixed = ("spec.selector.matchLabels",)
                yield Applied(self.server, self.lab.name, document, fixed)
        for workload in self.cluster.workloads:
            yield Rollout(self.server, "deployment", workload.namespace, workload.name)
        yield Rollout(self.server, "deployment", "kube-system", "traefik")

    def answer(self, ctx: Context) -> Iterator[Check]:
        """Each is reached through the ingress, from a client where there is one with curl."""
        hosts = [ctx.host(name) for name in (*self.cluster.clients, self.server)]
        able = (host for host in hosts if host.read("which", "curl", ok=(0, 1)).stdout.strip())
        source = next(able, hosts[0])
        address = self.lab.vms[self.server].ip_in_url
        for workload in self.cluster.workloads:
            words = ("-sS", "-m", "10", *self._way(workload.hostname, address or ""))
            answer = source.read("curl", *words, ok=None)
            says = _first_line(answer.stdout, workload.expect) or answer.stderr.strip()
            title = f"{workload.name} answers {source.name}"
            holds = workload.expect in answer.stdout
            if not holds and answer.stdout:
                says = f"{says}; that has no “{workload.expect}” in it, as the lab expects"
            yield Check(title, holds, says)

    def _way(self, hostname: str, address: str) -> tuple[str, ...]:
        """How a client asks for a name at an address; an ingress may send it on to https."""
        if self.cluster.ingress is None:
            return ("-H", f"Host: {hostname}", f"http://{address}/")
        ports = (f"{hostname}:{port}:{address}" for port in (80, 443))
        named = (word for each in ports for word in ("--resolve", each))
        return ("-L", "-k", *named, f"http://{hostname}/")

    def replicas(self, ctx: Context) -> Iterator[Measurement]:
        """Pods that answer, against those asked for."""
        host = ctx.host(self.server)
        for workload in self.cluster.workloads:
            selector = f"kubernetes.io/service-name={workload.name}"
            shape = {"endpoints?": [dict]}
            slices = listed(host, "endpointslices", workload.namespace, selector, shape=shape)
            ready = sum(len(each.get("endpoints", ())) for each in slices)
            yield Measurement(f"{workload.name}: endpoints", ready, "pods", workload.replicas)


def _first_line(text: str, expected: str) -> str:
    """The line that has what is expected, or the first one."""
    lines = text.strip().splitlines()
    return next((line.strip() for line in lines if expected in line), lines[0] if lines else "")
