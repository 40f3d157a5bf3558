"""Snapshots of a k3s cluster's etcd, on the disk of the server that took them.

k3s takes them by itself, on a schedule of its configuration. They lie on the very disk that they
are to replace, so what copies them elsewhere comes after this. A server with SQLite has none.

Sources: k3s-io/docs cli/etcd-snapshot.md; k3s-io/k3s pkg/etcd/snapshot.go and
pkg/cli/etcdsnapshot.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.control.clock import clock_s, is_new, newest_of
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change
from homelab_lib.units import format_age

FOLDER = "/var/lib/rancher/k3s/server/db/snapshots"
TOKEN = "/var/lib/rancher/k3s/server/token"
_LIST = ("k3s", "etcd-snapshot", "ls", "-o", "json")
_NO_ETCD = "etcd datastore disabled"


def _seconds(text: str) -> float:
    """A time as RFC 3339 has it."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_ROW: Shape = {
    "spec": {"snapshotName": str, "location?": str},
    "status?": {"creationTime?": _seconds, "readyToUse?": bool},
}
_SNAPSHOTS: Shape = {"items?": [_ROW]}


def newest_snapshot(host: Host, now_s: float) -> tuple[str, float] | None:
    """Name and time of the newest snapshot on a server's disk [s since 1970]; None for none.

    Parameters
    ----------
    host, now_s
        The server, and what time it is there [s since 1970].

    Raises
    ------
    StepFailed
        The server does not say, or has no etcd.
    """
    shown = host.read(*_LIST, ok=None, sudo=True)
    if shown.exit_status:
        said = shown.stderr.strip() or shown.stdout.strip() or "it says nothing"
        said = host.cut(said, 300, end=True)
        fix = "see that k3s runs there: `systemctl status k3s`"
        if _NO_ETCD in said:
            fix = (
                "it keeps its state in SQLite: stop k3s and copy /var/lib/rancher/k3s/server/db, "
                "or say cluster-init: true in its configuration and restart it"
            )
        raise StepFailed(
            f"{host.name} tells no snapshots of etcd: {said}", where=f"{host.name}: k3s", fix=fix
        )
    line = " ".join(_LIST)
    rows = answers.understood(shown.stdout, _SNAPSHOTS, host=host.name, line=line).get("items", [])
    found = [
        (row["spec"]["snapshotName"], row["status"]["creationTime"])
        for row in rows
        if row.get("status", {}).get("readyToUse") and row["status"].get("creationTime")
        and row["spec"].get("location", "file:").startswith("file:")
    ]  # fmt: skip
    return newest_of(found, lambda row: row[1], now_s)


@dataclass(frozen=True)
class EtcdSnapshot:
    """A snapshot of etcd that is not older than was promised.

    Parameters
    ----------
    host
        A server of the cluster.
    within_s
        How old the newest may be [s].
    """

    host: str
    within_s: float
    timeout_s: float = 300.0

    @property
    def name(self) -> str:
        return "snapshot of etcd"

    def observe(self, host: Host) -> dict[str, Any]:
        now_s = clock_s(host)
        found = newest_snapshot(host, now_s)
        return {"name": found[0], "age_s": now_s - found[1]} if found else {"name": ""}

    def diff(self, observed: dict[str, Any]) -> Diff:
        if is_new(observed.get("age_s"), self.within_s):
            return Diff()
        why = f"the newest is {format_age(observed['age_s'])}" if observed["name"] else "none"
        words = ("k3s", "etcd-snapshot", "save", "--name", "homelab")
        call = change(*words, sudo=True, timeout_s=self.timeout_s)
        undo = "k3s etcd-snapshot delete NAME; its name is known after apply, by etcd-snapshot ls"
        return Diff((Change(f"take a snapshot of etcd: {why}", call, undo=undo),))
