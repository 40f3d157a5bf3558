"""What a cluster's repository holds: every object that runbooks keep in it, and no Secret.

What is not in there stays the runbooks' own: Flux itself, claims and their data, what tries things.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.production import GitOps
from homelab_lib.recipes.graphics import drivers
from homelab_lib.recipes.inference import ollama, web_ui
from homelab_lib.recipes.kubernetes import alerts, certificates, exporters, manifests
from homelab_lib.recipes.kubernetes.certificates import Issuing
from homelab_lib.recipes.kubernetes.ingress import WayIn
from homelab_lib.recipes.kubernetes.monitoring import Watch
from homelab_lib.recipes.kubernetes.volumes import Volumes

KEY = "repository-key"
"""The Secret by which Flux reads it."""
_STAYS = {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
_TAKE_ALONG = ("Namespace", "HelmChart")
"""Kinds that take others along when they go: what is in it, its claims too; all that the chart
installed. Flux leaves them even where somebody has it prune."""


@dataclass(frozen=True)
class Contents:
    """What a repository holds once a phase is over.

    Parameters
    ----------
    lab, cluster, described
        The lab, the cluster, and its repository.
    phase
        The number of the phase.
    """

    lab: Lab
    cluster: Cluster
    described: GitOps
    phase: int

    def documents(self) -> Iterator[manifests.Object]:
        """Every object that runbooks keep in the cluster, in the order in which they made them."""
        found: list[manifests.Object] = []
        for document in self._made():
            if document not in found:  # services share namespaces
                found.append(document)
        return iter(found)

    def _made(self) -> Iterator[manifests.Object]:
        cluster, lab, phase = self.cluster, self.lab, self.phase
        yield from Volumes(lab, cluster).documents()
        for space in sorted({workload.namespace for workload in cluster.workloads}):
            yield manifests.namespace(space)
        for workload in cluster.workloads:
            yield from manifests.workload(workload)
        for number in range(1, phase + 1):
            for recipe in (drivers, ollama, web_ui):
                yield from recipe.documents(lab, cluster, number)
        if cluster.ingress is not None and self._stands(cluster.ingress.service):
            yield from WayIn(lab, cluster, phase).documents()
        if cluster.certificates is not None and self._stands(cluster.certificates.service):
            issuing = Issuing(lab, cluster, cluster.certificates, phase)
            yield from issuing.release.documents()
            yield from issuing.documents()
        if cluster.monitoring is not None and self._stands(cluster.monitoring.service):
            watch = Watch(lab, cluster, cluster.monitoring, phase)
            yield from watch.release.documents()
            yield from watch.documents()

    def _stands(self, service: str) -> bool:
        """Whether a service has been made by now: Flux would make what comes later too early."""
        made = self.lab.services[service].phase
        return made is not None and made <= self.phase

    @property
    def files(self) -> dict[str, str]:
        """Their texts by the names of their files, and what is to be known of the Secrets."""
        found = {"README.md": self._readme()}
        for document in self.documents():
            whole = Applied(self.cluster.first_server, self.lab.name, document).whole
            assert whole["kind"] != "Secret", "no Secret goes into a repository"
            meta = whole["metadata"]
            if whole["kind"] in _TAKE_ALONG:
                notes = {**meta.get("annotations", {}), **_STAYS}
                whole = {**whole, "metadata": {**meta, "annotations": notes}}
            parts = (whole["kind"], meta.get("namespace", ""), meta["name"])
            name = "-".join(filter(None, parts)).lower()
            called = f"{re.sub(r'[^a-z0-9.-]', '-', name)}.yaml"
            found[called] = manifests.yaml_text(whole, 2) + "\n"
        return found

    def _readme(self) -> str:
        lines = [
            f"# Cluster {self.cluster.name} of lab {self.lab.name}",
            "",
            "Flux keeps the cluster as the files of this folder say. Runbooks write them: change",
            "the lab, and carry out the steps that write this folder and that wait for Flux. What",
            "you change here they will not write over, and stop until the lab says the same.",
            "",
            "Charts are here as k3s' HelmChart objects. Flux keeps these, and k3s goes on doing",
            "what they say: another value or version here, and it upgrades the release. A file",
            "that is taken away deletes nothing in the cluster.",
            "",
            "Flux itself, claims and their data, and what tries things are not here: they are the",
            "runbooks'. Neither are these Secrets. Runbooks make them, each value from where it is",
            "kept:",
            "",
        ]
        for name, values in self._secrets():
            told = ", ".join(f"{key} from {where}" for key, where in values.items())
            lines.append(f"- {name}: {told}")
        return "\n".join(lines) + "\n"

    def _secrets(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """The Secrets that there have to be, and by which reference each of their values is had."""
        cluster, where = self.cluster, self.described
        for service in self.lab.services.values():
            chart = service.chart
            if chart is None or service.runs_on != cluster.name or not self._stands(service.name):
                continue
            for name, values in chart.secrets.items():
                yield f"{chart.namespace}/{name}", values
            if (page := service.web_ui) is not None:
                login = web_ui.Page(self.lab, service, page, service.phase or self.phase).secret
                keys = {"password": page.password, "session-key": page.session_key}
                yield f"{chart.namespace}/{login}", keys
        acme = cluster.certificates.acme if cluster.certificates is not None else None
        if acme is not None:
            yield (
                f"{certificates.OWN_SPACE}/{certificates.TOKEN}",
                {certificates.TOKEN_KEY: acme.token},
            )
        watched = cluster.monitoring
        if watched is not None and watched.receiver is not None and self._stands(watched.service):
            told = watched.receiver
            space = self.lab.services[watched.service].chart
            assert space is not None
            yield f"{space.namespace}/{alerts.SECRET}", {alerts.KEYS[told.kind]: told.secret}
        if watched is not None and self._stands(watched.service):
            watch = Watch(self.lab, cluster, watched, self.phase)
            for name, token in watch.tokens.items():
                yield f"{watch.space}/{name}", {exporters.TOKEN_KEY: token}
        flux = self.lab.services[where.service].chart
        assert flux is not None
        yield f"{flux.namespace}/{KEY}", {"identity": where.deploy_key}
