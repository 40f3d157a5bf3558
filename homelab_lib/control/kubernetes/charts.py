"""Charts that k3s's own Helm controller installs: a job does it, and says in its log alone why not.

Source: k3s-io/helm-controller; k3s-io/k3s#9534, #12775.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from homelab_lib.answers import Shape
from homelab_lib.control.kubernetes.kubectl import KUBECTL, get, listed
from homelab_lib.control.kubernetes.waits import Rollout
from homelab_lib.runbook.resource import Diff, Host

_SPACE = "kube-system"
_HALF = "cannot re-use a name that is still in use"
_RELEASE = "meta.helm.sh/release-name"
_JOB: Shape = {"metadata": {"uid?": str}, "status?": {"succeeded?": int}}
_CHART: Shape = {"metadata": {"generation?": int}}
_OF_RELEASE: Shape = {"metadata": {"name": str, "annotations?": {str: str}}}
_CONDITIONS: Shape = {"status?": {"conditions?": [{"type": str, "status": str}]}}


@dataclass(frozen=True)
class Installed:
    """A chart whose job has come to its good end.

    Parameters
    ----------
    host, chart, namespace
        The server, the chart's name, and where its release is.
    older
        A job of before the chart was changed, by its uid: that one proves nothing.
    """

    looks_at: ClassVar[str] = "runs"
    host: str
    chart: str
    namespace: str
    older: str = ""
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
        if self.older and job["metadata"].get("uid") == self.older:
            return {"done": False, "says": "the one of before is still there"}
        if job.get("status", {}).get("succeeded"):
            return {"done": True, "says": ""}
        return {"done": False, "says": said_by_job(host, self.chart)}

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


def said_by_job(host: Host, chart: str) -> str:
    """What the job that installs a chart complains of; nothing while its pod is being made."""
    words = (*KUBECTL, "logs", "-n", _SPACE, f"job/helm-install-{chart}", "--tail", "20")
    lines = host.read(*words, sudo=True, ok=None).stdout.splitlines()
    says = [line for line in lines if line.startswith("Error: ")]
    return says[-1].removeprefix("Error: ") if says else ""


def job_of(host: Host, chart: str) -> tuple[int, str]:
    """Which generation of a chart there is, and the uid of the job that last installed it."""
    found = get(host, "helmchart.helm.cattle.io", chart, _SPACE, shape=_CHART)
    job = get(host, "job", f"helm-install-{chart}", _SPACE, shape=_JOB)
    generation = found["metadata"].get("generation", 1) if found else 0
    return generation, (job or {}).get("metadata", {}).get("uid", "")


@dataclass(frozen=True)
class ReleaseReady:
    """What a chart has brought, as far as it runs: each of its workloads with all of its pods.

    A daemon set that no node wants is fine, for charts bring some for what a house may not have.

    Parameters
    ----------
    host, release, namespace
        The server, the release, and where it is.
    """

    host: str
    release: str
    namespace: str
    timeout_s: float = 900.0

    @property
    def name(self) -> str:
        return f"pods of release {self.namespace}/{self.release}"

    def observe(self, host: Host) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for kind in ("deployment", "statefulset", "daemonset"):
            for each in listed(host, f"{kind}s", self.namespace, shape=_OF_RELEASE):
                meta = each["metadata"]
                if meta.get("annotations", {}).get(_RELEASE) == self.release:
                    waits = Rollout(self.host, kind, self.namespace, meta["name"])
                    found[f"{kind} {meta['name']}"] = waits.observe(host)
        return found

    def diff(self, observed: dict[str, Any]) -> Diff:
        for called, seen in observed.items():
            kind, _, name = called.partition(" ")
            if kind == "daemonset" and seen and seen["seen"] and not seen["wanted"]:
                continue
            what = Rollout(self.host, kind, self.namespace, name).diff(seen)
            if not what.clean:
                return what
        return Diff()


@dataclass(frozen=True)
class Served:
    """Kinds that the API server answers for: it takes a moment after a chart has brought them.

    Parameters
    ----------
    host, definitions
        The server, and the names of their definitions: ``certificates.cert-manager.io``.
    """

    host: str
    definitions: tuple[str, ...]
    timeout_s: float = 120.0

    @property
    def name(self) -> str:
        return f"kinds {', '.join(self.definitions)}"

    def observe(self, host: Host) -> list[str]:
        return [each for each in self.definitions if not self._established(host, each)]

    def _established(self, host: Host, definition: str) -> bool:
        found = get(host, "customresourcedefinition", definition, shape=_CONDITIONS) or {}
        conditions = found.get("status", {}).get("conditions", ())
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    def diff(self, observed: list[str]) -> Diff:
        if not observed:
            return Diff()
        return Diff(waiting=f"the API does not answer for {', '.join(observed)} yet")
