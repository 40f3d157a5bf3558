"""Apps of a TrueNAS that are in no catalog: a document of Docker Compose, whole.

Their containers carry our mark as a label. What they have that we do not name was set by a person
and stays: an update takes the document as a whole, so it is sent along.

Source: TrueNAS middleware 25.04 to 26, `app`: `custom_app.py`, `custom_app_utils.py` (the document
is judged by ``docker compose config``, and is what ``app.config`` then answers).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from homelab_lib.control import mark
from homelab_lib.control.truenas.apps import (
    APPS,
    LABEL,
    MAKING_S,
    STARTING_S,
    holds,
    laid_over,
    running,
)
from homelab_lib.control.truenas.midclt import call, changing, follow_job
from homelab_lib.runbook.resource import Change, Diff, Host


@dataclass(frozen=True)
class ComposedApp:
    """An app of one container that runs, by a document of Docker Compose.

    Parameters
    ----------
    host, lab
        Which NAS, and the lab it belongs to.
    app
        What it is called there; its container is called so, too.
    container
        Its container, as Compose describes a service.
    """

    looks_at: ClassVar[str] = "runs"
    host: str
    lab: str
    app: str
    container: Mapping[str, Any]
    timeout_s: float = STARTING_S

    @property
    def name(self) -> str:
        return f"app {self.app}"

    @property
    def _document(self) -> dict[str, Any]:
        labels = {LABEL: mark.text(self.lab)}
        return {"services": {self.app: {**self.container, "labels": labels}}}

    def observe(self, host: Host) -> dict[str, Any] | None:
        rows = call(host, "app.query", [["id", "=", self.app]], shape=APPS)
        if not rows:
            return None
        config = call(host, "app.config", self.app, shape={str: object})
        services = config.get("services")
        found = services.get(self.app) if isinstance(services, Mapping) else None
        has = found if isinstance(found, Mapping) else {}
        labels = has.get("labels")
        label = labels.get(LABEL) if isinstance(labels, Mapping) else None
        return {
            "state": rows[0]["state"],
            "composed": rows[0]["custom_app"],
            "ours": mark.marks(str(label or ""), self.lab),
            # No more of it than what we name: there may be passwords in the rest.
            "has": {key: has.get(key) for key in self.container},
            "document": {} if holds(self._document, config) else laid_over(config, self._document),
        }

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is None:
            return Diff((self._create(),))
        if not observed["composed"] or not observed["ours"]:
            kind = "and we did not make it" if observed["composed"] else "one of the catalog"
            return Diff(
                conflict=f"there is an app {self.app} on {self.host} already, {kind}: rename it, "
                "or remove it in the web interface"
            )
        if observed["document"]:
            return Diff((self._update(observed),))
        return running(self.app, self.app, observed["state"])

    def _create(self) -> Change:
        document = {
            "app_name": self.app,
            "custom_app": True,
            "custom_compose_config": self._document,
        }
        call_ = replace(changing("app.create", document), timeout_s=MAKING_S)
        undo = changing("app.delete", self.app).line
        return Change(f"install app {self.app}", call_, follow=follow_job, undo=undo)

    def _update(self, observed: dict[str, Any]) -> Change:
        document = {"custom_compose_config": observed["document"]}
        call_ = replace(changing("app.update", self.app, document), timeout_s=MAKING_S)
        differing = {k: v for k, v in observed["has"].items() if not holds(self.container[k], v)}
        return Change(
            f"change {', '.join(differing) or 'the label'} of app {self.app}",
            call_,
            replaces=json.dumps(differing, sort_keys=True),
            follow=follow_job,
            undo="give it the document of before in TrueNAS (Apps, Edit)",
        )
