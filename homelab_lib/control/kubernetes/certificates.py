"""Certificates that cert-manager asks for: whether there are any, until when, and what keeps them.

Source: cert-manager v1.21, `pkg/apis/certmanager/v1`.
"""

from dataclasses import dataclass
from typing import Any

from homelab_lib.answers import Shape
from homelab_lib.control.kubernetes.kubectl import get, listed
from homelab_lib.runbook.resource import Diff, Host

_CONDITIONS: Shape = [{"type": str, "status": str, "message?": str, "reason?": str}]
_STATUS: Shape = {"status?": {"conditions?": _CONDITIONS, "notAfter?": str}}
_REQUEST: Shape = {
    "metadata": {"name": str, "ownerReferences?": [{"name": str}]},
    "status?": {"conditions?": _CONDITIONS},
}
_GROUP = "cert-manager.io"


def _ready(found: Any) -> tuple[bool, str]:
    """Whether an object is ready, and what it says if it isn't."""
    for each in (found or {}).get("status", {}).get("conditions", ()):
        if each["type"] == "Ready":
            return each["status"] == "True", each.get("message") or each.get("reason") or ""
    return False, ""


@dataclass(frozen=True)
class IssuerReady:
    """Somebody who can issue certificates.

    Parameters
    ----------
    host, issuer
        The server, and the ClusterIssuer.
    """

    host: str
    issuer: str
    timeout_s: float = 180.0

    @property
    def name(self) -> str:
        return f"issuer {self.issuer}"

    def observe(self, host: Host) -> dict[str, Any]:
        found = get(host, f"clusterissuer.{_GROUP}", self.issuer, shape=_STATUS)
        ready, says = _ready(found)
        return {"ready": ready, "says": says}

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["ready"]:
            return Diff()
        says = f": {observed['says']}" if observed["says"] else ""
        return Diff(waiting=f"issuer {self.issuer} is not ready{says}")


@dataclass(frozen=True)
class Issued:
    """A certificate that is there, and good.

    Parameters
    ----------
    host, namespace, certificate
        The server, and the Certificate.
    """

    host: str
    namespace: str
    certificate: str
    timeout_s: float = 300.0

    @property
    def name(self) -> str:
        return f"issued certificate {self.namespace}/{self.certificate}"

    def observe(self, host: Host) -> dict[str, Any]:
        found = get(host, f"certificate.{_GROUP}", self.certificate, self.namespace, shape=_STATUS)
        ready, says = _ready(found)
        return {"ready": ready, "says": says if ready else self._kept_by(host) or says}

    def _kept_by(self, host: Host) -> str:
        """What its newest request says: the certificate itself only says that there is none."""
        kind = f"certificaterequests.{_GROUP}"
        own = [
            each
            for each in listed(host, kind, self.namespace, shape=_REQUEST)
            if any(
                owner["name"] == self.certificate
                for owner in each["metadata"].get("ownerReferences", ())
            )
        ]
        newest = max(own, key=lambda each: _revision(each["metadata"]["name"]), default=None)
        return _ready(newest)[1]

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["ready"]:
            return Diff()
        says = f": {observed['says']}" if observed["says"] else ""
        return Diff(waiting=f"certificate {self.certificate} is not issued{says}")


def _revision(request: str) -> int:
    number = request.rpartition("-")[2]
    return int(number) if number.isdigit() else 0


def ends(host: Host) -> dict[str, str]:
    """Until when each certificate of the cluster is good, by namespace and name; ``not ready`` and
    why, where one isn't."""
    shape = {"metadata": {"name": str, "namespace?": str}} | _STATUS
    found = {}
    for each in listed(host, f"certificates.{_GROUP}", shape=shape):
        ready, says = _ready(each)
        name = f"{each['metadata'].get('namespace', '')}/{each['metadata']['name']}"
        found[name] = each.get("status", {}).get("notAfter", "") if ready else f"not ready: {says}"
    return found
