"""A chart on a cluster, by k3s's own Helm controller."""

from collections.abc import Iterator

from homelab_lib.control.kubernetes.charts import Installed
from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import HelmChart
from homelab_lib.recipes import manifests
from homelab_lib.runbook.step import Wanted


def released(server: str, lab: Lab, chart: HelmChart) -> Iterator[Wanted]:
    """Its namespace, the chart with its values, and a job that came to its good end.

    Parameters
    ----------
    server, lab
        The machine by which the cluster is reached, and the lab.
    chart
        The chart.
    """
    if chart.namespace != "kube-system":
        yield Applied(server, lab.name, manifests.namespace(chart.namespace))
    fixed = ("spec.chart", "spec.targetNamespace")
    yield Applied(server, lab.name, manifests.helm_chart(chart), fixed)
    yield Installed(server, chart.name, chart.namespace)
