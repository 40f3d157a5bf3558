"""What a deployment's containers are started with: of a chart's values only this tells whether they
were taken."""

from dataclasses import dataclass

from homelab_lib.answers import Shape
from homelab_lib.control.kubernetes.charts import said_by_job
from homelab_lib.control.kubernetes.kubectl import get
from homelab_lib.runbook.resource import Diff, Host

_DEPLOYMENT: Shape = {"spec": {"template": {"spec": {"containers": [{"args?": [str]}]}}}}


@dataclass(frozen=True)
class Started:
    """A deployment of a chart whose container has arguments.

    Parameters
    ----------
    host, namespace, chart
        The server, where the deployment is, and what it and its chart are called.
    arguments
        What has to be among its own.
    """

    host: str
    namespace: str
    chart: str
    arguments: tuple[str, ...]
    timeout_s: float = 300.0

    @property
    def name(self) -> str:
        return f"arguments of deployment {self.namespace}/{self.chart}"

    def observe(self, host: Host) -> dict[str, object]:
        found = get(host, "deployment", self.chart, self.namespace, shape=_DEPLOYMENT)
        containers = found["spec"]["template"]["spec"]["containers"] if found else []
        have = {argument for each in containers for argument in each.get("args", ())}
        missing = [each for each in self.arguments if each not in have]
        return {"missing": missing, "says": said_by_job(host, self.chart) if missing else ""}

    def diff(self, observed: dict[str, object]) -> Diff:
        if not observed["missing"]:
            return Diff()
        says = f": {observed['says']}" if observed["says"] else ""
        return Diff(waiting=f"{self.chart} is not started with {observed['missing']} yet{says}")
