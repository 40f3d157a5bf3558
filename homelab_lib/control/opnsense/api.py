"""The API of an OPNsense, and what it means by its answers.

Three habits of it are dealt with here. What its validators refuse is answered by 200 and
``{"result": "failed"}``. What a controller refuses is a 500 whose text is the reason. And "saved"
says nothing of whether anything was changed: that only a look can tell, so every resource looks
again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.control.opnsense.reads import SERVICE
from homelab_lib.control.release import Release, release_in
from homelab_lib.runbook.resource import Host, Progress
from homelab_lib.secret import Secret
from homelab_lib.transport.command import Result
from homelab_lib.transport.request import Request

BOOTS = "/usr/local/etc/rc.bootup"
"""What runs while a firewall boots; sshd answers long before it ends."""
SILENT = "its daemon configd gave no answer, or what it ran has failed"
"""Of a change that was answered with nothing; the log of the backend says which of both."""
_DONE = ("saved", "deleted", "ok", "done", "1", "0", "enabled", "disabled")


@dataclass(frozen=True)
class Api:
    """How a firewall's API is spoken to.

    Parameters
    ----------
    host
        The firewall's name in the lab.
    key, secret
        What it lets us in by.
    port
        Where it listens on its own loopback.
    """

    host: str
    key: Secret
    secret: Secret
    port: int = 443

    def get(self, path: str, **query: str) -> Request:
        """A look, at a path below ``/api/``."""
        return self._request("GET", path, "read", query=query)

    def post(self, path: str, body: Any = None, timeout_s: float = 120.0) -> Request:
        """A change. An empty body is refused, so ``{}`` stands for none."""
        given = {} if body is None else body
        return self._request("POST", path, "change", body=given, timeout_s=timeout_s)

    def _request(self, method: str, path: str, kind: Any, **more: Any) -> Request:
        auth = (self.key, self.secret)
        return Request(SERVICE, method, f"/api/{path}", kind, auth=auth, port=self.port, **more)

    def ask(self, host: Host, path: str, shape: Shape = object, **query: str) -> Any:
        """What it answers to a look.

        Parameters
        ----------
        shape
            What is read from it; see `answers`.

        Raises
        ------
        NotUnderstood
            It says something else.
        """
        request = self.get(path, **query)
        said = host.request(request).stdout
        return answers.understood(said, shape, host=host.name, line=request.line)

    def has(self, host: Host, path: str) -> bool:
        """Whether the release has an endpoint: what it has not is answered by 404."""
        status = host.request(self.get(path), ok=None).exit_status
        return status != 404


def told(host: Host, result: Result) -> Progress:
    """What came of a change, by what was answered to it."""
    if was_lost(result):
        return Progress(False, note="the reply was lost")
    try:
        answer = answers.parse(result.stdout)
    except answers.Unfit:
        answer = None
    if not isinstance(answer, dict):
        said = host.cut(result.stdout.strip(), 200)
        return Progress(True, error=f"no answer of its API: {said!r}")
    word = str(answer.get("result", answer.get("status", ""))).strip()
    if word.lower() in _DONE:
        return Progress(True)
    return Progress(True, error=_why(answer) or word or SILENT)


def at_rest(api: Api, host: Host) -> None:
    """See that a firewall does nothing in which what we send would be lost; that is waited for.

    While it boots, what would put something in force ends well and does nothing. While it works on
    its packages, its daemons come and go, and a reboot may follow.

    Raises
    ------
    NotYet
        It goes on doing so.
    """
    host.read("pgrep", "-f", BOOTS, ok=(0, 1))
    api.ask(host, "core/firmware/running", {"status": object})


def was_lost(result: Result) -> bool:
    """Whether a change was confirmed whose own reply nobody has heard: then nobody knows whether
    it was carried out."""
    return result.ok and not (result.stdout or result.stderr)


def _why(answer: Mapping[str, Any]) -> str:
    """The validators' words, a line a field; each says one thing or a list of things."""
    found = answer.get("validations")
    if not isinstance(found, Mapping):
        return str(answer.get("errorMessage") or answer.get("message") or "")
    lines = []
    for name, said in found.items():
        texts = said if isinstance(said, list) else [said]
        lines.append(f"{name}: {' '.join(str(text).strip() for text in texts)}")
    return "; ".join(lines)


def release(host: Host) -> Release:
    """The firewall's release.

    Raises
    ------
    StepFailed
        It names none.
    """

    def look(host: Host) -> Release:
        line = "opnsense-version"
        said = host.read(line).stdout
        return release_in(said, host, product="OPNsense", known="26.1 and 26.7", line=line)

    found: Release = host.fact("opnsense release", look)
    return found
