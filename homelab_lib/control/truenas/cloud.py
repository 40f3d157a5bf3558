"""Copies that TrueNAS brings to a place outside by itself: a login, a task, and its last run.

What the NAS tells of these has the keys in it, so it is asked for the other fields by name.

Sources: TrueNAS middleware 25.04 to 26, plugins/cloud_sync.py and its API models; `select` of
filter_list.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.answers import Shape, whole
from homelab_lib.control import mark
from homelab_lib.control.clock import clock_s, is_new
from homelab_lib.control.truenas.midclt import call, changing, deleting, follow_job
from homelab_lib.control.truenas.telling import telling
from homelab_lib.runbook.resource import NOT_UNDONE, NOTHING_TO_UNDO, Change, Diff, Host
from homelab_lib.secret import Secret

_LOGIN = ("id", "name", "provider.type")
FIELDS = (
    *("id", "description", "path", "credentials.id", "attributes", "schedule", "direction"),
    *("transfer_mode", "snapshot", "include", "exclude", "enabled", "bwlimit", "transfers"),
    *("encryption", "filename_encryption", "follow_symlinks", "pre_script", "job"),
)
"""Of a task, all that is no secret."""
_LOGINS: Shape = [{"id": whole, "name": str, "provider": {"type": str}}]
_TASKS: Shape = [{"id": whole, "path?": str, "credentials": {"id": whole}}]
_RUNS: Shape = [
    {"id": whole, "job?": {"state": str, "time_finished?": {"$date": whole}, "error?": str}}
]


def guard(path: str, least_files: int) -> str:
    """What a task runs first, and goes no further where it fails: a dataset that is not mounted
    looks empty, and to synchronise it would delete the copy.

    Parameters
    ----------
    path, least_files
        What is copied, and how many files it has at the least.
    """
    count = f"find {shlex.quote(path)} -type f | head -n {least_files} | wc -l"
    return (
        f'[ "$({count})" -ge {least_files} ] || '
        f'{{ echo "fewer than {least_files} files are there: nothing is deleted" >&2; exit 1; }}'
    )


@dataclass(frozen=True)
class CloudLogin:
    """A login at a place outside. What is secret of it can't be compared, and is told when it is
    made; another key is given by hand.

    Parameters
    ----------
    host, lab, login, kind
        The NAS, the lab, what it is called there, and whose place it is.
    settings, secrets
        The provider's fields.
    """

    host: str
    lab: str
    login: str
    kind: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, Secret] = field(repr=False)
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"cloud login {self.called}"

    @property
    def called(self) -> str:
        """Its name there, with our mark in it."""
        return login_name(self.lab, self.login)

    def observe(self, host: Host) -> list[dict[str, Any]]:
        rows = logins(host, self.called)
        return [{"id": row["id"], "kind": row["provider"]["type"]} for row in rows]

    def diff(self, observed: list[dict[str, Any]]) -> Diff:
        if not observed:
            document = {"name": self.called, "provider": {"type": self.kind, **self.settings}}
            secrets = {f"provider.{name}": secret for name, secret in self.secrets.items()}
            made = telling("cloudsync.credentials.create", document, secrets=secrets)
            undo = deleting("cloudsync.credentials")
            return Diff((Change(f"make {self.name}", made, undo=undo),))
        if observed[0]["kind"] != self.kind:
            return Diff(conflict=f"{self.name} is one at {observed[0]['kind']}; rename it there")
        return Diff()


def login_name(lab: str, login: str) -> str:
    """What a login of ours is called."""
    return f"{login}; {mark.text(lab)}"


def logins(host: Host, name: str) -> list[dict[str, Any]]:
    """Logins of a name, without their keys."""
    filters, options = [["name", "=", name]], {"select": list(_LOGIN)}
    rows: list[dict[str, Any]] = call(
        host, "cloudsync.credentials.query", filters, options, shape=_LOGINS
    )
    return rows


@dataclass(frozen=True)
class CloudTask:
    """A copy that is brought up to date again and again.

    Parameters
    ----------
    host, lab, task
        The NAS, the lab, and the task's name.
    login
        The login's name in the lab.
    wanted
        Its fields, but for the login and what is secret.
    secrets
        The password that it is encrypted with, and its salt. They can't be compared.
    """

    host: str
    lab: str
    task: str
    login: str
    wanted: Mapping[str, Any]
    secrets: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"cloud task {self.task}"

    @property
    def called(self) -> str:
        """Its description there."""
        return task_name(self.lab, self.task)

    def observe(self, host: Host) -> dict[str, Any]:
        found = logins(host, login_name(self.lab, self.login))
        filters = [["description", "=", self.called]]
        rows = call(host, "cloudsync.query", filters, {"select": list(FIELDS)}, shape=_TASKS)
        kept = [{key: row.get(key) for key in ("id", *self.wanted)} for row in rows]
        for row, told in zip(kept, rows, strict=True):
            row["login"] = told["credentials"]["id"]
        return {"login": found[0]["id"] if found else None, "rows": kept}

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["login"] is None:
            return Diff(conflict=f"{self.host} has no login {login_name(self.lab, self.login)!r}")
        document = {**self.wanted, "credentials": observed["login"]}
        if not observed["rows"]:
            made = self._call("create", {"description": self.called, **document})
            return Diff((Change(f"make {self.name}", made, undo=deleting("cloudsync")),))
        if len(observed["rows"]) > 1:
            return Diff(conflict=f"{self.name} is there twice with our mark; keep one")
        [row] = observed["rows"]
        differing = {k: v for k, v in self.wanted.items() if not _holds(v, row[k])}
        if row["login"] != observed["login"]:
            differing["credentials"] = observed["login"]
        if not differing:
            return Diff()
        old = {name: row.get(name, row["login"]) for name in differing}
        told = ", ".join(f"{name} {json.dumps(value)}" for name, value in old.items())
        call_ = changing("cloudsync.update", row["id"], differing)
        summary = f"change {', '.join(differing)} of {self.name}"
        undo = changing("cloudsync.update", row["id"], old).line
        return Diff((Change(summary, call_, replaces=told, undo=undo),))

    def _call(self, verb: str, document: dict[str, Any]) -> Any:
        if self.secrets:
            return telling(f"cloudsync.{verb}", document, secrets=self.secrets)
        return changing(f"cloudsync.{verb}", document)


def task_name(lab: str, task: str) -> str:
    """What a task of ours is called."""
    return f"{task}; {mark.text(lab)}"


def _holds(wanted: Any, found: Any) -> bool:
    """Of a mapping, whatever we do not name is the NAS's own; JSON has but one kind of list."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(found.get(k) == v for k, v in wanted.items())
    if isinstance(wanted, tuple):
        return bool(list(wanted) == found)
    return bool(wanted == found)


@dataclass(frozen=True)
class Run:
    """A task's last run.

    Parameters
    ----------
    task
        The task's number; None where there is none.
    state
        The job's state; empty where it never ran.
    ended_s
        When it ended [s since 1970].
    error
        Why it failed.
    """

    task: int | None
    state: str = ""
    ended_s: float | None = None
    error: str = ""


def last_run(host: Host, lab: str, task: str) -> Run:
    """The last run of a task of ours."""
    filters = [["description", "=", task_name(lab, task)]]
    rows = call(host, "cloudsync.query", filters, {"select": ["id", "job"]}, shape=_RUNS)
    if not rows:
        return Run(None)
    job = rows[0].get("job") or {}
    ended = job.get("time_finished")
    error = (job.get("error") or "").strip()
    ended_s = ended["$date"] / 1000 if ended else None
    return Run(rows[0]["id"], job.get("state", ""), ended_s, host.cut(error, 300, end=True))


@dataclass(frozen=True)
class CloudCopied:
    """A task whose last run went well, and is not longer ago than was promised.

    Parameters
    ----------
    host, lab, task
        The NAS, the lab, and the task's name.
    path, deletes
        What is copied, and whether a run deletes there what is not here any more.
    within_s
        How long ago the last run may be [s].
    timeout_s
        How long one may take [s].
    """

    host: str
    lab: str
    task: str
    path: str
    deletes: bool
    within_s: float
    timeout_s: float = 86_400.0

    @property
    def name(self) -> str:
        return f"copy {self.task}"

    def observe(self, host: Host) -> dict[str, Any]:
        run = last_run(host, self.lab, self.task)
        age_s = None
        if run.ended_s is not None and run.state == "SUCCESS":
            age_s = clock_s(host) - run.ended_s
        words = ("find", self.path, "-mindepth", "1", "-maxdepth", "1")
        empty = not host.read(*words, sudo=True).stdout.strip() if self.deletes else False
        return {"task": run.task, "state": run.state, "age_s": age_s, "empty": empty}

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["task"] is None:
            return Diff(conflict=f"{self.host} has no task {task_name(self.lab, self.task)!r}")
        if observed["state"] in ("RUNNING", "WAITING"):
            return Diff(waiting=f"{self.task} is being copied")
        if is_new(observed["age_s"], self.within_s):
            return Diff()
        if observed["empty"]:
            return Diff(
                conflict=f"{self.path} is empty, and {self.task} would delete its copy to match: "
                "see that the dataset is mounted and unlocked"
            )
        call_ = changing("cloudsync.sync", observed["task"])
        summary = f"bring the copy {self.task} up to date"
        undo = (
            f"{NOT_UNDONE}: what is there is made like what is here"
            if self.deletes
            else f"{NOTHING_TO_UNDO}: it adds to the copy, and takes nothing away"
        )
        return Diff((Change(summary, call_, follow=follow_job, undo=undo),))
