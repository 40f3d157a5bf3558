"""Charts that k3s's own Helm controller installs: a job does it, and says in its log alone why not.

Source: k3s-io/helm-controller; k3s-io/k3s#9534, #12775.
"""

from dataclasses import dataclass
from typing import ClassVar

from homelab_lib.answers import Shape
from homelab_lib.control.kubernetes.kubectl import KUBECTL, get
from homelab_lib.runbook.resource import Diff, Host

_SPACE = "kube-system"
_HALF = "cannot re-use a name that is still in use"
_JOB: Shape = {"status?": {"succeeded?": int}}


@dataclass(frozen=True)
class Installed:
    """A chart whose job has come to its good end.

    Parameters
    ----------
    host, chart, namespace
        The server, the chart's name, and where its release is.
    """

    looks_at: ClassVar[str] = "runs"
    host: str
    chart: str
    namespace: str
    timeout_s: float = 600.0

    @property
    def name(self) -> str:
        return f"chart {self.chart}"

    @property
    def _job(self) -> str:
        return f"helm-install-{self.chart}"

    def observe(self, host: Host) -> dict[str, str | bool]:
        job = get(host, "job", self._job, _SPACE, shape=_JOB)
        if job is None:  # the controller takes a job away some time after it is done
            return {"done": self._released(host), "says": ""}
        if job.get("status", {}).get("succeeded"):
            return {"done": True, "says": ""}
        # While its pod is being made it has no log, and that is no answer either.
        words = (*KUBECTL, "logs", "-n", _SPACE, f"job/{self._job}", "--tail", "20")
        lines = host.read(*words, sudo=True, ok=None).stdout.splitlines()
        says = [line for line in lines if line.startswith("Error: ")]
        return {"done": False, "says": says[-1].removeprefix("Error: ") if says else ""}

    def _released(self, host: Host) -> bool:
        """Whether Helm has a release of it that stands."""
        chosen = f"owner=helm,name={self.chart},status=deployed"
        words = (*KUBECTL, "get", "secrets", "-n", self.namespace, "-l", chosen, "-o", "name")
        return bool(host.read(*words, sudo=True).stdout.strip())

    def diff(self, observed: dict[str, str | bool]) -> Diff:
        if observed["done"]:
            return Diff()
        says = str(observed["says"])
        if _HALF in says:
            return Diff(
                conflict=f"chart {self.chart} was broken off half-way, and its job can't go on: "
                f"“{says}”. See k3s kubectl get secrets -n {self.namespace} -l "
                f"owner=helm,name={self.chart} --show-labels; delete the one that is "
                "pending-install or uninstalling, and the job tries anew"
            )
        return Diff(waiting=f"{self._job} runs: {says}" if says else f"{self._job} runs")
