"""Open WebUI behind its service in a cluster: reached by the service's own address, which a node
knows, so that nobody else has to be let in.

Sources: open-webui/open-webui 0.11: main.py (``/api/config`` tells anybody whether there is a
login, whether strangers may make an account, and by ``onboarding`` that nobody has made the first
one, who becomes administrator), routers/auths.py.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.control.kubernetes.kubectl import get
from homelab_lib.runbook.resource import Diff, Host
from homelab_lib.transport.command import read

_PATIENCE_S = 30
_SERVICE: Shape = {"spec": {"clusterIP?": str}}
_CONFIG: Shape = {
    "version": str,
    "onboarding?": bool,
    "features": {"auth": bool, "enable_signup": bool},
}


@dataclass(frozen=True)
class Place:
    """Where it is.

    Parameters
    ----------
    namespace, service, port
        Its service in the cluster.
    """

    namespace: str
    service: str
    port: int

    def url(self, host: Host) -> str:
        """Its address as a node knows it; empty where there is no such service."""
        found = get(host, "service", self.service, self.namespace, shape=_SERVICE)
        address = (found or {}).get("spec", {}).get("clusterIP", "")
        return f"http://{address}:{self.port}" if address else ""


@dataclass(frozen=True)
class BehindLogin:
    """One that answers, and lets in nobody but whom its administrator knows.

    Parameters
    ----------
    host, place
        A node, and where it is.
    """

    looks_at: ClassVar[str] = "runs"
    host: str
    place: Place
    timeout_s: float = 600.0

    @property
    def name(self) -> str:
        return f"login of {self.place.namespace}/{self.place.service}"

    def observe(self, host: Host) -> dict[str, Any]:
        url = self.place.url(host)
        if not url:
            return {"up": False}
        words = ("curl", "-sS", "-f", "-m", str(_PATIENCE_S), f"{url}/api/config")
        shown = host.read(*words, ok=None)
        if shown.exit_status:
            return {"up": False}
        line = read(*words).line
        said = answers.understood(shown.stdout, _CONFIG, host=host.name, line=line)
        return {
            "up": True,
            "version": said["version"],
            "login": said["features"]["auth"],
            "signup": said["features"]["enable_signup"],
            "nobody": said.get("onboarding", False),
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        if not observed["up"]:
            return Diff(waiting=f"{self.place.service} does not answer yet")
        if not observed["login"]:
            return Diff(
                conflict=f"{self.place.service} asks nobody who he is: its WEBUI_AUTH is off, and "
                "that can't be changed once it has accounts. Take WEBUI_AUTH out of its values"
            )
        if observed["nobody"]:
            return Diff(
                conflict=f"{self.place.service} has no account, so whoever comes first becomes its "
                "administrator: WEBUI_ADMIN_EMAIL and WEBUI_ADMIN_PASSWORD did not reach it"
            )
        if observed["signup"]:
            return Diff(
                conflict=f"{self.place.service} lets anybody make an account. What it was told at "
                "its first start goes before its environment, unless "
                "ENABLE_PERSISTENT_CONFIG is False: set both in its values, and that to False"
            )
        return Diff()


def knocks(host: Host, url: str) -> str:
    """The status that somebody gets who asks for the models without a login."""
    words = ("curl", "-sS", "-w", " %{http_code}", "-m", str(_PATIENCE_S), f"{url}/api/models")
    return host.read(*words, ok=None).stdout.rpartition(" ")[2]
