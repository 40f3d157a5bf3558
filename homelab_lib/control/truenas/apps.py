"""Apps of TrueNAS's catalog, and the pool that they are kept on.

An app carries our mark as a label of its main container. What of its values we don't name is its
own: an update replaces top-level keys as wholes, so what stands in them is sent along.

Sources: TrueNAS middleware 25.04 to 26, `docker` and `app`; the questions in truenas/apps.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from homelab_lib.answers import Shape
from homelab_lib.control import mark
from homelab_lib.control.truenas.midclt import call, changing, follow_job
from homelab_lib.runbook.resource import Change, Diff, Host

LABEL = "homelab.owner"
_DOCKER: Shape = {"pool?": str}
_STATUS: Shape = {"status": str, "description?": str}
_POOLS: Shape = [{"status": str}]
APPS: Shape = [
    {"state": str, "custom_app": bool, "metadata": {"name?": str, "train?": str}, "version": str}
]
MAKING_S = 1800.0  # images of a gigabyte and more are pulled
STARTING_S = 300.0


@dataclass(frozen=True)
class AppsPool:
    """The pool that apps are kept on.

    Parameters
    ----------
    host, pool
        Which NAS, and which of its pools.
    """

    host: str
    pool: str
    timeout_s: float = STARTING_S

    @property
    def name(self) -> str:
        return f"pool for apps of {self.host}"

    def observe(self, host: Host) -> dict[str, Any]:
        status = call(host, "docker.status", shape=_STATUS)
        pools = call(host, "pool.query", [["name", "=", self.pool]], shape=_POOLS)
        return {
            "pool": call(host, "docker.config", shape=_DOCKER).get("pool"),
            "status": status["status"],
            "says": status.get("description") or "",
            "there": bool(pools),
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        has = observed["pool"]
        if not observed["there"]:
            return Diff(conflict=f"there is no pool {self.pool} on {self.host}; make it first")
        if has is None:
            call_ = changing("docker.update", {"pool": self.pool})
            summary = f"keep apps on pool {self.pool}"
            undo = changing("docker.update", {"pool": None}).line
            change = Change(summary, call_, replaces="no pool", follow=follow_job, undo=undo)
            return Diff((change,))
        if has != self.pool:
            return Diff(
                conflict=f"{self.host} keeps its apps on pool {has}, and the lab has {self.pool}. "
                "What is there would stay behind: write that pool into the lab, or move them in "
                "the web interface"
            )
        if observed["status"] == "FAILED":
            return Diff(conflict=f"apps of {self.host} don't start: {observed['says']}")
        if observed["status"] != "RUNNING":
            return Diff(waiting=f"apps of {self.host}: {observed['status'].lower()}")
        return Diff()


@dataclass(frozen=True)
class App:
    """An app that runs, with these of its values.

    Parameters
    ----------
    host, lab
        Which NAS, and the lab it belongs to.
    app
        What it is called there.
    train, catalog_app, version
        Where it is in the catalog, what it is called there, and ``latest`` or the very version.
    container
        Its main container.
    values
        Of its values those that count.
    """

    looks_at: ClassVar[str] = "runs"
    host: str
    lab: str
    app: str
    train: str
    catalog_app: str
    container: str
    values: Mapping[str, Any]
    version: str = "latest"
    timeout_s: float = STARTING_S

    @property
    def name(self) -> str:
        return f"app {self.app}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        rows = call(host, "app.query", [["id", "=", self.app]], shape=APPS)
        if not rows:
            return None
        row = rows[0]
        config = call(host, "app.config", self.app, shape={str: object})
        differing = [key for key, value in self.values.items() if not holds(value, config.get(key))]
        return {
            "state": row["state"],
            "from": "" if row["custom_app"] else row["metadata"].get("name") or "",
            "ours": _is_ours(config.get("labels"), self.lab),
            # No more of its values than what we name: there may be passwords in the others.
            "values": {key: _named(config.get(key), self.values[key]) for key in self.values},
            "sent": {key: laid_over(config.get(key), self.values[key]) for key in differing},
        }

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is None:
            return Diff((self._create(),))
        if observed["from"] != self.catalog_app:
            kind = f"the catalog's {observed['from']}" if observed["from"] else "one of its own"
            return Diff(
                conflict=f"there is an app {self.app} on {self.host} already, {kind} and not "
                f"{self.catalog_app}; give the lab's another name"
            )
        if observed["sent"]:
            if not observed["ours"]:
                return Diff(conflict=self._taken(observed))
            return Diff((self._update(observed),))
        return running(self.app, self.container, observed["state"])

    def _create(self) -> Change:
        labels = [*self.values.get("labels", ()), self._label]
        document = {
            "app_name": self.app,
            "catalog_app": self.catalog_app,
            "train": self.train,
            "version": self.version,
            "values": dict(self.values) | {"labels": labels},
        }
        call_ = replace(changing("app.create", document), timeout_s=MAKING_S)
        undo = changing("app.delete", self.app).line
        return Change(f"install app {self.app}", call_, follow=follow_job, undo=undo)

    @property
    def _label(self) -> dict[str, Any]:
        return {"key": LABEL, "value": mark.text(self.lab), "containers": [self.container]}

    def _update(self, observed: dict[str, Any]) -> Change:
        sent = observed["sent"]
        call_ = replace(changing("app.update", self.app, {"values": sent}), timeout_s=MAKING_S)
        before = {key: observed["values"][key] for key in sent}
        told = ", ".join(
            f"{key} {json.dumps(value, sort_keys=True)}" for key, value in before.items()
        )
        summary = f"change {', '.join(sent)} of app {self.app}"
        undo = "give it the values of before in TrueNAS (Apps, Edit)"
        return Change(summary, call_, replaces=told, follow=follow_job, undo=undo)

    def _taken(self, observed: dict[str, Any]) -> str:
        have = ", ".join(
            f"{key} {json.dumps(observed['values'][key], sort_keys=True)}"
            for key in observed["sent"]
        )
        return (
            f"app {self.app} is there already, and we did not install it; it has {have}. If lab "
            f"{self.lab} may change it, give its container {self.container} the label {LABEL} "
            f"with “{mark.text(self.lab)}”; else write into the lab what it has"
        )


def running(app: str, container: str, state: str) -> Diff:
    """What an app lacks that has its values, by the state that it is in."""
    if state in ("DEPLOYING", "STOPPING"):
        return Diff(waiting=f"app {app}: {state.lower()}")
    if state == "CRASHED":
        return Diff(
            conflict=f"app {app} has crashed; its log is in the web interface, or "
            f"`docker logs ix-{app}-{container}-1` shows it"
        )
    if state == "STOPPED":
        start = changing("app.start", app)
        undo = changing("app.stop", app).line
        return Diff((Change(f"start app {app}", start, follow=follow_job, undo=undo),))
    return Diff()


def _is_ours(labels: Any, lab: str) -> bool:
    """Whether our label is among an app's."""
    return any(
        label.get("key") == LABEL and mark.marks(str(label.get("value", "")), lab)
        for label in (labels if isinstance(labels, list) else ())
        if isinstance(label, Mapping)
    )


def holds(wanted: Any, found: Any) -> bool:
    """Whether all that is wanted is found; of a mapping whatever we do not name is the app's own.
    A list is wanted as a whole, but for what its members have besides."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            holds(value, found.get(key)) for key, value in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(holds(one, other) for one, other in zip(wanted, found, strict=True))
        )
    return bool(wanted == found)


def laid_over(found: Any, wanted: Any) -> Any:
    """What is wanted laid over what is found: mappings key by key, all else as a whole."""
    if isinstance(wanted, Mapping):
        under = found if isinstance(found, Mapping) else {}
        return {**under, **{key: laid_over(under.get(key), each) for key, each in wanted.items()}}
    return list(wanted) if isinstance(wanted, tuple) else wanted


def _named(found: Any, wanted: Any) -> Any:
    """Of what is found no more than what is named."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return {key: _named(found.get(key), each) for key, each in wanted.items()}
    if isinstance(wanted, list | tuple) and isinstance(found, list):
        pairs = zip(found, [*wanted, *[{}] * len(found)], strict=False)
        return [_named(other, one) for other, one in pairs]
    return found
