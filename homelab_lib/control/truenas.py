"""TrueNAS through `midclt call`: datasets, NFS shares, services.

`midclt` prints numbers, truth values and strings as Python does and all else as JSON; a method
that is a job prints the job's number, and is followed by `core.get_jobs`.
"""

import json
from dataclasses import dataclass
from typing import Any

from homelab_lib.runbook.resource import Change, Diff, Host, Progress
from homelab_lib.transport.command import Result, change

_RECORD_SIZES = {
    2**n: f"{2 ** (n - 10)}K" if n < 20 else f"{2 ** (n - 20)}M" for n in range(12, 25)
}
_TRUTH = {"True": True, "False": False, "None": None}


def parse(text: str) -> Any:
    """What `midclt` printed, as a value."""
    word = text.strip()
    if word in _TRUTH:
        return _TRUTH[word]
    try:
        return json.loads(word)
    except ValueError:
        return word


def call(host: Host, method: str, *arguments: Any) -> Any:
    """Ask the middleware."""
    return parse(host.read("midclt", "call", method, *map(json.dumps, arguments)).stdout)


def _change(method: str, *arguments: Any) -> Any:
    """A call that changes something; a string goes as it is, all else as JSON."""
    words = [each if isinstance(each, str) else json.dumps(each) for each in arguments]
    return change("midclt", "call", method, *words)


def release(host: Host) -> tuple[int, int]:
    """``(25, 10)``: by it we choose among the middleware's ways of saying things."""

    def look(host: Host) -> tuple[int, int]:
        version = str(call(host, "system.version")).rpartition("SCALE-")[2]
        major, minor = version.removeprefix("TrueNAS-").split("-")[0].split(".")[:2]
        return int(major), int(minor)

    found: tuple[int, int] = host.fact("truenas release", look)
    return found


def follow_job(host: Host, result: Result) -> Progress:
    """How a job goes whose number the call printed."""
    number = parse(result.stdout)
    jobs = call(host, "core.get_jobs", [["id", "=", number]])
    if not jobs:
        return Progress(True, error=f"job {number} is gone: the middleware was restarted")
    job = jobs[0]
    if job["state"] in ("SUCCESS", "FAILED", "ABORTED"):
        error = "" if job["state"] == "SUCCESS" else (job.get("error") or job["state"]).strip()
        if not error and job.get("result") is False:
            error = f"{job['method']} said False"
        return Progress(True, error=error)
    progress = job.get("progress") or {}
    percent = progress.get("percent")
    return Progress(
        False,
        note=progress.get("description") or f"{job['method']}: {job['state']}",
        fraction=percent / 100 if percent else None,
    )


@dataclass(frozen=True)
class Dataset:
    """A dataset.

    Parameters
    ----------
    host, dataset
        Where it is, and its full name.
    share_type
        TrueNAS's preset, which can only be given when it is made.
    recordsize_bytes, quota_bytes
        Record size and quota [bytes]; None leaves them alone.
    """

    host: str
    dataset: str
    share_type: str
    recordsize_bytes: int | None = None
    quota_bytes: int | None = None
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"dataset {self.dataset}"

    @property
    def _pool(self) -> str:
        return self.dataset.partition("/")[0]

    def observe(self, host: Host) -> dict[str, Any]:
        rows = call(
            host,
            "pool.dataset.query",
            [["id", "=", self.dataset]],
            {"extra": {"retrieve_children": False}},
        )
        pools = call(host, "pool.query", [["name", "=", self._pool]])
        row = rows[0] if rows else None
        return {
            "pool": pools[0]["status"] if pools else None,
            "there": row is not None,
            "recordsize": int(row["recordsize"]["rawvalue"]) if row else None,
            "quota": int(row["quota"]["rawvalue"] or 0) if row else None,
            "casesensitivity": row["casesensitivity"]["rawvalue"] if row else None,
            "locked": row["locked"] if row else False,
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["pool"] is None:
            return Diff(conflict=f"there is no pool {self._pool} on {self.host}; phase 1 makes it")
        if observed["pool"] not in ("ONLINE", "DEGRADED"):
            return Diff(conflict=f"pool {self._pool} is {observed['pool']}; mend it first")
        wanted = {}
        if self.recordsize_bytes and observed["recordsize"] != self.recordsize_bytes:
            wanted["recordsize"] = _RECORD_SIZES[self.recordsize_bytes]
        if self.quota_bytes is not None and observed["quota"] != self.quota_bytes:
            wanted["quota"] = self.quota_bytes
        if not observed["there"]:
            document = {"name": self.dataset, "type": "FILESYSTEM", "share_type": self.share_type}
            command = _change("pool.dataset.create", document | wanted)
            # No undo that could be pasted in haste: it would destroy what was put there since.
            return Diff((Change(f"make dataset {self.dataset}", command),))
        if observed["locked"]:
            return Diff(conflict=f"dataset {self.dataset} is locked; unlock it in TrueNAS")
        insensitive = observed["casesensitivity"] == "insensitive"
        if insensitive != (self.share_type == "SMB"):
            return Diff(
                conflict=f"dataset {self.dataset} was made for another kind of share (its names "
                f"are case-{observed['casesensitivity']}), which can't be changed; use another one"
            )
        if not wanted:
            return Diff()
        command = _change("pool.dataset.update", self.dataset, wanted)
        return Diff((Change(f"set {', '.join(wanted)} of {self.dataset}", command),))


@dataclass(frozen=True)
class NfsShare:
    """An NFS export, to some networks and no others."""

    host: str
    path: str
    networks: tuple[str, ...]
    maproot_user: str | None = None
    maproot_group: str | None = None
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"NFS share {self.path}"

    @property
    def _wanted(self) -> dict[str, Any]:
        return {
            "networks": sorted(self.networks),
            "hosts": [],
            "maproot_user": self.maproot_user,
            "maproot_group": self.maproot_group,
            "mapall_user": None,
            "mapall_group": None,
            "ro": False,
            "enabled": True,
        }

    def observe(self, host: Host) -> list[dict[str, Any]]:
        rows = call(host, "sharing.nfs.query", [["path", "=", self.path]])
        keys = ("id", "comment", *self._wanted)
        return [{key: row.get(key) for key in keys} for row in rows]

    def diff(self, observed: list[dict[str, Any]]) -> Diff:
        networks = ", ".join(self.networks)
        if not observed:
            document = {"path": self.path, "comment": "homelab"} | self._wanted
            command = _change("sharing.nfs.create", document)
            return Diff((Change(f"export {self.path} to {networks}", command),))
        if len(observed) > 1:
            return Diff(conflict=f"{self.path} is exported {len(observed)} times; keep one of them")
        share = observed[0]
        have = {key: share[key] for key in self._wanted} | {"networks": sorted(share["networks"])}
        differing = {key: value for key, value in self._wanted.items() if have[key] != value}
        if not differing:
            return Diff()
        command = _change("sharing.nfs.update", share["id"], differing)
        before = json.dumps({key: share[key] for key in differing})
        return Diff(
            (
                Change(
                    f"change {', '.join(differing)} of the export {self.path}",
                    command,
                    undo=f"midclt call sharing.nfs.update {share['id']} '{before}'",
                ),
            )
        )


@dataclass(frozen=True)
class NasService:
    """A service of the NAS that runs, and starts with it."""

    host: str
    service: str
    timeout_s: float = 120.0

    @property
    def name(self) -> str:
        return f"service {self.service}"

    def observe(self, host: Host) -> dict[str, Any]:
        row = call(host, "service.query", [["service", "=", self.service]])[0]
        return {
            "enable": row["enable"],
            "state": row["state"],
            "release": list(release(host)),
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        changes = []
        if not observed["enable"]:
            command = _change("service.update", self.service, {"enable": True})
            changes.append(Change(f"start {self.service} with the NAS", command))
        if observed["state"] != "RUNNING":
            # Without this, a service that does not start is answered by "False" and status 0.
            loud = {"silent": False}
            if tuple(observed["release"]) >= (25, 10):
                command = _change("service.control", "START", self.service, loud)
                start = Change(f"start {self.service}", command, follow=follow_job)
            else:
                start = Change(
                    f"start {self.service}", _change("service.start", self.service, loud)
                )
            changes.append(start)
        return Diff(tuple(changes))
