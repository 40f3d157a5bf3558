"""Charts of a cluster's services: installed by k3s's own Helm controller, with the Secrets that
they read and the values that they want."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from homelab_lib.control.kubernetes.charts import Installed, ReleaseReady, job_of
from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.control.kubernetes.secrets import SecretObject
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster, HelmChart, Service
from homelab_lib.recipes.kubernetes import manifests
from homelab_lib.runbook.step import Context, Wanted


@dataclass(frozen=True)
class Release:
    """A service that a chart installs on its cluster.

    Parameters
    ----------
    lab, service
        What is described.
    values
        What its recipe wants besides; what the lab says goes before it.
    """

    lab: Lab
    service: Service
    values: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, lab: Lab, name: str, does: str, values: Mapping[str, Any]) -> "Release":
        """A service that a recipe can do nothing with but by its chart.

        Parameters
        ----------
        lab, name
            What is described, and the service's name.
        does
            What it is for: ``watches the house``.
        values
            What the recipe wants.

        Raises
        ------
        BadParameter
            Nothing says by which chart it comes.
        """
        if lab.services[name].chart is None:
            raise BadParameter(
                f"{name} {does}, and nothing says by which chart it comes",
                where=f"services.{name}.chart",
                fix="write name, repo, chart, version and namespace there",
            )
        return cls(lab, lab.services[name], values)

    @property
    def cluster(self) -> Cluster:
        """Where it runs."""
        return self.lab.clusters[self.service.runs_on or ""]

    @property
    def server(self) -> str:
        """The machine by which the cluster is reached."""
        return self.cluster.first_server

    @property
    def chart(self) -> HelmChart:
        """Its chart with all of its values."""
        assert self.service.chart is not None
        values = laid_over(self.values or {}, self.service.chart.values)
        return self.service.chart.model_copy(update={"values": values})

    def documents(self) -> Iterator[manifests.Object]:
        """What is applied for it, but for its Secrets."""
        yield from documents(self.chart)

    def secrets(self, ctx: Context) -> Iterator[SecretObject]:
        """Those that it reads."""
        for name, values in self.chart.secrets.items():
            yield SecretObject(
                self.server,
                self.lab.name,
                name,
                self.chart.namespace,
                {key: ctx.secret(reference) for key, reference in values.items()},
            )

    def ensure(self, ctx: Context, *own: SecretObject) -> Iterator[Wanted]:
        """Its namespace and Secrets, with its recipe's own, then the chart, and a job that ended
        well after that."""
        yield from installed(ctx, self.server, self.lab, self.chart, (*self.secrets(ctx), *own))

    def ready(self) -> ReleaseReady:
        """That what it brought runs."""
        return ReleaseReady(self.server, self.chart.name, self.chart.namespace)


def installed(
    ctx: Context, server: str, lab: Lab, chart: HelmChart, secrets: Iterable[SecretObject] = ()
) -> Iterator[Wanted]:
    """A chart's namespace and Secrets, then the chart, and a job that ended well after that: one
    of before proves nothing where the chart was changed.

    Parameters
    ----------
    ctx, server, lab
        The machine by which the cluster is reached, and the lab.
    chart, secrets
        The chart with all of its values, and the Secrets that it reads.
    """
    *before, asked = documents(chart)
    for document in before:
        yield Applied(server, lab.name, document)
    yield from secrets
    host = ctx.host(server)
    generation, job = job_of(host, chart.name)
    yield Applied(server, lab.name, asked, ("spec.chart", "spec.targetNamespace"))
    changed = job_of(host, chart.name)[0] != generation
    yield Installed(server, chart.name, chart.namespace, job if changed else "")


def documents(chart: HelmChart) -> Iterator[manifests.Object]:
    """What is applied for a chart: the namespace that it goes to, and itself, which comes last."""
    if chart.namespace != "kube-system":
        yield manifests.namespace(chart.namespace)
    yield manifests.helm_chart(chart)


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a chart, with others laid over them as Helm does: maps are joined, all else is
    replaced."""
    joined = dict(below)
    for key, value in above.items():
        under = joined.get(key)
        both = isinstance(value, Mapping) and isinstance(under, Mapping)
        joined[key] = laid_over(under, value) if both else value  # type: ignore[arg-type]
    return joined
