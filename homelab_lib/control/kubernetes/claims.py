"""Who uses a claim."""

from dataclasses import dataclass

from homelab_lib.answers import Shape
from homelab_lib.control.kubernetes.kubectl import listed
from homelab_lib.runbook.resource import Diff, Host

_POD: Shape = {
    "metadata": {"name": str},
    "status?": {"phase?": str},
    "spec": {"volumes?": [{"persistentVolumeClaim?": {"claimName": str}}]},
}
_OVER = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Unused:
    """A claim that no running pod uses. It is only looked at.

    Parameters
    ----------
    host, namespace, claim
        The server, and the claim.
    """

    host: str
    namespace: str
    claim: str
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        return f"nobody at claim {self.namespace}/{self.claim}"

    def observe(self, host: Host) -> list[str]:
        return [
            pod["metadata"]["name"]
            for pod in listed(host, "pods", self.namespace, shape=_POD)
            if pod.get("status", {}).get("phase") not in _OVER
            and any(
                volume.get("persistentVolumeClaim", {}).get("claimName") == self.claim
                for volume in pod["spec"].get("volumes", ())
            )
        ]

    def diff(self, observed: list[str]) -> Diff:
        if not observed:
            return Diff()
        return Diff(
            conflict=f"{', '.join(observed)} may write to claim {self.claim} while it is copied; "
            f"scale what they belong to down to 0 (kubectl scale -n {self.namespace} "
            "--replicas=0 deployment/…), and up again when it is done"
        )
