"""Open WebUI: a page in front of a lab's models, behind a login, that answers about documents.

Sources: open-webui/helm-charts 16.0.0, its values and templates; open-webui/open-webui 0.11.
"""

from collections.abc import Iterator
from typing import Any

from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.control.kubernetes.secrets import SecretObject
from homelab_lib.control.ollama.api import TAGS, answered
from homelab_lib.control.open_webui.api import BehindLogin, Place, knocks
from homelab_lib.control.open_webui.documents import DocumentAsked
from homelab_lib.errors import BadParameter, StepFailed
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster, ServedModel, Service
from homelab_lib.lab.inference import WebUi
from homelab_lib.recipes.inference.ollama import KEPT
from homelab_lib.recipes.inference.servers import ModelServer, server_of, servers_for
from homelab_lib.recipes.kubernetes.charts import Release
from homelab_lib.recipes.kubernetes.manifests import Object, full_name
from homelab_lib.recipes.kubernetes.published import ingress
from homelab_lib.runbook.step import Check, Context, Step, Wanted
from homelab_lib.secret import Secret
from homelab_lib.wiring.serving import caches

MAKES = ("services",)
_TITLE = "homelab-key.txt"
_TEXT = (
    "Notes on the rack. The lamp above the rack is switched at the door. The spare key of the rack "
    "hangs on hook 47 behind the third shelf. Filters are cleaned in spring and in autumn."
)
_QUESTION = "On which hook does the spare key of the rack hang? Answer with its number."
_EXPECTED = "47"
_CLOSED = ("401", "403")
_MOST_PASSWORD_BYTES = 72  # bcrypt takes no more


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The pages of a phase; none where it has none.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        One can't be made as it is described: its key and what to do.
    """
    services = [s for s in lab.services.values() if s.web_ui is not None and s.phase == phase]
    for service in services:
        assert service.web_ui is not None
        end = f"-{service.name}" if len(services) > 1 else ""
        page = Page(lab, service, service.web_ui, phase)
        yield Step(
            f"web-ui{end}",
            "Install Open WebUI, behind a login",
            why="A page to chat with the models. Its administrator is made at its first start, "
            "from a Secret, so that nobody else can come first; nobody can make an account without "
            f"him. It keeps its data on {service.web_ui.storage_class}, for its SQLite does not "
            "bear NFS. Settings come from its environment at each start, and what somebody clicks "
            "is gone at the next: else those of the first start would go before all later ones. It "
            f"asks for models at {', '.join(page.endpoints)}, and nobody on the internet.",
            needs=page.needs,
            ensure=page.install,
            check=page.closed,
        )
        if page.embeds is not None:
            yield Step(
                f"documents{end}",
                "Give it a document to read, and ask about that",
                why=f"The document is embedded by {page.embeds.name}, and the passage that fits "
                "the question goes to a model that answers. That the text comes back, and the "
                "number in it in the answer, shows the whole way.",
                needs=(f"web-ui{end}",),
                ensure=page.read,
                check=page.told,
            )


def documents(lab: Lab, cluster: Cluster, phase: int) -> Iterator[Object]:
    """What the steps of a phase keep in a cluster, but for Secrets.

    Parameters
    ----------
    lab, cluster, phase
        What is described, and the number of the phase.
    """
    for service in lab.services.values():
        if service.web_ui and service.phase == phase and service.runs_on == cluster.name:
            page = Page(lab, service, service.web_ui, phase)
            yield from page.release.documents()
            if page.has_way_in:
                yield ingress(lab, cluster, service)


class Page:
    """One of them; see `steps`."""

    def __init__(self, lab: Lab, service: Service, described: WebUi, phase: int) -> None:
        self.lab = lab
        self.service = service
        self.described = described
        self.phase = phase
        self.where = f"services.{service.name}"
        self.cluster = self._cluster()
        self.servers = servers_for(lab, service, phase)
        self.embeds = self._embeds()
        self._refuse_a_name_without_a_way()
        if not self.endpoints:
            raise BadParameter(
                f"{service.name} is a page in front of models, and needs no service that has any",
                where=f"{self.where}.needs",
                fix="name there a service with  ollama  that this phase or an earlier one installs",
            )
        self.release = Release(lab, service, self._values())

    def _cluster(self) -> Cluster:
        cluster = self.lab.clusters[self.service.runs_on or ""]
        if cluster.nfs is not None and cluster.nfs.name == self.described.storage_class:
            raise BadParameter(
                f"{self.service.name} keeps its accounts in SQLite, which on NFS is damaged sooner "
                "or later",
                where=f"{self.where}.web_ui.storage_class",
                fix="write  storage_class: local-path",
            )
        return cluster

    def _refuse_a_name_without_a_way(self) -> None:
        if not self.service.hostname:
            return
        if self.cluster.ingress is None or self.cluster.certificates is None:
            raise BadParameter(
                f"{self.service.name} has a host name, and its password would go there "
                f"unencrypted: {self.cluster.name} has no ingress with certificates",
                where=f"{self.where}.hostname",
                fix=f"describe  ingress  and  certificates  of {self.cluster.name}, or leave out "
                "the host name",
            )
        if self.service.backend is None:
            raise BadParameter(
                f"{self.service.name} has a host name, and nothing says what answers there",
                where=f"{self.where}.backend",
                fix=f"write  backend: {self.place.service}:{self.place.port}",
            )

    def _embeds(self) -> ModelServer | None:
        """The server of the model that reads documents."""
        name = self.described.embeds_with
        if name is None:
            return None
        model = self.lab.models[name]
        key = f"{self.where}.web_ui.embeds_with"
        if caches(model.part):
            raise BadParameter(
                f"{name} answers, and {self.service.name} needs a model that embeds documents",
                where=key,
                fix="name one of the catalog whose purpose is embedding",
            )
        found = server_of(self.lab, model, self.phase)
        if found is None:
            raise BadParameter(
                f"{self.service.name} reads documents with {name}, and no Ollama serves that by "
                f"phase {self.phase}",
                where=key,
                fix=f"give {' and '.join(model.devices)} a service with  ollama  and a phase up to "
                f"{self.phase}, or name another model",
            )
        if found.url_in(self.cluster) is None:
            raise BadParameter(
                f"{name} is served by {found.name}, which listens on its own machine alone, and "
                f"{self.service.name} runs on {self.cluster.name}",
                where=key,
                fix=f"serve it by a card of {self.cluster.name}'s VMs, or of another cluster",
            )
        return found

    @property
    def needs(self) -> tuple[str, ...]:
        """Steps of this phase that have to be done."""
        own = [s for s in (*self.servers, self.embeds) if s is not None]
        return ("answers",) if any(s.service.phase == self.phase for s in own) else ()

    @property
    def endpoints(self) -> list[str]:
        """Where it asks for models that answer: by the way that leads there from its pod."""
        found = [
            url
            for each in self.servers
            if any(caches(model.part) for model in each.models)
            if (url := each.url_in(self.cluster)) is not None
        ]
        return list(dict.fromkeys(found))

    @property
    def place(self) -> Place:
        """Its service."""
        chart = self.service.chart
        assert chart is not None
        return Place(chart.namespace, full_name(chart.name, chart.chart), 80)

    def _values(self) -> dict[str, Any]:
        """What its chart is told; the chart would bring a server of models, a broker and an API
        key of its own besides."""
        probe = {"httpGet": {"path": "/health/db", "port": "http"}, "periodSeconds": 10}
        started = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 5}
        return {
            "ollama": {"enabled": False},
            "pipelines": {"enabled": False},
            "enableOpenaiApi": False,
            "websocket": {"manager": "", "redis": {"enabled": False}},
            "ollamaUrls": self.endpoints,
            "persistence": {
                "enabled": True,
                "storageClass": self.described.storage_class,
                "size": self.described.storage,
            },
            "startupProbe": started | {"failureThreshold": 120},
            "readinessProbe": probe | {"failureThreshold": 3},
            "extraEnvVars": list(self._environment()),
        }

    def _environment(self) -> Iterator[dict[str, Any]]:
        told = {
            "ENABLE_PERSISTENT_CONFIG": "False",
            "ENABLE_SIGNUP": "False",
            "DEFAULT_USER_ROLE": "pending",
            "WEBUI_ADMIN_EMAIL": self.described.email,
        }
        if self.service.hostname:
            told["WEBUI_URL"] = f"https://{self.service.hostname}"
            told["WEBUI_SESSION_COOKIE_SECURE"] = "True"
        if self.embeds is not None:
            told["RAG_EMBEDDING_ENGINE"] = "ollama"
            told["RAG_EMBEDDING_MODEL"] = self._tag(
                self.lab.models[self.described.embeds_with or ""]
            )
            told["RAG_OLLAMA_BASE_URL"] = self.embeds.url_in(self.cluster) or ""
        yield from ({"name": key, "value": value} for key, value in told.items())
        for key, name in (
            ("WEBUI_ADMIN_PASSWORD", "password"),
            ("WEBUI_SECRET_KEY", "session-key"),
        ):
            source = {"secretKeyRef": {"name": self.secret, "key": name}}
            yield {"name": key, "valueFrom": source}

    @property
    def secret(self) -> str:
        """The Secret with its administrator's password, and the key of its sessions."""
        return f"{self.service.name}-login"

    # ----------------------------------------------------------------------- login

    def install(self, ctx: Context) -> Iterator[Wanted]:
        """The Secret, the chart, and that it answers and is closed."""
        password = self._short(ctx.secret(self.described.password))
        chart = self.release.chart
        values = {"password": password, "session-key": ctx.secret(self.described.session_key)}
        secret = SecretObject(
            self.release.server, self.lab.name, self.secret, chart.namespace, values
        )
        yield from self.release.ensure(ctx, secret)
        yield self.release.ready()
        yield BehindLogin(self.release.server, self.place)
        if self.has_way_in:
            document = ingress(self.lab, self.cluster, self.service)
            yield Applied(self.release.server, self.lab.name, document)

    def _short(self, password: Secret) -> Secret:
        def reveal() -> str:
            text = password.reveal()
            if len(text.encode()) > _MOST_PASSWORD_BYTES:
                raise StepFailed(
                    f"the administrator's password has more than {_MOST_PASSWORD_BYTES} bytes, "
                    "and Open WebUI takes no more",
                    where=f"{self.where}.web_ui.password",
                    fix=f"put a shorter one behind {self.described.password}",
                )
            return text

        return Secret(password.name, reveal)

    @property
    def has_way_in(self) -> bool:
        """Whether an earlier phase has set its cluster's ingress; else that step publishes it."""
        way = self.cluster.ingress
        made = self.lab.services[way.service].phase if way is not None else None
        return bool(self.service.hostname) and made is not None and made < self.phase

    def closed(self, ctx: Context) -> Iterator[Check]:
        """Who has no login is told nothing."""
        host = ctx.host(self.release.server)
        status = knocks(host, self.place.url(host))
        says = f"status {status}" if status else "it does not answer"
        yield Check(f"{self.service.name} tells nobody without a login", status in _CLOSED, says)

    # ------------------------------------------------------------------- documents

    def read(self, ctx: Context) -> Iterator[Wanted]:
        """The document, once its reader has its model: Open WebUI would not say what is wrong."""
        assert self.embeds is not None
        asks = ctx.host(self.embeds.asks)
        said = answered(asks, self.embeds.url, "/api/tags", TAGS)
        asked = self._asked(ctx)
        if asked.embeds not in [row["name"] for row in said["models"]]:
            raise StepFailed(
                f"{self.embeds.name} at {self.embeds.url} does not have {asked.embeds}, by which "
                f"{self.service.name} reads documents",
                where=f"{asks.name}: {self.embeds.url}/api/tags",
                fix='carry out step "models" again; or name a model that is there in '
                f"{self.where}.web_ui.embeds_with",
            )
        yield asked

    def _asked(self, ctx: Context) -> DocumentAsked:
        return DocumentAsked(
            self.release.server,
            self.place,
            self.described.email,
            ctx.secret(self.described.password),
            _TITLE,
            _TEXT,
            _QUESTION,
            self._tag(self.lab.models[self.described.embeds_with or ""]),
            self._tag(self._speaker()),
            f"{KEPT}/{self.service.name}",
        )

    def _speaker(self) -> ServedModel:
        """The model that answers: the first of those behind the page."""
        models = (model for each in self.servers for model in each.models)
        return next(model for model in models if caches(model.part))

    def _tag(self, model: ServedModel) -> str:
        assert model.published is not None  # servers have no others
        return model.published.tag

    def told(self, ctx: Context) -> Iterator[Check]:
        """The passage came back, and the answer has what stands in it."""
        passage, answer = self._asked(ctx).told(ctx.host(self.release.server))
        sentences = [each for each in passage.split(". ") if _EXPECTED in each]
        says = f"“{sentences[0]}”" if sentences else "another text, or none"
        title = "the passage about the question was found in the document"
        yield Check(title, bool(sentences), says)
        answers = _EXPECTED in answer
        yield Check("the answer has what stands there", answers, f"“{answer.strip()[:80]}”")
