"""Services of a TrueNAS."""

from dataclasses import dataclass
from typing import Any, ClassVar

from homelab_lib.answers import Shape
from homelab_lib.control.truenas.midclt import Release, call, changing, follow_job
from homelab_lib.runbook.resource import Change, Diff, Host

_SERVICES: Shape = [{"enable": bool, "state": str}]


@dataclass(frozen=True)
class NasService:
    """A service of the NAS that runs, and starts with it.

    Parameters
    ----------
    host, release, service
        Where, the NAS's release, and which: ``nfs``.
    """

    looks_at: ClassVar[str] = "runs"
    host: str
    release: Release
    service: str
    timeout_s: float = 120.0

    @property
    def name(self) -> str:
        return f"service {self.service}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        rows = call(host, "service.query", [["service", "=", self.service]], shape=_SERVICES)
        return {key: rows[0][key] for key in ("enable", "state")} if rows else None

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is None:
            return Diff(conflict=f"this TrueNAS has no service {self.service!r}")
        changes = []
        if not observed["enable"]:
            call_ = changing("service.update", self.service, {"enable": True})
            undo = changing("service.update", self.service, {"enable": False}).line
            changes.append(Change(f"start {self.service} with the NAS", call_, undo=undo))
        if observed["state"] != "RUNNING":
            changes.append(self._start())
        return Diff(tuple(changes))

    def _start(self) -> Change:
        summary = f"start {self.service}"
        # Without this, a service that does not start is answered by "False" and status 0.
        loud = {"silent": False}
        if self.release < (25, 10):
            undo = changing("service.stop", self.service).line
            return Change(summary, changing("service.start", self.service, loud), undo=undo)
        call_ = changing("service.control", "START", self.service, loud)
        undo = changing("service.control", "STOP", self.service).line
        return Change(summary, call_, follow=follow_job, undo=undo)
